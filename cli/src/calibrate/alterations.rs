//! Slight changes of a photograph that are normal for any part.

use image::imageops::{flip_horizontal, flip_vertical};
use image::{Rgb, RgbImage};

/// How far a part may lie beside its place, as a share of the photograph's sides.
const SHIFT: f32 = 0.02;
/// How much the light may vary.
const LIGHT: f32 = 0.05;

/// One change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alteration {
    /// To the right and down, in [`SHIFT`]s.
    shift: (i8, i8),
    /// Brightness, in [`LIGHT`]s.
    light: i8,
    mirror: Option<Mirror>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mirror {
    Horizontal,
    Vertical,
}

/// All changes that are tried; the first is none.
pub fn alterations(flips: bool) -> Vec<Alteration> {
    let shifts = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)];
    // Each shift comes in one light, the photograph's own place in all.
    let lights = [0, 1, -1, 0, 1, -1, 0, 1, -1];
    let shifted = shifts.into_iter().zip(lights);
    let all = shifted.chain([((0, 0), 1), ((0, 0), -1)]);
    let mirrors: &[_] = if flips { &[None, Some(Mirror::Horizontal), Some(Mirror::Vertical)] } else { &[None] };
    let all: Vec<_> = all.collect();
    let with = |&mirror| all.iter().map(move |&(shift, light)| Alteration { shift, light, mirror });
    mirrors.iter().flat_map(with).collect()
}

impl Alteration {
    /// The changed photograph, of the same size; what is shifted in repeats the edge.
    pub fn apply(&self, photograph: &RgbImage) -> RgbImage {
        let mirrored = match self.mirror {
            None => photograph,
            Some(Mirror::Horizontal) => &flip_horizontal(photograph),
            Some(Mirror::Vertical) => &flip_vertical(photograph),
        };
        let (width, height) = photograph.dimensions();
        let from = |at: u32, steps: i8, side: u32| {
            let shift = (f32::from(steps) * SHIFT * side as f32).round() as i64;
            (i64::from(at) - shift).clamp(0, i64::from(side) - 1) as u32
        };
        let light = 1.0 + f32::from(self.light) * LIGHT;
        RgbImage::from_fn(width, height, |x, y| {
            let pixel = mirrored.get_pixel(from(x, self.shift.0, width), from(y, self.shift.1, height));
            Rgb(pixel.0.map(|value| (f32::from(value) * light).round() as u8))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_changes_nothing_and_all_differ() {
        let photograph = RgbImage::from_fn(100, 50, |x, y| Rgb([(x * 2) as u8, (y * 4) as u8, (x + y) as u8]));
        for (flips, count) in [(false, 11), (true, 33)] {
            let all: Vec<_> = alterations(flips).iter().map(|alteration| alteration.apply(&photograph)).collect();
            assert_eq!((all.len(), &all[0]), (count, &photograph));
            for (index, one) in all.iter().enumerate() {
                assert!(all[..index].iter().all(|other| other != one), "{index}");
            }
        }
        let right = Alteration { shift: (1, 0), light: 0, mirror: None }.apply(&photograph);
        assert_eq!(
            (right.get_pixel(2, 9), right.get_pixel(0, 9)),
            (photograph.get_pixel(0, 9), photograph.get_pixel(0, 9))
        );
    }
}
