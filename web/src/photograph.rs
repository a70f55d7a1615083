//! Pictures as pixels.

use crate::now;
use image::imageops::thumbnail;
use pcsnet::image::RgbImage;
use wasm_bindgen::Clamped;
use wasm_bindgen::prelude::*;

/// A picture, decoded.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Photograph {
    pub(crate) image: RgbImage,
    pub(crate) decode_ms: f64,
}

#[wasm_bindgen]
impl Photograph {
    /// Decodes an image file; errors call it `name`.
    ///
    /// # Errors
    /// The reason where it is no image that is read.
    pub fn decode(bytes: Vec<u8>, name: &str) -> Result<Self, JsError> {
        let start = now();
        let image = pcsnet::image::decode(&bytes, name)?;
        Ok(Self { image, decode_ms: now() - start })
    }

    /// Takes pixels of 8-bit RGBA, of which alpha is dropped.
    ///
    /// # Errors
    /// Where there are not `width` x `height` of them.
    #[wasm_bindgen(js_name = fromRgba)]
    pub fn from_rgba(rgba: Clamped<Vec<u8>>, width: u32, height: u32) -> Result<Self, JsError> {
        let start = now();
        let mut rgb = Vec::with_capacity(rgba.len() / 4 * 3);
        rgba.chunks_exact(4).for_each(|pixel| rgb.extend_from_slice(&pixel[..3]));
        let image = RgbImage::from_raw(width, height, rgb).filter(|image| 4 * image.pixels().len() == rgba.len());
        let image = image.ok_or_else(|| {
            JsError::new(&format!("{width} x {height} pixels of RGBA were announced, {} bytes came", rgba.len()))
        })?;
        Ok(Self { image, decode_ms: now() - start })
    }

    /// Columns.
    #[wasm_bindgen(getter)]
    pub fn width(&self) -> u32 {
        self.image.width()
    }

    /// Rows.
    #[wasm_bindgen(getter)]
    pub fn height(&self) -> u32 {
        self.image.height()
    }

    /// The picture shrunk to `width` x `height` pixels of 8-bit RGBA, for an `ImageData`. A large picture is never held
    /// a second time at its own size.
    pub fn rgba(&self, width: u32, height: u32) -> Clamped<Vec<u8>> {
        if (width, height) == self.image.dimensions() {
            return rgba(&self.image);
        }
        rgba(&thumbnail(&self.image, width, height))
    }
}

fn rgba(image: &RgbImage) -> Clamped<Vec<u8>> {
    let mut rgba = Vec::with_capacity(4 * image.pixels().len());
    image.pixels().for_each(|pixel| rgba.extend([pixel[0], pixel[1], pixel[2], 255]));
    Clamped(rgba)
}
