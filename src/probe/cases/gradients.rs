//! Backward passes, losses and the optimiser: what only training needs.

use crate::Result;
use crate::gpu::{Gpu, Graph, Tensor};
use crate::ops::{
    self, Distances, Epilogue, Gradient, Margins, Optimised, Ranked, Rates, Relu, Segmented, TrainedConv, TrainedNorm,
    taps_inputs_outputs,
};
use crate::probe::harness::{Case, FENCE, SENTINEL, input, matrix, random_maps, run, values};
use crate::reference::{self, AdamState, Corners, LossRole, Maps};

/// A convolution with weights that change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolution {
    /// Batch, height, width.
    pub shape: [u32; 3],
    pub kernel: u32,
    /// Quarters of the input's and the output's channels.
    pub quarters: [u32; 2],
    pub seed: u64,
}

/// Its input, weights in PyTorch's order and as a tensor has them, and the gradient of its output.
struct Operands {
    x: Maps,
    weight: Vec<f32>,
    weights: Maps,
    dy: Maps,
}

impl Convolution {
    fn operands(self) -> Operands {
        let Self { shape: [batch, height, width], kernel, quarters: [inputs, outputs], seed } = self;
        let (inputs, outputs, taps) = (4 * inputs, 4 * outputs, kernel * kernel);
        let weight = values((outputs * inputs * taps) as usize, seed + 1);
        let rows = taps_inputs_outputs(&weight, [outputs, inputs, taps], inputs);
        Operands {
            x: random_maps([batch, height, width, inputs], seed),
            weights: Maps { shape: [1, (taps * inputs) as usize, 1, outputs as usize], values: rows },
            weight,
            dy: random_maps([batch, height, width, outputs], seed + 2),
        }
    }

    fn of(self, graph: &mut Graph<'_>, weights: &Maps) -> TrainedConv {
        TrainedConv { weights: input(graph, weights), kernel: self.kernel }
    }
}

pub(crate) async fn trained_conv(gpu: &Gpu, convolution: Convolution) -> Result<Case> {
    let Operands { x, weight, weights, dy } = convolution.operands();
    let mut graph = Graph::fenced(gpu, FENCE);
    let (conv, tensor) = (convolution.of(&mut graph, &weights), input(&mut graph, &x));
    let out = graph.tensor("out", dy.shape.map(|size| size as u32));
    conv.write(&mut graph, "conv", tensor, out.all(), Epilogue::RELU);
    let answer = run(graph, &[(conv.weights, &weights.values), (tensor, &x.values)], out.all()).await?;
    let kernel = convolution.kernel as usize;
    let window = reference::Window::even(kernel, 1, kernel / 2, [x.shape[1], x.shape[2]]);
    Ok(answer.against(reference::conv2d(&x, &weight, None, window).relu().values, 1e-5))
}

pub(crate) async fn input_gradient(gpu: &Gpu, convolution: Convolution) -> Result<Case> {
    let Operands { weight, weights, dy, .. } = convolution.operands();
    let mut graph = Graph::fenced(gpu, FENCE);
    let (conv, tensor) = (convolution.of(&mut graph, &weights), input(&mut graph, &dy));
    let out = conv.input_gradient(&mut graph, "gradient", tensor, Epilogue::NONE);
    let answer = run(graph, &[(conv.weights, &weights.values), (tensor, &dy.values)], out.all()).await?;
    Ok(answer.against(reference::input_gradient(&dy, &weight, convolution.kernel as usize).values, 1e-5))
}

pub(crate) async fn weight_gradient(gpu: &Gpu, convolution: Convolution) -> Result<Case> {
    gradient_of_weights(gpu, convolution, TrainedConv::weight_gradient).await
}

/// As it is computed where nothing faster fits the device.
pub(crate) async fn weight_gradient_tap_by_tap(gpu: &Gpu, convolution: Convolution) -> Result<Case> {
    gradient_of_weights(gpu, convolution, TrainedConv::weight_gradient_tap_by_tap).await
}

