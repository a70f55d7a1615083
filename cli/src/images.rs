//! Which images there are, and what their outputs are called.

use anyhow::{Context, Result, bail, ensure};
use pcsnet::data::{IMAGE_EXTENSIONS, PassedOver, PassedOverSummary, is_image, masks_beside, passed_over};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;
use walkdir::WalkDir;

/// What tells cheaply that a file was written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub bytes: u64,
    /// Nanoseconds since 1970 of the last change.
    pub modified: u64,
}

/// A version of a file in a watched folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    #[serde(flatten)]
    pub stamp: Stamp,
    /// The SHA-256 of its content, in hexadecimal digits.
    pub sha256: String,
    /// Whether a failure is final; otherwise the file may yet change into one that can be read.
    #[serde(skip)]
    pub is_last_try: bool,
}

impl Stamp {
    /// A file's present version.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let modified = metadata.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Some(Self { bytes: metadata.len(), modified: modified.as_nanos() as u64 })
    }
}

/// An image to inspect.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// Where it is, as the user would say it.
    pub path: PathBuf,
    /// The image's place below the folder common to all arguments, so that no two images have the same.
    pub name: PathBuf,
    /// Which version of the file it is, in a watched folder.
    pub version: Option<Version>,
}

/// Models and images: `--model A B IMAGES` reads naturally, but only A is the option's value. No image is a
/// .safetensors file.
pub(crate) fn split_models(models: &[PathBuf], inputs: &[PathBuf]) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let is_model = |path: &Path| path.extension().is_some_and(|extension| extension == "safetensors");
    let (more, inputs): (Vec<_>, Vec<_>) = inputs.iter().cloned().partition(|path| is_model(path));
    ([models.to_owned(), more].concat(), inputs)
}

/// The paths of the images among files and in folders, each once, sorted.
///
/// # Errors
/// For arguments that are neither files nor folders, and where there is no image.
pub fn paths(arguments: &[PathBuf]) -> Result<Vec<PathBuf>> {
    // Nothing is written into a folder of images.
    Ok(find(arguments, Path::new(""))?.into_iter().map(|image| image.path).collect())
}

/// The images among and inside the arguments, each once, sorted. The output folder is not searched.
pub(crate) fn find(arguments: &[PathBuf], out: &Path) -> Result<Vec<Image>> {
    // Canonical, so that a folder is recognised whichever way it is written; a folder yet to be made is no folder's
    // part.
    let out = out.canonicalize().ok();
    let mut paths = BTreeMap::new();
    let mut folders = Vec::new();
    let mut left_out = Vec::new();
    for argument in arguments {
        let absolute = canonical(argument)?;
        if absolute.is_dir() {
            ensure!(
                out.as_ref() != Some(&absolute),
                "the output folder {} is itself searched for images, outputs would be taken for images the next time; \
                 choose another --out",
                argument.display()
            );
            search(argument, &absolute, out.as_deref(), &mut paths, &mut left_out)?;
            folders.push(absolute);
        } else {
            let is_file = fs::metadata(argument).is_ok_and(|metadata| metadata.is_file());
            ensure!(is_file, "{} is neither a file nor a folder", argument.display());
            folders.extend(absolute.parent().map(Path::to_owned));
            paths.insert(absolute, argument.clone());
        }
    }
    if !left_out.is_empty() {
        crate::output::complain(&format!("note: {}", PassedOverSummary(&left_out)));
    }
    if paths.is_empty() {
        let searched = arguments.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        bail!("no images found in {searched}; files ending in {} are taken", IMAGE_EXTENSIONS.join(", "));
    }
    let common = common_components(&folders);
    let image = |(absolute, path): (PathBuf, PathBuf)| Image {
        path,
        name: absolute.components().skip(common).collect(),
        version: None,
    };
    Ok(paths.into_iter().map(image).collect())
}

/// A path without links and dots. A file that is itself a link keeps its name.
fn canonical(path: &Path) -> Result<PathBuf> {
    let canonicalize = |path: &Path| path.canonicalize().with_context(|| format!("cannot read {}", path.display()));
    let whole = canonicalize(path)?;
    match path.file_name() {
        Some(name) if !whole.is_dir() => Ok(canonicalize(crate::output::folder_of(path))?.join(name)),
        _ => Ok(whole),
    }
}

