//! Pseudo-anomalies: rectangles of a picture pasted elsewhere in it (after Schlueter et al., "Natural Synthetic
//! Anomalies", ECCV 2022, with swapping for blending), and spots and scratches.

use crate::image::RgbImage;
use crate::random::SplitMix;
use ::image::Rgb;
use std::f64::consts::TAU;

/// A picture with pseudo-anomalies, and where they are, row after row.
pub(crate) struct Altered {
    pub picture: RgbImage,
    pub mask: Vec<bool>,
}

/// How rectangles are pasted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pasting {
    /// Least and largest half-height and half-width, as shares of the picture's side.
    pub heights: [f64; 2],
    pub widths: [f64; 2],
    /// How many rectangles there are at most.
    pub patches: u32,
    /// Where the ground is plain: its brightness, how far from it grey levels still are ground, and the least share
    /// of object in what is cut out.
    pub ground: Option<[f64; 3]>,
}

impl Pasting {
    /// One large rectangle anywhere.
    pub(crate) const LARGE: Self = Self { heights: [0.03, 0.4], widths: [0.03, 0.4], patches: 1, ground: None };
    /// Small rectangles, several.
    const SMALL: Self = Self { heights: [0.01, 0.1], widths: [0.01, 0.1], patches: 3, ground: None };
}

/// The picture with, by chance, a large rectangle, small ones, or one to three spots and scratches.
pub(crate) fn varied(picture: &RgbImage, random: &mut SplitMix) -> Altered {
    match random.uniform() {
        kind if kind < 0.25 => pasted(picture, &Pasting::LARGE, random),
        kind if kind < 0.4 => pasted(picture, &Pasting::SMALL, random),
        _ => spotted(picture, random),
    }
}

/// A [`varied`] picture in which the change shows: by 10 grey levels in the mean, where there is any. A rectangle of
/// plain ground that is pasted onto plain ground is no defect. `None` where none of some tries shows.
pub(crate) fn visible(picture: &RgbImage, random: &mut SplitMix) -> Option<RgbImage> {
    const TRIES: usize = 20;
    const SHOWS: f64 = 10.0;
    (0..TRIES).map(|_| varied(picture, random)).find_map(|Altered { picture: altered, mask }| {
        let pixels = picture.pixels().zip(altered.pixels()).zip(&mask).filter(|(_, marked)| **marked);
        let (count, sum) = pixels.fold((0, 0.0), |(count, sum), ((a, b), _)| (count + 1, sum + difference(a, b)));
        (count > 0 && sum > SHOWS * f64::from(count)).then_some(altered)
    })
}

/// The picture shifted by up to 4 % and of a little other contrast and brightness.
pub(crate) fn augmented(picture: &RgbImage, random: &mut SplitMix) -> RgbImage {
    let [across, down] = [picture.width(), picture.height()].map(|side| {
        let margin = f64::from(side / 25);
        random.between(-margin, margin).round() as i64
    });
    let (contrast, brightness) = (random.between(0.9, 1.1), random.between(-10.0, 10.0));
    let light = |value: u8| to_8_bits((f64::from(value) - 128.0) * contrast + 128.0 + brightness);
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [x, y] = [(x, across, picture.width()), (y, down, picture.height())]
            .map(|(place, shift, side)| mirrored(i64::from(place) + shift, side));
        Rgb(picture.get_pixel(x, y).0.map(light))
    })
}

/// A place outside a line of `size` mirrored into it, without repeating the first or last.
fn mirrored(place: i64, size: u32) -> u32 {
    let last = i64::from(size) - 1;
    let period = (2 * last).max(1);
    let place = place.rem_euclid(period);
    place.min(period - place).clamp(0, last) as u32
}

