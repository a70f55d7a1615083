//! A large image as overlapping tiles, each of which the network sees in full detail.

use super::fit::{Fit, Frame, Rect};
use crate::{Error, Result};
use ::image::RgbImage;
use ::image::imageops::crop_imm;

/// The smallest tile, in pixels of the original: less is not worth a run of the network.
const LEAST_SIDE: u32 = 16;

/// How an image is cut into overlapping tiles, and their maps joined.
///
/// Neighbouring tiles share at least a quarter of their side, and together they cover the whole image. Where tiles
/// overlap, the joined map is their mean, weighted by the distance from each tile's edge: the network sees best what has
/// its surroundings with it, and no seam shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiles {
    dimensions: (u32, u32),
    /// Side of the network's input.
    input: u32,
    /// Row by row.
    places: Vec<Rect>,
}

impl Tiles {
    /// Cuts an image of `dimensions` (width, height) into tiles of `side` x `side` pixels, smaller only where the image
    /// is. Each becomes a network input of `input` x `input`.
    ///
    /// # Errors
    /// [`Error::Input`] for tiles below 16 pixels, and as [`Frame::new`].
    pub fn new(dimensions: (u32, u32), side: u32, input: u32) -> Result<Self> {
        if side < LEAST_SIDE {
            return Err(Error::Input {
                what: "tile".to_owned(),
                expected: format!("a side of at least {LEAST_SIDE} pixels"),
                found: side.to_string(),
            });
        }
        Frame::new(Fit::Stretch, dimensions, input)?;
        let (width, height) = dimensions;
        let (columns, rows) = (side.min(width), side.min(height));
        let column_starts = starts(width, columns);
        let place = |y| column_starts.iter().map(move |&x| Rect { x, y, width: columns, height: rows });
        let places = starts(height, rows).into_iter().flat_map(place).collect();
        Ok(Self { dimensions, input, places })
    }

    /// The tiles' places in the image, row by row.
    pub fn places(&self) -> &[Rect] {
        &self.places
    }

    /// The network's inputs, one for each tile.
    ///
    /// # Errors
    /// [`Error::Input`] if `image` has other dimensions than the tiles were made for.
    pub fn inputs(&self, image: &RgbImage) -> Result<Vec<RgbImage>> {
        if image.dimensions() != self.dimensions {
            let size = |(width, height): (u32, u32)| format!("{width} x {height} pixels");
            let (expected, found) = (size(self.dimensions), size(image.dimensions()));
            return Err(Error::Input { what: "image of tiles".to_owned(), expected, found });
        }
        let input = |place: &Rect| {
            let tile = crop_imm(image, place.x, place.y, place.width, place.height).to_image();
            self.frame(place)?.input(&tile)
        };
        self.places.iter().map(input).collect()
    }

    /// Joins the tiles' anomaly maps (input x input each, in the order of [`Tiles::places`]) into one of the image's
    /// size, row-major.
    ///
    /// # Errors
    /// [`Error::Input`] for another number of maps, or maps of another size.
    pub fn join<M: AsRef<[f32]>>(&self, maps: &[M]) -> Result<Vec<f32>> {
        if maps.len() != self.places.len() {
            return Err(Error::Input {
                what: "maps of tiles".to_owned(),
                expected: self.places.len().to_string(),
                found: maps.len().to_string(),
            });
        }
        let width = self.dimensions.0 as usize;
        let pixels = width * self.dimensions.1 as usize;
        let (mut sums, mut weights) = (vec![0.0_f32; pixels], vec![0.0_f32; pixels]);
        for (place, map) in self.places.iter().zip(maps) {
            let tile = self.frame(place)?.to_original(map.as_ref())?;
            for (row, line) in tile.chunks_exact(place.width as usize).enumerate() {
                let start = (place.y as usize + row) * width + place.x as usize;
                let vertical = from_edge(row, place.height);
                for (column, value) in line.iter().enumerate() {
                    let weight = vertical * from_edge(column, place.width);
                    sums[start + column] += weight * value;
                    weights[start + column] += weight;
                }
            }
        }
        sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum /= weight);
        Ok(sums)
    }

    fn frame(&self, place: &Rect) -> Result<Frame> {
        Frame::new(Fit::Stretch, (place.width, place.height), self.input)
    }
}

/// Where tiles of length `tile` start on an axis of `length`: as few as overlap by a quarter, evenly spread.
fn starts(length: u32, tile: u32) -> Vec<u32> {
    let room = length - tile;
    let steps = room.div_ceil(tile - tile / 4).max(u32::from(room > 0));
    let start = |step: u32| (u64::from(room) * u64::from(step) / u64::from(steps.max(1))) as u32;
    (0..=steps).map(start).collect()
}

/// How far a pixel's centre is from the nearer end of its axis, as a share of half the axis.
fn from_edge(at: usize, length: u32) -> f32 {
    let at = at as f32 + 0.5;
    at.min(length as f32 - at) / (length as f32 / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_image_and_overlap() {
        for (length, tile) in [(100, 100), (101, 100), (175, 100), (176, 100), (1000, 64), (20, 20), (97, 16)] {
            let starts = starts(length, tile);
            assert_eq!((starts[0], starts[starts.len() - 1] + tile), (0, length));
            for pair in starts.windows(2) {
                let shared = pair[0] + tile - pair[1];
                assert!(pair[0] < pair[1] && shared >= tile / 4, "{length} in {tile}: {starts:?}");
            }
        }
        let tiles = Tiles::new((30, 500), 100, 64).expect("usable sizes");
        assert!(tiles.places().iter().all(|place| (place.width, place.height) == (30, 100)));
        assert!(Tiles::new((30, 500), 15, 64).is_err());
    }

    #[test]
    fn joined_maps_are_where_the_tiles_were() {
        // Each tile's map tells its place in the image, which the joined map must give back for every pixel.
        let dimensions = (200, 130);
        let tiles = Tiles::new(dimensions, 64, 64).expect("usable sizes");
        let map = |place: &Rect| -> Vec<f32> {
            (0..64 * 64).map(|at| (place.x + at % 64) as f32 + 1000.0 * (place.y + at / 64) as f32).collect()
        };
        let maps: Vec<_> = tiles.places().iter().map(map).collect();
        let joined = tiles.join(&maps).expect("a map each");
        for (at, value) in joined.iter().enumerate() {
            let expected = (at % 200) as f32 + 1000.0 * (at / 200) as f32;
            assert!((value - expected).abs() < 0.05, "{at}: {value}, not {expected}");
        }
        assert!(tiles.join(&maps[1..]).is_err());
    }

    #[test]
    fn a_tile_is_its_part_of_the_image() {
        let image = RgbImage::from_fn(150, 64, |x, _| ::image::Rgb([x as u8; 3]));
        let tiles = Tiles::new((150, 64), 64, 64).expect("usable sizes");
        for (place, input) in tiles.places().iter().zip(tiles.inputs(&image).expect("its own dimensions")) {
            assert_eq!(input.get_pixel(5, 5).0[0], (place.x + 5) as u8);
        }
        assert!(tiles.inputs(&RgbImage::new(64, 150)).is_err());
    }
}
