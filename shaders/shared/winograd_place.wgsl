// What an invocation of Winograd's transforms works on, whose `params` name channels, tiles_down and tiles_across.

// An element of a patch: some neighbouring channels, as shared/activation_storage.wgsl has them.
struct Place {
    image: u32,
    // Of the upper left of the pixels the patch computes.
    y: u32,
    column: u32,
    channel: u32,
    tile: u32,
}

// The place of an invocation of a grid of (tiles_across * channels) x (batch * tiles_down).
fn place_of(id: vec3<u32>, tile_size: u32) -> Place {
    let channel = id.x % params.channels;
    let tile_x = id.x / params.channels;
    let y = tile_size * (id.y % params.tiles_down);
    return Place(id.y / params.tiles_down, y, tile_size * tile_x, channel, id.y * params.tiles_across + tile_x);
}
