//! Slight changes of a photograph that are normal for any part.

use ::image::imageops::{flip_horizontal, flip_vertical};
use ::image::{Rgb, RgbImage};

/// How far a part may lie beside its place, as a share of the photograph's sides.
const SHIFT: f32 = 0.02;
/// How much the light may vary.
const LIGHT: f32 = 0.05;
/// Up to so many good photographs, each stands for several, slightly altered.
const FEW: usize = 8;

/// A slight change of a photograph: a shift by 2 % of its sides, 5 % more or less light, or a reflection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alteration {
    /// How far to the right and down, in [`SHIFT`]s.
    shift: (i8, i8),
    /// How much brighter, in [`LIGHT`]s.
    light: i8,
    mirror: Option<Mirror>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mirror {
    Horizontal,
    Vertical,
}

/// The alterations in which each of so many photographs of good parts is inspected for a calibration, beside the
/// photograph itself: none from 9 photographs on, 10 for fewer, and 32 where parts may lie either way round (`flips`).
pub fn alterations(photographs: usize, flips: bool) -> Vec<Alteration> {
    if photographs > FEW {
        return Vec::new();
    }
    let shifts = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)];
    // Each shift comes in one light, the photograph's own place in all.
    let lights = [0, 1, -1, 0, 1, -1, 0, 1, -1];
    let shifted = shifts.into_iter().zip(lights);
    let all: Vec<_> = shifted.chain([((0, 0), 1), ((0, 0), -1)]).collect();
    let mirrors: &[_] = if flips { &[None, Some(Mirror::Horizontal), Some(Mirror::Vertical)] } else { &[None] };
    let with = |&mirror| all.iter().map(move |&(shift, light)| Alteration { shift, light, mirror });
    // The first of all changes nothing.
    mirrors.iter().flat_map(with).skip(1).collect()
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
    fn all_differ_from_the_photograph_and_each_other() {
        let photograph = RgbImage::from_fn(100, 50, |x, y| Rgb([(x * 2) as u8, (y * 4) as u8, (x + y) as u8]));
        for (flips, count) in [(false, 10), (true, 32)] {
            let all: Vec<_> = alterations(8, flips).iter().map(|alteration| alteration.apply(&photograph)).collect();
            assert_eq!(all.len(), count);
            for (index, one) in all.iter().enumerate() {
                assert!(*one != photograph && all[..index].iter().all(|other| other != one), "{index}");
            }
        }
        assert!(alterations(9, true).is_empty(), "enough photographs speak for themselves");
        let right = Alteration { shift: (1, 0), light: 0, mirror: None }.apply(&photograph);
        assert_eq!(
            (right.get_pixel(2, 9), right.get_pixel(0, 9)),
            (photograph.get_pixel(0, 9), photograph.get_pixel(0, 9))
        );
    }
}
