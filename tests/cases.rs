//! Files as people have them, with the right answers, from the folder of shared cases; where it is absent, the tests
//! say so and pass.

#[path = "support/shared.rs"]
mod shared;

use pcsnet::image::{Decoded, Decoder, RgbImage, ValueRange};
use shared::shared;
use std::path::Path;
use std::time::Instant;

fn read(folder: &Path, name: &str) -> Decoded {
    Decoder::default().open(folder.join(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// The largest difference of two pictures.
fn difference(a: &RgbImage, b: &RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    a.iter().zip(b.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

/// ITU-R 601, as Pillow's `convert("L")`.
fn grey(image: &RgbImage) -> RgbImage {
    let mut grey = image.clone();
    for pixel in grey.pixels_mut() {
        let [red, green, blue] = pixel.0.map(u32::from);
        pixel.0 = [((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16) as u8; 3];
    }
    grey
}

#[test]
fn pictures_lie_as_they_are_seen() {
    use image::imageops::{rotate90, rotate180};
    let Some(folder) = shared("cases/formats") else { return };
    let base = read(&folder, "00_base.png").image;
    assert_eq!(read(&folder, "exif_o6.png").image, rotate90(&base));
    assert_eq!(read(&folder, "tiff_orient6.tif").image, rotate90(&base));
    // JPEG loses a little.
    assert!(difference(&read(&folder, "exif_o6.jpg").image, &rotate90(&base)) < 40);
    assert!(difference(&read(&folder, "exif_o3.jpg").image, &rotate180(&base)) < 40);
}

#[test]
fn every_depth_gives_the_same_picture() {
    let Some(folder) = shared("cases/formats") else { return };
    let base = read(&folder, "00_base.png").image;
    let grey = grey(&base);
    for name in ["mono16.png", "mono12.pgm", "float01.tif"] {
        assert_eq!(difference(&read(&folder, name).image, &grey), 0, "{name}");
    }
    let dark = read(&folder, "mono12_in16.tif");
    assert!(dark.remarks[0].contains("--range 0,4095"), "{:?}", dark.remarks);
    let range = ValueRange::of_set(dark.depth.as_ref());
    assert_eq!(range, Some(ValueRange { low: 0.0, high: 4095.0 }));
    let stated = Decoder::default().with_range(range).open(folder.join("mono12_in16.tif")).expect("readable");
    assert_eq!(difference(&stated.image, &grey), 0);
    assert!(difference(&read(&folder, "rgb16.tif").image, &base) <= 1);
}

#[test]
fn common_containers_are_read() {
    let Some(folder) = shared("cases/formats") else { return };
    let base = read(&folder, "00_base.png").image;
    for (name, most) in
        [("tif_big.tif", 0), ("tif_planar.tif", 0), ("tif_cmyk.tif", 1), ("tif_palette.tif", 24), ("tif_jpeg.tif", 12)]
    {
        assert!(difference(&read(&folder, name).image, &base) <= most, "{name}");
    }
    assert!(difference(&read(&folder, "tif_la.tif").image, &grey(&base)) <= 9);
    for name in ["jpg_noeoi.jpg", "jpg_lead_garbage.jpg"] {
        let decoded = read(&folder, name);
        assert!(decoded.missing.is_none() && difference(&decoded.image, &base) < 40, "{name}");
    }
}

#[test]
fn what_is_missing_is_marked_and_said() {
    let Some(folder) = shared("cases/formats") else { return };
    let base = read(&folder, "00_base.png").image;
    for (name, most) in [("jpg_trunc50.jpg", 40), ("png_trunc.png", 0)] {
        let decoded = read(&folder, name);
        let missing = decoded.missing.expect("a part");
        assert_eq!((missing.x, missing.width, missing.y + missing.height), (0, 240, 200), "{name}");
        assert!((50..190).contains(&missing.y), "{name}: {missing:?}");
        let there = |image: &RgbImage| image::imageops::crop_imm(image, 0, 0, 240, missing.y).to_image();
        assert!(difference(&there(&decoded.image), &there(&base)) <= most, "{name}");
        assert!(decoded.remarks[0].contains("of 200 are missing"), "{:?}", decoded.remarks);
    }
    for (name, word) in [("png_crc.png", "checksum"), ("phone.avif", "AVIF"), ("phone.heic", "HEIC")] {
        let refusal = Decoder::default().open(folder.join(name)).expect_err("unusable").to_string();
        assert!(
            refusal.contains(word) && (refusal.contains("copy it again") || refusal.contains("save it")),
            "{refusal}"
        );
    }
}

#[test]
fn hostile_files_end_soon() {
    let Some(folder) = shared("cases/hostile") else { return };
    let start = Instant::now();
    let blank = read(&folder, "blank-4000.gif");
    assert_eq!(blank.image.dimensions(), (4000, 4000));
    let refusal = Decoder::default().open(folder.join("499-scans.jpg")).expect_err("hostile").to_string();
    assert!(refusal.contains("more scans than any program writes"), "{refusal}");
    eprintln!("{:.1} s", start.elapsed().as_secs_f64());
}

/// A test set of the samples with other masks, as the cases' folder tells to make one.
#[cfg(unix)]
fn samples_with(masks: &Path, root: &Path) -> std::path::PathBuf {
    let (samples, set) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("samples"), root.join("set"));
    std::fs::create_dir(&set).expect("writable");
    for (target, name) in [(samples.join("test"), "test"), (masks.to_owned(), "ground_truth")] {
        std::os::unix::fs::symlink(target, set.join(name)).expect("a file system with links");
    }
    set
}

/// However masks are drawn, they say the same; so all figures of a test set are the right masks'.
#[cfg(unix)]
#[test]
fn masks_of_every_kind_say_the_same() {
    use pcsnet::data::Dataset;
    let Some(folder) = shared("cases/masks") else { return };
    let open = |masks: &Path| {
        let root = tempfile::tempdir().expect("a temporary folder");
        let set = Dataset::open(samples_with(masks, root.path())).unwrap_or_else(|error| panic!("{error}"));
        let mask = |item: &pcsnet::data::Item| item.mask.as_ref().map(|mask| mask.read().expect("readable"));
        let masks: Vec<_> = set.test.iter().map(mask).collect();
        (set.to_string(), masks)
    };
    let (_, right) = open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/ground_truth"));
    assert_eq!(right.iter().flatten().count(), 10);
    for kind in ["m01", "rgb_red", "rgba_transparent_white", "loco", "misnamed"] {
        let (told, masks) = open(&folder.join(kind).join("ground_truth"));
        assert!(masks == right, "{kind}: {told}");
    }
    let (_, inverted) = open(&folder.join("inverted/ground_truth"));
    let foreground =
        |masks: &[Option<RgbImage>]| masks.iter().flatten().flat_map(|mask| mask.iter()).filter(|v| **v > 0).count();
    assert!(foreground(&inverted) > 10 * foreground(&right), "taken at their word, which is worth a warning");
}
