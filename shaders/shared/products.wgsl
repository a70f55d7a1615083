// What a matrix product gave, as its kernel stored it for another: [rows][columns] vec4s, or with TEXTURE defined a row
// texture of them.
#import row_texture

#ifdef TEXTURE
@group(0) @binding(1) var products: texture_storage_2d_array<rgba32float, read>;
#else
@group(0) @binding(1) var<storage, read> products: array<vec4<f32>>;
#endif

// The vec4 `column` of a row that has `columns` of them.
fn products_at(row: u32, columns: u32, column: u32) -> vec4<f32> {
#ifdef TEXTURE
    let place = place_of_row(row);
    return textureLoad(products, vec2(column, place.y), place.x);
#else
    return products[row * columns + column];
#endif
}
