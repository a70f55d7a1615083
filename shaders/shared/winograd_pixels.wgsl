// What the output transforms of Winograd's algorithms share: reading the products of a patch, and bias, activation and
// residual as in shared/matmul_store.wgsl on the way out; RESIDUAL says whether there is one.
//
// Elements are those of shared/activation_storage.wgsl.
//
//   products  [positions][batch * tiles_down * tiles_across][channels] elements
//   bias      [channels] elements, if there is one
//   residual  [batch][height][width][channels] elements
//   out       [batch][height][width][channels] elements
#import activation
#import activation_storage
#import winograd_place

struct Params {
    height: u32,
    width: u32,
    channels: u32,
    tiles_down: u32,
    tiles_across: u32,
    // Patches of all images.
    tiles: u32,
    has_bias: u32,
    residual_kind: u32,
    slope: f32,
    ceiling: f32,
}

override RESIDUAL: bool = true;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> products: array<Input>;
@group(0) @binding(2) var<storage, read> bias: array<Channels>;
@group(0) @binding(3) var<storage, read> residual: array<Output>;
@group(0) @binding(4) var<storage, read_write> out: array<Output>;

fn load(place: Place, position: u32) -> Channels {
    let tile = position * (params.tiles * params.channels) + place.tile * params.channels;
    return from_input(products[tile + place.channel]);
}

fn load_bias(place: Place) -> Channels {
    // Where there is no bias its buffer holds a zero.
    return bias[select(0u, place.channel, params.has_bias != 0u)];
}

// Finishes and stores a sum with its bias, `down` and `right` of the patch's place. What lies outside the output goes
// to its last row or column: callers store from the lower right on, so that what belongs there comes last.
fn store(place: Place, down: u32, right: u32, sum: Channels) {
    let y = min(place.y + down, params.height - 1u);
    let column = min(place.column + right, params.width - 1u);
    let row = (place.image * params.height + y) * (params.width * params.channels);
    let index = row + (column * params.channels + place.channel);
    var value = sum;
    if RESIDUAL {
        let added = from_output(residual[index]);
        let before = params.residual_kind == RESIDUAL_BEFORE_ACTIVATION;
        value = activate(value + select(Channels(0.0), added, before), params.slope, params.ceiling);
        value += select(added, Channels(0.0), before);
    } else {
        value = activate(value, params.slope, params.ceiling);
    }
    out[index] = to_output(value);
}
