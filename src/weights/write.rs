//! Writing safetensors files to disks.

use super::safetensors::TensorFile;
use super::serialize::{NamedTensor, check, write_tensors};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes tensors, in the given order, and `metadata` to a safetensors file.
///
/// The file appears whole or not at all: its bytes go to a temporary file in the same folder, which then takes the
/// name, replacing a file that had it. A failure leaves nothing behind.
///
/// # Errors
/// [`Error::Io`] where the file cannot be written, [`Error::Input`] for a shape that does not fit its values or a name
/// that is taken.
pub fn write(path: impl AsRef<Path>, tensors: &[NamedTensor<'_>], metadata: &BTreeMap<String, String>) -> Result<()> {
    check(tensors)?;
    let path = path.as_ref();
    write_atomically(path, |file| write_tensors(file, tensors, metadata)).map_err(Error::io("write", path))
}

/// Writes a file that appears whole or not at all, see [`write`].
pub(crate) fn write_bytes(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    write_atomically(path, |file| file.write_all(bytes)).map_err(Error::io("write", path))
}

/// Gives a safetensors file other metadata: each key of `changes` gets its value, or is taken out. The tensors stay as
/// they are, bit for bit, and the file is replaced whole or not at all; it keeps its permissions, and a symbolic link
/// to it stays one. Changes that several programs of this machine make at once all hold.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read or written, [`Error::Safetensors`] where it is malformed.
pub fn update_metadata(path: impl AsRef<Path>, changes: &BTreeMap<String, Option<String>>) -> Result<()> {
    let path = path.as_ref();
    let _turn = lock_for(path).map_err(Error::io("lock", path))?;
    let file = TensorFile::open(path)?;
    let mut metadata = file.metadata.clone();
    for (key, value) in changes {
        match value {
            Some(value) => metadata.insert(key.clone(), value.clone()),
            None => metadata.remove(key),
        };
    }
    write_atomically(path, |copy| file.write_with(&metadata, copy)).map_err(Error::io("write", path))
}

/// Waits until no other program of this machine rewrites a file; the turn ends with the value. The lock is a file in
/// the folder for temporary ones: the model itself is replaced, and its folder should hold nothing but models.
fn lock_for(path: &Path) -> io::Result<File> {
    let lock = std::env::temp_dir().join(lock_name(&fs::canonicalize(path)?));
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&lock);
    // Another user's, which can be locked without writing to it.
    let file = opened.or_else(|_| File::open(&lock))?;
    file.lock()?;
    Ok(file)
}

/// The name of the lock of a file, one of 256: locks stay, and there should be no end of them only because there is
/// none of models. Files that share one wait for each other.
fn lock_name(path: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    format!("pcsnet-{:02x}.lock", hasher.finish() % 256)
}

