use super::{Corners, Maps, resize};

/// `relu(sum(interpolate(x, out_size, align_corners=True) for x in maps))`.
pub fn resize_sum(maps: &[Maps], out_size: usize) -> Maps {
    let resized = maps.iter().map(|map| resize(map, [out_size; 2], Corners::Centers));
    resized.reduce(|sum, map| sum.plus(&map)).map_or(Maps { shape: [0; 4], values: Vec::new() }, |sum| sum.relu())
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    /// From `relu(interpolate(a, 3) + interpolate(b, 3))` with sides 2 and 3, bilinear with `align_corners=True`.
    #[test]
    fn as_pytorch() {
        let out = resize_sum(&[sample([1, 2, 2, 2]), sample([1, 3, 3, 2])], 3);
        let rows = [[0.0, 4.0, 0.0, 8.5, 0.0, 2.0], [2.0, 0.0, 0.0, 4.0, 0.0, 0.0], [3.0, 0.0, 7.5, 0.0, 1.0, 4.0]];
        assert_eq!(out.values, rows.concat());
    }
}
