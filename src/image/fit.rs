//! Which part of an image the network sees, and where its anomaly map lies in the image.

use super::resize::{self, Axis, Taps};
use crate::{Error, Result};
use ::image::RgbImage;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The longest side, in pixels, that an image may have to be fitted.
pub const MAX_SIDE: u32 = 1 << 20;

/// The largest network input side; the one [`ModelConfig::validate`](crate::ModelConfig::validate) allows.
const MAX_INPUT: u32 = 4096;

/// How an image of any shape becomes a square. A model is used with the fit it was trained with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// torchvision's `Resize(256)` of the shorter side, then `CenterCrop(224)`. What lies outside is not inspected.
    #[default]
    Crop,
    /// The whole image resized to a square, whatever its shape; for parts far from square. Columns are resized first,
    /// as Pillow did up to version 12; later ones begin with the rows of tall images, which gives other values.
    Stretch,
}

impl Fit {
    /// Its name in model metadata.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Crop => "crop",
            Self::Stretch => "stretch",
        }
    }

    /// The fit of a name used in model metadata.
    ///
    /// # Errors
    /// [`Error::Input`] names the known ones.
    pub fn by_name(name: &str) -> Result<Self> {
        match name {
            "crop" => Ok(Self::Crop),
            "stretch" => Ok(Self::Stretch),
            other => Err(Error::unknown("fit", other, &["crop", "stretch"])),
        }
    }
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rect {
    /// The first column.
    pub x: u32,
    /// The first row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Rect {
    /// Whether pixel (`x`, `y`) lies inside.
    pub fn contains(&self, x: u32, y: u32) -> bool {
        (self.x..self.x + self.width).contains(&x) && (self.y..self.y + self.height).contains(&y)
    }
}

/// Where a network's square input lies in an image: the way in, [`Frame::input`], and the way back,
/// [`Frame::to_original`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    columns: Span,
    rows: Span,
}

/// One axis of a [`Frame`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    /// Pixels of the original.
    original: u32,
    /// Pixels after resizing.
    resized: u64,
    /// First resized pixel that belongs to the input.
    offset: u64,
    /// Pixels of the input.
    input: u32,
}

impl Frame {
    /// The frame of a `size` x `size` input in an image of `dimensions` (width, height).
    ///
    /// [`Fit::Crop`] resizes the shorter side to `size * 256 / 224`, rounded to nearest, and the longer to
    /// `int(shorter * long / short)`; for 224 that is torchvision's `Resize(256)`.
    ///
    /// # Errors
    /// [`Error::Input`] if a side is 0 or above [`MAX_SIDE`], or `size` is not 1 to 4096.
    pub fn new(fit: Fit, dimensions: (u32, u32), size: u32) -> Result<Self> {
        let (width, height) = dimensions;
        ensure_within("network input side", size, MAX_INPUT)?;
        ensure_within("image width", width, MAX_SIDE)?;
        ensure_within("image height", height, MAX_SIDE)?;
        let span = |original: u32| match fit {
            Fit::Crop => Span::cropped(original, width.min(height), size),
            Fit::Stretch => Span { original, resized: size.into(), offset: 0, input: size },
        };
        Ok(Self { columns: span(width), rows: span(height) })
    }

    /// Width and height of the original image.
    pub fn original(&self) -> (u32, u32) {
        (self.columns.original, self.rows.original)
    }

    /// Side of the network's input.
    pub fn size(&self) -> u32 {
        self.columns.input
    }

    /// The pixels of the original that the input shows, wholly or in part. The others are not inspected.
    pub fn inspected(&self) -> Rect {
        let (columns, rows) = (self.columns.inspected(), self.rows.inspected());
        Rect { x: columns.start, y: rows.start, width: columns.end - columns.start, height: rows.end - rows.start }
    }

    /// The network's input, size x size: the pixels that Pillow and torchvision give.
    ///
    /// # Errors
    /// [`Error::Input`] if `image` has other dimensions than the frame was made for.
    pub fn input(&self, image: &RgbImage) -> Result<RgbImage> {
        self.ensure_original(image)?;
        Ok(resize::lanczos(image, &self.columns.axis(), &self.rows.axis()))
    }

    /// The windows and weights of [`Frame::input`], for columns and rows.
    pub(crate) fn taps(&self) -> [Vec<Taps>; 2] {
        [self.columns, self.rows].map(|span| resize::taps(span.original, &span.axis()))
    }

