//! Small pictures of every image, kept in a nameless temporary file until the page is written: what colours a map gets
//! is known only when all scores are.

use crate::pipeline::Inspected;
use anyhow::{Context, Result};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::imageops::{FilterType, resize, thumbnail};
use image::{GrayImage, ImageEncoder, Luma, RgbImage, Rgba, RgbaImage};
use pcsnet::data::Item;
use pcsnet::image::{ColourMap, Scale};
use pcsnet::inspect::{Calibration, Findings, Region, regions};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

/// Longest side of a photograph's thumbnail.
const PHOTOGRAPH: u32 = 200;
/// Longest side of a map's, which is smooth.
const MAP: u32 = 64;
const QUALITY: u8 = 78;

/// One image's small pictures.
pub(crate) struct Thumbnails {
    /// Width and height of the photograph itself.
    pub dimensions: (u32, u32),
    photograph: Vec<u8>,
    truth: Option<Vec<u8>>,
    map: SmallMap,
    /// The regions of the map in full size, where the model has a threshold.
    regions: Option<Vec<Region>>,
}

/// A map of few cells, each with the largest value in it; NaN where nothing was inspected.
#[derive(Clone, Debug, PartialEq)]
struct SmallMap {
    width: u32,
    height: u32,
    values: Vec<f32>,
}

impl Thumbnails {
    /// Makes the small pictures; `calibration` is the model's.
    pub(crate) fn of(item: &Item, inspected: &Inspected, calibration: &Calibration) -> Result<Self> {
        let Inspected { photograph, inspection, .. } = inspected;
        let Findings { map, dimensions, regions, .. } = inspection.findings(calibration)?;
        let (width, height) = fitted(dimensions, PHOTOGRAPH);
        let small =
            if (width, height) == dimensions { photograph.clone() } else { thumbnail(photograph, width, height) };
        let truth = item.mask.as_ref().map(|mask| truth_png(&mask.read()?)).transpose()?;
        let map = SmallMap::of(&map, dimensions);
        Ok(Self { dimensions, photograph: jpeg(&small)?, truth, map, regions })
    }
}

/// The longest side brought down to `side`, never up.
fn fitted((width, height): (u32, u32), side: u32) -> (u32, u32) {
    let longest = width.max(height);
    let fit = |length: u32| (u64::from(length) * u64::from(side.min(longest)) / u64::from(longest)).max(1) as u32;
    (fit(width), fit(height))
}

fn jpeg(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(picture)?;
    Ok(bytes)
}

fn truth_png(mask: &RgbImage) -> Result<Vec<u8>> {
    let foreground = pcsnet::image::mask_pixels(mask);
    let mask = GrayImage::from_fn(mask.width(), mask.height(), |x, y| {
        Luma([if foreground[y as usize * mask.width() as usize + x as usize] { 255 } else { 0 }])
    });
    let (width, height) = fitted(mask.dimensions(), PHOTOGRAPH);
    let small = resize(&mask, width, height, FilterType::Triangle);
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(&small, width, height, image::ExtendedColorType::L8)?;
    Ok(bytes)
}

impl SmallMap {
    fn of(map: &[f32], dimensions: (u32, u32)) -> Self {
        let (width, height) = fitted(dimensions, MAP);
        let mut values = vec![f32::NAN; width as usize * height as usize];
        for (row, line) in map.chunks_exact(dimensions.0 as usize).enumerate() {
            let start = row * height as usize / dimensions.1 as usize * width as usize;
            for (column, &value) in line.iter().enumerate() {
                // The larger one, or the one that is a number.
                let cell = &mut values[start + column * width as usize / dimensions.0 as usize];
                *cell = cell.max(value);
            }
        }
        Self { width, height, values }
    }

    /// The map in colours, the more opaque the higher, so that it can be laid over the photograph.
    fn png(&self, scale: Scale) -> Result<Vec<u8>> {
        let picture = RgbaImage::from_fn(self.width, self.height, |x, y| {
            let value = self.values[(y * self.width + x) as usize];
            if value.is_nan() {
                return Rgba([96, 96, 96, 255]);
            }
            let position = scale.position(value);
            let [red, green, blue] = ColourMap::Turbo.colour(position);
            Rgba([red, green, blue, (position * 255.0).round() as u8])
        });
        let mut bytes = Vec::new();
        PngEncoder::new(&mut bytes).write_image(&picture, self.width, self.height, image::ExtendedColorType::Rgba8)?;
        Ok(bytes)
    }

    /// The regions above a threshold, as nearly as the cells tell, in the photograph's pixels.
    fn regions(&self, threshold: f32, (width, height): (u32, u32)) -> Result<Vec<Region>> {
        let mut found = regions(&self.values, self.width as usize, threshold)?;
        let (across, down) = (f64::from(width) / f64::from(self.width), f64::from(height) / f64::from(self.height));
        for region in &mut found {
            let scaled = |length: u32, by: f64| (f64::from(length) * by).round() as u32;
            let bounds = &mut region.bounds;
            (bounds.x, bounds.width) = (scaled(bounds.x, across), scaled(bounds.width, across).max(1));
            (bounds.y, bounds.height) = (scaled(bounds.y, down), scaled(bounds.height, down).max(1));
            region.area = scaled(region.area, across * down).max(1);
        }
        Ok(found)
    }
}

