//! What is in a folder.

use crate::{Error, Result};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

/// The endings of files that are taken for images where a folder is searched.
pub const IMAGE_EXTENSIONS: [&str; 18] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "bmp", "dib", "tif", "tiff", "btf", "tf8", "webp", "gif", "pbm", "pgm", "ppm",
    "pnm", "pam",
];

/// The endings of photographs in formats that are not read.
const UNREAD_EXTENSIONS: [&str; 20] = [
    "avif", "heic", "heif", "hif", "jxl", "jp2", "j2k", "psd", "exr", "hdr", "dng", "cr2", "cr3", "nef", "arw", "orf",
    "rw2", "raf", "tga", "svg",
];

/// Whether a file's name ends as an image's.
pub fn is_image(path: &Path) -> bool {
    IMAGE_EXTENSIONS.contains(&extension(path).as_str())
}

/// A file that was not taken for a part's photograph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// The file.
    pub path: PathBuf,
    /// Why it was not taken.
    pub why: Why,
}

/// Why a file was not taken for a part's photograph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Why {
    /// The file is a photograph in a format that is not read.
    Unread,
    /// The file's name does not end as an image's.
    NoImage,
    /// The file is the mask of another image.
    Mask,
    /// The file lies among masks, but no image has its name.
    LoneMask,
    /// The photograph shows a defective part, where only good ones are wanted.
    Defective,
    /// The file was named twice.
    Repeated,
}

impl Why {
    /// What `count` files of the kind are called.
    fn noun(self, count: usize) -> &'static str {
        match (self, count) {
            (Self::Unread, 1) => "photograph in a format that is not read; save it as PNG or JPEG",
            (Self::Unread, _) => "photographs in formats that are not read; save them as PNG or JPEG",
            (Self::NoImage, 1) => "file that is no image",
            (Self::NoImage, _) => "files that are no images",
            (Self::Mask, 1) => "mask",
            (Self::Mask, _) => "masks",
            (Self::LoneMask, 1) => "mask that fits no image",
            (Self::LoneMask, _) => "masks that fit no image",
            (Self::Defective, 1) => "photograph of a defective part",
            (Self::Defective, _) => "photographs of defective parts",
            (Self::Repeated, 1) => "file named twice",
            (Self::Repeated, _) => "files named twice",
        }
    }
}

/// The files that were not taken, in a sentence: how many, why, and an example of each reason.
#[derive(Clone, Copy, Debug)]
pub struct PassedOverSummary<'a>(pub &'a [PassedOver]);

impl fmt::Display for PassedOverSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by_reason = BTreeMap::<Why, Vec<&Path>>::new();
        for PassedOver { path, why } in self.0 {
            by_reason.entry(*why).or_default().push(path);
        }
        write!(f, "passed over: ")?;
        for (index, (why, paths)) in by_reason.into_iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            let such_as = if paths.len() > 1 { "such as " } else { "" };
            write!(f, "{separator}{} {} ({such_as}{})", paths.len(), why.noun(paths.len()), paths[0].display())?;
        }
        Ok(())
    }
}

/// What a file that is no image is passed over for.
pub fn passed_over(path: PathBuf) -> PassedOver {
    let why = if UNREAD_EXTENSIONS.contains(&extension(&path).as_str()) { Why::Unread } else { Why::NoImage };
    PassedOver { path, why }
}

/// The files of a folder, and perhaps of those below; hidden ones are left out.
#[derive(Default)]
pub(super) struct Files {
    /// Sorted.
    pub(super) images: Vec<PathBuf>,
    pub(super) others: Vec<PassedOver>,
}

impl Files {
    /// The files directly in a folder.
    pub(super) fn directly_in(folder: &Folder) -> Result<Self> {
        let (images, others) = folder.listing()?.files.iter().cloned().partition(|path| is_image(path));
        Ok(Self { images, others: Vec::into_iter(others).map(passed_over).collect() })
    }

    /// The files in a folder and all below, but for folders that are not `entered`.
    pub(super) fn below(folder: &Folder, entered: &impl Fn(&Folder) -> bool) -> Result<Self> {
        let mut files = Self::directly_in(folder)?;
        for inner in folder.folders()?.iter().filter(|inner| entered(inner)) {
            let Self { images, others } = Self::below(inner, entered)?;
            files.images.extend(images);
            files.others.extend(others);
        }
        Ok(files)
    }
}

/// A folder, which is listed when it is first asked what it holds, and then no more: on a share each question takes its
/// time.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    listing: OnceCell<Listing>,
}

impl Folder {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), listing: OnceCell::new() }
    }

    /// The last part of its path.
    pub(super) fn name(&self) -> String {
        name(&self.path)
    }

    /// Whether its name is one of these, which are written in small letters.
    pub(super) fn is_called(&self, names: &[&str]) -> bool {
        names.contains(&self.name().to_lowercase().as_str())
    }

    /// The folders in it, sorted.
    pub(super) fn folders(&self) -> Result<&[Self]> {
        Ok(&self.listing()?.folders)
    }

    /// The folder in it that has one of these names, written in small letters; the first name that there is.
    pub(super) fn folder_named(&self, names: &[&str]) -> Result<Option<&Self>> {
        let all = self.folders()?;
        Ok(names.iter().find_map(|name| all.iter().find(|inner| inner.is_called(&[name]))))
    }

    fn listing(&self) -> Result<&Listing> {
        if let Some(listing) = self.listing.get() {
            return Ok(listing);
        }
        let listing = Listing::of(&self.path)?;
        Ok(self.listing.get_or_init(|| listing))
    }
}

/// What a folder lists, each sorted by path. A link is what it leads to; hidden entries are left out, and links to a
/// folder that they are in.
struct Listing {
    files: Vec<PathBuf>,
    folders: Vec<Folder>,
}

impl Listing {
    /// The listing says what an entry is; only links are followed.
    fn of(folder: &Path) -> Result<Self> {
        let list = || fs::read_dir(folder)?.collect::<std::io::Result<Vec<DirEntry>>>();
        let mut entries = list().map_err(Error::io("list", folder))?;
        entries.sort_by_key(DirEntry::path);
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in entries {
            let path = entry.path();
            if name(&path).starts_with('.') {
                continue;
            }
            let own = entry.file_type().ok();
            let is_link = own.is_some_and(|own| own.is_symlink());
            let kind = if is_link { fs::metadata(&path).ok().map(|target| target.file_type()) } else { own };
            match kind {
                Some(kind) if kind.is_file() => files.push(path),
                Some(kind) if kind.is_dir() && !(is_link && leads_back(&path, folder)) => {
                    folders.push(Folder::new(path));
                }
                _ => {}
            }
        }
        Ok(Self { files, folders })
    }
}

/// Whether a link in a folder leads to that folder or one it was reached through: following it would have no end.
fn leads_back(link: &Path, folder: &Path) -> bool {
    let Ok(target) = link.canonicalize() else { return true };
    folder.ancestors().any(|above| above.canonicalize().is_ok_and(|above| above == target))
}

/// The last part of a path.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The last part of a path, without the ending.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The ending of a path, in small letters.
pub(super) fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}
