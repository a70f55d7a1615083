use super::{Corners, Maps, resize};

/// `relu(sum(interpolate(x, out_size, align_corners=True) for x in maps))`.
pub fn resize_sum(maps: &[Maps], out_size: usize) -> Maps {
    let resized = maps.iter().map(|map| resize(map, [out_size; 2], Corners::Centers));
    resized.reduce(|sum, map| sum.plus(&map)).map_or(Maps { shape: [0; 4], values: Vec::new() }, |sum| sum.relu())
}
