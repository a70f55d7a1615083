//! How the layouts put images, kinds and masks into folders.

use super::listing::{folders, images, name, stem};
use super::{Dataset, Item, MaskFile};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder names of good parts.
const GOOD: [&str; 3] = ["good", "normal", "ok"];
/// The kind of an image of which only that it is anomalous is known.
const ANOMALY: &str = "anomaly";

pub(super) fn is_category(folder: &Path) -> bool {
    is_visa(folder) || is_mvtec(folder)
}

fn is_mvtec(folder: &Path) -> bool {
    folder.join("test").is_dir()
}

fn is_visa(folder: &Path) -> bool {
    folder.join("Data/Images").is_dir()
}

pub(super) fn open(folder: &Path) -> Result<Dataset> {
    let (train, mut test) = if is_mvtec(folder) {
        mvtec(folder)?
    } else if is_visa(folder) {
        visa(folder)?
    } else {
        (Vec::new(), plain(folder)?)
    };
    if test.is_empty() {
        let categories = folders(folder)?.iter().any(|folder| is_category(folder));
        let reason = match categories {
            true => "it holds categories; name one of them, or all".to_owned(),
            false => "no test images found; MVTec AD's, VisA's and plain layouts are read".to_owned(),
        };
        return Err(Error::Dataset { path: folder.to_owned(), reason });
    }
    test.sort();
    let has_masks = ensure_masks(folder, &test)?;
    let absolute = folder.canonicalize().map_err(Error::io("list", folder))?;
    Ok(Dataset { name: name(&absolute), train, test, has_masks })
}

/// All anomalous images must have masks, or none.
fn ensure_masks(folder: &Path, test: &[Item]) -> Result<bool> {
    let anomalous: Vec<&Item> = test.iter().filter(|item| item.kind.is_some()).collect();
    let without = anomalous.iter().find(|item| item.mask.is_none());
    let any = anomalous.iter().any(|item| item.mask.is_some());
    match without {
        Some(item) if any => {
            let place = item.path.strip_prefix(folder).unwrap_or(&item.path).display();
            let reason = format!(
                "{place} has no mask, while others have theirs; `{}_mask.png` is looked for where theirs are",
                stem(&item.path)
            );
            Err(Error::Dataset { path: folder.to_owned(), reason })
        }
        _ => Ok(any),
    }
}

fn mvtec(folder: &Path) -> Result<(Vec<PathBuf>, Vec<Item>)> {
    let good = folder.join("train/good");
    let train = if good.is_dir() { images(&good)? } else { Vec::new() };
    let mut test = Vec::new();
    for kind_folder in folders(&folder.join("test"))? {
        let kind = kind_of(&kind_folder);
        let masks = folder.join("ground_truth").join(name(&kind_folder));
        for path in images(&kind_folder)? {
            let mask = kind.as_ref().and_then(|_| mask_in(&masks, &path));
            test.push(Item { kind: kind.clone(), path, mask });
        }
    }
    Ok((train, test))
}

fn plain(folder: &Path) -> Result<Vec<Item>> {
    let masks = folder.join("masks");
    let mut test = Vec::new();
    for path in images(folder)?.into_iter().filter(|path| !is_mask(path)) {
        let mask = mask_beside(&path).or_else(|| mask_in(&masks, &path));
        test.push(Item { kind: mask.as_ref().map(|_| ANOMALY.to_owned()), path, mask });
    }
    for kind_folder in folders(folder)?.into_iter().filter(|kind_folder| *kind_folder != masks) {
        let kind = kind_of(&kind_folder);
        for path in images(&kind_folder)?.into_iter().filter(|path| !is_mask(path)) {
            let found = || mask_beside(&path).or_else(|| mask_in(&masks.join(name(&kind_folder)), &path));
            let mask = kind.as_ref().and_then(|_| found());
            test.push(Item { kind: kind.clone(), path, mask });
        }
    }
    Ok(test)
}

fn visa(folder: &Path) -> Result<(Vec<PathBuf>, Vec<Item>)> {
    let split = Split::of(folder)?;
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (part, kind) in [("Normal", None), ("Anomaly", Some(ANOMALY.to_owned()))] {
        let part_folder = folder.join("Data/Images").join(part);
        let found = if part_folder.is_dir() { images(&part_folder)? } else { Vec::new() };
        for path in found {
            if split.as_ref().is_some_and(|split| !split.tests(&path)) {
                train.extend(kind.is_none().then_some(path));
                continue;
            }
            let mask = kind.as_ref().and_then(|_| mask_in(&folder.join("Data/Masks").join(part), &path));
            let mask = mask.map(|mask| MaskFile { any_value: true, ..mask });
            test.push(Item { kind: kind.clone(), path, mask });
        }
    }
    Ok((train, test))
}

/// VisA's `split_csv/1cls.csv`: lines of object, split, label, image, mask.
struct Split {
    /// Paths of test images, from the category's parent on.
    test: BTreeSet<PathBuf>,
    root: PathBuf,
}

impl Split {
    fn of(category: &Path) -> Result<Option<Self>> {
        let root = category.join("..");
        let path = root.join("split_csv/1cls.csv");
        if !path.is_file() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let malformed = |line: &str| Error::Dataset {
            path: path.clone(),
            reason: format!("`{line}` is no line of object, split, label, image and mask"),
        };
        let mut test = BTreeSet::new();
        for line in text.lines().skip(1).filter(|line| !line.trim().is_empty()) {
            let fields: Vec<&str> = line.split(',').collect();
            let [_, split, _, image, ..] = fields[..] else { return Err(malformed(line)) };
            match split {
                "test" => drop(test.insert(PathBuf::from(image))),
                "train" => {}
                _ => return Err(malformed(line)),
            }
        }
        Ok(Some(Self { test, root: category.canonicalize().map_err(Error::io("list", category))? }))
    }

    fn tests(&self, image: &Path) -> bool {
        // `<category>/Data/Images/<part>/<name>`, as the table has it.
        let parts: Vec<_> = image.components().rev().take(4).collect();
        let below: PathBuf = parts.into_iter().rev().collect();
        self.test.contains(&Path::new(&name(&self.root)).join(below))
    }
}

/// `None` for good parts.
fn kind_of(folder: &Path) -> Option<String> {
    let kind = name(folder);
    (!GOOD.contains(&kind.to_lowercase().as_str())).then_some(kind)
}

fn is_mask(path: &Path) -> bool {
    stem(path).ends_with("_mask")
}

/// `<name>_mask.*` in the image's folder.
fn mask_beside(image: &Path) -> Option<MaskFile> {
    mask_named(image.parent()?, &format!("{}_mask", stem(image)))
}

/// `<name>_mask.*` or `<name>.*` in a folder of masks.
fn mask_in(folder: &Path, image: &Path) -> Option<MaskFile> {
    let stem = stem(image);
    mask_named(folder, &format!("{stem}_mask")).or_else(|| mask_named(folder, &stem))
}

fn mask_named(folder: &Path, stem: &str) -> Option<MaskFile> {
    let paths = super::IMAGE_EXTENSIONS.iter().map(|extension| folder.join(format!("{stem}.{extension}")));
    paths.into_iter().find(|path| path.is_file()).map(|path| MaskFile { path, any_value: false })
}
