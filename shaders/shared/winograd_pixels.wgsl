// What the output transforms of Winograd's algorithms share: reading the products of a patch, and bias, activation and
// residual as in shared/matmul_store.wgsl on the way out; RESIDUAL says whether there is one.
//
//   products  [positions][batch * tiles_down * tiles_across][channels] vec4s
//   bias      [channels] vec4s, if there is one
//   residual  [batch][height][width][channels] vec4s
//   out       [batch][height][width][channels] vec4s
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
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> residual: array<Output>;
@group(0) @binding(4) var<storage, read_write> out: array<Output>;

fn load(place: Place, position: u32) -> vec4<f32> {
    return from_input(products[(position * params.tiles + place.tile) * params.channels + place.channel]);
}

fn load_bias(place: Place) -> vec4<f32> {
    if params.has_bias != 0u {
        return bias[place.channel];
    }
    return vec4(0.0);
}

// Finishes and stores a sum with its bias; outside the output it does nothing.
fn store(place: Place, down: u32, right: u32, sum: vec4<f32>) {
    let y = place.y + down;
    let column = place.column + right;
    if y >= params.height || column >= params.width {
        return;
    }
    let index = ((place.image * params.height + y) * params.width + column) * params.channels + place.channel;
    var value = sum;
    if RESIDUAL && params.residual_kind == RESIDUAL_BEFORE_ACTIVATION {
        value += from_output(residual[index]);
    }
    value = activate(value, params.slope, params.ceiling);
    if RESIDUAL && params.residual_kind == RESIDUAL_AFTER_ACTIVATION {
        value += from_output(residual[index]);
    }
    out[index] = to_output(value);
}
