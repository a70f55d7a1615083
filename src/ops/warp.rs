//! A photograph in other poses and other light, `shaders/warp.wgsl`.

use super::groups_of_64;
use crate::config::Normalization;
use crate::gpu::{Binding, Graph, Kernel, Tensor, uniforms};

/// One pose and one light.
///
/// The output pixel with centre `(x, y)` shows the photograph's point `(across . (x, y, 1), down . (x, y, 1))`. Values
/// from 0 to 1 are multiplied by `gain`, then `offset` is added.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Pose {
    pub across: [f32; 3],
    pub gain: f32,
    pub down: [f32; 3],
    pub offset: f32,
}

impl Pose {
    /// The same pose of a photograph whose values are multiplied by a gain and added to first.
    pub(crate) fn lit(self, [gain, offset]: [f32; 2]) -> Self {
        Self { gain: self.gain * gain, offset: self.offset + self.gain * offset, ..self }
    }
}

/// The network's input `[poses][side][side][4]` of one photograph in as many poses as the tensor `poses` holds
/// (`[poses][1][1][8]`, each a [`Pose`]). `pixels` is `[1][height][width][1]`, 8-bit RGBA, one u32 each.
pub(crate) fn warp(
    graph: &mut Graph<'_>,
    pixels: Tensor,
    poses: Tensor,
    side: u32,
    normalization: Normalization,
) -> Tensor {
    uniforms! {
        struct Params {
            mean: [f32; 4],
            deviation: [f32; 4],
            height: u32,
            width: u32,
            side: u32,
            // WGSL rounds a struct's size up to its largest alignment.
            _padding: u32,
        }
    }
    graph.ensure_equal("photograph", [pixels.batch, pixels.channels], [1, 1]);
    graph.ensure_equal("poses", poses.shape(), [poses.batch, 1, 1, 8]);
    let Normalization { mean, deviation } = normalization;
    let [mean, deviation] = [(mean, 0.0), (deviation, 1.0)].map(|([r, g, b], a)| [r, g, b, a]);
    let params = Params { mean, deviation, height: pixels.height, width: pixels.width, side, _padding: 0 };
    let out = graph.tensor_as(graph.activations(), "input", [poses.batch, side, side, 4]);
    let workgroups = [groups_of_64(side), poses.batch * side, 1];
    let bindings = [Binding::read(pixels), Binding::read(poses), Binding::write(out)];
    let kernel = Kernel::with("warp", [("OUTPUT_F16", out.is_f16())]);
    graph.dispatch("warp", kernel, &params, bindings, workgroups);
    out
}
