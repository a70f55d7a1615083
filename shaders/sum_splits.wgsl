// The sums of a product whose depth was split, with its bias, activation and residual.
//
//   parts  [z][splits][rows][columns]
#import matmul_store

@group(0) @binding(1) var<storage, read> parts: array<vec4<f32>>;

// 4 rows of 4 columns of one part of matrix z, from an element of its first row on.
fn part_at(first: u32, row: u32) -> Block {
    let last = params.rows - 1u;
    return Block(
        parts[first + row * params.columns],
        parts[first + min(row + 1u, last) * params.columns],
        parts[first + min(row + 2u, last) * params.columns],
        parts[first + min(row + 3u, last) * params.columns],
    );
}

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = 4u * id.y;
    if id.x >= params.columns || row >= params.rows {
        return;
    }
    let part = params.rows * params.columns;
    let first = id.z * params.splits * part + id.x;
    var sums = Block();
    for (var split = 0u; split < params.splits; split++) {
        sums += part_at(first + split * part, row);
    }
    store_block(id.z, row, id.x, sums);
}