async fn gradient_of_weights(
    gpu: &Gpu,
    convolution: Convolution,
    write: impl FnOnce(TrainedConv, &mut Graph<'_>, &str, Tensor, Tensor) -> Tensor,
) -> Result<Case> {
    let Operands { x, weights, dy, .. } = convolution.operands();
    let mut graph = Graph::fenced(gpu, FENCE);
    let conv = convolution.of(&mut graph, &weights);
    let tensors = [input(&mut graph, &x), input(&mut graph, &dy)];
    let out = write(conv, &mut graph, "gradient", tensors[0], tensors[1]);
    let mut answer = run(graph, &[(tensors[0], &x.values), (tensors[1], &dy.values)], out.all()).await?;
    answer.values = sum_of_parts(&answer.values, weights.values.len());
    Ok(answer.against(reference::weight_gradient(&x, &dy, convolution.kernel as usize), 1e-5))
}

/// The sum of equal parts, as the optimiser takes it.
fn sum_of_parts(values: &[f32], count: usize) -> Vec<f32> {
    let sum = |index| values.iter().skip(index).step_by(count).map(|&value| f64::from(value)).sum::<f64>() as f32;
    (0..count).map(sum).collect()
}

/// What of a BatchNorm in training is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NormPart {
    Output,
    RunningMean,
    RunningVariance,
    InputGradient,
    ScaleGradient,
    ShiftGradient,
}

/// A BatchNorm in training and its relu on `groups` batches of `images` images.
pub(crate) async fn batch_norm(
    gpu: &Gpu,
    groups: u32,
    [images, height, width]: [u32; 3],
    quarter: u32,
    part: NormPart,
    seed: u64,
) -> Result<Case> {
    let channels = 4 * quarter;
    let shape = [groups * images, height, width, channels];
    let (x, dy) = (random_maps(shape, seed).map(|value| 2.0 * value + 0.5), random_maps(shape, seed + 1));
    let numbers = |index: u64| random_maps([1, 1, 1, channels], seed + 2 + index);
    let [scale, shift, mean, variance] = [0, 1, 2, 3].map(numbers);
    let mut graph = Graph::fenced(gpu, FENCE);
    let maps = [&x, &dy, &scale, &shift, &mean, &variance];
    let tensors = maps.map(|maps| input(&mut graph, maps));
    let norm = TrainedNorm { scale: tensors[2], shift: tensors[3], mean: tensors[4], variance: tensors[5] };
    let passed = norm.write(&mut graph, "norm", tensors[0], groups);
    let gradients = norm.gradients(&mut graph, "gradient", passed, tensors[1]);
    // Inputs that are written to are copied once more.
    let ones = Maps { shape: [1, 1, 1, channels as usize], values: vec![1.0; channels as usize] };
    let factors = input(&mut graph, &ones);
    let mut copy = |tensor| ops::scale_channels(&mut graph, "copy", tensor, factors);
    let [mean_after, variance_after] = [copy(norm.mean), copy(norm.variance)];
    let out = match part {
        NormPart::Output => passed.output,
        NormPart::RunningMean => mean_after,
        NormPart::RunningVariance => variance_after,
        NormPart::InputGradient => gradients.input,
        NormPart::ScaleGradient => gradients.scale,
        NormPart::ShiftGradient => gradients.shift,
    };
    let mut inputs: Vec<_> = tensors.into_iter().zip(maps.map(|maps| maps.values.as_slice())).collect();
    inputs.push((factors, &ones.values));
    let answer = run(graph, &inputs, out.all()).await?;
    let groups = groups as usize;
    let before: Vec<[f32; 2]> = mean.values.iter().zip(&variance.values).map(|(&a, &b)| [a, b]).collect();
    let running = reference::running_statistics(&x, groups, &before);
    let truth = reference::batch_norm_gradients(&x, &scale.values, &shift.values, groups, &dy);
    let truth = match part {
        NormPart::Output => reference::batch_norm(&x, &scale.values, &shift.values, groups).values,
        NormPart::RunningMean => running.iter().map(|running| running[0]).collect(),
        NormPart::RunningVariance => running.iter().map(|running| running[1]).collect(),
        NormPart::InputGradient => truth.input.values,
        NormPart::ScaleGradient => truth.scale,
        NormPart::ShiftGradient => truth.shift,
    };
    Ok(answer.against(truth, 1e-4))
}

