//! Pictures as pixels.

use crate::now;
use pcsnet::image::{self, RgbImage};
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
        let image = image::decode(&bytes, name)?;
        Ok(Self { image, decode_ms: now() - start })
    }

    /// Takes pixels of 8-bit RGBA, of which alpha is dropped.
    ///
    /// # Errors
    /// Where there are not `width` x `height` of them.
    #[wasm_bindgen(js_name = fromRgba)]
    pub fn from_rgba(rgba: Clamped<Vec<u8>>, width: u32, height: u32) -> Result<Self, JsError> {
        let start = now();
        let rgb = rgba.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
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

    /// The pixels as 8-bit RGBA, for an `ImageData`.
    pub fn rgba(&self) -> Clamped<Vec<u8>> {
        Clamped(self.image.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect())
    }
}
