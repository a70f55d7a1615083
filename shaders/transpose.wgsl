// Rows as columns, torch.transpose(x, 1, 2): what is summed over in a gradient of weights becomes the depth of a
// product. One invocation 4 rows of 4 channels.
//
//   x    [matrices][rows][channels] vec4s, rows a multiple of 4
//   out  [matrices][4 * channels][rows / 4] vec4s; with TEXTURE defined a row texture of them
#import row_texture

struct Params {
    rows: u32,
    // In vec4s.
    channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#ifdef TEXTURE
@group(0) @binding(2) var out: texture_storage_2d_array<rgba32float, write>;
#else
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
#endif

fn store(matrix: u32, row: u32, column: u32, value: vec4<f32>) {
#ifdef TEXTURE
    let place = row_place(matrix, row, 4u * params.channels);
    textureStore(out, vec2(column, place.y), place.x, value);
#else
    out[(matrix * 4u * params.channels + row) * (params.rows / 4u) + column] = value;
#endif
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.channels || 4u * id.y >= params.rows {
        return;
    }
    let first = (id.z * params.rows + 4u * id.y) * params.channels + id.x;
    let columns = transpose(mat4x4(
        x[first],
        x[first + params.channels],
        x[first + 2u * params.channels],
        x[first + 3u * params.channels],
    ));
    store(id.z, 4u * id.x, id.y, columns[0]);
    store(id.z, 4u * id.x + 1u, id.y, columns[1]);
    store(id.z, 4u * id.x + 2u, id.y, columns[2]);
    store(id.z, 4u * id.x + 3u, id.y, columns[3]);
}