/// A relu between a skip connection and a second use, in some channels of wider tensors.
pub(crate) async fn relu(gpu: &Gpu, pixels: u32, [before, quarter]: [u32; 2], skip: bool, seed: u64) -> Result<Case> {
    let wide = [1, pixels, 1, 4 * (before + quarter)];
    let [y, base, dy] = [0, 1, 2].map(|index| random_maps(wide, seed + index));
    let more = random_maps([1, pixels, 1, 4 * quarter], seed + 3);
    let mut graph = Graph::fenced(gpu, FENCE);
    let maps = [&y, &base, &dy, &more];
    let tensors = maps.map(|maps| input(&mut graph, maps));
    let part = |index: usize| tensors[index].channel_range(4 * before, 4 * quarter);
    let relu = Relu { output: part(0), base: skip.then(|| part(1)) };
    let out = ops::relu_gradient(&mut graph, "relu", relu, part(2), skip.then_some(tensors[3]));
    let inputs: Vec<_> = tensors.into_iter().zip(maps.map(|maps| maps.values.as_slice())).collect();
    let answer = run(graph, &inputs, out.all()).await?;
    let part =
        |maps: &Maps| Maps::from_fn(more.shape, |[image, y, x, c]| maps.at([image, y, x, c + 4 * before as usize]));
    let truth = if skip {
        reference::relu_gradient(&part(&y), &part(&base), &part(&dy).plus(&more))
    } else {
        reference::relu_gradient(&part(&y), &more.map(|_| 0.0), &part(&dy))
    };
    Ok(answer.against(truth.values, 0.0))
}

/// The gradient of the resize of some channels, behind `quarter` quarters of others, `from` one height and width `to`
/// another, once or, with [`Gradient::Added`], twice.
pub(crate) async fn resize(
    gpu: &Gpu,
    [from, to]: [[u32; 2]; 2],
    [quarter, channels]: [u32; 2],
    align_corners: bool,
    gradient: Gradient,
    seed: u64,
) -> Result<Case> {
    let (batch, before) = (2, 4 * quarter);
    let dy = random_maps([batch, to[0], to[1], before + channels], seed);
    let mut graph = Graph::fenced(gpu, FENCE);
    let tensor = input(&mut graph, &dy);
    let part = tensor.channel_range(before, channels);
    let out = graph.tensor("out", [batch, from[0], from[1], channels]);
    ops::resize_gradient(&mut graph, "first", part, out, align_corners, Gradient::New);
    if gradient == Gradient::Added {
        ops::resize_gradient(&mut graph, "second", part, out, align_corners, Gradient::Added);
    }
    let answer = run(graph, &[(tensor, &dy.values)], out.all()).await?;
    let corners = if align_corners { Corners::Centers } else { Corners::Edges };
    let part = Maps::from_fn([2, to[0] as usize, to[1] as usize, channels as usize], |[image, y, x, c]| {
        dy.at([image, y, x, c + before as usize])
    });
    let gradient_of = |dy: &Maps| reference::resize_gradient(dy, from.map(|size| size as usize), corners);
    let times = if gradient == Gradient::Added { 2.0 } else { 1.0 };
    let truth = gradient_of(&part).map(|value| times * value);
    // Places are known to a millionth of the image's side, and shares with them; sums of large numbers may be small.
    let largest = |maps: &Maps| maps.values.iter().fold(1e-3_f32, |largest, value| largest.max(value.abs()));
    let tolerance = 1e-5 * times * largest(&gradient_of(&part.map(f32::abs))) / largest(&truth);
    Ok(answer.against(truth.values, tolerance))
}

