//! What the cases are made of: reproducible values, graphs with fences behind their tensors, comparisons.

use crate::Result;
use crate::gpu::{Constant, Format, Gpu, Graph, Kernel, Slice, Tensor, Uploader, read_buffers};
use crate::ops::Matrix;
use crate::parameters::{Parameters, Storage};
use crate::reference::Maps;
use crate::weights::{Parameter, Role};

/// No operation gives this value for the inputs of these cases. Exact in f16, too.
pub(crate) const SENTINEL: f32 = -12344.0;
/// Bytes behind every tensor that nothing may touch.
pub(crate) const FENCE: u64 = 256;

/// What came out of a graph.
pub(crate) struct Answer {
    /// All values of the tensor that was asked for; what the graph did not write is the sentinel.
    pub values: Vec<f32>,
    pub kernels: Vec<String>,
    /// Whether nothing was written where nothing belongs.
    pub intact: bool,
}

impl Answer {
    /// The values of some channels, where the others must be untouched.
    pub(crate) fn inside(self, slice: Slice) -> Self {
        let part = slice.first as usize..(slice.first + slice.channels) as usize;
        let mut intact = self.intact;
        let mut values = Vec::new();
        for pixel in self.values.chunks_exact(slice.tensor.channels as usize) {
            values.extend(&pixel[part.clone()]);
            intact &= pixel[..part.start].iter().chain(&pixel[part.end..]).all(|&value| value == SENTINEL);
        }
        Self { values, intact, ..self }
    }

    pub(crate) fn against(self, truth: Vec<f32>, tolerance: f32) -> Case {
        let Self { values, kernels, intact } = self;
        Case { values, truth, tolerance, kernels, intact }
    }
}

/// What a kernel answered, and what is right.
pub(crate) struct Case {
    pub values: Vec<f32>,
    pub truth: Vec<f32>,
    /// Relative to the truth's largest magnitude.
    pub tolerance: f32,
    pub kernels: Vec<String>,
    pub intact: bool,
}

impl Case {
    /// What is wrong, if anything is.
    pub(crate) fn failure(&self) -> Option<String> {
        if !self.intact {
            return Some("it wrote outside its output".to_owned());
        }
        if is_close(&self.values, &self.truth, self.tolerance) {
            return None;
        }
        if self.values.len() != self.truth.len() {
            return Some(format!("{} values instead of {}", self.values.len(), self.truth.len()));
        }
        let error = |index: &usize| (self.values[*index] - self.truth[*index]).abs();
        // NaN, too, sorts above every number.
        let worst = (0..self.values.len()).max_by(|a, b| error(a).total_cmp(&error(b))).unwrap_or(0);
        Some(format!("value {worst} is {}, should be {}", self.values[worst], self.truth[worst]))
    }
}