    /// How columns and rows lie: pixels of the input for each pixel of the original, and the place in the input of the
    /// original's edge, both as measures of length.
    pub(crate) fn placement(&self) -> [[f64; 2]; 2] {
        [self.columns, self.rows].map(|span| [span.resized as f64 / f64::from(span.original), -(span.offset as f64)])
    }

    /// Refuses an image the frame was not made for.
    pub(super) fn ensure_original(&self, image: &RgbImage) -> Result<()> {
        if image.dimensions() == self.original() {
            return Ok(());
        }
        let size = |(width, height): (u32, u32)| format!("{width} x {height} pixels");
        Err(Error::Input {
            what: "image of a frame".to_owned(),
            expected: size(self.original()),
            found: size(image.dimensions()),
        })
    }

    /// Puts an anomaly map (size x size, row-major) into the original's frame: height x width values, row-major,
    /// sampled bilinearly at the centres of the original's pixels. Outside [`Frame::inspected`] there is no value: NaN.
    ///
    /// # Errors
    /// [`Error::Input`] if `map` has not size x size values.
    pub fn to_original(&self, map: &[f32]) -> Result<Vec<f32>> {
        let (width, height) = self.original();
        let mut values = Vec::with_capacity(width as usize * height as usize);
        self.original_rows(map)?.for_each(|row| values.extend(row));
        Ok(values)
    }

    /// The rows that [`Frame::to_original`] gives, one by one from the top, for originals whose map would take much
    /// memory.
    ///
    /// # Errors
    /// [`Error::Input`] if `map` has not size x size values.
    pub fn original_rows<'a>(&self, map: &'a [f32]) -> Result<impl Iterator<Item = Vec<f32>> + use<'a>> {
        let sampler = Sampler::new(self, map)?;
        let (width, height) = self.original();
        let Rect { x, y, width: columns, height: rows } = self.inspected();
        Ok((0..height).map(move |row| {
            let mut values = vec![f32::NAN; width as usize];
            if (y..y + rows).contains(&row) {
                for column in x..x + columns {
                    values[column as usize] = sampler.at(column, row);
                }
            }
            values
        }))
    }
}

impl Span {
    /// An axis of an image whose shorter side is `short`, for [`Fit::Crop`].
    fn cropped(original: u32, short: u32, size: u32) -> Self {
        // 256 / 224 is 8 / 7.
        let shorter = (u64::from(size) * 8 + 3) / 7;
        let resized = shorter * u64::from(original) / u64::from(short);
        // torchvision: `int(round((side - crop) / 2.0))`, where Python rounds a half to the even neighbour.
        let margin = resized - u64::from(size);
        let offset = margin / 2 + (margin % 2) * (margin / 2 % 2);
        Self { original, resized, offset, input: size }
    }

    /// The resized pixels that belong to the input.
    fn window(&self) -> Range<u64> {
        self.offset..self.offset + u64::from(self.input)
    }

    fn axis(&self) -> Axis {
        Axis { length: self.resized, window: self.window() }
    }

    /// The original's pixels that the window touches.
    fn inspected(&self) -> Range<u32> {
        let original = u64::from(self.original);
        let Range { start, end } = self.window();
        (start * original / self.resized) as u32..(end * original).div_ceil(self.resized) as u32
    }

    /// The original's pixel that Pillow's nearest-neighbour resize takes for each pixel of the window.
    fn nearest(&self) -> Vec<u32> {
        let step = f64::from(self.original) / self.resized as f64;
        // Pillow adds step to step along the whole axis, and where a place falls on an edge its rounding decides.
        let mut place = step * 0.5;
        for _ in 0..self.offset {
            place += step;
        }
        let mut next = || {
            let pixel = place as u32;
            place += step;
            pixel.min(self.original - 1)
        };
        (0..self.input).map(|_| next()).collect()
    }

    /// Where the centre of the original's pixel `at` lies among the centres of the input's.
    fn to_input(self, at: u32) -> Between {
        let scale = self.resized as f64 / f64::from(self.original);
        let position = (f64::from(at) + 0.5) * scale - self.offset as f64 - 0.5;
        let position = position.clamp(0.0, f64::from(self.input - 1));
        let low = position as usize;
        let high = (low + 1).min(self.input as usize - 1);
        Between { low, high, fraction: (position - low as f64) as f32 }
    }
}

/// A place between two neighbouring samples.
struct Between {
    low: usize,
    high: usize,
    fraction: f32,
}

