//! Scores of all photographs of a folder, several at a time, most suspicious first.
//!
//! ```text
//! cargo run --release --example batch_folder -- [FOLDER [MODEL.safetensors...]]
//! ```

use pcsnet::image::{self, preprocess};
use pcsnet::weights::Weights;
use pcsnet::{Engine, EngineOptions, Precision, gpu};
use std::error::Error;
use std::path::{Path, PathBuf};

const BATCH: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let folder = arguments.next().unwrap_or_else(|| project.join("samples/test/scratch"));
    let mut models: Vec<PathBuf> = arguments.collect();
    if models.is_empty() {
        models.push(project.join("weights/default.safetensors"));
    }
    for (path, score) in pollster::block_on(scores(&folder, &models))? {
        println!("{score:.4}  {}", path.display());
    }
    Ok(())
}

/// The image score of every photograph in a folder, largest first.
pub async fn scores(folder: &Path, models: &[PathBuf]) -> Result<Vec<(PathBuf, f32)>, Box<dyn Error>> {
    let (device, queue) = gpu::open_device(None).await?;
    let engine = Engine::new(device, queue, EngineOptions::default())?;
    let model = engine.load(&Weights::open(models)?, Precision::F16).await?;
    let session = model.session(BATCH as u32).await?;
    let mut scores = Vec::new();
    for paths in photographs(folder)?.chunks(BATCH) {
        // A file that is no photograph is told and passed over; the model's own fit and size are the right ones.
        let mut inputs = Vec::new();
        let mut named = Vec::new();
        for path in paths {
            match image::open(path).and_then(|photograph| preprocess(&photograph, model.fit(), model.config().input)) {
                Ok(input) => {
                    inputs.push(input);
                    named.push(path.clone());
                }
                Err(error) => eprintln!("passed over: {error}"),
            }
        }
        let detections = session.run(&inputs).await?;
        scores.extend(named.into_iter().zip(detections.iter().map(|detection| detection.score)));
    }
    scores.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    Ok(scores)
}

fn photographs(folder: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
