//! A contact sheet: what went in and what was found, photograph by photograph, as one picture.

use anyhow::{Context, Result};
use font8x8::UnicodeFonts;
use image::imageops::{FilterType, overlay, resize};
use image::{Rgb, RgbImage};
use std::path::{Path, PathBuf};

/// A photograph with everything that belongs to it.
pub(crate) struct Entry {
    pub photograph: PathBuf,
    /// What is really wrong, white on black; sound parts have none.
    pub mask: Option<PathBuf>,
    pub heatmap: PathBuf,
    pub overlay: PathBuf,
    /// What to write below, a line each.
    pub caption: [String; 2],
    /// Green below a right verdict, red below a wrong one.
    pub right: bool,
}

const THUMBNAIL: u32 = 160;
const GAP: u32 = 6;
const LINE: u32 = 14;
const COLUMNS: [&str; 4] = ["photograph", "ground truth", "anomaly map", "overlay"];
const BACKGROUND: Rgb<u8> = Rgb([24, 26, 30]);
const INK: Rgb<u8> = Rgb([222, 224, 228]);
const RIGHT: Rgb<u8> = Rgb([120, 200, 130]);
const WRONG: Rgb<u8> = Rgb([240, 110, 100]);

/// Two entries side by side in each row.
pub(crate) fn write(entries: &[Entry], path: &Path) -> Result<()> {
    let entry_width = COLUMNS.len() as u32 * (THUMBNAIL + GAP) + 2 * GAP;
    let entry_height = THUMBNAIL + 2 * LINE + 2 * GAP;
    let rows = entries.len().div_ceil(2) as u32;
    let mut sheet = RgbImage::from_pixel(2 * entry_width + GAP, rows * entry_height + LINE + 2 * GAP, BACKGROUND);
    for (index, entry) in (0..).zip(entries) {
        let left = GAP + (index % 2) * entry_width;
        let top = 2 * GAP + LINE + (index / 2) * entry_height;
        draw(&mut sheet, entry, left, top).with_context(|| format!("in {}", entry.photograph.display()))?;
        if index < 2 {
            for (column, name) in (0..).zip(COLUMNS) {
                write_text(&mut sheet, name, left + column * (THUMBNAIL + GAP), GAP, INK);
            }
        }
    }
    sheet.save(path).with_context(|| format!("cannot write {}", path.display()))
}

fn draw(sheet: &mut RgbImage, entry: &Entry, left: u32, top: u32) -> Result<()> {
    let pictures = [Some(&entry.photograph), entry.mask.as_ref(), Some(&entry.heatmap), Some(&entry.overlay)];
    for (column, picture) in (0..).zip(pictures) {
        let thumbnail = match picture {
            Some(path) => {
                let picture = image::open(path).with_context(|| format!("cannot read {}", path.display()))?.into_rgb8();
                resize(&picture, THUMBNAIL, THUMBNAIL, FilterType::Triangle)
            }
            None => RgbImage::new(THUMBNAIL, THUMBNAIL),
        };
        overlay(sheet, &thumbnail, (left + column * (THUMBNAIL + GAP)).into(), top.into());
    }
    let below = top + THUMBNAIL + GAP / 2;
    write_text(sheet, &entry.caption[0], left, below, INK);
    write_text(sheet, &entry.caption[1], left, below + LINE, if entry.right { RIGHT } else { WRONG });
    Ok(())
}

fn write_text(sheet: &mut RgbImage, text: &str, left: u32, top: u32, ink: Rgb<u8>) {
    for (index, character) in (0..).zip(text.chars()) {
        let Some(rows) = font8x8::BASIC_FONTS.get(character) else { continue };
        for (y, row) in (0..).zip(rows) {
            for x in (0..8).filter(|x| row >> x & 1 == 1) {
                let (x, y) = (left + 8 * index + x, top + y);
                if x < sheet.width() && y < sheet.height() {
                    sheet.put_pixel(x, y, ink);
                }
            }
        }
    }
}
