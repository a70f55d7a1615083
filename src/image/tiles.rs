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
/// overlap, the joined map is their mean, weighted by the distance from each tile's edge: the network sees best what
/// has its surroundings with it, and no seam shows.
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

    /// Width and height of the image.
    pub fn dimensions(&self) -> (u32, u32) {
        self.dimensions
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
        (0..self.places.len()).map(|index| self.input(image, index)).collect()
    }

    /// The network's input for the tile of this place in [`Tiles::places`], so that not all need be in memory at once.
    ///
    /// # Errors
    /// As [`Tiles::inputs`], and [`Error::Input`] for an index beyond the last tile.
    pub fn input(&self, image: &RgbImage, index: usize) -> Result<RgbImage> {
        if image.dimensions() != self.dimensions {
            let size = |(width, height): (u32, u32)| format!("{width} x {height} pixels");
            let (expected, found) = (size(self.dimensions), size(image.dimensions()));
            return Err(Error::Input { what: "image of tiles".to_owned(), expected, found });
        }
        let place = self.places.get(index).ok_or_else(|| self.wrong_count(index + 1))?;
        let tile = crop_imm(image, place.x, place.y, place.width, place.height).to_image();
        self.frame(place)?.input(&tile)
    }

    /// Joins the tiles' anomaly maps (input x input each, in the order of [`Tiles::places`]) into one of the image's
    /// size, row-major.
    ///
    /// # Errors
    /// [`Error::Input`] for another number of maps, or maps of another size.
    pub fn join<M: AsRef<[f32]>>(&self, maps: &[M]) -> Result<Vec<f32>> {
        let mut joined = JoinedMap::new(self.clone());
        maps.iter().try_for_each(|map| joined.add(map.as_ref()))?;
        joined.finish()
    }

    fn wrong_count(&self, found: usize) -> Error {
        Error::Input {
            what: "maps of tiles".to_owned(),
            expected: self.places.len().to_string(),
            found: found.to_string(),
        }
    }

    fn frame(&self, place: &Rect) -> Result<Frame> {
        Frame::new(Fit::Stretch, (place.width, place.height), self.input)
    }
}

/// The map of an image while its tiles' maps are added to it, one after another: 4 bytes a pixel, however many tiles.
#[derive(Clone, Debug)]
pub struct JoinedMap {
    tiles: Tiles,
    /// Weighted sums of the values, row-major.
    sums: Vec<f32>,
    /// How many tiles have been added.
    added: usize,
}

impl JoinedMap {
    /// A map to which no tile has been added.
    pub fn new(tiles: Tiles) -> Self {
        let (width, height) = tiles.dimensions;
        let sums = vec![0.0; width as usize * height as usize];
        Self { tiles, sums, added: 0 }
    }

    /// Adds the next tile's anomaly map (input x input), in the order of [`Tiles::places`].
    ///
    /// # Errors
    /// [`Error::Input`] for more maps than there are tiles, or a map of another size.
    pub fn add(&mut self, map: &[f32]) -> Result<()> {
        let place = self.tiles.places.get(self.added).ok_or_else(|| self.tiles.wrong_count(self.added + 1))?;
        let tile = self.tiles.frame(place)?.to_original(map)?;
        let width = self.tiles.dimensions.0 as usize;
        for (row, values) in tile.chunks_exact(place.width as usize).enumerate() {
            let start = (place.y as usize + row) * width + place.x as usize;
            let vertical = from_edge(row, place.height);
            for (column, (sum, value)) in self.sums[start..].iter_mut().zip(values).enumerate() {
                *sum += vertical * from_edge(column, place.width) * value;
            }
        }
        self.added += 1;
        Ok(())
    }

    /// The joined map, of the image's size, row-major.
    ///
    /// # Errors
    /// [`Error::Input`] where tiles are missing.
    pub fn finish(mut self) -> Result<Vec<f32>> {
        if self.added != self.tiles.places.len() {
            return Err(self.tiles.wrong_count(self.added));
        }
        // The tiles are a grid, so a pixel's weights add up to the product of its column's and its row's.
        let (width, height) = self.tiles.dimensions;
        let (mut columns, mut rows) = (vec![0.0; width as usize], vec![0.0; height as usize]);
        for place in &self.tiles.places {
            if place.y == 0 {
                add_weights(&mut columns, place.x, place.width);
            }
            if place.x == 0 {
                add_weights(&mut rows, place.y, place.height);
            }
        }
        for (line, row) in self.sums.chunks_exact_mut(width as usize).zip(rows) {
            line.iter_mut().zip(&columns).for_each(|(sum, column)| *sum /= row * column);
        }
        Ok(self.sums)
    }
}

/// Adds the weights of a tile's pixels along an axis.
fn add_weights(axis: &mut [f32], start: u32, length: u32) {
    let tile = &mut axis[start as usize..][..length as usize];
    tile.iter_mut().enumerate().for_each(|(at, weight)| *weight += from_edge(at, length));
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
