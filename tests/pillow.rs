//! `pcsnet::image` against Pillow itself.
//!
//! A Python that has Pillow makes images of every kind, and of them what Pillow and torchvision's arithmetic give; the
//! tests compare pixel by pixel. Where there is no such Python, or no folder of photographs, they say so and pass.

#[path = "support/shared.rs"]
mod shared;

use pcsnet::image::{Fit, RgbImage, open, preprocess, preprocess_mask};
use shared::shared;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes images and expectations into the folder `argv[1]`, and prints one line per image:
/// its name, `exact`, `jpeg` or `refused`, and its decoded width and height.
const MAKE_IMAGES: &str = r#"
import os, random, struct, sys, warnings, zlib
import PIL
from PIL import Image, ImageFilter, ImageOps

warnings.simplefilter("ignore")
Image.MAX_IMAGE_PIXELS = None
folder = sys.argv[1]
rng = random.Random(7)

def noise(width, height):
    return Image.frombytes("RGB", (width, height), rng.randbytes(3 * width * height))

def crop_sizes(image):
    width, height = image.size
    short, long = min(width, height), max(width, height)
    longer = int(256 * long / short)
    return (256, longer) if width <= height else (longer, 256)

def centre_crop(image, along_x=True, along_y=True):
    width, height = image.size
    left = int(round((width - 224) / 2.0)) if along_x else 0
    top = int(round((height - 224) / 2.0)) if along_y else 0
    return image.crop((left, top, left + (224 if along_x else 1), top + (224 if along_y else 1)))

def crop(image, resample):
    width, height = crop_sizes(image)
    if width * height < 1 << 26:
        return centre_crop(image.resize((width, height), resample))
    # The whole resized image of a line of pixels would take gigabytes; every line of it is the same.
    assert 1 in image.size
    if image.width == 1:
        return centre_crop(image.resize((1, height), resample), along_x=False).resize((224, 224), Image.NEAREST)
    return centre_crop(image.resize((width, 1), resample), along_y=False).resize((224, 224), Image.NEAREST)

def stretch(image):
    if int(PIL.__version__.split(".")[0]) < 13:
        return image.resize((224, 224), Image.LANCZOS)
    # Since 13 Pillow takes rows first where the height shrinks more than the width; columns first was always the order.
    return image.resize((224, image.height), Image.LANCZOS).resize((224, 224), Image.LANCZOS)

def expect(name, kind, rgb=None):
    if kind == "refused":
        return print(name, kind, 0, 0)
    if rgb is None:
        image = Image.open(os.path.join(folder, name))
        image.load()
        # Pillow turns TIFFs when it loads them; some versions would turn them again.
        rgb = (image if image.format == "TIFF" else ImageOps.exif_transpose(image)).convert("RGB")
    out = os.path.join(folder, os.path.basename(name))
    write = lambda suffix, image: open(out + suffix, "wb").write(image.tobytes())
    write(".rgb", rgb)
    write(".crop", crop(rgb, Image.LANCZOS))
    write(".stretch", stretch(rgb))
    grey = rgb.convert("L")
    write(".mask-crop", crop(grey, Image.NEAREST))
    write(".mask-stretch", grey.resize((224, 224), Image.NEAREST))
    print(name, kind, *rgb.size)

def raw(name, data, kind="exact", rgb=None):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)
    expect(name, kind, rgb)

def save(name, image, kind="exact", **options):
    image.save(os.path.join(folder, name), **options)
    expect(name, kind)

def png(width, height, depth, colour, data, interlace=0, *extra):
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)

def lines(height, stride):
    return b"".join(b"\0" + rng.randbytes(stride) for _ in range(height))

def adam7(image):
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    data = b""
    for left, top, right, down in passes:
        for y in range(top, image.height, down):
            data += b"\0" + b"".join(bytes(image.getpixel((x, y))) for x in range(left, image.width, right))
    return png(*image.size, 8, 2, data, 1)

