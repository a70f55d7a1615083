//! Photographs of good parts, to teach from.

use super::found::{has_test, is_good};
use super::listing::{Files, Folder, PassedOver, Why, is_image, passed_over};
use super::masks::{self, Beside};
use super::{real_iad, visa};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Photographs of good parts, and what was not taken for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoodPhotographs {
    /// The photographs, in the order of the arguments, those of a folder sorted.
    pub good: Vec<PathBuf>,
    /// The other files, and why they were passed over.
    pub passed_over: Vec<PassedOver>,
}

/// The photographs of good parts among files and folders.
///
/// Of a test set (MVTec AD, VisA, Real-IAD and those like them) they are its training images. Of a folder that holds
/// one called `good`, `normal` or `ok` they are what is in there; of any other folder, all images in it and below.
/// Masks, beside the images or in folders of their own, and images whose masks show a defect are passed over; so are
/// files that are named twice.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be listed, [`Error::Dataset`] for one that holds test images but no good ones
/// to train with, and where no photograph is found at all; both say what was passed over.
pub fn good_photographs<P: AsRef<Path>>(arguments: &[P]) -> Result<GoodPhotographs> {
    let mut all = GoodPhotographs::default();
    let files: Vec<PathBuf> =
        arguments.iter().map(AsRef::as_ref).filter(|path| !path.is_dir()).map(Path::to_owned).collect();
    let (images, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| is_image(path));
    all.passed_over.extend(others.into_iter().map(passed_over));
    all.take(images);
    for folder in arguments.iter().map(AsRef::as_ref).filter(|path| path.is_dir()) {
        let GoodPhotographs { good, passed_over } = good_in(&Folder::new(folder))?;
        all.good.extend(good);
        all.passed_over.extend(passed_over);
    }
    let mut met = BTreeSet::new();
    let (good, repeated) =
        all.good.into_iter().partition(|path| met.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    all.good = good;
    let repeated = Vec::into_iter(repeated).map(|path| PassedOver { path, why: Why::Repeated });
    all.passed_over.extend(repeated);
    if all.good.is_empty() {
        let path = arguments.first().map(|path| path.as_ref().to_owned()).unwrap_or_default();
        let mut reason = "no photographs of good parts found".to_owned();
        if !all.passed_over.is_empty() {
            reason += &format!("; {}", super::PassedOverSummary(&all.passed_over));
        }
        return Err(Error::Dataset { path, reason });
    }
    Ok(all)
}

/// The good photographs of one folder; there may be none.
pub(super) fn good_in(folder: &Folder) -> Result<GoodPhotographs> {
    let mut found = GoodPhotographs::default();
    let set = if visa::is_category(folder) {
        Some(visa::open(&folder.path)?)
    } else {
        real_iad::table(&folder.path).map(|table| real_iad::open(&folder.path, &table)).transpose()?
    };
    if let Some(set) = set {
        // Without a split, VisA's normal images are all there is to train with.
        let normal = set.test.iter().filter(|item| item.kind.is_none()).map(|item| item.path.clone());
        found.good = if set.train.is_empty() { normal.collect() } else { set.train };
        return Ok(found);
    }
    if let Some(train) = folder.folder_named(&["train", "training"])? {
        return good_in(train);
    }
    let inner = folder.folders()?;
    if !inner.iter().any(is_good) {
        if has_test(folder) {
            let reason =
                "it holds test images, but no folder `train` or `good` with photographs of good parts".to_owned();
            return Err(Error::Dataset { path: folder.path.clone(), reason });
        }
        let files = Files::below(folder, &|inner| !masks::is_folder(inner))?;
        found.passed_over.extend(files.others);
        found.take(files.images);
        inner.iter().filter(|inner| masks::is_folder(inner)).try_for_each(|inner| found.pass_over(inner, Why::Mask))?;
        return Ok(found);
    }
    for inner in inner {
        if is_good(inner) {
            let files = Files::below(inner, &|inner| !masks::is_folder(inner))?;
            found.passed_over.extend(files.others);
            found.take(files.images);
        } else {
            found.pass_over(inner, if masks::is_folder(inner) { Why::Mask } else { Why::Defective })?;
        }
    }
    let beside = Files::directly_in(folder)?;
    found.passed_over.extend(beside.others);
    found.passed_over.extend(beside.images.into_iter().map(|path| PassedOver { path, why: Why::Defective }));
    Ok(found)
}

impl GoodPhotographs {
    /// Takes the images in a list of files that are neither masks nor shown defective by one.
    fn take(&mut self, files: Vec<PathBuf>) {
        let beside = Beside::of(&files);
        self.passed_over.extend(beside.masks());
        for (path, mask) in beside.images {
            match mask {
                Some(mask) if !mask.is_empty() => self.passed_over.push(PassedOver { path, why: Why::Defective }),
                _ => self.good.push(path),
            }
        }
    }

    fn pass_over(&mut self, folder: &Folder, why: Why) -> Result<()> {
        let files = Files::below(folder, &|_| true)?;
        self.passed_over.extend(files.images.into_iter().map(|path| PassedOver { path, why }));
        Ok(())
    }
}
