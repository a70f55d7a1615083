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
//! The layouts are told apart by their folders, whatever the case of their names:
//!
//! * MVTec AD, MPDD, BTAD: images in `test/good` (or `ok`), `test/<kind>` and `train/good`; masks as
//!   `ground_truth/<kind>/<name>_mask.png`, or in a folder of any other name for masks, flat or not, with any word
//!   before or behind the name.
//! * MVTec LOCO: images as in MVTec AD; a mask is all files in `ground_truth/<kind>/<name>/`.
//! * MVTec AD 2: images in `test_public/good`, `test_public/bad` and `train/good`; masks as
//!   `test_public/ground_truth/bad/<name>_mask.png`.
//! * VisA: images in `Data/Images/Normal` and `Data/Images/Anomaly`; masks as `Data/Masks/Anomaly/<name>.png`.
//! * Real-IAD: images and masks as its JSON file says; without it, images in `OK/` and `NG/<kind>/`, masks as the PNG
//!   beside the JPEG.
//! * KolektorSDD, DAGM: images all together in `test/`, or in folders; masks as `<name>_label.bmp` or `<name>_GT.png`
//!   beside the image or in `Label`, an empty one for a good part.
//! * plain: images as `<kind>/<name>.*`, where `good`, `normal` and `ok` are good, or in the folder itself, where an
//!   image with a mask is anomalous; masks as `<name>_mask.*` beside the image, or `masks/<kind>/<name>.*`.
//!
//! What is foreground in a mask, [`Mask::read`] says. Of VisA, the images that `split_csv/1cls.csv` beside the category
//! calls test images are tested; without that file, all are.

mod found;
mod good;
mod layouts;
mod listing;
mod masks;
mod real_iad;
mod visa;

pub use good::{GoodPhotographs, good_photographs};
pub use listing::{IMAGE_EXTENSIONS, PassedOver, PassedOverSummary, Why, is_image, passed_over};
pub use masks::{Mask, masks_beside};

use crate::{Error, Result};
use listing::Folder;
use std::collections::BTreeMap;
use std::fmt;
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
    /// Files that are neither images nor masks of theirs.
    pub passed_over: Vec<PassedOver>,
}

/// A test image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// The kind of defect; `None` for a good part.
    pub kind: Option<String>,
    /// The image.
    pub path: PathBuf,
    /// Where the defects are; `None` for a good part.
    pub mask: Option<Mask>,
}

impl Dataset {
    /// Lists the images of one category.
    ///
    /// # Errors
    /// [`Error::Io`] for a folder that cannot be listed, [`Error::Dataset`] for one that holds no test images, for an
    /// anomalous image that lacks its mask while others have theirs, and for a table that cannot be read; all name the
    /// file or folder.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        layouts::open(&Folder::new(folder.as_ref()))
    }

    /// The kinds of defects, sorted.
    pub fn kinds(&self) -> Vec<&str> {
        let mut kinds: Vec<&str> = self.test.iter().filter_map(|item| item.kind.as_deref()).collect();
        kinds.dedup();
        kinds
    }
}

/// The categories in a folder, by name: each folder in it that has one of the layouts but the plain.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be listed, [`Error::Dataset`] where none is a category.
pub fn categories(root: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let root = Folder::new(root.as_ref());
    let found = root.folders()?.iter().filter(|folder| layouts::is_category(folder));
    let found: Vec<_> = found.map(|folder| folder.path.clone()).collect();
    if found.is_empty() {
        let reason = "none of the folders in it is a category; such a one holds `test` or `Data/Images`".to_owned();
        return Err(Error::Dataset { path: root.path, reason });
    }
    Ok(found)
}

/// What was taken for what, in a sentence.
impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds = BTreeMap::<&str, usize>::new();
        for kind in self.test.iter().filter_map(|item| item.kind.as_deref()) {
            *kinds.entry(kind).or_default() += 1;
        }
        let anomalous: usize = kinds.values().sum();
        write!(f, "{}: {} test images, {} good", self.name, self.test.len(), self.test.len() - anomalous)?;
        let kinds: Vec<_> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        write!(f, " and {anomalous} defective")?;
        if !kinds.is_empty() {
            write!(f, " ({})", kinds.join(", "))?;
        }
        let example = self.test.iter().find_map(|item| item.mask.as_ref()?.files.first());
        match example {
            Some(example) => write!(f, "; each defective one with its mask, such as {}", example.display())?,
            None => write!(f, "; no masks")?,
        }
        if !self.train.is_empty() {
            write!(f, "; {} good images for training", self.train.len())?;
        }
        if !self.passed_over.is_empty() {
            write!(f, "; {}", PassedOverSummary(&self.passed_over))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
