//! The network inside a host's frame, as `examples/embed_headless.rs` shows it, against the command line.

#[path = "../../examples/embed_headless.rs"]
#[allow(dead_code, reason = "the example's main is not used")]
mod embed_headless;
mod support;

use std::path::Path;
use support::*;

/// The example itself asserts that its frames submit and create nothing.
#[test]
fn the_same_heatmap_as_on_the_command_line() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project");
    let model = project.join("weights/default.safetensors");
    let photograph = project.join("samples/test/chip/000.png");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let embedded = folder.path().join("embedded.png");
    pollster::block_on(embed_headless::run(&model, &photograph, &embedded)).expect("runs");
    pcsnet(folder.path())
        .arg("detect")
        .arg("--model")
        .arg(&model)
        .args(["--out", "out"])
        .arg(&photograph)
        .output()
        .expect("starts");
    let [ours, theirs] = [embedded, folder.path().join("out/000.png.heatmap.png")]
        .map(|path| image::open(path).expect("a picture").into_rgb8());
    assert_eq!(ours.dimensions(), theirs.dimensions());
    let level = |(a, b): (&image::Rgb<u8>, &image::Rgb<u8>)| (0..3).map(|c| a[c].abs_diff(b[c])).max().unwrap_or(0);
    let differences: Vec<u8> = ours.pixels().zip(theirs.pixels()).map(level).collect();
    let off = differences.iter().filter(|&&difference| difference > 1).count();
    eprintln!("{off} of {} pixels differ by more than a level", differences.len());
    // Where the two devices' features give another rounding, a value may fall on the other side of a colour's edge.
    assert!(off * 200 <= differences.len() && differences.iter().all(|&difference| difference <= 8), "{off}");
    assert!(ours.pixels().any(|pixel| pixel != ours.get_pixel(0, 0)), "a heatmap of one colour shows nothing");
}
