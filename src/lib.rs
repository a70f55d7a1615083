//! PCSNet few-shot anomaly detection in hand-written WGSL on wgpu.

pub mod config;
mod error;

pub use config::ModelConfig;
pub use error::{Error, Result};
pub use wgpu;