/// Adds the images in a folder and those below: absolute path, and path as the user would say it. Masks and files that
/// are no images are `left_out`, but for hidden ones.
fn search(
    folder: &Path,
    absolute: &Path,
    out: Option<&Path>,
    paths: &mut BTreeMap<PathBuf, PathBuf>,
    left_out: &mut Vec<PassedOver>,
) -> Result<()> {
    let mut images = Vec::new();
    let is_out = |path: &Path| out.is_some() && path.canonicalize().ok().as_deref() == out;
    let walk = WalkDir::new(folder).follow_links(true).into_iter();
    for entry in walk.filter_entry(|entry| !(entry.file_type().is_dir() && is_out(entry.path()))) {
        let path = match entry {
            Ok(entry) if entry.file_type().is_file() && is_image(entry.path()) => entry.into_path(),
            Ok(entry) => {
                if entry.file_type().is_file() && !entry.file_name().to_string_lossy().starts_with('.') {
                    left_out.push(passed_over(entry.into_path()));
                }
                continue;
            }
            Err(error) => unreadable(error)?,
        };
        images.push(path);
    }
    let masks = masks_beside(&images);
    let are_masks: BTreeSet<_> = masks.iter().map(|mask| &mask.path).collect();
    for path in images.into_iter().filter(|path| !are_masks.contains(path)) {
        paths.insert(absolute.join(path.strip_prefix(folder)?), path);
    }
    left_out.extend(masks);
    Ok(())
}

/// A folder that cannot be listed and a link into nothing are passed on as if they were images: the others are still
/// done, and these are reported when they cannot be read.
fn unreadable(error: walkdir::Error) -> Result<PathBuf> {
    match error.path() {
        Some(path) => Ok(path.to_owned()),
        None => Err(error.into()),
    }
}

/// How many leading components all folders share.
fn common_components(folders: &[PathBuf]) -> usize {
    let Some((first, others)) = folders.split_first() else { return 0 };
    let shared = |other: &PathBuf| first.components().zip(other.components()).take_while(|(a, b)| a == b).count();
    // At least the root, without which the names are relative.
    let roots = first.components().take_while(|part| !matches!(part, Component::Normal(_))).count();
    others.iter().map(shared).min().unwrap_or(first.components().count()).max(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary folder");
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
            fs::write(path, "").expect("writable");
        }
        root
    }

    fn names(root: &Path, arguments: &[&str], out: &str) -> Vec<String> {
        let arguments: Vec<_> = arguments.iter().map(|argument| root.join(argument)).collect();
        let images = find(&arguments, &root.join(out)).expect("images");
        images.iter().map(|image| image.name.to_string_lossy().replace('\\', "/")).collect()
    }

    #[test]
    fn names_tell_images_apart() {
        let root = tree(&["good/0.png", "bad/0.png", "bad/deep/0.JPG", "bad/notes.txt", "out/0.png.overlay.png"]);
        let all = ["bad/0.png", "bad/deep/0.JPG", "good/0.png"];
        assert_eq!(names(root.path(), &["."], "out"), all);
        assert_eq!(names(root.path(), &["good", "bad", "bad/0.png", "bad/../good"], "out"), all);
        assert_eq!(names(root.path(), &["bad"], "out"), ["0.png", "deep/0.JPG"]);
        assert_eq!(names(root.path(), &["good/0.png"], "out"), ["0.png"]);
        assert_eq!(names(root.path(), &["good/0.png", "bad/deep"], "out"), ["bad/deep/0.JPG", "good/0.png"]);
        assert_eq!(names(root.path(), &["bad/notes.txt"], "none"), ["notes.txt"]);
    }

    #[test]
    fn nothing_to_do_is_said() {
        let root = tree(&["a/notes.txt"]);
        let reason = |argument: &str, out: &str| {
            find(&[root.path().join(argument)], &root.path().join(out)).expect_err("nothing to do").to_string()
        };
        assert!(reason("a", "out").contains("no images found"));
        assert!(reason("b", "out").contains("cannot read"));
        assert!(reason("a", "a").contains("choose another --out"));
    }
}
