// What the gradients of Winograd's transforms of weights share: reading products and writing weights.
//
//   products  [positions][inputs][columns] vec4s
//   out       [3][3][inputs][columns] vec4s

struct Params {
    inputs: u32,
    columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> products: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

fn load(position: u32, input: u32, column: u32) -> vec4<f32> {
    return products[(position * params.inputs + input) * params.columns + column];
}

fn store_row(down: u32, input: u32, column: u32, values: array<vec4<f32>, 3>) {
    let first = (3u * down * params.inputs + input) * params.columns + column;
    let tap = params.inputs * params.columns;
    out[first] = values[0];
    out[first + tap] = values[1];
    out[first + 2u * tap] = values[2];
}
