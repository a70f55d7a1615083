//! Pictures on the host: from a file to the network's input, and from the anomaly map back to a picture.
//!
//! ```no_run
//! use pcsnet::image::{Fit, Frame, Scale, open, overlay};
//!
//! # fn main() -> pcsnet::Result<()> {
//! let photograph = open("part.png")?;
//! let frame = Frame::new(Fit::Crop, photograph.dimensions(), 224)?;
//! let input = frame.input(&photograph)?; // 224 x 224 RGB, what the network sees
//! # let anomaly_map = vec![0.0; 224 * 224];
//! // ... the network turns `input` into `anomaly_map`, 224 x 224 ...
//! let picture = overlay(&photograph, &anomaly_map, &frame, Scale { low: 0.0, high: 1.0 }, 0.6)?;
//! # Ok(())
//! # }
//! ```
//!
//! A network is only as good as its input is the one it was trained on, and it was trained on what Pillow and
//! torchvision made of the files. So decoding, resizing and cropping here give the pixels that
//! `ImageOps.exif_transpose(Image.open(path)).convert("RGB")`, `Resize(256, LANCZOS)` and `CenterCrop(224)` give;
//! `tests/pillow.rs` compares. Where that ends, such as with JPEG in the browser, the pages of [`decode()`] and [`Fit`]
//! say.

mod components;
mod decode;
mod fit;
mod heatmap;
mod light;
pub(crate) mod resize;
mod tiles;

pub use ::image::RgbImage;
pub(crate) use components::ensure_rows;
pub use components::{Components, components};
pub use decode::{Decoded, Decoder, Depth, MAX_BYTES, MAX_PIXELS, ValueRange, decode, open};
pub(crate) use fit::rgba;
pub use fit::{Fit, Frame, MAX_SIDE, Rect, mask_pixels, preprocess, preprocess_mask};
pub use heatmap::{ColourMap, Scale, heatmap, overlay, paint_over};
pub use tiles::{JoinedMap, Tiles};
