//! Connected components of a mask.

use crate::{Error, Result};

/// The 8-connected components of a mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Components {
    /// For each pixel 0 outside, or the number of its component from 1, in the order in which rows read from the top
    /// meet them: the labels of SciPy's `ndimage.label` with a 3 x 3 structure.
    pub labels: Vec<u32>,
    /// How many components there are.
    pub count: u32,
}

/// Finds the 8-connected components of a mask, row-major in rows of `width`: pixels that touch by a side or a corner
/// belong together.
///
/// # Errors
/// [`Error::Input`] if `mask` is not whole rows of `width`.
pub fn components(mask: &[bool], width: usize) -> Result<Components> {
    ensure_rows("mask", mask.len(), width)?;
    let mut labels = vec![0; mask.len()];
    let mut count = 0;
    let mut open = Vec::new();
    for start in 0..mask.len() {
        if !mask[start] || labels[start] != 0 {
            continue;
        }
        count += 1;
        labels[start] = count;
        open.push(start);
        while let Some(pixel) = open.pop() {
            for neighbour in neighbours(pixel, width, mask.len()) {
                if mask[neighbour] && labels[neighbour] == 0 {
                    labels[neighbour] = count;
                    open.push(neighbour);
                }
            }
        }
    }
    Ok(Components { labels, count })
}

/// The pixels of the 3 x 3 block around a pixel that lie in the image, itself included.
fn neighbours(pixel: usize, width: usize, pixels: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (pixel % width, pixel / width);
    let columns = x.saturating_sub(1)..(x + 2).min(width);
    let rows = y.saturating_sub(1)..(y + 2).min(pixels / width);
    rows.flat_map(move |row| columns.clone().map(move |column| row * width + column))
}

/// Refuses values that are not whole rows of `width`.
pub(crate) fn ensure_rows(what: &str, values: usize, width: usize) -> Result<()> {
    if width > 0 && values.is_multiple_of(width) {
        return Ok(());
    }
    Err(Error::Input {
        what: what.to_owned(),
        expected: format!("whole rows of {width} values"),
        found: format!("{values} values"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_connect() {
        let picture = [
            "##...#", //
            "..#..#", //
            "......", //
            "#.#.#.",
        ];
        let mask: Vec<bool> = picture.iter().flat_map(|row| row.bytes().map(|pixel| pixel == b'#')).collect();
        // scipy.ndimage.label(mask, numpy.ones((3, 3)))
        let expected = [1, 1, 0, 0, 0, 2, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 3, 0, 4, 0, 5, 0];
        assert_eq!(components(&mask, 6).expect("whole rows"), Components { labels: expected.into(), count: 5 });
    }

    #[test]
    fn extremes() {
        assert_eq!(components(&[], 3).expect("no rows").count, 0);
        assert_eq!(components(&[true; 12], 4).expect("whole rows").labels, [1; 12]);
        assert_eq!(components(&[false; 12], 4).expect("whole rows").count, 0);
        // A deep component must not overflow a stack.
        assert_eq!(components(&vec![true; 1 << 20], 1).expect("whole rows").count, 1);
    }

    #[test]
    fn broken_rows_are_refused() {
        let error = components(&[true; 5], 2).expect_err("half a row");
        assert_eq!(error.to_string(), "mask: expected whole rows of 2 values, found 5 values");
        assert!(components(&[true; 5], 0).is_err());
    }
}
