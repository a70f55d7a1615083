// What the transforms to patches of Winograd's F(2x2, 3x3) share: rows of 4 of 16 positions. Indices are constants
// throughout: drivers keep such arrays in registers.
#import winograd_patches

alias Line = array<Channels, 4>;

fn store_row(place: Place, row: u32, values: Line) {
    store(place, 4u * row, values[0]);
    store(place, 4u * row + 1u, values[1]);
    store(place, 4u * row + 2u, values[2]);
    store(place, 4u * row + 3u, values[3]);
}
