//! Files that stay outside of wasm's memory.

use pcsnet::weights::Weights;
use std::io::{Error, Read, Result, Seek, SeekFrom};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// A file: `{ size, read(begin, end) }`, where `read` gives a `Uint8Array` at once.
    #[wasm_bindgen(js_name = Object)]
    pub type Source;

    #[wasm_bindgen(method, getter)]
    fn size(this: &Source) -> f64;

    #[wasm_bindgen(method, catch)]
    fn read(this: &Source, begin: f64, end: f64) -> std::result::Result<js_sys::Uint8Array, JsValue>;
}

/// A [`Source`] with a place to read from.
pub(crate) struct JsSource {
    source: Source,
    position: u64,
}

/// The tensors of a file, none of which is read yet.
pub(crate) fn weights(name: &str, source: Source) -> pcsnet::Result<Weights> {
    Weights::from_source(name, JsSource { source, position: 0 })
}

/// Whether a file holds a head without a backbone.
///
/// # Errors
/// Where it is no safetensors file of a model.
#[wasm_bindgen(js_name = isHead)]
pub fn is_head(name: &str, source: Source) -> std::result::Result<bool, JsError> {
    Ok(!weights(name, source)?.names().any(|name| name.starts_with("backbone.")))
}

impl Read for JsSource {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let size = self.source.size() as u64;
        let begin = self.position.min(size);
        let end = (begin + buffer.len() as u64).min(size);
        let bytes = self.source.read(begin as f64, end as f64).map_err(|error| Error::other(format!("{error:?}")))?;
        let length = (end - begin) as usize;
        if bytes.length() as usize != length {
            return Err(Error::other(format!("bytes {begin} to {end} were asked for, {} came", bytes.length())));
        }
        bytes.copy_to(&mut buffer[..length]);
        self.position = end;
        Ok(length)
    }
}

impl Seek for JsSource {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let (from, offset) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::End(offset) => (self.source.size() as u64, offset),
            SeekFrom::Current(offset) => (self.position, offset),
        };
        self.position = from.checked_add_signed(offset).ok_or_else(|| Error::other("a place before the file"))?;
        Ok(self.position)
    }
}
