//! What a layout's folders hold, and the names that tell.

use super::Item;
use super::listing::{Folder, PassedOver};
use std::path::PathBuf;

/// The folder names of good parts.
const GOOD: [&str; 3] = ["good", "normal", "ok"];
/// The folder names of defective parts, which may hold a folder of each kind.
pub(super) const DEFECTIVE: [&str; 6] = ["ng", "bad", "defective", "defect", "anomaly", "anomalous"];
pub(super) const TRAINING: [&str; 3] = ["train", "training", "validation"];
pub(super) const TEST: [&str; 3] = ["test", "test_public", "testing"];
/// The kind of an image of which only that it is anomalous is known.
pub(super) const ANOMALY: &str = "anomaly";

/// What a folder holds.
#[derive(Default)]
pub(super) struct Found {
    pub(super) train: Vec<PathBuf>,
    pub(super) test: Vec<Item>,
    pub(super) passed_over: Vec<PassedOver>,
}

/// Whether a folder's name says that its parts are good.
pub(super) fn is_good(folder: &Folder) -> bool {
    folder.is_called(&GOOD)
}

/// Whether a folder holds one of test images.
pub(super) fn has_test(folder: &Folder) -> bool {
    folder.folder_named(&TEST).is_ok_and(|test| test.is_some())
}
