// What the weight transforms of Winograd's algorithms share: reading a 3 x 3 convolution's weights and writing
// transformed ones, for models that keep the smaller ones and transform them before each use.
//
//   weights  [3][3][inputs][columns]; one element = 4 neighbouring output channels, as f32 or packed f16
//   out      [positions][inputs][columns] vec4s; with TEXTURE defined a layer a position, rows of inputs run down

struct Params {
    inputs: u32,
    columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
#ifdef WEIGHTS_F16
@group(0) @binding(1) var<storage, read> weights: array<vec2<u32>>;
#else
@group(0) @binding(1) var<storage, read> weights: array<vec4<f32>>;
#endif
#ifdef TEXTURE
@group(0) @binding(2) var out: texture_storage_2d_array<rgba32float, write>;
#else
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
#endif

fn load(down: u32, right: u32, input: u32, column: u32) -> vec4<f32> {
    let value = weights[((3u * down + right) * params.inputs + input) * params.columns + column];
#ifdef WEIGHTS_F16
    return vec4(unpack2x16float(value.x), unpack2x16float(value.y));
#else
    return value;
#endif
}

fn load_column(right: u32, input: u32, column: u32) -> array<vec4<f32>, 3> {
    return array(load(0u, right, input, column), load(1u, right, input, column), load(2u, right, input, column));
}

fn store(position: u32, input: u32, column: u32, value: vec4<f32>) {
#ifdef TEXTURE
    textureStore(out, vec2(column, input), position, value);
#else
    out[(position * params.inputs + input) * params.columns + column] = value;
#endif
}
