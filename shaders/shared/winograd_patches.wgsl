// What the input transforms of Winograd's algorithms share: reading the padded image and writing transformed patches.
//
//   x    [batch][height][width][channels] elements, see shared/activation_storage.wgsl
//   out  [positions][batch * tiles_down * tiles_across][channels] elements, with TEXTURE defined as a row texture, or
//        with LAYERS defined, too, a layer a position, as right operands of products are
#import activation_storage
#import winograd_place
#ifdef TEXTURE
#import row_texture
#endif

struct Params {
    height: u32,
    width: u32,
    channels: u32,
    tiles_down: u32,
    tiles_across: u32,
    // Patches of all images.
    tiles: u32,
    // Least value x is read as: 0 applies a relu on the way in, the lowest float leaves x as it is.
    input_floor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Input>;
#ifdef TEXTURE
@group(0) @binding(2) var out: texture_storage_2d_array<rgba32float, write>;
#else
@group(0) @binding(2) var<storage, read_write> out: array<Output>;
#endif

fn load(place: Place, down: u32, right: u32) -> Channels {
    // One too large, for the padding: 0 means just outside.
    let y = place.y + down;
    let column = place.column + right;
    let inside = y > 0u && column > 0u && y <= params.height && column <= params.width;
    // Loads behind a branch wait for one another: what lies outside is read at the border and dropped.
    let row = (place.image * params.height + clamp(y, 1u, params.height) - 1u) * (params.width * params.channels);
    let element = (clamp(column, 1u, params.width) - 1u) * params.channels + place.channel;
    let value = max(from_input(x[row + element]), Channels(params.input_floor));
    return select(Channels(0.0), value, inside);
}

// As `load`, of the pixels that the patch computes.
fn load_pixel(place: Place, down: u32, right: u32) -> Channels {
    return load(place, down + 1u, right + 1u);
}

fn store(place: Place, position: u32, value: Channels) {
#ifdef TEXTURE
#ifdef LAYERS
    let row = vec2(position, place.tile);
#else
    let row = row_place(position, place.tile, params.tiles);
#endif
    textureStore(out, vec2(place.channel, row.y), row.x, value);
#else
    out[position * (params.tiles * params.channels) + place.tile * params.channels + place.channel] = to_output(value);
#endif
}
