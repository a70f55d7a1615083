//! What the tests share: a small random model, pictures, and the command itself.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code, reason = "each test file uses some of it")]

use assert_cmd::Command;
use image::RgbImage;
use pcsnet::ModelConfig;
use pcsnet::config::{BackboneConfig, DescriptorKind, HeadConfig, LayerConfig, ResNetConfig, TrainedHead};
use pcsnet::schema;
use pcsnet::weights::{NamedTensor, Parameter, Stored, write};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Side of the small network's input.
pub const SIDE: u32 = 64;

/// The command, in a folder of its own. Without any adapter the tests that need one fail with the command's own error,
/// which says what to install.
pub fn pcsnet(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("pcsnet").expect("the command is built with its tests");
    // Without it Mesa's drivers complain on stderr, where tests look for the command's own words.
    command.current_dir(folder).env("XDG_RUNTIME_DIR", folder).env("PCSNET_NO_TUNING", "true");
    command
}

/// The command on a machine where no graphics driver is found.
pub fn pcsnet_without_adapters(folder: &Path) -> Command {
    let mut command = pcsnet(folder);
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "__EGL_VENDOR_LIBRARY_FILENAMES"] {
        command.env(variable, "/nonexistent");
    }
    command
}

/// A network small enough to run in a moment, with every part of a real one.
pub fn config() -> ModelConfig {
    let layer = |blocks, width, channels| LayerConfig { blocks, width, channels };
    ModelConfig {
        backbone: BackboneConfig::Bottleneck(ResNetConfig {
            stem: 8,
            layers: [layer(1, 8, 16), layer(2, 8, 32), layer(1, 16, 48)],
        }),
        input: SIDE,
        light: None,
        grid: 16,
        head: HeadConfig::Trained(TrainedHead {
            descriptor: DescriptorKind::Plain,
            prototypes: 64,
            nearest: 8,
            guide: 16,
            width: 16,
            bins: vec![12, 6],
        }),
    }
}

/// A model's tensors, by name.
pub type Tensors = Vec<(Parameter, Vec<f32>)>;

/// Random weights of a size that keeps activations alive through all layers; always the same.
pub fn tensors() -> Tensors {
    let schema = schema::model(&config());
    let mut random = Random(1);
    schema.tensors().iter().map(|tensor| (tensor.clone(), values(tensor, &mut random))).collect()
}

fn values(Parameter { name, shape, .. }: &Parameter, random: &mut Random) -> Vec<f32> {
    let inputs: usize = shape[1..].iter().product();
    let (mean, deviation) = match shape.len() {
        4 => (0.0, (2.0 / inputs as f32).sqrt()),
        2 => (0.0, 1.0),
        // A BatchNorm's scale and variance lie around 1; the latter must be positive.
        _ if name.ends_with(".running_var") || name.ends_with(".weight") => (1.0, 0.1),
        _ => (0.0, 0.1),
    };
    (0..shape.iter().product()).map(|_| mean + deviation * random.next()).collect()
}

/// Numbers in -1.7 to 1.7 with mean 0 and deviation 1, from a linear congruential generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let unit = (self.0 >> 40) as f32 / (1_u64 << 24) as f32;
        (unit - 0.5) * 12_f32.sqrt()
    }
}

/// Writes tensors as a model file `model.safetensors`.
pub fn write_model(folder: &Path, tensors: &Tensors) -> PathBuf {
    write_model_with(folder, tensors, &[])
}

/// Writes a model file with more metadata than its sizes.
pub fn write_model_with(folder: &Path, tensors: &Tensors, metadata: &[(&str, &str)]) -> PathBuf {
    let path = folder.join("model.safetensors");
    let sizes = serde_json::to_string(&config()).expect("sizes are JSON");
    let more = metadata.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
    let metadata: BTreeMap<String, String> = more.chain([("pcsnet.config".to_owned(), sizes)]).collect();
    let named: Vec<_> = tensors
        .iter()
        .map(|(tensor, values)| NamedTensor { name: &tensor.name, shape: &tensor.shape, values, stored: Stored::F32 })
        .collect();
    write(&path, &named, &metadata).expect("a writable folder");
    path
}

/// A folder with the small model, whose weights are sound.
pub fn folder_with_model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_model(folder.path(), &tensors());
    folder
}

/// A picture that differs with `seed`.
pub fn picture(width: u32, height: u32, seed: u32) -> RgbImage {
    let wave = |at: u32, period: u32| ((at as f32 / period as f32).sin() * 100.0 + 128.0) as u8;
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([wave(x, 3 + seed), wave(y, 5 + seed), wave(x + 2 * y, 7 + seed)])
    })
}

/// Writes a picture, with the folders above it.
pub fn write_picture(path: &Path, picture: &RgbImage) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
    picture.save(path).expect("a writable folder");
}

/// All files below a folder, relative to it, sorted; none if the folder is missing.
pub fn files_below(folder: &Path) -> Vec<String> {
    let walk = walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let relative = |path: &Path| path.strip_prefix(folder).expect("below").to_string_lossy().replace('\\', "/");
    let mut files: Vec<String> = walk.map(|entry| relative(entry.path())).collect();
    files.sort();
    files
}

/// Reads an `.npy` file of float32: its description and its values.
pub fn read_npy(path: &Path) -> (String, Vec<f32>) {
    let bytes = fs::read(path).expect("a map");
    assert_eq!(bytes[..8], *b"\x93NUMPY\x01\x00");
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let description = String::from_utf8(bytes[10..end].to_vec()).expect("ASCII");
    let values = bytes[end..].chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().expect("4 bytes")));
    (description.trim_end().to_owned(), values.collect())
}

/// A row of `scores.csv`.
#[derive(Debug, PartialEq)]
pub struct Row {
    pub path: String,
    pub score: Option<f32>,
    pub verdict: String,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub error: String,
}

/// Reads `scores.csv`.
pub fn read_scores(out: &Path) -> Vec<Row> {
    let mut table = csv::Reader::from_path(out.join("scores.csv")).expect("a table");
    let header = vec!["path", "score", "verdict", "lowest", "width", "height", "error"];
    assert_eq!(table.headers().expect("a header"), header);
    let row = |record: csv::StringRecord| Row {
        path: record[0].replace('\\', "/"),
        score: record[1].parse().ok(),
        verdict: record[2].to_owned(),
        width: record[4].parse().ok(),
        height: record[5].parse().ok(),
        error: record[6].to_owned(),
    };
    table.records().map(|record| row(record.expect("a row"))).collect()
}
