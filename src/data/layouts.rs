//! How test sets put images, kinds and masks into folders.

use super::found::{ANOMALY, DEFECTIVE, Found, TEST, TRAINING, has_test, is_good};
use super::listing::{Files, Folder, PassedOver, Why, name, stem};
use super::masks::{Beside, Truth};
use super::{Dataset, Item, real_iad, visa};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) fn is_category(folder: &Folder) -> bool {
    let has_both = || {
        let is_there = |names| folder.folder_named(names).is_ok_and(|found| found.is_some());
        is_there(&["ok"]) && is_there(&["ng"])
    };
    visa::is_category(folder) || has_test(folder) || has_both()
}

pub(super) fn open(folder: &Folder) -> Result<Dataset> {
    let path = folder.path.as_path();
    let found = if visa::is_category(folder) {
        visa::open(path)?
    } else if let Some(table) = real_iad::table(path) {
        real_iad::open(path, &table)?
    } else {
        by_folders(folder)?
    };
    let Found { train, mut test, passed_over } = found;
    if test.is_empty() {
        let categories = folder.folders()?.iter().any(is_category);
        let reason = match categories {
            true => "it holds categories; name one of them, or all".to_owned(),
            false => "no test images found; MVTec AD's, VisA's, Real-IAD's and plain layouts are read".to_owned(),
        };
        return Err(Error::Dataset { path: path.to_owned(), reason });
    }
    test.sort();
    let has_masks = ensure_masks(path, &test, &passed_over)?;
    let absolute = path.canonicalize().map_err(Error::io("list", path))?;
    Ok(Dataset { name: name(&absolute), train, test, has_masks, passed_over })
}

/// All anomalous images must have masks, or none.
fn ensure_masks(folder: &Path, test: &[Item], passed_over: &[PassedOver]) -> Result<bool> {
    let anomalous: Vec<&Item> = test.iter().filter(|item| item.kind.is_some()).collect();
    let without: Vec<_> = anomalous.iter().filter(|item| item.mask.is_none()).collect();
    let Some(first) = without.first().filter(|_| without.len() < anomalous.len()) else {
        return Ok(without.is_empty() && !anomalous.is_empty());
    };
    let relative = |path: &Path| path.strip_prefix(folder).unwrap_or(path).display().to_string();
    let mut reason = format!(
        "{} has no mask, while others have theirs; `{}_mask.png` is looked for where theirs are",
        relative(&first.path),
        stem(&first.path)
    );
    if without.len() > 1 {
        reason += &format!(" ({} of {} anomalous images have none)", without.len(), anomalous.len());
    }
    let lone: Vec<_> = passed_over.iter().filter(|file| file.why == Why::LoneMask).collect();
    if let Some(example) = lone.first() {
        reason += &format!("; {} masks fit no image, such as {}", lone.len(), relative(&example.path));
    }
    Err(Error::Dataset { path: folder.to_owned(), reason })
}

/// MVTec AD's layout, those that differ from it a little, and plain folders of kinds.
fn by_folders(folder: &Folder) -> Result<Found> {
    let test = folder.folder_named(&TEST)?;
    if test.is_none() && folder.folders()?.iter().any(is_category) {
        return Ok(Found::default());
    }
    let root = test.unwrap_or(folder);
    // Of a plain folder, which is the root itself, its own are met below.
    let beside = if test.is_some() { folder.folders()? } else { &[] };
    let mut truth_folders: Vec<_> = beside.iter().filter(|inner| super::masks::is_folder(inner)).collect();
    let mut kind_folders = Vec::new();
    for inner in root.folders()? {
        if is_truth(inner, root) {
            truth_folders.push(inner);
        } else if test.is_some() || !inner.is_called(&TRAINING) {
            kind_folders.push(inner);
        }
    }
    let mut groups = vec![Group::of(Files::directly_in(root)?, Kind::Unknown)];
    for inner in kind_folders {
        groups.extend(Group::below(inner)?);
    }
    let mut found = with_masks(groups, Truth::of(&truth_folders)?);
    if let Some(train) = folder.folder_named(&TRAINING)? {
        found.train = super::good::good_in(train)?.good;
    }
    Ok(found)
}