/// The gradient of the leading channels' windows, added to another image's channels times their factors.
pub(crate) async fn adaptive_pool(
    gpu: &Gpu,
    [batch, size, bin]: [u32; 3],
    [quarter, more]: [u32; 2],
    seed: u64,
) -> Result<Case> {
    let dy = random_maps([batch, bin, bin, 4 * (quarter + more)], seed);
    let mut graph = Graph::fenced(gpu, FENCE);
    let tensor = input(&mut graph, &dy);
    // What it is added to: another gradient, with factors.
    let before = random_maps([batch, size, size, 4 * (quarter + more)], seed + 1);
    let factors = random_maps([batch, 1, 1, 4 * (quarter + more)], seed + 2);
    let (x, scale) = (input(&mut graph, &before), input(&mut graph, &factors));
    let out = ops::scale_channels(&mut graph, "scaled", x, scale);
    ops::adaptive_pool_gradient(&mut graph, "gradient", tensor.channel_range(0, 4 * quarter), out);
    let inputs = [(tensor, &dy.values[..]), (x, &before.values[..]), (scale, &factors.values[..])];
    let answer = run(graph, &inputs, out.all()).await?;
    let pooled = reference::adaptive_pool_gradient(&dy.leading(4 * quarter as usize), size as usize);
    let rest = before.leading(4 * more as usize).map(|_| 0.0);
    let truth = reference::scale_channels(&before, &factors.values).plus(&Maps::concat(&[pooled, rest]));
    // A pixel's gradient is a sum over all windows that it lies in, which may come to much less than its terms.
    let terms = (bin as f32 / size as f32 + 2.0).powi(2);
    Ok(answer.against(truth.values, 1e-6 + 1e-7 * terms))
}

/// The gradients of a projection to one channel: of its input, or of its weights.
pub(crate) async fn project(gpu: &Gpu, pixels: u32, quarter: u32, of_weights: bool, seed: u64) -> Result<Case> {
    let (batch, channels) = (2, 4 * quarter as usize);
    let x = random_maps([batch, 1, pixels, 4 * quarter], seed);
    let mut weight = random_maps([1, 1, 1, 4 * quarter + 4], seed + 1);
    weight.values[channels + 1..].fill(0.0);
    let dy = random_maps([batch, 1, pixels, 1], seed + 2);
    let mut graph = Graph::fenced(gpu, FENCE);
    let maps = [&x, &weight, &dy];
    let tensors = maps.map(|maps| input(&mut graph, maps));
    let (dx, dw) = ops::project_gradients(&mut graph, "gradient", tensors[0], tensors[1], tensors[2]);
    let inputs: Vec<_> = tensors.into_iter().zip(maps.map(|maps| maps.values.as_slice())).collect();
    let out = if of_weights { dw } else { dx };
    let answer = run(graph, &inputs, out.all()).await?;
    let truth = if of_weights {
        reference::project_weight_gradient(&x, &dy)
    } else {
        reference::project_input_gradient(&dy, &weight.values[..channels]).values
    };
    Ok(answer.against(truth, 1e-5))
}

/// Which candidates are the nearest, many of them equally near, behind the rows of another image.
pub(crate) async fn nearest_ranks(gpu: &Gpu, rows: u32, candidates: u32, nearest: u32, seed: u64) -> Result<Case> {
    let squared = random_maps([1, rows, 1, candidates], seed).map(|value| (12.0 * (value + 1.0)).floor());
    let mut graph = Graph::fenced(gpu, FENCE);
    let tensor = input(&mut graph, &squared);
    let [distances, indices] = ["distances", "indices"].map(|label| graph.tensor(label, [1, rows + 2, 1, nearest]));
    let part = indices.row_range(2, rows);
    ops::nearest_ranked(&mut graph, "nearest", tensor, Ranked { distances, indices }, 2);
    let mut answer = run(graph, &[(tensor, &squared.values)], part).await?;
    let first: Vec<f32> = answer.values.drain(..2 * nearest as usize).collect();
    answer.intact &= first.iter().all(|&value| value == SENTINEL);
    answer.values = answer.values.into_iter().map(|value| value.to_bits() as f32).collect();
    let truth = reference::nearest_ranks(&squared, nearest as usize);
    Ok(answer.against(truth.into_iter().map(|index| index as f32).collect(), 0.0))
}

