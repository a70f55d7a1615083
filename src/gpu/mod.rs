//! The only part of the crate that speaks to wgpu: devices and what they must offer, shaders and pipelines, activation
//! memory, and the recorded sequence of dispatches.

mod adapter;
mod arena;
mod device;
mod graph;
mod kernels;
mod memory;
mod readback;
mod requirements;
pub(crate) mod row_texture;
mod schedule;
pub(crate) mod shaders;
mod upload;

pub use adapter::{adapters, find_adapter, open_adapter, open_device};
pub use kernels::{MatmulKernel, Winograd};
pub use memory::Memory;
pub use requirements::{Shortfall, check_adapter, optional_features, required_features, required_limits, shortfalls};

pub(crate) use device::Gpu;
pub(crate) use graph::{Binding, Graph, Slice, Tensor};
pub(crate) use readback::read_buffers;
pub(crate) use schedule::Schedule;
pub(crate) use shaders::Kernel;
pub(crate) use upload::Uploader;