def sizes():
    for width, height in [(1, 1), (7, 3), (1, 50), (223, 225), (256, 256), (257, 259), (224, 224), (255, 1000),
                          (640, 480), (1, 5000), (5000, 1), (4000, 3000)]:
        save(f"size-{width}x{height}.bmp", noise(width, height))
    for seed in range(30):
        save(f"size-random-{seed}.bmp", noise(rng.randrange(1, 400), rng.randrange(1, 400)))
    save("black-and-white.bmp", noise(301, 200).convert("L").point(lambda v: 255 * (v > 127)).convert("RGB"))

def modes():
    picture = noise(41, 29).filter(ImageFilter.GaussianBlur(1))
    alpha = noise(41, 29).convert("L")
    clear = picture.convert("RGBA"); clear.putalpha(alpha)
    grey = picture.convert("L")
    grey_alpha = grey.convert("LA"); grey_alpha.putalpha(alpha)
    palette = picture.quantize(200)
    few = picture.quantize(13)

    for name, image in [("1", grey.convert("1")), ("l", grey), ("la", grey_alpha), ("rgb", picture), ("rgba", clear),
                        ("p", palette), ("p4", few)]:
        save(f"mode-{name}.png", image)
    save("mode-p-clear.png", palette, transparency=3)
    save("mode-l-clear.png", grey, transparency=3)
    save("mode-rgb-clear.png", picture, transparency=(1, 2, 3))
    raw("grey2.png", png(41, 29, 2, 0, lines(29, 11)))
    raw("grey4.png", png(41, 29, 4, 0, lines(29, 21)))
    raw("every-grey.png", png(256, 1, 8, 0, b"\0" + bytes(range(256))))
    raw("rgb16.png", png(41, 29, 16, 2, lines(29, 6 * 41)))
    raw("rgba16.png", png(41, 29, 16, 6, lines(29, 8 * 41)))
    raw("la16.png", png(41, 29, 16, 4, lines(29, 4 * 41)))
    raw("interlaced.png", adam7(picture))
    raw("gamma.png", png(41, 29, 8, 2, lines(29, 3 * 41), 0, (b"gAMA", struct.pack(">I", 100000))))
    # Of what Pillow clips or does not read, the highest 8 bits.
    deep = [rng.randbytes(2 * 41) for _ in range(29)]
    highest = Image.frombytes("L", (41, 29), b"".join(line[::2] for line in deep)).convert("RGB")
    raw("grey16.png", png(41, 29, 16, 0, b"".join(b"\0" + line for line in deep)), rgb=highest)

    for name, image in [("1", grey.convert("1")), ("l", grey), ("p", palette), ("rgb", picture), ("rgba", clear)]:
        save(f"mode-{name}.bmp", image)
    for name, image in [("1", grey.convert("1")), ("l", grey), ("rgb", picture), ("rgba", clear)]:
        save(f"mode-{name}.tif", image)
    for compression in ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"]:
        save(f"{compression}.tif", picture, compression=compression)
    for name, image in [("la", grey_alpha), ("p", palette), ("cmyk", picture.convert("CMYK"))]:
        save(f"mode-{name}.tif", image)
    save("associated.tif", clear, tiffinfo={338: 1})
    save("white-is-zero.tif", grey, tiffinfo={262: 0})
    save("mode-f.tif", grey.convert("F"), "refused")
    for order in ["<", ">"]:
        entries = [(256, 4, 2), (257, 4, 1), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
                   (278, 4, 1), (279, 4, 4)]
        entry = lambda tag, kind, value: struct.pack(order + ("HHIHxx" if kind == 3 else "HHII"), tag, kind, 1, value)
        data = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I2H", 12, 0x1234, 0xfedc)
        data += struct.pack(order + "H", len(entries)) + b"".join(entry(*each) for each in entries) + bytes(4)
        raw(f"grey16{order}.tif", data, rgb=Image.frombytes("L", (2, 1), b"\x12\xfe").convert("RGB"))

    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"turned-{orientation}.png", picture, exif=exif)
        save(f"turned-{orientation}.webp", picture, exif=exif, lossless=True)
        save(f"turned-{orientation}.tif", picture, tiffinfo={274: orientation})

    for name, masks in [("555", (0x7c00, 0x3e0, 0x1f)), ("565", (0xf800, 0x7e0, 0x1f))]:
        header = struct.pack("<IiiHHIIiiII3I", 40, 40, 29, 1, 16, 3, 80 * 29, 0, 0, 0, 0, *masks)
        data = struct.pack("<2sIHHI", b"BM", 66 + 80 * 29, 0, 0, 66) + header + rng.randbytes(80 * 29)
        raw(f"{name}.bmp", data)

    save("lossless.webp", picture, lossless=True)
    save("lossless-rgba.webp", clear, lossless=True, exact=True)
    save("lossy.webp", picture, quality=80)
    save("lossy-rgba.webp", clear, quality=80)
    save("animated.webp", picture, save_all=True, append_images=[noise(41, 29)], lossless=True)

    save("mode-l.gif", grey)
    save("mode-p.gif", palette, interlace=0)
    save("interlaced.gif", palette, interlace=1)
    save("clear.gif", palette, transparency=5)
    save("animated.gif", palette, save_all=True, append_images=[noise(41, 29)])

    save("mode-1.pbm", grey.convert("1"))
    save("mode-l.pgm", grey)
    save("mode-rgb.ppm", picture)
    raw("text.ppm", b"P3 2 1 255\n0 1 2 253 254 255\n")
    raw("text.pbm", b"P1 2 2\n0 1\n1 0\n")
    raw("depth100.ppm", b"P6 2 1 100\n" + bytes([0, 1, 50, 51, 99, 100]))
    raw("depth16.pgm", b"P5 2 1 65535\n" + struct.pack(">2H", 300, 65535),
        rgb=Image.frombytes("L", (2, 1), b"\1\xff").convert("RGB"))

