//! What is done with arbitrary bytes. Nothing here may panic but where something is wrong.

#[path = "../../cli/src/detect/protocol.rs"]
mod protocol;

use pcsnet::data::{Dataset, categories, good_photographs};
use pcsnet::image::{Decoder, ValueRange};
use pcsnet::inspect::{Calibration, TrainingImages};
use pcsnet::schema;
use pcsnet::weights::{Weights, update_metadata};
use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Component, Path, PathBuf};

/// A target's name and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Target; 5] =
    [("image", image), ("layouts", layouts), ("metadata", metadata), ("stdin", stdin), ("weights", weights)];

/// An image file of any format, read as a photograph and in a stated range of samples.
pub fn image(bytes: &[u8]) {
    const MOST: u64 = 1 << 20;
    let decoder = Decoder::default().with_max_pixels(MOST);
    let stated = ValueRange { low: 0.0, high: 4095.0 };
    let [own, stated] = [decoder, decoder.with_range(Some(stated))].map(|decoder| decoder.decode(bytes, "fuzz"));
    // The other way round, floating-point samples outside 0 to 1 ask for a range.
    assert!(own.is_err() || stated.is_ok(), "a range makes no file worse");
    let decoded = match own {
        Ok(decoded) => decoded,
        Err(error) => return assert!(!error.to_string().contains("broke down"), "a decoder panicked"),
    };
    let (width, height) = decoded.image.dimensions();
    assert!(width > 0 && height > 0 && u64::from(width) * u64::from(height) <= MOST, "{width} x {height}");
    if let Some(missing) = decoded.missing {
        let ends = [(missing.x, missing.width, width), (missing.y, missing.height, height)];
        let is_inside = |(from, length, end): (u32, u32, u32)| length > 0 && from.checked_add(length) <= Some(end);
        assert!(ends.into_iter().all(is_inside), "{missing:?} of {width} x {height}");
        assert!(!decoded.remarks.is_empty(), "what is missing is said");
    }
}

/// A model file: its header, its metadata and all tensors that its sizes ask for.
pub fn weights(bytes: &[u8]) {
    let from_bytes = Weights::from_bytes("fuzz", bytes.to_vec());
    let from_source = Weights::from_source("fuzz", Cursor::new(bytes.to_vec()));
    assert_eq!(from_bytes.is_ok(), from_source.is_ok(), "a file is one from memory and from a stream");
    let Ok(weights) = from_bytes else { return };
    let metadata = weights.metadata();
    // Each may be refused, with words.
    let _ = Calibration::from_metadata(&metadata).map(|calibration| calibration.to_metadata());
    let _ = ValueRange::from_metadata(&metadata);
    let _ = TrainingImages::from_metadata(&metadata).contains("000.png", "00");
    let Ok(config) = weights.config() else { return };
    config.validate().expect("sizes that were read fit one another");
    let schema = schema::model(&config);
    let is_complete = weights.check(&schema).is_ok();
    for parameter in schema.tensors() {
        if let Ok(values) = weights.read(&parameter.name, &parameter.shape) {
            assert_eq!(values.len(), parameter.shape.iter().product::<usize>());
            assert!(values.iter().all(|value| value.is_finite()));
        } else if is_complete {
            // Only the values can still be wrong: NaN, or infinite.
            assert!(weights.contains(&parameter.name));
        }
    }
}

/// A model file whose metadata are rewritten: all of it, or nothing.
pub fn metadata(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let path = folder.path().join("model.safetensors");
    fs::write(&path, bytes).expect("writable");
    let read = || Weights::open([&path]).ok();
    let before = read();
    let changes: BTreeMap<_, _> =
        [("pcsnet.threshold", Some("0.5")), ("a \"key\"\n", Some("\u{7f}\\")), ("format", None)]
            .map(|(key, value)| (key.to_owned(), value.map(str::to_owned)))
            .into();
    let outcome = update_metadata(&path, &changes);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left behind");
    if outcome.is_err() {
        assert!(fs::read(&path).expect("still there") == bytes, "a file that cannot be rewritten stays as it is");
        assert!(before.is_none(), "what can be read can be rewritten");
        return;
    }
    let Some(before) = before else { return };
    let after = read().expect("a rewritten file can be read");
    assert!(before.names().eq(after.names()));
    let mut expected: BTreeMap<_, _> = before.metadata();
    for (key, value) in &changes {
        match value {
            Some(value) => expected.insert(key, value),
            None => expected.remove(key.as_str()),
        };
    }
    assert_eq!(after.metadata(), expected);
    update_metadata(&path, &changes).expect("once more");
}

/// A folder: lines `=path` begin a file, and the lines behind are its content.
pub fn layouts(bytes: &[u8]) {
    const MOST: usize = 64;
    let set = tempfile::tempdir().expect("a folder for temporary files");
    let set = set.path();
    for file in bytes.split(|&byte| byte == b'=').skip(1).take(MOST) {
        let end = file.iter().position(|&byte| byte == b'\n').unwrap_or(file.len());
        let (name, content) = (String::from_utf8_lossy(&file[..end]), file.get(end + 1..).unwrap_or_default());
        let Some(path) = below(&name) else { continue };
        let path = set.join(path);
        // A name may be taken by a folder, or too long.
        if path.parent().is_some_and(|folder| fs::create_dir_all(folder).is_ok()) {
            fs::write(path, content).ok();
        }
    }
    let _ = categories(set);
    // The second is a category with a table beside it.
    for folder in [set.to_owned(), set.join("set")] {
        let Ok(dataset) = Dataset::open(&folder) else { continue };
        assert!(!dataset.test.is_empty(), "a test set has images");
        assert!(!dataset.to_string().is_empty());
        for item in &dataset.test {
            assert!(item.kind.is_some() || item.mask.is_none(), "a good part has no mask: {item:?}");
            if let Some(mask) = &item.mask {
                let _ = mask.read();
            }
        }
    }
    if let Ok(found) = good_photographs(&[set]) {
        let mut paths = found.good.clone();
        paths.dedup();
        assert_eq!(paths.len(), found.good.len(), "each photograph once");
        assert!(found.good.iter().all(|path| found.passed_over.iter().all(|other| other.path != *path)));
    }
}

/// A relative path of a few plain names.
fn below(name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    let count = path.components().count();
    (!name.contains('\0') && (1..=6).contains(&count) && path.components().all(is_plain)).then(|| path.to_owned())
}

/// What comes in on the standard input, as lines and as images one after another.
pub fn stdin(bytes: &[u8]) {
    let mut reader = Cursor::new(bytes);
    let lines = std::iter::from_fn(|| protocol::next_line(&mut reader).expect("memory can be read"));
    let lengths: Vec<usize> = lines.map(|line| line.len()).collect();
    assert!(lengths.len() <= bytes.iter().filter(|&&byte| byte == b'\n').count() + 1);
    assert!(lengths.iter().sum::<usize>() <= bytes.len());
    let mut reader = Cursor::new(bytes);
    let (mut rest, mut count) = (bytes, 0);
    while let Ok(Some(image)) = protocol::next_image(&mut reader, count) {
        // PNG files come as they are, others behind their length.
        if !rest.starts_with(b"\x89PNG") {
            let (length, behind) = rest.split_at(4);
            assert_eq!(length, (image.len() as u32).to_le_bytes());
            rest = behind;
        }
        assert!(rest.starts_with(&image));
        (rest, count) = (&rest[image.len()..], count + 1);
    }
}
