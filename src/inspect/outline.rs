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
    let reach = thickness.max(1) as usize;
    let (width, height) = (width as usize, height as usize);
    let across = 2 * reach + 1;
    // A pixel is inside, and gets no colour, where the square around it, `across` wide, is above the threshold
    // everywhere. Beyond the image's edge nothing is, so that a region which the edge cuts is closed along it. For each
    // column: how many rows have been above on the whole width of a square in turn, down to the last row of the square
    // around `y`.
    let mut rows_above = vec![0_usize; width];
    for last in 0..height + reach {
        if last < height {
            count_rows(&map[last * width..][..width], threshold, reach, &mut rows_above);
        } else {
            rows_above.fill(0);
        }
        let Some(y) = last.checked_sub(reach) else { continue };
        for (x, (&value, &rows)) in map[y * width..][..width].iter().zip(&rows_above).enumerate() {
            if value > threshold && rows < across {
                picture.put_pixel(x as u32, y as u32, colour);
            }
        }
    }
    Ok(())
}

/// Counts one row more for every column that has `reach` values on either side, all of them and its own above
/// `threshold`; the others begin anew.
fn count_rows(line: &[f32], threshold: f32, reach: usize, rows_above: &mut [usize]) {
    rows_above[..reach.min(line.len())].fill(0);
    // How many values have been above in turn.
    let mut columns_above = 0;
    for (last, &value) in line.iter().enumerate() {
        columns_above = if value > threshold { columns_above + 1 } else { 0 };
        if let Some(x) = last.checked_sub(reach) {
            rows_above[x] = if columns_above > 2 * reach { rows_above[x] + 1 } else { 0 };
        }
    }
    rows_above[line.len().saturating_sub(reach)..].fill(0);
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
    fn lines_of_any_thickness_follow_their_definition() {
        let (width, height) = (23_i64, 17_i64);
        for thickness in 0..14_i64 {
            // Holes here and there, at places that differ.
            let hole = |x: i64, y: i64| (x * 31 + y * 57 + thickness * 7) % (40 + 60 * thickness) == 0;
            let map: Vec<f32> = (0..width * height).map(|at| f32::from(!hole(at % width, at / width))).collect();
            let mut picture = RgbImage::new(width as u32, height as u32);
            draw_outlines(&mut picture, &map, 0.5, Rgb([255; 3]), thickness as u32).expect("sizes agree");
            let above = |x: i64, y: i64| (0..width).contains(&x) && (0..height).contains(&y) && !hole(x, y);
            let reach = thickness.max(1);
            for (x, y, pixel) in picture.enumerate_pixels() {
                let (x, y) = (i64::from(x), i64::from(y));
                let is_inside =
                    (y - reach..=y + reach).all(|row| (x - reach..=x + reach).all(|column| above(column, row)));
                assert_eq!(pixel.0[0] > 0, above(x, y) && !is_inside, "{thickness} at {x}, {y}");
            }
        }
    }

    #[test]
    fn another_size_is_refused() {
        let refusal = draw_outlines(&mut RgbImage::new(3, 2), &[0.0; 5], 0.5, Rgb([0; 3]), 1).expect_err("5 values");
        assert_eq!(refusal.to_string(), "map: expected 3 x 2 values, found 5 values");
    }
}
