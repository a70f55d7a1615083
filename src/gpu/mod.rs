//! The only part of the crate that makes things with wgpu: devices and what they must offer, shaders and pipelines,
//! activation memory, and the recorded sequence of dispatches.

mod adapter;
mod allocation;
mod arena;
mod binding;
mod constant;
mod device;
#[cfg(test)]
mod faults;
mod format;
mod graph;
mod heat_pass;
mod kernels;
mod mapping;
mod memory;
mod operands;
mod options;
mod readback;
#[cfg(test)]
pub(crate) mod reflection;
mod requirements;
mod row_texture;
mod schedule;
pub(crate) mod shaders;
mod tensor;
mod tiling;
mod traffic;
mod tuning;
mod uniforms;
mod upload;

pub use adapter::{adapters, find_adapter, open_adapter, open_adapter_with, open_device};
pub use kernels::{MatmulKernel, Winograd};
pub use memory::Memory;
pub use options::EngineOptions;
pub use requirements::{
    Shortfall, check_adapter, matrix_unit_features, optional_features, required_features, required_limits, shortfalls,
};
pub use schedule::StepInfo;
#[doc(hidden)]
pub use shaders::Program;
pub use tiling::MatrixUnits;
#[doc(hidden)]
pub use tiling::matrix_unit_programs;
pub use tuning::Tuning;

pub(crate) use binding::{Binding, Operand};
pub(crate) use constant::Constant;
pub(crate) use device::Gpu;
#[cfg(test)]
pub(crate) use faults::Fault;
pub(crate) use format::Format;
pub(crate) use graph::Graph;
pub(crate) use heat_pass::HeatPass;
pub(crate) use readback::{Readback, read_buffers};
pub(crate) use schedule::Schedule;
pub(crate) use shaders::Kernel;
pub(crate) use tensor::{Slice, Tensor};
pub(crate) use tiling::{Arithmetic, Factors, Tiling};
pub(crate) use tuning::{Layer, MeasuredWay, Tuned};
#[cfg(test)]
pub(crate) use uniforms::Field;
pub(crate) use uniforms::{Uniforms, uniforms};
pub(crate) use upload::Uploader;