fn to_8_bits(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// Pastes rectangles: the first always, each further one on a coin flip. Where the ground is
/// plain, what is cut out shows enough of the object, and enough of that falls on the object; where no such place is
/// found, nothing is pasted.
pub(crate) fn pasted(picture: &RgbImage, pasting: &Pasting, random: &mut SplitMix) -> Altered {
    const TRIES: usize = 200;
    let object = pasting.ground.map(|[brightness, threshold, _]| object_mask(picture, brightness, threshold));
    let mut altered = picture.clone();
    for patch in 0..pasting.patches {
        if patch > 0 && random.uniform() < 0.5 {
            continue;
        }
        let place = (0..TRIES).find_map(|_| {
            let patch = Patch::draw(picture, pasting, random);
            let fits = pasting
                .ground
                .zip(object.as_ref())
                .is_none_or(|([.., least], object)| patch.fits(object, picture.width(), least));
            fits.then_some(patch)
        });
        if let Some(Patch { size, source, target }) = place {
            for (x, y) in (0..size[1]).flat_map(|y| (0..size[0]).map(move |x| (x, y))) {
                let pixel = *picture.get_pixel(source[0] + x, source[1] + y);
                altered.put_pixel(target[0] + x, target[1] + y, pixel);
            }
        }
    }
    let changed: Vec<bool> = picture.pixels().zip(altered.pixels()).map(|(a, b)| difference(a, b) > 1.0).collect();
    let mask = majority(&changed, picture.width(), 2);
    Altered { picture: altered, mask }
}

/// Where the object is on a plain ground.
fn object_mask(picture: &RgbImage, brightness: f64, threshold: f64) -> Vec<bool> {
    let grey = |pixel: &Rgb<u8>| pixel.0.iter().map(|&value| f64::from(value)).sum::<f64>() / 3.0;
    let differs = picture.pixels().map(|pixel| (grey(pixel) - brightness).abs() > threshold);
    majority(&differs.collect::<Vec<_>>(), picture.width(), 3)
}

/// A rectangle and where it goes; columns, then rows.
struct Patch {
    size: [u32; 2],
    source: [u32; 2],
    target: [u32; 2],
}

impl Patch {
    fn draw(picture: &RgbImage, pasting: &Pasting, random: &mut SplitMix) -> Self {
        let sides = [(picture.width(), pasting.widths), (picture.height(), pasting.heights)];
        let size = sides.map(|(side, bounds)| (2 * half_width(side, bounds, random)).min(side));
        let mut place = || [0, 1].map(|axis: usize| random.below(sides[axis].0 - size[axis] + 1));
        let (source, target) = (place(), place());
        Self { size, source, target }
    }

    /// Whether more than a share of it shows the object, and more than a quarter of that falls on the object.
    fn fits(&self, object: &[bool], width: u32, least: f64) -> bool {
        const MIN_OVERLAP: f64 = 0.25;
        let Self { size, source, target } = self;
        let is_object = |corner: &[u32; 2], x: u32, y: u32| object[((corner[1] + y) * width + corner[0] + x) as usize];
        let places = || (0..size[1]).flat_map(|y| (0..size[0]).map(move |x| (x, y)));
        let shown = places().filter(|&(x, y)| is_object(source, x, y)).count() as f64;
        let both = places().filter(|&(x, y)| is_object(source, x, y) && is_object(target, x, y)).count() as f64;
        shown > least * f64::from(size[0] * size[1]) && both > MIN_OVERLAP * shown
    }
}

/// `clip((0.03 + Gamma(2, 0.05)) side, low side, high side)`, at least 1.
fn half_width(side: u32, [low, high]: [f64; 2], random: &mut SplitMix) -> u32 {
    // The sum of two exponentials is Gamma of shape 2.
    let gamma = -0.05 * (random.uniform() * random.uniform()).ln();
    (((0.03 + gamma).clamp(low, high) * f64::from(side)) as u32).max(1)
}

/// Mean change of the colours in grey levels.
fn difference(a: &Rgb<u8>, b: &Rgb<u8>) -> f64 {
    a.0.iter().zip(b.0).map(|(&a, b)| f64::from(a.abs_diff(b))).sum::<f64>() / 3.0
}

/// `scipy.ndimage.median_filter(mask, size=2 * radius + 1)`: what most of the pixels around are, mirrored at the edges.
fn majority(mask: &[bool], width: u32, radius: i64) -> Vec<bool> {
    let height = mask.len() as u32 / width.max(1);
    // SciPy's `reflect` repeats the first and the last.
    let reflected = |place: i64, size: u32| {
        let place = place.rem_euclid(2 * i64::from(size));
        place.min(2 * i64::from(size) - 1 - place) as u32
    };
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (i64::from(x), i64::from(y))));
    let most = places.map(|(x, y)| {
        let around = (-radius..=radius).flat_map(|down| (-radius..=radius).map(move |right| (x + right, y + down)));
        let set = around.filter(|&(x, y)| mask[(reflected(y, height) * width + reflected(x, width)) as usize]);
        set.count() as i64 > (2 * radius + 1).pow(2) / 2
    });
    most.collect()
}