impl Between {
    fn mix(&self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.fraction
    }
}

/// An anomaly map, read at the inspected pixels of the original.
struct Sampler<'a> {
    map: &'a [f32],
    size: usize,
    inspected: Rect,
    columns: Vec<Between>,
    rows: Vec<Between>,
}

impl<'a> Sampler<'a> {
    fn new(frame: &Frame, map: &'a [f32]) -> Result<Self> {
        let size = frame.size() as usize;
        if map.len() != size * size {
            return Err(Error::Input {
                what: "anomaly map".to_owned(),
                expected: format!("{size} x {size} values"),
                found: format!("{} values", map.len()),
            });
        }
        let places = |span: Span| span.inspected().map(|at| span.to_input(at)).collect();
        Ok(Self { map, size, inspected: frame.inspected(), columns: places(frame.columns), rows: places(frame.rows) })
    }

    /// The map's value at an inspected pixel of the original.
    fn at(&self, x: u32, y: u32) -> f32 {
        let column = &self.columns[(x - self.inspected.x) as usize];
        let row = &self.rows[(y - self.inspected.y) as usize];
        let along = |line: usize| {
            let line = &self.map[line * self.size..][..self.size];
            column.mix(line[column.low], line[column.high])
        };
        row.mix(along(row.low), along(row.high))
    }
}

fn ensure_within(what: &str, value: u32, most: u32) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::Input { what: what.to_owned(), expected: format!("1 to {most} pixels"), found: value.to_string() })
}

/// The network's input, size x size RGB, as Pillow and torchvision make it of `image`.
///
/// # Errors
/// The same as of [`Frame::new`].
pub fn preprocess(image: &RgbImage, fit: Fit, size: u32) -> Result<RgbImage> {
    Frame::new(fit, image.dimensions(), size)?.input(image)
}

/// A ground-truth mask in the network's frame: size x size, row-major, true in the foreground.
///
/// The same frame as [`preprocess`], but Pillow's nearest neighbour instead of Lanczos. Foreground is where Pillow's
/// `convert("L")` of the mask, over 255, is at least 0.5.
///
/// # Errors
/// The same as of [`Frame::new`].
pub fn preprocess_mask(mask: &RgbImage, fit: Fit, size: u32) -> Result<Vec<bool>> {
    let frame = Frame::new(fit, mask.dimensions(), size)?;
    let columns = frame.columns.nearest();
    let row = |y: u32| columns.iter().map(move |&x| is_foreground(mask.get_pixel(x, y))).collect::<Vec<_>>();
    Ok(frame.rows.nearest().into_iter().flat_map(row).collect())
}

/// A ground-truth mask in its own frame, row-major, true in the foreground; the same pixels count as in
/// [`preprocess_mask`].
pub fn mask_pixels(mask: &RgbImage) -> Vec<bool> {
    mask.pixels().map(is_foreground).collect()
}

fn is_foreground(pixel: &::image::Rgb<u8>) -> bool {
    luminance(pixel.0) >= 128
}

