//! The only part of the crate that speaks to wgpu: devices and what they must offer, shaders and pipelines, activation
//! memory, and the recorded sequence of dispatches.

mod adapter;
mod arena;
mod constant;
mod device;
mod format;
mod graph;
mod kernels;
mod memory;
mod options;
mod readback;
mod requirements;
pub(crate) mod row_texture;
mod schedule;
pub(crate) mod shaders;
mod tuning;
mod upload;

pub use adapter::{adapters, find_adapter, open_adapter, open_device};
pub use kernels::{MatmulKernel, Winograd};
pub use memory::Memory;
pub use options::EngineOptions;
pub use requirements::{Shortfall, check_adapter, optional_features, required_features, required_limits, shortfalls};
pub use tuning::Tuning;

pub(crate) use constant::Constant;
pub(crate) use device::Gpu;
pub(crate) use format::Format;
pub(crate) use graph::{Binding, Graph, Slice, Tensor};
pub(crate) use kernels::Tiling;
pub(crate) use readback::read_buffers;
pub(crate) use schedule::Schedule;
pub(crate) use shaders::Kernel;
pub(crate) use tuning::{Layer, Tuned};
pub(crate) use upload::Uploader;