/// One to three spots and scratches. A shape counts whole, or not at all where it hardly shows.
fn spotted(picture: &RgbImage, random: &mut SplitMix) -> Altered {
    let (width, height) = picture.dimensions();
    let mut altered = picture.clone();
    let mut mask = vec![false; (width * height) as usize];
    for _ in 0..=random.below(3) {
        let shape = Shape::draw(f64::from(width.min(height)), [width, height].map(f64::from), random);
        let filling = Filling::draw(width, height, random);
        let before = altered.clone();
        let mut changed = altered.clone();
        let (mut change, mut inside) = (0.0, Vec::new());
        for (x, y, pixel) in changed.enumerate_pixels_mut() {
            let weight = shape.weight([f64::from(x) + 0.5, f64::from(y) + 0.5]);
            if weight < 1e-3 {
                continue;
            }
            let shown = filling.pixel(&before, x, y, random);
            for (value, shown) in pixel.0.iter_mut().zip(shown) {
                *value = to_8_bits(f64::from(*value) * (1.0 - weight) + shown * weight);
            }
            if weight > 0.3 {
                change += difference(pixel, before.get_pixel(x, y));
                inside.push((y * width + x) as usize);
            }
        }
        if change > 4.0 * inside.len() as f64 {
            altered = changed;
            inside.into_iter().for_each(|place| mask[place] = true);
        }
    }
    Altered { picture: altered, mask }
}

/// A shape with soft edges.
struct Shape {
    outline: Outline,
    /// Standard deviation of the edge's blur in pixels.
    softness: f64,
}

enum Outline {
    /// Points of a line, and half its thickness.
    Scratch(Vec<[f64; 2]>, f64),
    /// Centre and half-sizes.
    Ellipse([f64; 2], [f64; 2]),
    Rectangle([f64; 2], [f64; 2]),
}

impl Shape {
    fn draw(side: f64, size: [f64; 2], random: &mut SplitMix) -> Self {
        let center = size.map(|size| random.between(0.05, 0.95) * size);
        // Half-sizes from 1 to 20 % of the side, small ones as often as large ones.
        let mut half_sizes = || size.map(|size| random.between(0.01_f64.ln(), 0.2_f64.ln()).exp() * size);
        let [spot, other] = [half_sizes(), half_sizes()];
        let outline = match random.below(3) {
            0 => Outline::Scratch(wander(center, random.between(0.03, 0.15) * side, random), random.between(0.5, 2.5)),
            1 => Outline::Ellipse(center, spot),
            _ => Outline::Rectangle(center, other),
        };
        Self { outline, softness: random.between(0.3, 2.0) }
    }

    /// From 0 outside to 1 inside.
    fn weight(&self, point: [f64; 2]) -> f64 {
        // The logistic function is within 1 % of a Gaussian's integral.
        1.0 / (1.0 + (1.702 * self.outline.distance(point) / self.softness).exp())
    }
}

impl Outline {
    /// About how far outside a point is, negative inside.
    fn distance(&self, [x, y]: [f64; 2]) -> f64 {
        match self {
            Self::Scratch(points, half) => {
                let nearest = points.windows(2).map(|ends| to_segment([x, y], [ends[0], ends[1]]));
                nearest.fold(f64::MAX, f64::min) - half
            }
            Self::Ellipse(center, half) => {
                let radius = ((x - center[0]) / half[0]).hypot((y - center[1]) / half[1]);
                (radius - 1.0) * half[0].min(half[1])
            }
            Self::Rectangle(center, half) => ((x - center[0]).abs() - half[0]).max((y - center[1]).abs() - half[1]),
        }
    }
}

/// The distance of a point to a segment.
fn to_segment([x, y]: [f64; 2], [a, b]: [[f64; 2]; 2]) -> f64 {
    let along = [b[0] - a[0], b[1] - a[1]];
    let length = along[0] * along[0] + along[1] * along[1];
    let share = if length > 0.0 { ((x - a[0]) * along[0] + (y - a[1]) * along[1]) / length } else { 0.0 };
    let share = share.clamp(0.0, 1.0);
    (x - a[0] - share * along[0]).hypot(y - a[1] - share * along[1])
}

/// One to four steps whose direction wanders a little.
fn wander(start: [f64; 2], step: f64, random: &mut SplitMix) -> Vec<[f64; 2]> {
    let mut points = vec![start];
    let [mut x, mut y] = start;
    let mut angle = random.between(0.0, TAU);
    for _ in 0..=random.below(4) {
        angle += 0.4 * random.normal();
        (x, y) = (x + step * angle.cos(), y + step * angle.sin());
        points.push([x, y]);
    }
    points
}

/// What a shape shows.
enum Filling {
    /// The picture brighter or darker.
    Light(f64),
    /// Another part of the picture, with some grain.
    Elsewhere(u32, u32),
    /// The picture with grain.
    Grain,
}

impl Filling {
    fn draw(width: u32, height: u32, random: &mut SplitMix) -> Self {
        match random.below(3) {
            0 => {
                let sign = if random.uniform() < 0.5 { -1.0 } else { 1.0 };
                Self::Light(sign * random.between(15.0, 90.0))
            }
            1 => {
                let [right, down] = [width, height].map(|side| side / 10 + random.below(side - 2 * (side / 10)));
                Self::Elsewhere(right, down)
            }
            _ => Self::Grain,
        }
    }

