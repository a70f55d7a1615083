//! Masks: which files they are, whose, and what they say.

use super::listing::{Files, Folder, PassedOver, Why, extension, stem};
use crate::image::{Decoder, Fit, RgbImage, mask_pixels, preprocess_mask};
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The folders that masks are in.
const FOLDERS: [&str; 7] = ["ground_truth", "ground-truth", "groundtruth", "gt", "mask", "masks", "segmentation"];
/// The words that tell a mask from the image beside it.
const WORDS: [&str; 9] =
    ["mask", "masks", "gt", "label", "labels", "seg", "segmentation", "ground_truth", "groundtruth"];
/// What stands between an image's name and such a word.
const SEPARATORS: [char; 4] = ['_', '-', '.', ' '];

/// From as many different levels on, a grey mask has soft edges, and its foreground is what is at least half bright.
const SOFT_LEVELS: usize = 17;

/// The mask of an image: where its defects are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mask {
    /// The files, whose foregrounds together are the mask's; at least one.
    pub files: Vec<PathBuf>,
}

impl Mask {
    /// Reads the mask as a black and white image.
    ///
    /// Everything that is neither black nor fully transparent is foreground, whatever its value or colour. Only of grey
    /// masks with soft edges (more than 16 levels, or JPEG's noise) it is what is at least half as bright as white.
    ///
    /// # Errors
    /// Those of [`Decoder::open`](crate::image::Decoder::open), and [`Error::Image`] for a damaged file, for a soft
    /// mask without a bright pixel, and for files of different sizes.
    pub fn read(&self) -> Result<RgbImage> {
        let (first, others) = self.files.split_first().ok_or_else(|| Error::Input {
            what: "mask".to_owned(),
            expected: "a file".to_owned(),
            found: "none".to_owned(),
        })?;
        let mut mask = read(first)?;
        for path in others {
            let other = read(path)?;
            ensure_size(path, other.dimensions(), mask.dimensions(), first)?;
            mask.iter_mut().zip(other.iter()).for_each(|(value, other)| *value |= other);
        }
        Ok(mask)
    }

    /// Reads the mask of an image of `dimensions` into the network's frame, see [`preprocess_mask`].
    ///
    /// # Errors
    /// Those of [`Mask::read`], and [`Error::Image`] for a mask of another size than its image.
    pub fn read_fitted(&self, dimensions: (u32, u32), fit: Fit, size: u32) -> Result<Vec<bool>> {
        preprocess_mask(&self.read_for(dimensions)?, fit, size)
    }

    /// Reads the mask of an image of `dimensions`, pixel by pixel: height x width, row-major, true in the foreground.
    ///
    /// # Errors
    /// As [`Mask::read_fitted`].
    pub fn read_whole(&self, dimensions: (u32, u32)) -> Result<Vec<bool>> {
        Ok(mask_pixels(&self.read_for(dimensions)?))
    }

    fn read_for(&self, dimensions: (u32, u32)) -> Result<RgbImage> {
        let mask = self.read()?;
        ensure_size(&self.files[0], mask.dimensions(), dimensions, Path::new("its image"))?;
        Ok(mask)
    }

    /// Whether there is a defect; a mask that cannot be read is not asked.
    pub(super) fn is_empty(&self) -> bool {
        self.read().is_ok_and(|mask| mask.iter().all(|&value| value == 0))
    }
}

fn ensure_size(path: &Path, found: (u32, u32), expected: (u32, u32), of: &Path) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let reason =
        format!("the mask has {} x {} pixels, {} {} x {}", found.0, found.1, of.display(), expected.0, expected.1);
    Err(Error::Image { name: path.display().to_string(), reason })
}

fn read(path: &Path) -> Result<RgbImage> {
    let name = path.display().to_string();
    let mut mask = Decoder::default().for_masks().open(path)?.whole(&name)?;
    if !is_soft(path, &mask) {
        mask.pixels_mut().for_each(|pixel| pixel.0 = [if pixel.0 == [0; 3] { 0 } else { 255 }; 3]);
        return Ok(mask);
    }
    let brightest = mask.iter().copied().max().unwrap_or(0);
    if (16..128).contains(&brightest) {
        return Err(Error::Image {
            name,
            reason: format!(
                "its brightest pixel is {brightest} of 255, and it has soft edges: what is foreground cannot be told; \
                 save the mask as PNG with 0 and 255 only"
            ),
        });
    }
    mask.pixels_mut().for_each(|pixel| pixel.0 = pixel.0.map(|value| if value >= 128 { 255 } else { 0 }));
    Ok(mask)
}

/// Whether a mask's levels blend into one another, rather than being labels.
fn is_soft(path: &Path, mask: &RgbImage) -> bool {
    if ["jpg", "jpeg", "jpe", "jfif"].contains(&extension(path).as_str()) {
        return true;
    }
    let is_grey = mask.pixels().all(|pixel| pixel.0[0] == pixel.0[1] && pixel.0[0] == pixel.0[2]);
    is_grey && colours(mask, SOFT_LEVELS) >= SOFT_LEVELS && mask.iter().any(|&value| value >= 128)
}