/// The gradient of descriptors, one of which is a prototype itself.
pub(crate) async fn nearest_gradient(gpu: &Gpu, positions: u32, quarter: u32, seed: u64) -> Result<Case> {
    const PROTOTYPES: usize = 20;
    const NEAREST: usize = 8;
    let channels = 4 * quarter as usize;
    let mut phi = random_maps([1, positions, 1, 4 * quarter], seed);
    let rows = values(PROTOTYPES * channels, seed + 1);
    phi.values[..channels].copy_from_slice(&rows[..channels]);
    let columns: Vec<f32> =
        (0..channels).flat_map(|channel| rows[channel..].iter().step_by(channels).copied()).collect();
    let squared = reference::distances(&phi, &columns);
    let indices = reference::nearest_ranks(&squared, NEAREST);
    let distances = reference::nearest(&squared, NEAREST);
    let dy = random_maps([1, positions, 1, NEAREST as u32], seed + 2);
    let bits = indices.iter().map(|&index| f32::from_bits(index as u32)).collect();
    let bits = Maps { shape: distances.shape, values: bits };
    let prototypes = matrix(gpu, [PROTOTYPES as u32, channels as u32], &rows).await?;
    let mut graph = Graph::fenced(gpu, FENCE);
    let maps = [&phi, &distances, &bits, &dy];
    let tensors = maps.map(|maps| input(&mut graph, maps));
    let ranked = Ranked { distances: tensors[1], indices: tensors[2] };
    let out = ops::nearest_gradient(&mut graph, "gradient", tensors[0], &prototypes, ranked, tensors[3]);
    let inputs: Vec<_> = tensors.into_iter().zip(maps.map(|maps| maps.values.as_slice())).collect();
    let answer = run(graph, &inputs, out.all()).await?;
    Ok(answer.against(reference::nearest_gradient(&phi, &columns, &indices, &dy).values, 1e-5))
}

/// The segmentation loss's gradient.
pub(crate) async fn squared_error(gpu: &Gpu, batch: u32, side: u32, seed: u64) -> Result<Case> {
    let maps = random_maps([batch, side, side, 1], seed);
    let masks = random_maps([batch, side, side, 1], seed + 1).map(|value| f32::from(value > 0.5));
    let weights = random_maps([batch, 1, 1, 4], seed + 2);
    let mut graph = Graph::fenced(gpu, FENCE);
    let all = [&maps, &masks, &weights];
    let tensors = all.map(|maps| input(&mut graph, maps));
    let of = Segmented { maps: tensors[0], masks: tensors[1], weights: tensors[2] };
    let (_, out) = ops::squared_error(&mut graph, "loss", of, 40.0);
    let inputs: Vec<_> = tensors.into_iter().zip(all.map(|maps| maps.values.as_slice())).collect();
    let answer = run(graph, &inputs, out.all()).await?;
    let weights: Vec<[f32; 2]> = weights.values.chunks_exact(4).map(|image| [image[0], image[1]]).collect();
    let (_, gradient) = reference::squared_error(&maps, &masks, &weights);
    Ok(answer.against(gradient.map(|value| 40.0 * value).values, 1e-6))
}

/// What of the losses of distances is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    Terms,
    Gradient,
    Radius,
}

/// The losses of distances, some of them equal, of normal images, pseudo-anomalous ones, and one outside PDC.
pub(crate) async fn distance_losses(gpu: &Gpu, grid: u32, hardest: u32, looked: Looked, seed: u64) -> Result<Case> {
    const NEAREST: usize = 4;
    const RADIUS: f32 = 0.75;
    let mut distances =
        random_maps([3, grid, grid, NEAREST as u32], seed).map(|value| (16.0 * value).round() / 16.0 + 1.0);
    distances.values.chunks_exact_mut(NEAREST).for_each(|position| position.sort_by(f32::total_cmp));
    let masks = random_maps([3, grid, grid, 1], seed + 1).map(|value| f32::from(value > 0.0));
    let roles = [(20.0, 0.0, 0.0, Some(0.0)), (0.0, 30.0, 0.0, Some(1.0)), (10.0, 5.0, 7.0, None)];
    let roles = roles.map(|(compactness, separation, naught, disparity)| LossRole {
        compactness,
        separation,
        naught,
        disparity,
    });
    let stored = roles.iter().flat_map(|role| {
        let target = role.disparity.unwrap_or(0.0);
        let weights = [role.compactness, role.separation, f32::from(role.disparity.is_some()), target];
        [weights, [role.naught, 0.0, 0.0, 0.0]].concat()
    });
    let stored = Maps { shape: [3, 1, 1, 8], values: stored.collect() };
    let radius = Maps { shape: [1; 4], values: vec![RADIUS] };
    let margins = Margins { margin: 0.25, hardest, disparity: 50.0 };
    let mut graph = Graph::fenced(gpu, FENCE);
    let maps = [&distances, &masks, &stored, &radius];
    let tensors = maps.map(|maps| input(&mut graph, maps));
    let of = Distances { nearest: tensors[0], masks: tensors[1], roles: tensors[2], radius: tensors[3] };
    let losses = ops::distance_losses(&mut graph, "losses", of, margins);
    let inputs: Vec<_> = tensors.into_iter().zip(maps.map(|maps| maps.values.as_slice())).collect();
    let truth = reference::distance_losses(&distances, &masks, &roles, [RADIUS.into(), 0.25], hardest as usize, 50.0);
    let (out, truth) = match looked {
        Looked::Terms => (losses.terms, truth.terms.map(|term| term as f32).into_iter().chain([0.0]).collect()),
        Looked::Gradient => (losses.gradient, truth.gradient.values),
        Looked::Radius => (losses.radius_gradient, vec![truth.radius_gradient as f32]),
    };
    Ok(run(graph, &inputs, out.all()).await?.against(truth, 1e-5))
}