def patched(source, name, find, offset, new):
    with open(os.path.join(folder, source), "rb") as file:
        data = bytearray(file.read())
    at = data.index(find) + offset
    data[at:at + len(new)] = new
    raw(name, bytes(data), "jpeg")

def jpegs():
    photograph = noise(41, 29).filter(ImageFilter.GaussianBlur(1)).resize((333, 250), Image.BICUBIC)
    for quality in [10, 50, 75, 95, 100]:
        save(f"grey-{quality}.jpg", photograph.convert("L"), "jpeg", quality=quality)
        save(f"rgb-{quality}.jpg", photograph, "jpeg", quality=quality, keep_rgb=True)
        for subsampling in [0, 1, 2]:
            for progressive in [False, True]:
                save(f"colour-{quality}-{subsampling}-{progressive}.jpg", photograph, "jpeg",
                     quality=quality, subsampling=subsampling, progressive=progressive)
    for width in [1, 2, 3, 7, 8, 9, 15, 16, 17, 33]:
        for height in [1, 2, 3, 8, 16, 17]:
            for subsampling in [0, 1, 2]:
                save(f"small-{width}x{height}-{subsampling}.jpg", noise(width, height), "jpeg", subsampling=subsampling)
    save("restarts.jpg", photograph, "jpeg", restart_marker_blocks=3)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"turned-{orientation}.jpg", photograph.convert("L"), "jpeg", exif=exif)
    save("grey-progressive.jpg", photograph.convert("L"), "jpeg", progressive=True)

    for subsampling in [0, 1, 2]:
        for progressive in [False, True]:
            name = f"cmyk-{subsampling}-{progressive}.jpg"
            save(name, photograph.convert("CMYK"), "jpeg", subsampling=subsampling, progressive=progressive)
            # The last byte of Adobe's marker says how colours are transformed: 2 is YCCK.
            patched(name, f"ycck-{subsampling}-{progressive}.jpg", b"Adobe", 11, b"\2")
    every_ink = Image.frombytes("CMYK", (256, 256), rng.randbytes(4 << 16))
    save("every-ink.jpg", every_ink, "jpeg", quality=100)

    # Pillow does not write these subsamplings, but files of as many blocks can be declared to have them.
    square = photograph.resize((64, 64))
    for subsampling, factors in [(1, [0x12]), (2, [0x41, 0x14])]:
        save(f"square-{subsampling}.jpg", square, "jpeg", subsampling=subsampling)
        for factor in factors:
            patched(f"square-{subsampling}.jpg", f"factors-{factor:x}.jpg", b"\xff\xc0", 11, bytes([factor]))

    with open(os.path.join(folder, "restarts.jpg"), "rb") as file:
        whole = file.read()
    raw("half.jpg", whole[:len(whole) // 2], "refused")
    raw("no-end-mark.jpg", whole[:-2], "jpeg", Image.open(os.path.join(folder, "restarts.jpg")).convert("RGB"))
    raw("no-scan.jpg", whole[:whole.index(b"\xff\xda")], "refused")
    raw("no-tables.jpg", whole.replace(b"\xff\xdb", b"\xff\xfe"), "refused")
    # Older Pillows write no restart markers.
    if b"\xff\xd3" in whole:
        raw("lost-block.jpg", whole.replace(b"\xff\xd3", b"", 1), "refused")

def photographs():
    for path in sys.argv[3:]:
        expect(path, "jpeg" if path.endswith(".jpg") else "exact")

globals()[sys.argv[2]]()
"#;

/// A Python that can import Pillow.
fn python() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let usable = |python: &PathBuf| {
        Command::new(python).args(["-c", "import PIL.Image"]).output().is_ok_and(|output| output.status.success())
    };
    std::env::split_paths(&folders).map(|folder| folder.join("python3")).find(usable)
}

/// One image and what Pillow makes of it.
struct Sample {
    path: PathBuf,
    kind: String,
    /// The image's expectations, without their suffixes.
    expected: PathBuf,
    dimensions: (u32, u32),
}

impl Sample {
    fn expected(&self, suffix: &str) -> Vec<u8> {
        let path = format!("{}.{suffix}", self.expected.display());
        std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn expected_image(&self) -> RgbImage {
        let (width, height) = self.dimensions;
        RgbImage::from_raw(width, height, self.expected("rgb")).expect("Pillow's pixels")
    }
}

/// Runs one function of [`MAKE_IMAGES`]; `None`, and a word about it, where no Python has Pillow.
fn samples(folder: &Path, function: &str, arguments: &[PathBuf]) -> Option<Vec<Sample>> {
    let Some(python) = python() else {
        eprintln!("skipped: no python3 on the PATH can import Pillow");
        return None;
    };
    let output = Command::new(python)
        .args(["-c", MAKE_IMAGES])
        .arg(folder)
        .arg(function)
        .args(arguments)
        .output()
        .expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sample = |line: &str| {
        let words: Vec<&str> = line.rsplitn(4, ' ').collect();
        let path = folder.join(words[3]);
        let expected = folder.join(path.file_name().expect("a file name"));
        let side = |word: &str| word.parse().expect("a number");
        Sample { path, kind: words[2].to_owned(), expected, dimensions: (side(words[1]), side(words[0])) }
    };
    Some(String::from_utf8(output.stdout).expect("UTF-8").lines().map(sample).collect())
}

/// How far two pictures are apart.
#[derive(Default)]
struct Difference {
    pixels: usize,
    differing: usize,
    largest: u8,
}

impl Difference {
    fn between(found: &[u8], expected: &[u8]) -> Self {
        assert_eq!(found.len(), expected.len());
        let pixels = found.chunks_exact(3).zip(expected.chunks_exact(3));
        let levels = pixels.map(|(a, b)| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0));
        levels.fold(Self::default(), |sum, level| {
            sum.and(Self { pixels: 1, differing: (level > 0).into(), largest: level })
        })
    }

    fn and(self, other: Self) -> Self {
        Self {
            pixels: self.pixels + other.pixels,
            differing: self.differing + other.differing,
            largest: self.largest.max(other.largest),
        }
    }

    fn share(&self) -> f64 {
        self.differing as f64 / self.pixels.max(1) as f64
    }

    fn assert_within(&self, largest: u8, share: f64, what: &str) {
        assert!(self.largest <= largest && self.share() <= share, "{what}: {}", self.report());
    }

    fn report(&self) -> String {
        format!("{} of {} pixels differ, by at most {}", self.differing, self.pixels, self.largest)
    }
}

fn check_decoding(samples: &[Sample]) {
    let mut totals = std::collections::BTreeMap::<&str, Difference>::new();
    for sample in samples {
        let name = sample.path.display().to_string();
        let decoded = open(&sample.path);
        if sample.kind == "refused" {
            eprintln!("{}", decoded.err().unwrap_or_else(|| panic!("{name} is not refused")));
            continue;
        }
        let decoded = decoded.expect("decodes");
        assert_eq!(decoded.dimensions(), sample.dimensions, "{name}");
        let difference = Difference::between(&decoded, &sample.expected("rgb"));
        match sample.kind.as_str() {
            "exact" => difference.assert_within(0, 0.0, &name),
            // None with the libjpeg-turbo in Pillow's wheels; a Pillow may be built with another libjpeg.
            _ => difference.assert_within(1, 0.001, &name),
        }
        let total = totals.remove(sample.kind.as_str()).unwrap_or_default();
        totals.insert(&sample.kind, total.and(difference));
    }
    for (kind, total) in totals {
        eprintln!("decoding, {kind}: {}", total.report());
    }
}

/// Fits Pillow's own decoded pixels, so that only resizing and cropping are compared.
fn check_fits(samples: &[Sample]) {
    for (fit, suffix) in [(Fit::Crop, "crop"), (Fit::Stretch, "stretch")] {
        let mut total = Difference::default();
        for sample in samples.iter().filter(|sample| sample.kind != "refused") {
            let image = sample.expected_image();
            let what = format!("{} {suffix}", sample.path.display());
            let fitted = preprocess(&image, fit, 224).expect("fits");
            let difference = Difference::between(&fitted, &sample.expected(suffix));
            difference.assert_within(1, 0.001, &what);
            total = total.and(difference);
            let mask = preprocess_mask(&image, fit, 224).expect("fits");
            let expected = sample.expected(&format!("mask-{suffix}"));
            assert!(
                mask.into_iter().eq(expected.into_iter().map(|value| f64::from(value) / 255.0 >= 0.5)),
                "mask {what}"
            );
        }
        eprintln!("{suffix}: {}", total.report());
    }
}

#[test]
fn every_size_is_fitted_as_by_pillow() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(samples) = samples(folder.path(), "sizes", &[]) else { return };
    check_decoding(&samples);
    check_fits(&samples);
}

