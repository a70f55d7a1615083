//! 3 x 3 convolutions by Winograd's algorithms, `shaders/winograd*.wgsl`.

use super::activation::Epilogue;
use super::groups_of_64;
use super::matmul::{Matrix, Product, Values, matmul_tiled};
use crate::gpu::{Binding, Format, Graph, Kernel, Tensor, Tiling, Winograd};

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct InputParams {
    height: u32,
    width: u32,
    channels: u32,
    tiles_down: u32,
    tiles_across: u32,
    tiles: u32,
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
    tiles: u32,
    has_bias: u32,
    residual_kind: u32,
    slope: f32,
    ceiling: f32,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct WeightParams {
    inputs: u32,
    columns: u32,
}

/// The transformed weights of a 3 x 3 convolution whose own are matrices `[3 * 3][in][out]` in a buffer.
pub(super) fn weights(graph: &mut Graph<'_>, label: &str, winograd: Winograd, own: &Matrix) -> Matrix {
    let Matrix { depth, columns, format, .. } = *own;
    let label = format!("{label}.weights");
    let positions = winograd.positions();
    let transformed = graph.matrices(&label, [positions, depth, columns]);
    let [.., shader] = winograd.shaders();
    let kernel = Kernel::with(shader, [("WEIGHTS_F16", format.is_f16()), ("TEXTURE", graph.is_texture(transformed))]);
    let params = WeightParams { inputs: depth, columns: columns / 4 };
    let bindings = [own.binding(), Binding::Write(transformed)];
    graph.dispatch(&label, kernel, &params, &bindings, [groups_of_64(columns / 4), depth, 1]);
    Matrix { values: Values::Tensor(transformed), batch: positions, depth, columns, format: Format::F32 }
}

/// Fills `out` from `x`, whose matrices and epilogue `convolution` names. Residuals must be whole tensors of `out`'s
/// shape.
pub(super) fn conv2d(
    graph: &mut Graph<'_>,
    label: &str,
    winograd: Winograd,
    x: Tensor,
    out: Tensor,
    convolution: &Product<'_>,
    tiling: Tiling,
) {
    let Product { input_floor, matrix, epilogue, .. } = convolution;
    let [tiles_down, tiles_across] = [x.height, x.width].map(|size| size.div_ceil(winograd.tile()));
    let tiles = x.batch * tiles_down * tiles_across;
    let positions = winograd.positions();
    let [input_shader, output_shader, _] = winograd.shaders();
    // One invocation a patch and vec4 of channels.
    let workgroups = |channels: u32| [groups_of_64(tiles_across * channels / 4), x.batch * tiles_down, 1];

    // Patches are as short as the shorter of both ends, products, whose rounding weighs as much and which are read only
    // once, as long as the longer.
    let [of_patches, of_products] = if x.format == out.format { [x.format; 2] } else { [Format::F16, Format::F32] };
    let patches = graph.rows(of_patches, &format!("{label}.patches"), [positions, tiles, x.channels]);
    let params = InputParams {
        height: x.height,
        width: x.width,
        channels: x.channels / 4,
        tiles_down,
        tiles_across,
        tiles,
        input_floor: *input_floor,
    };
    let names = [("TEXTURE", graph.is_texture(patches)), ("INPUT_F16", x.is_f16()), ("OUTPUT_F16", patches.is_f16())];
    let kernel = Kernel::with(input_shader, names);
    let bindings = [Binding::Read(x), Binding::Write(patches)];
    graph.dispatch(&format!("{label}.input"), kernel, &params, &bindings, workgroups(x.channels));

    let products = graph.scratch_as(of_products, &format!("{label}.products"), [positions, tiles, 1, out.channels]);
    let (a, out_products) = (patches.all(), products.all());
    let product = Product { a, input_floor: f32::MIN, matrix, epilogue: Epilogue::NONE, out: out_products };
    matmul_tiled(graph, &format!("{label}.product"), &product, tiling);

    let params = OutputParams {
        height: out.height,
        width: out.width,
        channels: out.channels / 4,
        tiles_down,
        tiles_across,
        tiles,
        has_bias: epilogue.bias.is_some().into(),
        residual_kind: epilogue.residual.kind(),
        slope: epilogue.activation.slope,
        ceiling: epilogue.activation.ceiling,
    };
    let bindings = [Binding::Read(products), epilogue.bias_binding(), epilogue.residual.binding(), Binding::Write(out)];
    let kernel = Kernel::with(output_shader, [("INPUT_F16", products.is_f16()), ("OUTPUT_F16", out.is_f16())])
        .with_constant("RESIDUAL", epilogue.residual.kind() != 0);
    debug_assert!(epilogue.residual.suits(out), "{label}");
    graph.dispatch(&format!("{label}.output"), kernel, &params, &bindings, workgroups(out.channels));
}
