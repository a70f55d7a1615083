//! Real-IAD's layout: a JSON file for each category tells which images train and test, their kinds and masks.

use super::found::Found;
use super::listing::name;
use super::{Item, Mask};
use crate::{Error, Result};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the JSON file may be, seen from the category's folder.
const PLACES: [&str; 5] = [".", "..", "../realiad_jsons", "../../realiad_jsons", "../../realiad_jsons/realiad_jsons"];

/// A category's JSON file.
#[derive(Deserialize)]
struct Table {
    meta: Meta,
    train: Vec<Row>,
    test: Vec<Row>,
}

#[derive(Deserialize)]
struct Meta {
    normal_class: String,
}

#[derive(Deserialize)]
struct Row {
    anomaly_class: String,
    image_path: PathBuf,
    mask_path: Option<PathBuf>,
}

/// The category's JSON file, if there is one.
pub(super) fn table(folder: &Path) -> Option<PathBuf> {
    let file = format!("{}.json", name(&folder.canonicalize().ok()?));
    PLACES.iter().map(|place| folder.join(place).join(&file)).find(|path| path.is_file())
}

pub(super) fn open(folder: &Path, path: &Path) -> Result<Found> {
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let table: Table = serde_json::from_str(&text).map_err(|error| Error::Dataset {
        path: path.to_owned(),
        reason: format!("it is no list of a Real-IAD category's images: {error}"),
    })?;
    let is_normal = |row: &Row| row.anomaly_class == table.meta.normal_class;
    let item = |row: &Row| {
        let mask = row.mask_path.as_ref().filter(|_| !is_normal(row));
        Item {
            kind: (!is_normal(row)).then(|| row.anomaly_class.clone()),
            path: folder.join(&row.image_path),
            mask: mask.map(|mask| Mask { files: vec![folder.join(mask)] }),
        }
    };
    let train = table.train.iter().filter(|row| is_normal(row)).map(|row| folder.join(&row.image_path));
    Ok(Found { train: train.collect(), test: table.test.iter().map(item).collect(), passed_over: Vec::new() })
}