/// ITU-R 601 luma with Pillow's fixed-point weights; a grey pixel keeps its value.
pub(super) fn luminance([r, g, b]: [u8; 3]) -> u32 {
    (u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16
}

/// Pixels as the GPU reads them: red, green, blue and 255.
pub(crate) fn rgba(image: &RgbImage) -> Vec<u8> {
    let mut rgba = vec![255; image.as_raw().len() / 3 * 4];
    for (stored, pixel) in rgba.chunks_exact_mut(4).zip(image.as_raw().chunks_exact(3)) {
        stored[..3].copy_from_slice(pixel);
    }
    rgba
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(fit: Fit, width: u32, height: u32) -> Frame {
        Frame::new(fit, (width, height), 224).expect("usable sizes")
    }

    #[test]
    fn names() {
        assert_eq!(Fit::by_name("crop").expect("known"), Fit::default());
        assert_eq!(Fit::by_name("stretch").expect("known"), Fit::Stretch);
        assert_eq!(Fit::by_name(Fit::Stretch.name()).expect("its own"), Fit::Stretch);
        let refusal = Fit::by_name("pad").expect_err("unknown").to_string();
        assert_eq!(refusal, "fit: expected crop or stretch, found `pad`");
        assert_eq!(serde_json::to_string(&Fit::Stretch).expect("serialises"), "\"stretch\"");
    }

    #[test]
    fn torchvision_sizes_and_offsets() {
        // Python: int(256 * 300 / 200) = 384, round(80.0) = 80.
        let wide = frame(Fit::Crop, 300, 200);
        assert_eq!((wide.columns.resized, wide.columns.offset), (384, 80));
        assert_eq!((wide.rows.resized, wide.rows.offset), (256, 16));
        // Python: int(256 * 225 / 223) = 258, round(17.0) = 17; round(16.5) = 16; round(17.5) = 18; round(20.5) = 20.
        assert_eq!(frame(Fit::Crop, 223, 225).rows.offset, 17);
        assert_eq!(frame(Fit::Crop, 257, 256).columns.offset, 16);
        assert_eq!(frame(Fit::Crop, 259, 256).columns.offset, 18);
        assert_eq!(frame(Fit::Crop, 265, 256).columns.offset, 20);
    }

    #[test]
    fn unusable_sizes_are_named() {
        let error = |width, size| Frame::new(Fit::Crop, (width, 9), size).expect_err("unusable").to_string();
        assert_eq!(error(0, 224), "image width: expected 1 to 1048576 pixels, found 0");
        assert_eq!(error(MAX_SIDE + 1, 224), "image width: expected 1 to 1048576 pixels, found 1048577");
        assert_eq!(error(9, 0), "network input side: expected 1 to 4096 pixels, found 0");
    }

    #[test]
    fn every_input_side_fits_its_resized_image() {
        for size in 1..=MAX_INPUT {
            for fit in [Fit::Crop, Fit::Stretch] {
                let frame = Frame::new(fit, (MAX_SIDE, 1), size).expect("usable sizes");
                assert!(frame.columns.window().end <= frame.columns.resized);
                assert!(frame.rows.window().end <= frame.rows.resized);
            }
        }
    }

    #[test]
    fn inspected_part() {
        assert_eq!(frame(Fit::Stretch, 300, 7).inspected(), Rect { x: 0, y: 0, width: 300, height: 7 });
        assert_eq!(frame(Fit::Crop, 1024, 1024).inspected(), Rect { x: 64, y: 64, width: 896, height: 896 });
        // 224 of 1 280 000 resized rows are less than one row of the original, and lie across two of them.
        assert_eq!(frame(Fit::Crop, 1, 5000).inspected(), Rect { x: 0, y: 2499, width: 1, height: 2 });
    }

    #[test]
    fn a_ramp_comes_back_as_a_ramp() {
        // A map that holds the place of each of its pixels in the original must come back as each pixel's own place.
        let frame = frame(Fit::Crop, 640, 480);
        let scale = |span: Span| span.resized as f32 / span.original as f32;
        let place = |span: Span, at: usize| (at as f32 + 0.5 + span.offset as f32) / scale(span) - 0.5;
        let map: Vec<f32> =
            (0..224 * 224).map(|at| place(frame.columns, at % 224) + 1000.0 * place(frame.rows, at / 224)).collect();
        let original = frame.to_original(&map).expect("a map of the right size");
        let inspected = frame.inspected();
        for y in 0..480 {
            for x in 0..640 {
                let found = original[(y * 640 + x) as usize];
                // The outermost pixels' centres lie beyond the outermost samples, whose values they get.
                let edge = |at: u32, first: u32, count: u32| at < first + 2 || at + 2 >= first + count;
                if !inspected.contains(x, y) {
                    assert!(found.is_nan(), "({x}, {y}) was not inspected");
                } else if !edge(x, inspected.x, inspected.width) && !edge(y, inspected.y, inspected.height) {
                    assert!((found - (x as f32 + 1000.0 * y as f32)).abs() < 0.1, "({x}, {y}) got {found}");
                }
            }
        }
    }

    #[test]
    fn a_map_of_another_size_is_refused() {
        let error = frame(Fit::Crop, 30, 20).to_original(&[0.0; 10]).expect_err("10 values");
        assert_eq!(error.to_string(), "anomaly map: expected 224 x 224 values, found 10 values");
    }

    #[test]
    fn mask_threshold() {
        let mask = RgbImage::from_fn(2, 1, |x, _| ::image::Rgb([127 + x as u8; 3]));
        assert_eq!(preprocess_mask(&mask, Fit::Stretch, 4).expect("usable sizes")[..4], [false, false, true, true]);
        assert_eq!(luminance([255, 0, 0]), 76);
    }
}
