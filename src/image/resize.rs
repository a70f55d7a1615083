//! Pillow's `Image.resize(size, Image.LANCZOS)` for 8-bit RGB, to the last bit.
//!
//! Every output pixel is a weighted mean of the input pixels under the Lanczos window (a = 3), which is as many times
//! wider than three pixels as the image shrinks (antialiasing). Columns come first and are rounded to 8 bits, then
//! rows. Weights are fixed point, as in Pillow's `Resample.c`; with floating-point or 16-bit weights, or with rows
//! first, the results differ. (The crate `fast_image_resize` differs from Pillow in a quarter to all of the pixels, on
//! noise by up to 58 levels.)
//!
//! Pillow 13 began to take rows first where the height shrinks much more than the width. That never happens when the
//! shape is kept, so [`Fit::Crop`](super::Fit::Crop) is the same in every version; a stretched tall image is what
//! Pillow up to 12 makes of it, or Pillow 13 in two calls, first one to the new width, then one to the new height.

use ::image::RgbImage;
use std::f64::consts::PI;
use std::ops::Range;

/// Fractional bits of a weight: what 32 bits leave beside an 8-bit value and 2 bits for overshoot.
const PRECISION: u32 = 32 - 8 - 2;

/// The Lanczos window's half width `a`, in pixels.
const LOBES: f64 = 3.0;

/// How one axis is resized: which of the output's pixels are wanted, and the output's whole length.
pub(super) struct Axis {
    /// Pixels of the whole resized axis.
    pub(super) length: u64,
    /// The pixels of it that are wanted.
    pub(super) window: Range<u64>,
}

/// One output pixel: the first input pixel under its window, and the weights from there on.
pub(crate) struct Taps {
    pub(crate) first: usize,
    /// Fixed point.
    pub(crate) weights: Vec<i32>,
}

impl Taps {
    pub(crate) fn range(&self) -> Range<usize> {
        self.first..self.first + self.weights.len()
    }
}

/// The part of the resized image that both axes' windows select.
///
/// Input rows stream through one row of scratch, each added at once to the output rows it has a weight in; so memory is
/// a few output images, whatever the input's size and however large the whole resized image would be.
pub(super) fn lanczos(image: &RgbImage, columns: &Axis, rows: &Axis) -> RgbImage {
    let columns = taps(image.width(), columns);
    let rows = taps(image.height(), rows);
    let stride = 3 * columns.len();
    let mut sums = vec![0_i32; stride * rows.len()];
    let mut resized_row = vec![0_u8; stride];
    let input_rows = image.as_raw().chunks_exact(3 * image.width() as usize);
    // Windows move forwards only, so the output rows an input row belongs to are neighbours.
    let mut active = 0..0;
    for (y, input_row) in input_rows.enumerate() {
        while rows.get(active.end).is_some_and(|row| row.first <= y) {
            active.end += 1;
        }
        while active.start < active.end && rows[active.start].range().end <= y {
            active.start += 1;
        }
        if active.is_empty() {
            continue;
        }
        resize_row(input_row, &columns, &mut resized_row);
        for row in active.clone() {
            let weight = rows[row].weights[y - rows[row].first];
            for (sum, &value) in sums[row * stride..][..stride].iter_mut().zip(&resized_row) {
                *sum += weight * i32::from(value);
            }
        }
    }
    let pixels: Vec<u8> = sums.into_iter().map(round_to_8_bits).collect();
    let mut output = RgbImage::new(columns.len() as u32, rows.len() as u32);
    output.copy_from_slice(&pixels);
    output
}

fn resize_row(input: &[u8], columns: &[Taps], output: &mut [u8]) {
    let input: &[[u8; 3]] = bytemuck::cast_slice(input);
    for (column, pixel) in columns.iter().zip(output.chunks_exact_mut(3)) {
        let mut sums = [0_i32; 3];
        for (&weight, values) in column.weights.iter().zip(&input[column.range()]) {
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum += weight * i32::from(value);
            }
        }
        for (value, sum) in pixel.iter_mut().zip(sums) {
            *value = round_to_8_bits(sum);
        }
    }
}