/// Writes a file under another name beside it, then gives it the name. A link's target is replaced, not the link, and a
/// file that was there leaves its permissions.
fn write_atomically(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let resolved = fs::canonicalize(path);
    let path = resolved.as_deref().unwrap_or(path);
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut temporary = tempfile::Builder::new();
    // Temporary files are for their owner's eyes only; this one becomes an ordinary file, so the umask decides.
    #[cfg(unix)]
    temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = temporary.tempfile_in(folder)?;
    if let Ok(former) = fs::metadata(path)
        && former.is_file()
    {
        temporary.as_file().set_permissions(former.permissions())?;
    }
    let mut file = BufWriter::new(temporary.as_file());
    fill(&mut file)?;
    file.into_inner()?.sync_all()?;
    temporary.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::safetensors::METADATA;
    use crate::weights::{Stored, read_tensor, serialize};
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    fn files_in(folder: &Path) -> usize {
        fs::read_dir(folder).expect("a readable folder").count()
    }

    #[test]
    fn round_trip() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("trace.safetensors");
        let values: Vec<f32> = (0..40_000).map(|i| i as f32 * 0.37 - 5.0).collect();
        let tensors = [
            NamedTensor { name: "scalar", shape: &[], values: &[1.5], stored: Stored::F16 },
            NamedTensor { name: "a \"quoted\" name", shape: &[1, 2, 100, 200], values: &values, stored: Stored::F32 },
            NamedTensor { name: "empty", shape: &[0, 3], values: &[], stored: Stored::F32 },
        ];
        let metadata = BTreeMap::from([("pcsnet.backbone".to_owned(), "resnet18".to_owned())]);
        fs::write(&path, "an older file").expect("a writable folder");
        write(&path, &tensors, &metadata).expect("a writable folder");
        for NamedTensor { name, shape, values, .. } in tensors {
            assert_eq!(read_tensor(&path, name, shape).expect("what was written"), values);
        }
        let bytes = fs::read(&path).expect("what was written");
        assert_eq!(serialize(&tensors, &metadata).expect("sound tensors"), bytes);
        let (header, stored) =
            safetensors::SafeTensors::read_metadata(&bytes).expect("valid for the format's own crate");
        assert_eq!(header % 8, 0);
        assert_eq!(stored.info("scalar").map(|info| info.dtype), Some(safetensors::Dtype::F16));
        assert_eq!(stored.offset_keys(), ["scalar", "a \"quoted\" name", "empty"]);
        assert_eq!(stored.metadata().as_ref().expect("metadata")["pcsnet.backbone"], "resnet18");
        assert_eq!(files_in(folder.path()), 1, "no temporary file stays");
    }

    #[cfg(unix)]
    #[test]
    fn as_readable_as_any_other_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mode = |name: &str| fs::metadata(folder.path().join(name)).expect("a file").permissions().mode();
        write(folder.path().join("ours"), &[], &BTreeMap::new()).expect("a writable folder");
        fs::write(folder.path().join("plain"), "").expect("a writable folder");
        assert_eq!(mode("ours"), mode("plain"));
    }

    #[test]
    fn locks_are_few() {
        let names: BTreeSet<String> =
            (0..5000).map(|model| lock_name(Path::new(&format!("/models/{model}")))).collect();
        assert_eq!(names.len(), 256);
    }

    #[test]
    fn failures_leave_nothing_behind() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let target = folder.path().join("a folder");
        fs::create_dir(&target).expect("a writable folder");
        for path in [target.clone(), target.join("missing").join("x.safetensors")] {
            let error = write(&path, &[], &BTreeMap::new()).expect_err("an impossible path");
            assert!(matches!(error, Error::Io { action: "write", .. }), "{error:?}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        }
        assert_eq!((files_in(folder.path()), files_in(&target)), (1, 0));
    }

    #[test]
    fn metadata_change_and_tensors_stay() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("model.safetensors");
        // As another program writes it: f16, bf16, a header of odd length.
        let header = concat!(
            r#"{"__metadata__":{"a":"1","b":"2"},"x":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"#,
            r#""y":{"dtype":"BF16","shape":[1],"data_offsets":[4,6]}}"#,
        );
        let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0, 0x3c, 1, 2, 0x80, 0x3f]].concat();
        fs::write(&path, &file).expect("a writable folder");
        let changes = [("a".to_owned(), None), ("c".to_owned(), Some("3".to_owned()))].into();
        update_metadata(&path, &changes).expect("a sound file");
        let bytes = fs::read(&path).expect("what was written");
        assert!(bytes.ends_with(&[0, 0x3c, 1, 2, 0x80, 0x3f]));
        let (_, stored) = safetensors::SafeTensors::read_metadata(&bytes).expect("valid for the format's own crate");
        let metadata = stored.metadata().as_ref().expect("metadata");
        assert_eq!((metadata.len(), metadata["b"].as_str(), metadata["c"].as_str()), (2, "2", "3"));
        assert_eq!(read_tensor(&path, "y", &[1]).expect("a tensor"), [1.0]);
        assert_eq!(files_in(folder.path()), 1, "no temporary file stays");
        fs::write(&path, &file[..file.len() - 1]).expect("a writable folder");
        assert!(update_metadata(&path, &changes).is_err(), "a file that is cut short is left alone");
        assert_eq!(fs::read(&path).expect("still there"), file[..file.len() - 1]);
    }

    /// A file of one tensor with a field of another program's.
    fn model_in(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("model.safetensors");
        let header = br#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"scale":[2,{"a":null}]}}     "#;
        fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header, &1.5_f32.to_le_bytes()].concat())
            .expect("writable");
        path
    }

    #[test]
    fn what_other_programs_say_of_tensors_stays() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = model_in(folder.path());
        update_metadata(&path, &[("a".to_owned(), Some("1".to_owned()))].into()).expect("a sound file");
        let bytes = fs::read(&path).expect("what was written");
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
        let header: Value = serde_json::from_slice(&bytes[8..8 + length]).expect("JSON");
        assert_eq!(
            header["x"],
            json!({ "dtype": "F32", "shape": [1], "data_offsets": [0, 4], "scale": [2, { "a": null }] })
        );
        assert_eq!(read_tensor(&path, "x", &[1]).expect("a tensor"), [1.5]);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_permissions_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = model_in(folder.path());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
        let link = folder.path().join("current.safetensors");
        symlink("model.safetensors", &link).expect("writable");
        update_metadata(&link, &[("a".to_owned(), Some("1".to_owned()))].into()).expect("a sound file");
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        assert_eq!(TensorFile::open(&path).expect("sound").metadata["a"], "1");
    }

    #[test]
    fn no_update_is_lost() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = model_in(folder.path());
        std::thread::scope(|scope| {
            for key in 0..12 {
                let path = &path;
                scope.spawn(move || {
                    let change = [(format!("key {key}"), Some("1".to_owned()))].into();
                    update_metadata(path, &change).expect("a sound file");
                });
            }
        });
        assert_eq!(TensorFile::open(&path).expect("sound").metadata.len(), 12);
    }

    #[test]
    fn unsound_tensors_are_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x.safetensors");
        let tensor = |name, shape| NamedTensor { name, shape, values: &[1.0, 2.0], stored: Stored::F32 };
        for (tensors, reason) in [
            (vec![tensor("a", &[3])], "2 values"),
            (vec![tensor("a", &[usize::MAX, 3])], "2 values"),
            (vec![tensor("a", &[2]), tensor("a", &[2])], "taken"),
            (vec![tensor(METADATA, &[2])], "taken"),
        ] {
            let error = write(&path, &tensors, &BTreeMap::new()).expect_err("unsound tensors");
            assert!(matches!(error, Error::Input { .. }), "{error:?}");
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert_eq!(files_in(folder.path()), 0);
    }
}