/// Whether a folder holds the masks of the images in `root` or in the folders beside it.
fn is_truth(folder: &Folder, root: &Folder) -> bool {
    // A folder of this name may be of a kind of defect, unless images are beside it.
    let has_images = || Files::directly_in(root).is_ok_and(|files| !files.images.is_empty());
    super::masks::is_folder(folder) || (folder.is_called(&["label", "labels"]) && has_images())
}

/// What is known of a group's images.
enum Kind {
    Good,
    Defect(String),
    /// Whether an image is good is told by its mask.
    Unknown,
}

/// Images of one kind.
struct Group {
    kind: Kind,
    /// The folder of their masks, below that of all masks.
    folder: String,
    images: Beside,
    others: Vec<PassedOver>,
}

impl Group {
    fn of(files: Files, kind: Kind) -> Self {
        let folder = match &kind {
            Kind::Defect(kind) => kind.clone(),
            _ => String::new(),
        };
        let images = Beside::of(&files.images);
        Self { kind, folder, images, others: files.others }
    }

    /// A kind's folder, or one that holds a folder of each kind.
    fn below(folder: &Folder) -> Result<Vec<Self>> {
        let kinds = folder.folders()?;
        if folder.is_called(&DEFECTIVE) && !kinds.is_empty() && Files::directly_in(folder)?.images.is_empty() {
            let group = |inner: &Folder| Ok(Self::of(Files::below(inner, &|_| true)?, Kind::Defect(inner.name())));
            return kinds.iter().map(group).collect();
        }
        let kind = if is_good(folder) { Kind::Good } else { Kind::Defect(folder.name()) };
        Ok(vec![Self::of(Files::below(folder, &|inner| !super::masks::is_folder(inner))?, kind)])
    }
}

/// Gives the images of all groups their masks, and with them their kinds.
fn with_masks(groups: Vec<Group>, mut truth: Truth) -> Found {
    let mut found = Found::default();
    // How many images have a name: only a name that no other has tells whose a mask is that lies elsewhere.
    let mut names = BTreeMap::<String, usize>::new();
    let is_good = |group: &Group| matches!(group.kind, Kind::Good);
    for group in groups.iter().filter(|group| !is_good(group)) {
        for (path, _) in &group.images.images {
            *names.entry(stem(path).to_lowercase()).or_default() += 1;
        }
    }
    let has_good = groups.iter().any(|group| is_good(group) && !group.images.images.is_empty());
    for Group { kind, folder, images, others } in groups {
        found.passed_over.extend(others);
        for (path, beside) in images.images {
            let stem = stem(&path);
            let is_unique = names.get(&stem.to_lowercase()) == Some(&1);
            let mask = match kind {
                Kind::Good => None,
                _ => beside.or_else(|| truth.find(&folder, &stem, is_unique)),
            };
            let kind = match &kind {
                Kind::Good => None,
                Kind::Defect(kind) => Some(kind.clone()),
                Kind::Unknown => mask.as_ref().map(|_| ANOMALY.to_owned()),
            };
            found.test.push(Item { kind, path, mask });
        }
    }
    // Where every image has a mask, good parts are those with an empty one, as in KolektorSDD.
    if !has_good && !found.test.is_empty() && found.test.iter().all(|item| item.mask.is_some()) {
        for item in &mut found.test {
            if item.mask.as_ref().is_some_and(super::Mask::is_empty) {
                (item.kind, item.mask) = (None, None);
            }
        }
        if found.test.iter().any(|item| item.kind.is_none()) {
            found.test.iter_mut().for_each(|item| item.kind = item.kind.take().map(|_| ANOMALY.to_owned()));
        }
    }
    found.passed_over.extend(truth.left_over());
    found
}