fn round_to_8_bits(sum: i32) -> u8 {
    ((sum + (1 << (PRECISION - 1))) >> PRECISION).clamp(0, 255) as u8
}

/// The taps of the wanted pixels of an axis that has `input` pixels before it is resized.
pub(super) fn taps(input: u32, axis: &Axis) -> Vec<Taps> {
    let scale = f64::from(input) / axis.length as f64;
    let stretch = scale.max(1.0);
    let support = LOBES * stretch;
    // Same operations in the same order as Pillow: another order rounds some weights otherwise.
    let inverse_stretch = 1.0 / stretch;
    let pixel = |at: u64| {
        let centre = (at as f64 + 0.5) * scale;
        let first = ((centre - support + 0.5) as i64).max(0);
        let end = ((centre + support + 0.5) as i64).min(input.into());
        let weights: Vec<f64> =
            (first..end).map(|tap| lanczos_window((tap as f64 - centre + 0.5) * inverse_stretch)).collect();
        let sum: f64 = weights.iter().sum();
        let weights = weights.into_iter().map(|weight| to_fixed_point(weight / sum)).collect();
        Taps { first: first as usize, weights }
    };
    axis.window.clone().map(pixel).collect()
}

fn lanczos_window(x: f64) -> f64 {
    if (-LOBES..LOBES).contains(&x) { sinc(x) * sinc(x / LOBES) } else { 0.0 }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * PI;
    x.sin() / x
}

/// Rounds half away from zero.
fn to_fixed_point(weight: f64) -> i32 {
    (weight * f64::from(1 << PRECISION) + 0.5_f64.copysign(weight)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(length: u64) -> Axis {
        Axis { length, window: 0..length }
    }

    /// The pixels of `Image.frombytes("RGB", (3, 2), bytes(range(0, 180, 10)))` in Pillow's words.
    fn small() -> RgbImage {
        RgbImage::from_raw(3, 2, (0..180).step_by(10).collect()).expect("18 values")
    }

    #[test]
    fn pillow_values() {
        let resized = |width, height| lanczos(&small(), &whole(width), &whole(height)).into_raw();
        assert_eq!(
            resized(2, 4),
            [0, 2, 12, 36, 46, 56, 29, 39, 49, 73, 83, 93, 77, 87, 97, 121, 131, 141, 114, 124, 134, 158, 168, 178]
        );
        assert_eq!(resized(5, 1), [44, 53, 63, 52, 62, 72, 75, 85, 95, 98, 108, 118, 107, 117, 127]);
        assert_eq!(resized(1, 1), [75, 85, 95]);
        // An edge, where the window overshoots and each pass is clipped.
        let edge = RgbImage::from_raw(4, 1, vec![0, 255, 9, 0, 255, 200, 255, 0, 3, 255, 0, 77]).expect("12 values");
        let row = [7, 248, 0, 0, 255, 116, 33, 222, 192, 222, 33, 29, 255, 0, 20, 248, 7, 89];
        assert_eq!(lanczos(&edge, &whole(6), &whole(2)).into_raw(), [row, row].concat());
    }

    #[test]
    fn unchanged_size_changes_nothing() {
        assert_eq!(lanczos(&small(), &whole(3), &whole(2)), small());
    }

    #[test]
    fn window_is_cut_from_the_whole() {
        let image = RgbImage::from_fn(37, 23, |x, y| ::image::Rgb([(x * y * 7) as u8, (x * x) as u8, (y * 91) as u8]));
        let all = lanczos(&image, &whole(50), &whole(60));
        let part = lanczos(&image, &Axis { length: 50, window: 11..31 }, &Axis { length: 60, window: 40..60 });
        let cut = ::image::imageops::crop_imm(&all, 11, 40, 20, 20).to_image();
        assert_eq!(part, cut);
    }

    #[test]
    fn half_rounds_away_from_zero() {
        let half_step = 0.5 / f64::from(1 << PRECISION);
        assert_eq!((to_fixed_point(half_step), to_fixed_point(-half_step)), (1, -1));
        assert_eq!(to_fixed_point(1.0), 1 << PRECISION);
    }
}
