//! Single-channel maps: `project`, `upsample_map`, `blur`, `max_score`.

use super::groups_of_64;
use crate::gpu::{Binding, Graph, Kernel, Tensor};

/// A 1 x 1 convolution to one channel. `weight` holds one value a channel, then the bias.
pub(crate) fn project(graph: &mut Graph<'_>, label: &str, x: Tensor, weight: &wgpu::Buffer) -> Tensor {
    #[repr(C)]
    #[derive(Clone, Copy, bytemuck::NoUninit)]
    struct Params {
        pixels: u32,
        channels: u32,
    }
    let out = graph.tensor(label, [x.batch, x.height, x.width, 1]);
    let params = Params { pixels: x.pixels(), channels: x.channels / 4 };
    let bindings = [Binding::Read(x), Binding::Constant(weight), Binding::Write(out)];
    graph.dispatch(label, Kernel::new("project"), &params, &bindings, [groups_of_64(params.pixels), 1, 1]);
    out
}

/// `interpolate(x, out, mode="bilinear", align_corners=True)` of square maps.
pub(crate) fn upsample_map(graph: &mut Graph<'_>, label: &str, x: Tensor, out: Tensor) {
    #[repr(C)]
    #[derive(Clone, Copy, bytemuck::NoUninit)]
    struct Params {
        size: u32,
        out_size: u32,
    }
    let params = Params { size: x.width, out_size: out.width };
    let workgroups = [groups_of_64(out.width), out.batch * out.height, 1];
    graph.dispatch(label, Kernel::new("upsample_map"), &params, &[Binding::Read(x), Binding::Write(out)], workgroups);
}

/// A Gaussian's samples at -radius ..= radius, radius = round(truncate * sigma), divided by their sum: the weights of
/// `scipy.ndimage.gaussian_filter`.
pub(crate) fn gaussian_weights(sigma: f64, truncate: f64) -> Vec<f32> {
    let radius = (truncate * sigma + 0.5) as i32;
    let samples: Vec<f64> = (-radius..=radius).map(|x| (-0.5 * f64::from(x * x) / (sigma * sigma)).exp()).collect();
    let sum: f64 = samples.iter().sum();
    samples.iter().map(|sample| (sample / sum) as f32).collect()
}

/// `scipy.ndimage.gaussian_filter(mode="reflect")` of square maps into `out`. There are `taps` weights.
pub(crate) fn blur(graph: &mut Graph<'_>, label: &str, x: Tensor, weights: &wgpu::Buffer, taps: u32, out: Tensor) {
    #[repr(C)]
    #[derive(Clone, Copy, bytemuck::NoUninit)]
    struct Params {
        size: u32,
        radius: u32,
        along: u32,
        across: u32,
    }
    let (size, radius) = (x.width, taps / 2);
    let half_blurred = graph.scratch(label, [x.batch, x.height, x.width, 1]);
    let workgroups = [groups_of_64(size), x.batch * size, 1];
    // SciPy goes along the first axis first.
    let passes = [("down", x, half_blurred, size, 1), ("across", half_blurred, out, 1, size)];
    for (direction, from, to, along, across) in passes {
        let bindings = [Binding::Read(from), Binding::Constant(weights), Binding::Write(to)];
        let params = Params { size, radius, along, across };
        graph.dispatch(&format!("{label}.{direction}"), Kernel::new("blur"), &params, &bindings, workgroups);
    }
}

/// The largest value of each map into `out`, `[batch]`.
pub(crate) fn max_score(graph: &mut Graph<'_>, label: &str, x: Tensor, out: Tensor) {
    #[repr(C)]
    #[derive(Clone, Copy, bytemuck::NoUninit)]
    struct Params {
        pixels: u32,
    }
    let params = Params { pixels: x.width * x.height };
    graph.dispatch(label, Kernel::new("max_score"), &params, &[Binding::Read(x), Binding::Write(out)], [x.batch, 1, 1]);
}
