//! Where pictures come from.

use anyhow::{Result, ensure};
use pcsnet::image::{self, RgbImage};
use std::path::{Path, PathBuf};

/// Side of every frame.
pub const SIDE: u32 = 320;

/// A folder's pictures, all brought to one size, and the place reached in them.
pub struct Source {
    pictures: Vec<RgbImage>,
    /// What passes the camera: pixels along the pictures lying side by side.
    position: u32,
    pub kind: Kind,
}

/// How the pictures are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One after another.
    Folder,
    /// Passing by, as under a camera over a conveyor belt.
    Belt,
}

impl Source {
    pub fn open(folder: &Path) -> Result<Self> {
        let mut paths = Vec::new();
        collect(folder, &mut paths)?;
        paths.sort();
        let open = |path: &PathBuf| match image::open(path) {
            Ok(picture) => Some(square(&picture)),
            Err(error) => {
                eprintln!("passed over: {error}");
                None
            }
        };
        let pictures: Vec<RgbImage> = paths.iter().filter_map(open).collect();
        ensure!(!pictures.is_empty(), "no picture in {}", folder.display());
        Ok(Self { pictures, position: 0, kind: Kind::Folder })
    }

    /// The next frame, SIDE x SIDE pixels of 8-bit RGBA.
    pub fn next(&mut self) -> Vec<u8> {
        let step = match self.kind {
            Kind::Folder => SIDE - self.position % SIDE,
            Kind::Belt => SIDE / 16,
        };
        self.position = (self.position + step) % (SIDE * self.pictures.len() as u32);
        let pixel = |x: u32, y: u32| {
            let along = self.position + x;
            let picture = &self.pictures[(along / SIDE) as usize % self.pictures.len()];
            picture.get_pixel(along % SIDE, y).0
        };
        let places = (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y)));
        places
            .flat_map(|(x, y)| {
                let [r, g, b] = pixel(x, y);
                [r, g, b, 255]
            })
            .collect()
    }
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

fn square(picture: &RgbImage) -> RgbImage {
    ::image::imageops::resize(picture, SIDE, SIDE, ::image::imageops::FilterType::Triangle)
}
