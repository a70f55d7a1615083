//! The network's kernels judged by AMD's Vulkan compiler, without a GPU.
//!
//! The networks are loaded as for a GPU, their pipelines translated to SPIR-V as wgpu does it, and compiled by Mesa's
//! RADV on null hardware, which reports registers, occupancy and estimated latency. As a test this fails where a
//! kernel breaks a rule; `cargo xtask kernels` runs it for its tables.

#[cfg(target_os = "linux")]
mod assembly;
#[cfg(target_os = "linux")]
mod driver;
#[cfg(target_os = "linux")]
mod family;
#[cfg(target_os = "linux")]
mod judge;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod rules;
#[cfg(target_os = "linux")]
mod spirv;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    judge::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: Mesa's RADV, which compiles for AMD's GPUs without having one, is there on Linux alone");
}
