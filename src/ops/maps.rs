//! Single-channel maps: `project` and its gradients, `upsample_map`, `blur`, `max_score`.

use super::conv2d::Convolution;
use super::groups_of_64;
use crate::gpu::{Binding, Constant, Graph, Kernel, Tensor, uniforms};
use crate::parameters::{Parameters, Part};

/// A 1 x 1 convolution with bias to one channel.
pub(crate) struct Projection {
    /// One weight a channel, then the bias.
    weight: Constant,
}

impl Projection {
    /// Declares such a convolution.
    pub(crate) fn new(parameters: &mut Parameters<'_>, convolution: &Convolution) -> Self {
        let channels = convolution.inputs;
        let weight = parameters.vector(convolution.name.clone(), channels + 4);
        let constant = weight.clone();
        parameters.declare(convolution.parameters(), move |values| {
            let mut values = values.concat();
            // Kernels read four values at a time.
            values.resize(channels as usize + 4, 0.0);
            Ok(Box::new(std::iter::once(Part::whole(constant, values))))
        });
        Self { weight }
    }
}

/// Appends a projection to one channel.
pub(crate) fn project(graph: &mut Graph<'_>, label: &str, x: Tensor, projection: &Projection) -> Tensor {
    graph.ensure_equal(label, projection.weight.values(), u64::from(x.channels) + 4);
    projected(graph, label, x, Binding::read(&projection.weight))
}

/// [`project`] with weights that stand in a tensor: one for each channel, the bias, and three zeros.
pub(crate) fn project_by(graph: &mut Graph<'_>, label: &str, x: Tensor, weight: Tensor) -> Tensor {
    graph.ensure_equal(label, weight.values(), u64::from(x.channels) + 4);
    projected(graph, label, x, Binding::read(weight))
}

fn projected(graph: &mut Graph<'_>, label: &str, x: Tensor, weight: Binding) -> Tensor {
    uniforms! {
        struct Params {
            pixels: u32,
            channels: u32,
        }
    }
    let out = graph.tensor(label, [x.batch, x.height, x.width, 1]);
    let params = Params { pixels: x.pixels(), channels: x.channels / 4 };
    let bindings = [Binding::read(x), weight, Binding::write(out)];
    graph.dispatch(label, Kernel::new("project"), &params, bindings, [groups_of_64(params.pixels), 1, 1]);
    out
}

/// The gradients of [`project_by`] with respect to `x` and, for each image, the weights.
pub(crate) fn project_gradients(
    graph: &mut Graph<'_>,
    label: &str,
    x: Tensor,
    weight: Tensor,
    dy: Tensor,
) -> (Tensor, Tensor) {
    uniforms! {
        struct Input {
            channels: u32,
        }
    }
    uniforms! {
        struct Weight {
            pixels: u32,
            channels: u32,
        }
    }
    graph.ensure_equal(
        label,
        [u64::from(dy.pixels()), weight.values()],
        [u64::from(x.pixels()), u64::from(x.channels) + 4],
    );
    let dx = graph.tensor(label, x.shape());
    let params = Input { channels: x.channels / 4 };
    let bindings = [Binding::read(dy), Binding::read(weight), Binding::write(dx)];
    let workgroups = [groups_of_64(params.channels), x.pixels(), 1];
    let kernel = Kernel::new("project_input_gradient");
    graph.dispatch(&format!("{label}.input"), kernel, &params, bindings, workgroups);

    let dw = graph.tensor(&format!("{label}.weight"), [x.batch, 1, 1, x.channels + 4]);
    let params = Weight { pixels: x.height * x.width, channels: x.channels };
    let bindings = [Binding::read(x), Binding::read(dy), Binding::write(dw)];
    let workgroups = [groups_of_64(x.channels + 4), x.batch, 1];
    let kernel = Kernel::new("project_weight_gradient");
    graph.dispatch(&format!("{label}.weight"), kernel, &params, bindings, workgroups);
    graph.estimate(x.values());
    (dx, dw)
}

/// `interpolate(x, out, mode="bilinear", align_corners=...)` of square maps.
pub(crate) fn upsample_map(graph: &mut Graph<'_>, label: &str, x: Tensor, out: Tensor, align_corners: bool) {
    uniforms! {
        struct Params {
            size: u32,
            out_size: u32,
            align_corners: u32,
        }
    }
    graph.ensure_equal(label, x.shape(), [out.batch, x.width, x.width, 1]);
    graph.ensure_equal(label, out.shape(), [out.batch, out.width, out.width, 1]);
    let params = Params { size: x.width, out_size: out.width, align_corners: align_corners.into() };
    let workgroups = [groups_of_64(out.width), out.batch * out.height, 1];
    graph.dispatch(label, Kernel::new("upsample_map"), &params, [Binding::read(x), Binding::write(out)], workgroups);
}

/// The weights of `scipy.ndimage.gaussian_filter`: a Gaussian's samples at -radius ..= radius, divided by their sum.
pub(crate) struct Gaussian {
    weights: Constant,
    radius: u32,
}

impl Gaussian {
    /// Declares a Gaussian of a standard deviation in pixels, cut off at `truncate` of them.
    pub(crate) fn new(parameters: &mut Parameters<'_>, sigma: f64, truncate: f64) -> Self {
        let radius = (truncate * sigma + 0.5) as u32;
        let weights = parameters.vector("gaussian".to_owned(), 2 * radius + 1);
        let distances = (0..=2 * radius).map(|at| f64::from(at) - f64::from(radius));
        let samples: Vec<f64> = distances.map(|x| (-0.5 * x * x / (sigma * sigma)).exp()).collect();
        let sum: f64 = samples.iter().sum();
        parameters.fixed(&weights, samples.iter().map(|sample| (sample / sum) as f32).collect());
        Self { weights, radius }
    }
}

/// `scipy.ndimage.gaussian_filter(mode="reflect")` of square maps into `out`.
pub(crate) fn blur(graph: &mut Graph<'_>, label: &str, x: Tensor, gaussian: &Gaussian, out: Tensor) {
    uniforms! {
        struct Params {
            size: u32,
            radius: u32,
            along: u32,
            across: u32,
        }
    }
    let (size, radius) = (x.width, gaussian.radius);
    let shape = [x.batch, size, size, 1];
    graph.ensure_equal(label, [x.shape(), out.shape()], [shape; 2]);
    let half_blurred = graph.scratch(label, shape);
    // An invocation computes 4 pixels.
    let workgroups = [groups_of_64(size), x.batch * size.div_ceil(4), 1];
    // SciPy goes along the first axis first.
    let passes = [("down", x, half_blurred, size, 1), ("across", half_blurred, out, 1, size)];
    for (direction, from, to, along, across) in passes {
        let bindings = [Binding::read(from), Binding::read(&gaussian.weights), Binding::write(to)];
        let params = Params { size, radius, along, across };
        graph.dispatch(&format!("{label}.{direction}"), Kernel::new("blur"), &params, bindings, workgroups);
    }
}

/// The largest value of each map into `out`, `[batch]`.
pub(crate) fn max_score(graph: &mut Graph<'_>, label: &str, x: Tensor, out: Tensor) {
    uniforms! {
        struct Params {
            pixels: u32,
        }
    }
    graph.ensure_equal(label, [x.values(), out.values()], [x.pixels(), x.batch].map(u64::from));
    let params = Params { pixels: x.width * x.height };
    graph.dispatch(label, Kernel::new("max_score"), &params, [Binding::read(x), Binding::write(out)], [x.batch, 1, 1]);
}
