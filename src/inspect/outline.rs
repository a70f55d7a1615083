//! Outlines around regions.

use crate::{Error, Result};
use image::{Rgb, RgbImage};

/// Draws a line of `colour`, `thickness` pixels wide, just inside the border of every region of `picture` where `map`,
/// of the picture's size, is above `threshold`.
///
/// # Errors
/// [`Error::Input`] if `map` has not a value for each of the picture's pixels.
pub fn draw_outlines(
    picture: &mut RgbImage,
    map: &[f32],
    threshold: f32,
    colour: Rgb<u8>,
    thickness: u32,
) -> Result<()> {
    let (width, height) = picture.dimensions();
    if map.len() != width as usize * height as usize {
        return Err(Error::Input {
            what: "map".to_owned(),
            expected: format!("{width} x {height} values"),
            found: format!("{} values", map.len()),
        });
    }
    let reach = thickness.max(1);
    let above = |x: u32, y: u32| map[y as usize * width as usize + x as usize] > threshold;
    // A region that the image's edge cuts is closed along the edge.
    let inner = |at: u32, side: u32| at >= reach && at + reach < side;
    for y in 0..height {
        for x in 0..width {
            let surrounded = || {
                let (rows, columns) = (y - reach..=y + reach, x - reach..=x + reach);
                rows.into_iter().all(|row| columns.clone().all(|column| above(column, row)))
            };
            if above(x, y) && !(inner(x, width) && inner(y, height) && surrounded()) {
                picture.put_pixel(x, y, colour);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(rows: &[&str], thickness: u32) -> Vec<String> {
        let (width, height) = (rows[0].len() as u32, rows.len() as u32);
        let map: Vec<f32> = rows.iter().flat_map(|row| row.bytes().map(|at| f32::from(at == b'#'))).collect();
        let mut picture = RgbImage::new(width, height);
        draw_outlines(&mut picture, &map, 0.5, Rgb([255; 3]), thickness).expect("sizes agree");
        let line = |y| (0..width).map(|x| if picture.get_pixel(x, y).0[0] > 0 { 'o' } else { '.' }).collect();
        (0..height).map(line).collect()
    }

    #[test]
    fn hollow_regions() {
        let rows = [
            ".......", //
            ".#####.", //
            ".#####.", //
            ".#####.", //
            ".......",
        ];
        let expected = [
            ".......", //
            ".ooooo.", //
            ".o...o.", //
            ".ooooo.", //
            ".......",
        ];
        assert_eq!(drawn(&rows, 1), expected);
        assert_eq!(drawn(&rows, 2)[2], ".ooooo.");
    }

    #[test]
    fn closed_at_the_images_edge() {
        assert_eq!(drawn(&["###", "###", "###"], 1), ["ooo", "o.o", "ooo"]);
        assert_eq!(drawn(&["#"], 1), ["o"]);
    }

    #[test]
    fn another_size_is_refused() {
        let refusal = draw_outlines(&mut RgbImage::new(3, 2), &[0.0; 5], 0.5, Rgb([0; 3]), 1).expect_err("5 values");
        assert_eq!(refusal.to_string(), "map: expected 3 x 2 values, found 5 values");
    }
}
