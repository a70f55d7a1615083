//! Test sets on disk: which images there are, what is wrong with each, and where.
//!
//! ```no_run
//! use pcsnet::data::Dataset;
//!
//! let set = Dataset::open("mvtec/bottle")?;
//! for item in &set.test {
//!     let kind = item.kind.as_deref().unwrap_or("good");
//!     println!("{} is {kind}", item.path.display());
//! }
//! # Ok::<(), pcsnet::Error>(())
//! ```
//!
//! Three layouts are told apart by their folders:
//!
//! | layout | images | masks |
//! | --- | --- | --- |
//! | MVTec AD, MPDD | `test/good`, `test/<kind>`; `train/good` | `ground_truth/<kind>/<name>_mask.png` |
//! | VisA | `Data/Images/Normal`, `Data/Images/Anomaly` | `Data/Masks/Anomaly/<name>.png`, anything but 0 |
//! | plain | `<kind>/<name>.*`, where `good` and `normal` are good; or the folder itself, where an image with a mask is anomalous | `<name>_mask.*` beside the image, or `masks/<kind>/<name>.*` |
//!
//! Masks are foreground from half brightness on, except VisA's. Of VisA, the images that `split_csv/1cls.csv` beside the
//! category calls test images are tested; without that file, all are.

mod layouts;
mod listing;

pub use listing::{IMAGE_EXTENSIONS, is_image};

use crate::image::{Fit, RgbImage, mask_pixels, open, preprocess_mask};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// A category's images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The category: its folder's name.
    pub name: String,
    /// Normal images for training, where the layout has them; sorted.
    pub train: Vec<PathBuf>,
    /// Sorted by kind and path, the good ones first.
    pub test: Vec<Item>,
    /// Whether anomalous images have masks. Where none has, there is nothing to measure maps by.
    pub has_masks: bool,
}

/// A test image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// The kind of defect; `None` for a good part.
    pub kind: Option<String>,
    /// The image.
    pub path: PathBuf,
    /// Where the defects are; `None` for a good part.
    pub mask: Option<MaskFile>,
}

/// A mask on disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MaskFile {
    /// The file.
    pub path: PathBuf,
    /// Whether everything but black is foreground, as in VisA; otherwise what is at least half as bright as white.
    pub any_value: bool,
}

impl Dataset {
    /// Lists the images of one category.
    ///
    /// # Errors
    /// [`Error::Io`] for a folder that cannot be listed, [`Error::Dataset`] for one that holds no test images, for an
    /// anomalous image that lacks its mask while others have theirs, and for a split that cannot be read; all name the
    /// file or folder.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        layouts::open(folder.as_ref())
    }

    /// The kinds of defects, sorted.
    pub fn kinds(&self) -> Vec<&str> {
        let mut kinds: Vec<&str> = self.test.iter().filter_map(|item| item.kind.as_deref()).collect();
        kinds.dedup();
        kinds
    }
}

/// The categories in a folder, by name: each folder in it that has the MVTec AD or the VisA layout.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be listed, [`Error::Dataset`] where none is a category.
pub fn categories(root: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let root = root.as_ref();
    let found: Vec<_> = listing::folders(root)?.into_iter().filter(|folder| layouts::is_category(folder)).collect();
    if found.is_empty() {
        let reason = "none of the folders in it is a category; such a one holds `test` or `Data/Images`".to_owned();
        return Err(Error::Dataset { path: root.to_owned(), reason });
    }
    Ok(found)
}

impl MaskFile {
    /// Reads the mask as a black and white image.
    ///
    /// # Errors
    /// The same as of [`open`].
    pub fn read(&self) -> Result<RgbImage> {
        let mut mask = open(&self.path)?;
        if self.any_value {
            mask.pixels_mut().for_each(|pixel| pixel.0 = [if pixel.0 == [0; 3] { 0 } else { 255 }; 3]);
        }
        Ok(mask)
    }

    /// Reads the mask of an image of `dimensions` into the network's frame, see [`preprocess_mask`].
    ///
    /// # Errors
    /// The same as of [`open`], and [`Error::Image`] for a mask of another size than its image.
    pub fn read_fitted(&self, dimensions: (u32, u32), fit: Fit, size: u32) -> Result<Vec<bool>> {
        preprocess_mask(&self.read_for(dimensions)?, fit, size)
    }

    /// Reads the mask of an image of `dimensions`, pixel by pixel: height x width, row-major, true in the foreground.
    ///
    /// # Errors
    /// The same as of [`MaskFile::read_fitted`].
    pub fn read_whole(&self, dimensions: (u32, u32)) -> Result<Vec<bool>> {
        Ok(mask_pixels(&self.read_for(dimensions)?))
    }

    fn read_for(&self, dimensions: (u32, u32)) -> Result<RgbImage> {
        let mask = self.read()?;
        if mask.dimensions() != dimensions {
            let ((width, height), (found_width, found_height)) = (dimensions, mask.dimensions());
            return Err(Error::Image {
                name: self.path.display().to_string(),
                reason: format!("the mask has {found_width} x {found_height} pixels, its image {width} x {height}"),
            });
        }
        Ok(mask)
    }
}

#[cfg(test)]
mod tests;