/// How many different colours there are; counting ends at `most`.
fn colours(image: &RgbImage, most: usize) -> usize {
    let mut met = BTreeSet::new();
    image.pixels().any(|pixel| {
        met.insert(pixel.0);
        met.len() >= most
    });
    met.len()
}

/// Whether a folder holds masks.
pub(super) fn is_folder(folder: &Folder) -> bool {
    folder.is_called(&FOLDERS)
}

/// Images, and the masks that lie beside them.
#[derive(Default)]
pub(super) struct Beside {
    /// Each image with its mask.
    pub(super) images: Vec<(PathBuf, Option<Mask>)>,
}

impl Beside {
    /// Tells images and masks in a list of files apart: `a_mask.png`, `a_label.bmp` and so on beside `a.jpg`, and the
    /// PNG of few colours beside the JPEG of the same name.
    pub(super) fn of(files: &[PathBuf]) -> Self {
        let key = |path: &Path, stem: &str| path.with_file_name(stem.to_lowercase());
        let mut images: BTreeMap<PathBuf, Vec<&PathBuf>> = BTreeMap::new();
        for path in files {
            images.entry(key(path, &stem(path))).or_default().push(path);
        }
        let mut masks: BTreeMap<&PathBuf, Vec<PathBuf>> = BTreeMap::new();
        let mut are_masks = BTreeSet::new();
        for path in files {
            let named = unmarked(&stem(path), |word| WORDS.contains(&word)).and_then(|of| images.get(&key(path, &of)));
            let paired = || {
                let same = images.get(&key(path, &stem(path)))?;
                let has_photograph = same.iter().any(|other| ["jpg", "jpeg"].contains(&extension(other).as_str()));
                (extension(path) == "png" && has_photograph && shows_mask(path)).then_some(same)
            };
            if let Some(owners) = named.or_else(paired) {
                are_masks.insert(path);
                owners.iter().filter(|owner| **owner != path).for_each(|owner| {
                    masks.entry(owner).or_default().push(path.clone());
                });
            }
        }
        let images = files.iter().filter(|path| !are_masks.contains(path));
        Self {
            images: images
                .map(|path| (path.clone(), masks.get(path).map(|files| Mask { files: files.clone() })))
                .collect(),
        }
    }

    /// The masks.
    pub(super) fn masks(&self) -> impl Iterator<Item = PassedOver> {
        let files: BTreeSet<_> =
            self.images.iter().filter_map(|(_, mask)| mask.as_ref()).flat_map(|mask| &mask.files).collect();
        files.into_iter().map(|path| PassedOver { path: path.clone(), why: Why::Mask })
    }
}

/// The masks among files: those beside the image that they belong to, by name or, of a PNG beside the JPEG of the same
/// name, by their few colours.
pub fn masks_beside(files: &[PathBuf]) -> Vec<PassedOver> {
    Beside::of(files).masks().collect()
}

/// Whether a picture has as few colours as a mask.
fn shows_mask(path: &Path) -> bool {
    Decoder::default().for_masks().open(path).is_ok_and(|decoded| colours(&decoded.image, SOFT_LEVELS) < SOFT_LEVELS)
}

/// A name without the word before or behind it that `is_mark` knows.
fn unmarked(stem: &str, is_mark: impl Fn(&str) -> bool) -> Option<String> {
    let lower = stem.to_lowercase();
    let behind = lower.char_indices().filter(|(_, letter)| SEPARATORS.contains(letter));
    for (at, _) in behind {
        let (before, after) = (&lower[..at], &lower[at + 1..]);
        if is_mark(after) && !before.is_empty() {
            return Some(stem[..at].to_owned());
        }
        if is_mark(before) && !after.is_empty() {
            return Some(stem[at + 1..].to_owned());
        }
    }
    None
}

/// The files in a test set's folders of masks.
#[derive(Default)]
pub(super) struct Truth {
    /// By folder below that of the masks, and name of the image that a file may belong to, both in small letters.
    files: BTreeMap<(String, String), Vec<Candidate>>,
    all: BTreeSet<PathBuf>,
    used: BTreeSet<PathBuf>,
}

/// A file that may be an image's mask.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// The less, the more likely.
    rank: u8,
    path: PathBuf,
}

impl Truth {
    pub(super) fn of(truth_folders: &[&Folder]) -> Result<Self> {
        let mut truth = Self::default();
        for folder in truth_folders {
            truth.add(folder, "")?;
        }
        Ok(truth)
    }

    fn add(&mut self, folder: &Folder, below: &str) -> Result<()> {
        for path in Files::directly_in(folder)?.images {
            let stem = stem(&path);
            let mut offer = |rank, of: &str| {
                let candidates = self.files.entry((below.to_owned(), of.to_lowercase())).or_default();
                candidates.push(Candidate { rank, path: path.clone() });
            };
            offer(1, &stem);
            if let Some(of) = unmarked(&stem, |word| WORDS.contains(&word)) {
                offer(0, &of);
            } else if let Some(of) = unmarked(&stem, |word| word.chars().all(char::is_alphabetic)) {
                offer(2, &of);
            }
            self.all.insert(path);
        }
        for inner in folder.folders()? {
            let inner_name = inner.name().to_lowercase();
            self.add(inner, &if below.is_empty() { inner_name } else { format!("{below}/{inner_name}") })?;
        }
        Ok(())
    }