/// The small pictures of all images, in the order in which they were added. Some hundred bytes an image stay in memory.
pub(crate) struct Gallery {
    file: File,
    end: u64,
    entries: Vec<Entry>,
}

/// Where an image's pictures are.
struct Entry {
    start: u64,
    /// Bytes of the photograph, the truth and the map.
    lengths: [usize; 3],
    dimensions: (u32, u32),
    map: (u32, u32),
    regions: Option<Vec<Region>>,
}

/// An image's pictures as they go into the page.
pub(crate) struct Shown {
    pub photograph: Vec<u8>,
    pub truth: Option<Vec<u8>>,
    pub map: Vec<u8>,
    pub dimensions: (u32, u32),
    pub regions: Vec<Region>,
}

impl Gallery {
    /// A gallery without any image yet.
    pub(crate) fn new() -> Result<Self> {
        let file = tempfile::tempfile().context("cannot make a temporary file for the report's pictures")?;
        Ok(Self { file, end: 0, entries: Vec::new() })
    }

    /// Adds an image.
    pub(crate) fn add(&mut self, thumbnails: Thumbnails) -> Result<()> {
        let Thumbnails { dimensions, photograph, truth, map, regions } = thumbnails;
        let truth = truth.unwrap_or_default();
        let values: Vec<u8> = map.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let lengths = [photograph.len(), truth.len(), values.len()];
        let bytes = [photograph, truth, values].concat();
        self.file.write_all(&bytes).context("cannot write a temporary file for the report's pictures")?;
        let map = (map.width, map.height);
        self.entries.push(Entry { start: self.end, lengths, dimensions, map, regions });
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// An image by its number. Without a threshold of the model's own, `threshold` marks the regions.
    pub(crate) fn show(&mut self, index: usize, scale: Scale, threshold: Option<f32>) -> Result<Shown> {
        let Entry { start, lengths, dimensions, map: (width, height), ref regions } = self.entries[index];
        let mut bytes = vec![0; lengths.iter().sum()];
        self.file
            .seek(SeekFrom::Start(start))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .context("cannot read a temporary file of the report's pictures")?;
        let values = bytes.split_off(lengths[0] + lengths[1]);
        let truth = bytes.split_off(lengths[0]);
        let values = values.chunks_exact(4).map(|value| f32::from_le_bytes([value[0], value[1], value[2], value[3]]));
        let map = SmallMap { width, height, values: values.collect() };
        let regions = match (regions, threshold) {
            (Some(regions), _) => regions.clone(),
            (None, Some(threshold)) => map.regions(threshold, dimensions)?,
            (None, None) => Vec::new(),
        };
        let truth = (!truth.is_empty()).then_some(truth);
        Ok(Shown { photograph: bytes, truth, map: map.png(scale)?, dimensions, regions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_maps_keep_peaks_and_places() {
        let (width, height) = (300, 150);
        let mut map = vec![0.0; (width * height) as usize];
        map[(100 * width + 200) as usize] = 5.0;
        map[..width as usize].fill(f32::NAN);
        let small = SmallMap::of(&map, (width, height));
        assert_eq!((small.width, small.height), (64, 32));
        assert!(!small.values[0].is_nan(), "a cell is what was inspected of it");
        let found = small.regions(1.0, (width, height)).expect("whole rows");
        assert_eq!((found.len(), found[0].peak), (1, 5.0));
        let bounds = found[0].bounds;
        assert!(bounds.x <= 200 && 200 < bounds.x + bounds.width, "{bounds:?}");
        assert!(bounds.y <= 100 && 100 < bounds.y + bounds.height, "{bounds:?}");
    }

    #[test]
    fn thumbnails_come_back() {
        let mut gallery = Gallery::new().expect("a temporary folder");
        for side in [3, 5] {
            gallery
                .add(Thumbnails {
                    dimensions: (side, side),
                    photograph: vec![1; side as usize],
                    truth: (side == 5).then(|| vec![2; 4]),
                    map: SmallMap { width: side, height: 1, values: vec![0.5; side as usize] },
                    regions: None,
                })
                .expect("a temporary folder");
        }
        let scale = Scale { low: 0.0, high: 1.0 };
        for (index, side) in [(1, 5), (0, 3)] {
            let shown = gallery.show(index, scale, Some(0.25)).expect("readable");
            assert_eq!((shown.photograph, shown.truth.is_some()), (vec![1; side as usize], side == 5));
            assert_eq!((shown.dimensions, shown.regions.len()), ((side, side), 1));
            let map = image::load_from_memory(&shown.map).expect("a PNG").into_rgba8();
            assert_eq!((map.dimensions(), map.get_pixel(0, 0).0[3]), ((side, 1), 128));
        }
    }
}