/// Random but reproducible values between -1 and 1, never equal to one another by accident of a short period.
pub(crate) fn values(count: usize, seed: u64) -> Vec<f32> {
    let mix = |index: u64| {
        let z = (index.wrapping_add(seed << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (z ^ (z >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 40
    };
    (0..count as u64).map(|index| mix(index) as f32 / (1 << 23) as f32 - 1.0).collect()
}

/// [`values`] that are multiples of 1/64, which stay exact in f16, through the transform of Winograd's F(2x2), too.
pub(crate) fn exact_values(count: usize, seed: u64) -> Vec<f32> {
    values(count, seed).iter().map(|value| (value * 64.0).round() / 64.0).collect()
}

pub(crate) fn random_maps(shape: [u32; 4], seed: u64) -> Maps {
    let shape = shape.map(|size| size as usize);
    Maps { shape, values: values(shape.iter().product(), seed) }
}

/// [`random_maps`] whose values are exact in a format.
pub(crate) fn random_maps_in(format: Format, shape: [u32; 4], seed: u64) -> Maps {
    let maps = random_maps(shape, seed);
    Maps { values: format.decode(&format.encode(&maps.values)), ..maps }
}

/// The largest error of storing a value, relative to it.
pub(crate) fn rounding(format: Format) -> f32 {
    match format {
        // An f32's own rounding is part of every tolerance.
        Format::F32 => 0.0,
        // 10 bits behind the first one, rounded to the nearest.
        Format::F16 => 1.0 / 2048.0,
    }
}

/// A tensor of f32 that will hold these values.
pub(crate) fn input(graph: &mut Graph<'_>, maps: &Maps) -> Tensor {
    input_as(Format::F32, graph, maps)
}

/// A tensor that will hold these values.
pub(crate) fn input_as(format: Format, graph: &mut Graph<'_>, maps: &Maps) -> Tensor {
    let tensor = graph.tensor_as(format, "input", maps.shape.map(|size| size as u32));
    graph.stage("input", tensor.all());
    tensor
}

/// A buffer that stands for a host's.
pub(crate) async fn host_buffer(gpu: &Gpu, values: &[f32]) -> Result<wgpu::Buffer> {
    Uploader::new(gpu).buffer("buffer", bytemuck::cast_slice(values)).await
}

/// A constant of f32.
pub(crate) async fn vector(gpu: &Gpu, values: &[f32]) -> Result<Constant> {
    let constant = Constant::buffer("vector".to_owned(), [1, 1, values.len() as u32], Format::F32);
    Uploader::new(gpu).fill(&constant, 0, bytemuck::cast_slice(values)).await?;
    Ok(constant)
}

/// A matrix `[depth][columns]` of f32, as products of the adapter read it.
pub(crate) async fn matrix(gpu: &Gpu, [depth, columns]: [u32; 2], values: &[f32]) -> Result<Matrix> {
    let parameters = Parameters::new(Storage { gpu: Some(gpu), ..Storage::default() });
    let constant = parameters.matrix("matrix".to_owned(), [1, depth, columns], Format::F32);
    Uploader::new(gpu).fill(&constant, 0, bytemuck::cast_slice(values)).await?;
    Ok(Matrix::of(constant))
}

/// What `declare` makes, with these weights and biases.
pub(crate) async fn declared<T>(
    gpu: &Gpu,
    format: Format,
    weight: &[f32],
    bias: &[f32],
    declare: impl FnOnce(&mut Parameters<'_>) -> T,
) -> Result<T> {
    let mut parameters = Parameters::new(Storage { gpu: Some(gpu), format, ..Storage::default() });
    let made = declare(&mut parameters);
    let values = |parameter: &Parameter| if parameter.role == Role::Weight { weight.to_vec() } else { bias.to_vec() };
    parameters.load(gpu, &values).await?;
    Ok(made)
}

/// Runs the graph on the given inputs and reads the tensor that `out` lies in.
pub(crate) async fn run(mut graph: Graph<'_>, inputs: &[(Tensor, &[f32])], out: Slice) -> Result<Answer> {
    let (gpu, kernels) = (graph.gpu(), graph.kernels().map(Kernel::label).collect());
    graph.stage("out", out);
    let schedule = graph.finish().await?;
    let format = out.tensor.format;
    let size = out.tensor.bytes() + FENCE;
    let buffer = schedule.buffer(out.tensor);
    let sentinels = vec![SENTINEL; (size / format.bytes_per_value()) as usize];
    gpu.write("sentinels", buffer, &format.encode(&sentinels)).await?;
    for (tensor, values) in inputs {
        schedule.write(gpu, *tensor, &tensor.format.encode(values)).await?;
    }
    schedule.submit(gpu).await?;
    let bytes: Vec<u8> = read_buffers(gpu, &[(buffer, size)]).await?.remove(0);
    let mut values = format.decode(&bytes);
    let fence = values.split_off(out.tensor.values() as usize);
    let intact = fence.iter().all(|&value| value == SENTINEL);
    Ok(Answer { values, kernels, intact })
}

/// Whether each value is within `tolerance` of the truth, relative to the truth's largest magnitude.
pub(crate) fn is_close(values: &[f32], truth: &[f32], tolerance: f32) -> bool {
    let scale = truth.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
    values.len() == truth.len() && values.iter().zip(truth).all(|(a, b)| (a - b).abs() <= tolerance * scale)
}
