//! What files decode to and what the network is given of them, a line each. `cargo xtask test-32bit` compares the lines
//! of two targets.

#[path = "../fuzz/src/seeds.rs"]
#[allow(dead_code, reason = "the seeds of images are a few of them")]
mod seeds;

use pcsnet::data::Dataset;
use pcsnet::image::{Decoder, Fit, preprocess};
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

/// A hash of bytes that no target's word size takes part in.
fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

#[test]
#[ignore = "prints what `cargo xtask test-32bit` compares"]
fn what_files_become() {
    let mut pictures = seeds::of("image");
    let samples = Dataset::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")).expect("a test set").test;
    let masks = samples.iter().flat_map(|item| item.mask.iter().flat_map(|mask| &mask.files));
    let files = samples.iter().map(|item| &item.path).chain(masks);
    pictures.extend(files.map(|path| (path.display().to_string(), fs::read(path).expect("readable"))));
    pictures.sort();
    for (name, bytes) in pictures {
        let decoded = Decoder::default().decode(&bytes, &name);
        let Ok(image) = decoded.map(|decoded| decoded.image) else {
            println!("decoded {name}: refused");
            continue;
        };
        let frames = [Fit::Stretch, Fit::Crop].map(|fit| {
            let frame = preprocess(&image, fit, 224).expect("a usable size");
            format!("{:016x}", digest(&frame))
        });
        println!("decoded {name}: {:?} {:016x}, framed {}", image.dimensions(), digest(&image), frames.join(" "));
    }
}
