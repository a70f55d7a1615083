//! 3 x 3 convolutions by Winograd's F(2x2, 3x3), `shaders/winograd_*.wgsl`: 2.25 times fewer multiplications, at a
//! rounding error no larger than the direct sum's.

use super::activation::Epilogue;
use super::groups_of_64;
use super::matmul::{Product, matmul};
use crate::gpu::{Binding, Graph, Kernel, Tensor};

/// Positions of a transformed patch.
const POSITIONS: u32 = 16;

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct InputParams {
    height: u32,
    width: u32,
    channels: u32,
    tiles_down: u32,
    tiles_across: u32,
    plane: u32,
    input_floor: f32,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct OutputParams {
    height: u32,
    width: u32,
    channels: u32,
    tiles_down: u32,
    tiles_across: u32,
    plane: u32,
    has_bias: u32,
    residual_kind: u32,
    slope: f32,
    ceiling: f32,
}

/// Fills `out` from `x`, whose matrices and epilogue `convolution` names. Residuals must be whole tensors of `out`'s
/// shape.
pub(super) fn conv2d(graph: &mut Graph<'_>, label: &str, x: Tensor, out: Tensor, convolution: &Product<'_>) {
    let Product { input_floor, matrix, epilogue, .. } = convolution;
    let (tiles_down, tiles_across) = (x.height.div_ceil(2), x.width.div_ceil(2));
    let tiles = x.batch * tiles_down * tiles_across;
    let rows = x.batch * tiles_down;

    let patches = graph.tensor(&format!("{label}.patches"), [POSITIONS, tiles, 1, x.channels]);
    let params = InputParams {
        height: x.height,
        width: x.width,
        channels: x.channels / 4,
        tiles_down,
        tiles_across,
        plane: tiles * x.channels / 4,
        input_floor: *input_floor,
    };
    graph.dispatch(
        &format!("{label}.input"),
        Kernel::new("winograd_input"),
        &params,
        &[Binding::Read(x), Binding::Write(patches)],
        [groups_of_64(tiles_across * params.channels), rows, 1],
    );

    let products = graph.tensor(&format!("{label}.products"), [POSITIONS, tiles, 1, out.channels]);
    let (a, out_products) = (patches.all(), products.all());
    let product = Product { a, input_floor: f32::MIN, matrix, epilogue: Epilogue::NONE, out: out_products };
    matmul(graph, &format!("{label}.product"), &product);

    let params = OutputParams {
        height: out.height,
        width: out.width,
        channels: out.channels / 4,
        tiles_down,
        tiles_across,
        plane: tiles * out.channels / 4,
        has_bias: epilogue.bias.is_some().into(),
        residual_kind: epilogue.residual.kind(),
        slope: epilogue.activation.slope,
        ceiling: epilogue.activation.ceiling,
    };
    let bindings = [
        Binding::Read(products),
        Binding::Constant(epilogue.bias.unwrap_or(&matrix.buffer)),
        epilogue.residual.binding(&matrix.buffer),
        Binding::Write(out),
    ];
    let workgroups = [groups_of_64(tiles_across * params.channels), rows, 1];
    graph.dispatch(&format!("{label}.output"), Kernel::new("winograd_output"), &params, &bindings, workgroups);
}