    fn pixel(&self, picture: &RgbImage, x: u32, y: u32, random: &mut SplitMix) -> [f64; 3] {
        let here = || picture.get_pixel(x, y).0.map(f64::from);
        match self {
            Self::Light(change) => here().map(|value| value + change),
            Self::Elsewhere(right, down) => {
                let (width, height) = picture.dimensions();
                let there = picture.get_pixel((x + right) % width, (y + down) % height);
                there.0.map(|value| f64::from(value) + 10.0 * random.normal())
            }
            Self::Grain => {
                let grain = 40.0 * random.normal();
                here().map(|value| value + grain)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> RgbImage {
        RgbImage::from_fn(80, 60, |x, y| Rgb([(3 * x) as u8, (4 * y) as u8, ((x * y) % 256) as u8]))
    }

    /// Every kind: what the mask leaves out is hardly changed, what it marks is changed, and the same numbers give
    /// the same.
    #[test]
    fn masks_mark_what_changed() {
        let (mut marked, mut unmarked) = (Vec::new(), Vec::new());
        for seed in 0..60 {
            let altered = varied(&picture(), &mut SplitMix(seed));
            let again = varied(&picture(), &mut SplitMix(seed));
            assert!(altered.picture == again.picture && altered.mask == again.mask);
            let changes =
                picture().pixels().zip(altered.picture.pixels()).map(|(a, b)| difference(a, b)).collect::<Vec<_>>();
            for (change, mask) in changes.into_iter().zip(altered.mask) {
                if mask { marked.push(change) } else { unmarked.push(change) }
            }
        }
        let mean = |changes: &[f64]| changes.iter().sum::<f64>() / changes.len() as f64;
        assert!(marked.len() > 1000 && unmarked.len() > marked.len(), "{} of {}", marked.len(), unmarked.len());
        assert!(mean(&marked) > 10.0 && mean(&unmarked) < 2.0, "{} and {}", mean(&marked), mean(&unmarked));
    }

    /// On plain ground a pasted rectangle does not show, and a spot does.
    #[test]
    fn what_does_not_show_is_no_anomaly() {
        let plain = RgbImage::from_pixel(80, 60, Rgb([120; 3]));
        for seed in 0..20 {
            let altered = visible(&plain, &mut SplitMix(seed)).expect("some try is a spot that is brighter or darker");
            let most = plain.pixels().zip(altered.pixels()).map(|(a, b)| difference(a, b)).fold(0.0, f64::max);
            assert!(most > 10.0, "{most}");
        }
    }

    /// From `scipy.ndimage.median_filter(mask, size=5)` of 6 x 4 with the left half set, and of a single pixel.
    #[test]
    fn the_median_keeps_large_parts_and_drops_specks() {
        let half: Vec<bool> = (0..24).map(|place| place % 6 < 3).collect();
        assert_eq!(majority(&half, 6, 2), half);
        let speck: Vec<bool> = (0..24).map(|place| place == 9).collect();
        assert_eq!(majority(&speck, 6, 2), vec![false; 24]);
    }

    /// The object is the left half of 8 x 4 pixels.
    #[test]
    fn patches_come_from_the_object_and_land_on_it() {
        let object: Vec<bool> = (0..32).map(|place| place % 8 < 4).collect();
        let fits = |source, target| Patch { size: [2, 2], source, target }.fits(&object, 8, 0.7);
        assert!(fits([1, 1], [0, 2]), "from object to object");
        assert!(fits([1, 1], [3, 2]), "half of it onto the object");
        assert!(!fits([1, 1], [5, 2]), "beside the object");
        assert!(!fits([3, 1], [0, 2]), "half of it is ground");
        let picture = RgbImage::from_fn(8, 4, |x, _| if x < 4 { Rgb([90; 3]) } else { Rgb([210; 3]) });
        assert_eq!(object_mask(&picture, 200.0, 60.0), object);
    }

    #[test]
    fn shifts_are_small_and_mirrored() {
        assert_eq!([-2, -1, 0, 4, 5, 6].map(|place| mirrored(place, 5)), [2, 1, 0, 4, 3, 2]);
        assert_eq!(mirrored(3, 1), 0);
        let altered = augmented(&picture(), &mut SplitMix(7));
        let mean = |picture: &RgbImage| picture.as_raw().iter().map(|&v| f64::from(v)).sum::<f64>() / 14400.0;
        assert!((mean(&altered) - mean(&picture())).abs() < 25.0);
    }
}