/// Some steps of Adam of the second of two groups, with the gradient in two parts.
pub(crate) async fn adam(gpu: &Gpu, count: u32, steps: i32, seed: u64) -> Result<Case> {
    const RATE: f32 = 0.01;
    const DECAY: f32 = 0.1;
    let start = random_maps([1, 1, 1, count], seed);
    let moments = Maps { shape: [3, 1, 1, count as usize], values: vec![0.0; 3 * count as usize] };
    // Of one sign in each step: where a gradient is all but 0, so is what an f32 knows of its sign.
    let gradients = (0..steps as u64).map(|step| {
        let sign = if step % 2 == 0 { 1.0 } else { -1.0 };
        random_maps([2, 1, 1, count], seed + 2 + step).map(|value| sign * (value + 1.5))
    });
    let gradients: Vec<Maps> = gradients.collect();
    let corrections = (1..=steps).map(|step| {
        let of_step = [RATE, 1.0 - 0.9_f32.powi(step), (1.0 - 0.999_f64.powi(step)) as f32, 0.0];
        Maps { shape: [2, 1, 1, 4], values: [[0.0, 1.0, 1.0, 0.0], of_step].concat() }
    });
    let corrections: Vec<Maps> = corrections.collect();
    let mut graph = Graph::fenced(gpu, FENCE);
    let all: Vec<&Maps> = [&start, &moments].into_iter().chain(&gradients).chain(&corrections).collect();
    let tensors: Vec<_> = all.iter().map(|maps| input(&mut graph, maps)).collect();
    for step in 0..steps as usize {
        let optimised = Optimised { values: tensors[0], gradient: tensors[2 + step], moments: tensors[1] };
        let rates = Rates { rates: tensors[2 + steps as usize + step], group: 1, weight_decay: DECAY };
        ops::adam(&mut graph, &format!("step{step}"), optimised, rates);
    }
    // The values are both what goes in and what comes out, so they are copied once more.
    let ones = Maps { shape: [1, 1, 1, count as usize], values: vec![1.0; count as usize] };
    let factors = input(&mut graph, &ones);
    let out = ops::scale_channels(&mut graph, "copy", tensors[0], factors);
    let mut inputs: Vec<_> = tensors.into_iter().zip(all.iter().map(|maps| maps.values.as_slice())).collect();
    inputs.push((factors, &ones.values));
    let answer = run(graph, &inputs, out.all()).await?;
    let truth = (0..count as usize).map(|index| {
        let value = f64::from(start.values[index]);
        let states = (1..).zip(&gradients).fold(AdamState { value, ..Default::default() }, |state, (step, parts)| {
            let gradient = f64::from(parts.values[index]) + f64::from(parts.values[count as usize + index]);
            reference::adam(state, gradient, step, RATE.into(), DECAY.into())
        });
        states.value as f32
    });
    Ok(answer.against(truth.collect(), 1e-6))
}
