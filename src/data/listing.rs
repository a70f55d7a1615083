//! What is in a folder.

use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The endings of files that are taken for images where a folder is searched.
pub const IMAGE_EXTENSIONS: [&str; 11] =
    ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp", "gif", "pgm", "ppm", "pnm"];

/// Whether a file's name ends as an image's.
pub fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| IMAGE_EXTENSIONS.contains(&extension.as_str()))
}

/// The folders in a folder, sorted; hidden ones are passed over.
pub(super) fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    entries(folder, |path| path.is_dir())
}

/// The images in a folder, sorted; hidden ones are passed over.
pub(super) fn images(folder: &Path) -> Result<Vec<PathBuf>> {
    entries(folder, |path| is_image(path) && path.is_file())
}

fn entries(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let list = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    };
    let mut paths = list().map_err(Error::io("list", folder))?;
    paths.retain(|path| !name(path).starts_with('.') && wanted(path));
    paths.sort();
    Ok(paths)
}

/// The last part of a path.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The last part of a path, without the ending.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
