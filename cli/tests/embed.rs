//! The network inside a host's frame, as `examples/embed_headless.rs` shows it, against the command line.

#[path = "../../examples/embed_headless.rs"]
#[allow(dead_code, reason = "the example's main is not used")]
mod embed_headless;
mod support;

use std::path::Path;
use support::*;

/// The example itself asserts that its frames submit and create nothing; it counts for the whole process, so that its
/// runs take turns.
#[test]
fn the_same_heatmap_as_on_the_command_line() {
    embed_headless::count_calls().expect("the only logger");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project");
    let model = project.join("weights/default.safetensors");
    assert_same_heatmap(folder.path(), &model, &project.join("samples/test/chip/000.png"));

    // What a model that crops does not see is grey in both.
    let metadata = [("pcsnet.fit", "crop"), ("pcsnet.scale", "10,75")];
    let model = write_model_with(folder.path(), &tensors(), &metadata);
    let photograph = folder.path().join("wide.png");
    write_picture(&photograph, &picture(150, 90, 1));
    let heatmap = assert_same_heatmap(folder.path(), &model, &photograph);
    let unseen = image::Rgb([96; 3]);
    assert_eq!(*heatmap.get_pixel(0, 45), unseen);
    assert_ne!(*heatmap.get_pixel(75, 45), unseen);
    assert!(heatmap.pixels().filter(|pixel| **pixel == unseen).count() > 150 * 90 / 4, "a quarter is cropped away");
}

/// Runs the example and the command on a photograph, and gives the heatmap.
fn assert_same_heatmap(folder: &Path, model: &Path, photograph: &Path) -> image::RgbImage {
    let embedded = folder.join("embedded.png");
    pollster::block_on(embed_headless::run(model, photograph, &embedded)).expect("runs");
    let detect = ["--out", "out", "--model"].map(Path::new);
    pcsnet(folder).arg("detect").args(detect).args([model, photograph]).output().expect("starts");
    let name = photograph.file_name().expect("a file").to_string_lossy();
    let [ours, theirs] = [embedded, folder.join(format!("out/{name}.heatmap.png"))]
        .map(|path| image::open(path).expect("a picture").into_rgb8());
    assert_eq!(ours.dimensions(), theirs.dimensions());
    let level = |(a, b): (&image::Rgb<u8>, &image::Rgb<u8>)| (0..3).map(|c| a[c].abs_diff(b[c])).max().unwrap_or(0);
    let differences: Vec<u8> = ours.pixels().zip(theirs.pixels()).map(level).collect();
    let off = differences.iter().filter(|&&difference| difference > 1).count();
    eprintln!("{off} of {} pixels differ by more than a level", differences.len());
    // Where the two devices' features give another rounding, a value may fall on the other side of a colour's edge.
    assert!(off * 200 <= differences.len() && differences.iter().all(|&difference| difference <= 8), "{off}");
    let colours: std::collections::HashSet<_> = ours.pixels().collect();
    assert!(colours.len() > 10, "a heatmap of {} colours shows little", colours.len());
    ours
}
