// The left operand of a matrix product as a row texture: what matmul_texture multiplies. One invocation a texel.
//
//   out  a row texture of [z][rows][depth]
#import matmul_rows
#import row_texture

@group(0) @binding(2) var out: texture_storage_2d_array<rgba32float, write>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.depth || id.y >= params.rows {
        return;
    }
    let place = row_place(id.z, id.y, params.rows);
    textureStore(out, vec2(id.x, place.y), place.x, load_a(row_of_a(id.z, id.y), id.x));
}
