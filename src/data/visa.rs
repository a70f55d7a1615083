//! VisA's layout.

use super::found::{ANOMALY, Found};
use super::listing::{Files, Folder, name};
use super::masks::Truth;
use super::{Item, listing::stem};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) fn is_category(folder: &Folder) -> bool {
    folder.path.join("Data/Images").is_dir()
}

pub(super) fn open(folder: &Path) -> Result<Found> {
    let split = Split::of(folder)?;
    let mut found = Found::default();
    for (part, kind) in [("Normal", None), ("Anomaly", Some(ANOMALY.to_owned()))] {
        let (images, masks) = (folder.join("Data/Images").join(part), folder.join("Data/Masks").join(part));
        let files = if images.is_dir() { Files::directly_in(&Folder::new(images))? } else { Files::default() };
        let mut truth = if masks.is_dir() { Truth::of(&[&Folder::new(masks)])? } else { Truth::default() };
        found.passed_over.extend(files.others);
        for path in files.images {
            let mask = kind.as_ref().and_then(|_| truth.find("", &stem(&path), true));
            match &split {
                Some(split) if !split.tests(&path) => found.train.extend(kind.is_none().then_some(path)),
                _ => found.test.push(Item { kind: kind.clone(), path, mask }),
            }
        }
        found.passed_over.extend(truth.left_over());
    }
    Ok(found)
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
