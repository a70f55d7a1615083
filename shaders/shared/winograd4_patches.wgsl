// What the transforms to patches of Winograd's F(4x4, 3x3) share: rows of 6 of 36 positions. Indices are constants
// throughout: drivers keep such arrays in registers.
#import winograd_patches
#import winograd4_points

alias Line = array<Channels, 6>;

fn store_row(place: Place, row: u32, values: Line) {
    store(place, 6u * row, values[0]);
    store(place, 6u * row + 1u, values[1]);
    store(place, 6u * row + 2u, values[2]);
    store(place, 6u * row + 3u, values[3]);
    store(place, 6u * row + 4u, values[4]);
    store(place, 6u * row + 5u, values[5]);
}