#[test]
fn every_mode_is_decoded_as_by_pillow() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(samples) = samples(folder.path(), "modes", &[]) else { return };
    check_decoding(&samples);
    check_fits(&samples);
}

#[test]
fn every_jpeg_is_decoded_as_by_pillow() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(samples) = samples(folder.path(), "jpegs", &[]) else { return };
    check_decoding(&samples);
}

#[test]
fn photographs_and_masks_come_out_as_from_pillow() {
    let Some(data) = shared("data") else { return };
    let mut files = Vec::new();
    images_below(&data, &mut files);
    files.sort();
    // Every eleventh of each kind: enough to meet every category, few enough to be quick.
    let (jpegs, others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| file.extension().is_some_and(|extension| extension == "jpg"));
    let chosen: Vec<_> = jpegs.into_iter().step_by(11).chain(others.into_iter().step_by(11)).collect();
    let folder = tempfile::tempdir().expect("a folder");
    // Files of one name in different folders would overwrite each other's expectations.
    let copies: Vec<_> = chosen.iter().enumerate().map(|(index, file)| copy(file, folder.path(), index)).collect();
    let Some(samples) = samples(folder.path(), "photographs", &copies) else { return };
    check_decoding(&samples);
    check_fits(&samples);
    for (fit, suffix) in [(Fit::Crop, "crop"), (Fit::Stretch, "stretch")] {
        let mut total = Difference::default();
        for sample in &samples {
            let fitted = preprocess(&open(&sample.path).expect("decodes"), fit, 224).expect("fits");
            let difference = Difference::between(&fitted, &sample.expected(suffix));
            difference.assert_within(1, 0.001, &format!("{} {suffix}", sample.path.display()));
            total = total.and(difference);
        }
        eprintln!("from file to {suffix}: {}", total.report());
    }
}

fn images_below(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() {
            images_below(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "jpg" || extension == "png") {
            files.push(path);
        }
    }
}

fn copy(file: &Path, folder: &Path, index: usize) -> PathBuf {
    let name = file.file_name().expect("a file name").to_string_lossy();
    let copy = folder.join(format!("{index}-{name}"));
    std::fs::copy(file, &copy).expect("copies");
    copy
}
