//! PCSNet few-shot anomaly detection, in hand-written WGSL on wgpu.
//!
//! PCSNet (Jiang, Cao, Shen, IEEE TNNLS 2024, arXiv 2512.15319) learns from a handful of photographs of good parts and
//! then marks what is wrong in others. This crate runs the whole network, from 8-bit pixels to the anomaly map, on any
//! Vulkan, Metal, DX12 or WebGPU device.
//!
//! ```no_run
//! use pcsnet::{Engine, EngineOptions, Precision, gpu, image, weights::Weights};
//!
//! # async fn example() -> pcsnet::Result<()> {
//! // A device of one's own, or that of the program this lives in.
//! let (device, queue) = gpu::open_device(None).await?;
//! let engine = Engine::new(device, queue, EngineOptions::default())?;
//!
//! let weights = Weights::open(["bottle.safetensors"])?;
//! let model = engine.load(&weights, Precision::F16).await?;
//! let session = model.session(1).await?;
//!
//! let photograph = image::open("bottle.png")?;
//! let frame = image::Frame::new(model.fit(), photograph.dimensions(), model.config().input)?;
//! let detection = session.run(&[frame.input(&photograph)?]).await?.remove(0);
//! println!("score {}", detection.score);
//! // The map in the photograph's own frame.
//! let map = frame.to_original(&detection.map)?;
//! # Ok(())
//! # }
//! ```
//!
//! [`guides`] say more than items' pages can: embedding, a model of one's own, lines, performance.
//!
//! * [`Engine`] -> [`Model`] -> [`Session`]: pipelines, weights, memory. [`Session::record`] puts the network into a
//!   host's own command encoder, from [`Session::pixel_buffer`] to [`Session::map_buffer`] and
//!   [`Session::score_buffer`].
//! * Nothing that a host hands over panics: wrong formats and sizes, things of another device, a lost device come back
//!   as [`Error`]. Only what belongs to another [`wgpu::Instance`] cannot be told apart: wgpu 30 looks its number up
//!   among this instance's things, and panics or takes another for it. Error scopes and callbacks of the host's are not
//!   touched.
//! * [`weights`] reads safetensors files written by PyTorch, [`image`](mod@image) does with photographs what Pillow and
//!   torchvision did in training, [`inspect`] decides on maps and scores, and [`mod@reference`] is the whole network
//!   again in plain Rust, to check against.

#![warn(unreachable_pub)]

mod anomalies;
pub mod config;
#[cfg(not(target_arch = "wasm32"))]
pub mod data;
mod engine;
mod error;
pub mod gpu;
#[cfg(any(doc, doctest))]
pub mod guides;
pub mod image;
pub mod inspect;
pub mod metrics;
mod model;
mod ops;
mod parameters;
mod probe;
mod random;
pub mod reference;
pub mod teach;
pub mod train;
pub mod weights;

pub use config::ModelConfig;
pub use engine::{
    BufferSource, Detection, Encoding, Engine, HeatOutput, HeatStyle, HeatTarget, Job, LoadOptions, Model, Paint,
    PhotographInput, PipelineProgress, Precision, Session, SharedBackbone, TextureSource, TracedStage,
};
pub use error::{Error, Result};
pub use gpu::{EngineOptions, Memory};
pub use model::schema;
pub use probe::{KernelCheck, TuningProgress};
pub use wgpu;

/// What crates.io shows of the crate, so that its code is tested.
#[cfg(doctest)]
#[doc = include_str!("README.md")]
mod readme {}