    /// The mask of the image `stem` of a kind's folder: in the folder of the same name or, where `is_unique` says that
    /// no other image has the name, in any; `stem` itself may be a folder of several.
    pub(super) fn find(&mut self, kind: &str, stem: &str, is_unique: bool) -> Option<Mask> {
        let (kind, stem) = (kind.to_lowercase(), stem.to_lowercase());
        let named = |folder: &str, name: &str| {
            let candidates = self.files.get(&(folder.to_owned(), name.to_owned()))?;
            let rank = candidates.iter().map(|candidate| candidate.rank).min()?;
            Some(candidates.iter().filter(|candidate| candidate.rank == rank).map(|c| c.path.clone()).collect())
        };
        let folder_of_its_own = || {
            let folder = format!("{kind}/{stem}");
            let inside = self
                .files
                .iter()
                .filter(|((below, _), _)| below.trim_start_matches('/') == folder.trim_start_matches('/'));
            let files: BTreeSet<_> = inside.flat_map(|(_, candidates)| candidates).map(|c| c.path.clone()).collect();
            (!files.is_empty()).then(|| files.into_iter().collect())
        };
        let flat = || {
            let with_kind = SEPARATORS.iter().find_map(|separator| named("", &format!("{kind}{separator}{stem}")));
            with_kind.or_else(|| named("", &stem).filter(|_| is_unique))
        };
        let anywhere = || {
            let mut of_name = self.files.keys().filter(|(_, name)| *name == stem).map(|(folder, _)| folder.clone());
            let folder = of_name.next().filter(|_| is_unique)?;
            if of_name.next().is_some() { None } else { named(&folder, &stem) }
        };
        let files: Vec<PathBuf> = named(&kind, &stem).or_else(folder_of_its_own).or_else(flat).or_else(anywhere)?;
        self.used.extend(files.iter().cloned());
        Some(Mask { files })
    }

    /// Files that are no image's mask.
    pub(super) fn left_over(self) -> impl Iterator<Item = PassedOver> {
        let used = self.used;
        self.all
            .into_iter()
            .filter(move |path| !used.contains(path))
            .map(|path| PassedOver { path, why: Why::LoneMask })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::{DynamicImage, Rgb, Rgba};

    #[test]
    fn names_with_a_word_more() {
        let of = |stem| unmarked(stem, |word| WORDS.contains(&word));
        for (stem, image) in
            [("000_mask", "000"), ("a_b-GT", "a_b"), ("mask_7", "7"), ("x.label", "x"), ("a_ground_truth", "a")]
        {
            assert_eq!(of(stem).as_deref(), Some(image), "{stem}");
        }
        for stem in ["000", "left_right", "_mask", "mask"] {
            assert_eq!(of(stem), None, "{stem}");
        }
    }

    fn foreground(mask: impl Into<DynamicImage>) -> Result<Vec<bool>> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("mask.png");
        mask.into().save(&path).expect("writable");
        Mask { files: vec![path] }.read().map(|mask| mask_pixels(&mask))
    }

    #[test]
    fn everything_but_background_is_foreground() {
        let expected = vec![false, true, true, false];
        let greys = |values: [u8; 4]| image::GrayImage::from_raw(4, 1, values.to_vec()).expect("4 pixels");
        for values in [[0, 255, 255, 0], [0, 1, 1, 0], [0, 1, 255, 0], [0, 7, 100, 0]] {
            assert_eq!(foreground(greys(values)).expect("readable"), expected, "{values:?}");
        }
        let red = RgbImage::from_fn(4, 1, |x, _| Rgb([if x % 3 == 0 { 0 } else { 255 }, 0, 0]));
        assert_eq!(foreground(red).expect("readable"), expected);
        let clear = image::RgbaImage::from_fn(4, 1, |x, _| Rgba([255, 255, 255, if x % 3 == 0 { 0 } else { 255 }]));
        assert_eq!(foreground(clear).expect("readable"), expected);
        let deep = image::ImageBuffer::from_fn(4, 1, |x, _| image::Luma([if x % 3 == 0 { 0 } else { 300_u16 }]));
        assert_eq!(foreground(deep).expect("readable"), expected);
        let labels = image::ImageBuffer::from_fn(4, 1, |x, _| image::Luma([if x % 3 == 0 { 0 } else { 2_u16 }]));
        assert_eq!(foreground(labels).expect("readable"), expected);
    }

    #[test]
    fn soft_edges_are_cut_in_the_middle() {
        let ramp = |scale: u32| image::GrayImage::from_fn(256, 1, |x, _| image::Luma([(x * scale / 4) as u8]));
        let expected: Vec<bool> = (0..256).map(|x| x >= 128).collect();
        assert_eq!(foreground(ramp(4)).expect("readable"), expected);
        let labels: Vec<bool> = (0..256).map(|x| x >= 4).collect();
        assert_eq!(foreground(ramp(1)).expect("readable"), labels, "no bright level: these are labels");
    }
}
