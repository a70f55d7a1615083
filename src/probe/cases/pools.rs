//! Pooling and resizing.

use crate::Result;
use crate::gpu::{Format, Gpu, Graph, Slice, Tensor};
use crate::ops;
use crate::probe::harness::{Answer, Case, FENCE, input_as, random_maps, random_maps_in, rounding, run};
use crate::reference::{self, Corners, Maps};

/// Runs an operation that makes its own output.
async fn unary(
    gpu: &Gpu,
    x: &Maps,
    format: Format,
    op: impl FnOnce(&mut Graph<'_>, Tensor) -> Tensor,
) -> Result<Answer> {
    let mut graph = Graph::fenced(gpu, FENCE);
    let tensor = input_as(format, &mut graph, x);
    let out = op(&mut graph, tensor);
    run(graph, &[(tensor, &x.values)], out.all()).await
}

/// Runs an operation that writes some channels of a wider tensor, with quarters of other channels before and after
/// them, and gives these alone.
async fn into_slice(
    gpu: &Gpu,
    x: &Maps,
    [from, to]: [Format; 2],
    [height, width]: [u32; 2],
    [before, quarter, after]: [u32; 3],
    op: impl FnOnce(&mut Graph<'_>, Tensor, Slice),
) -> Result<Answer> {
    let mut graph = Graph::fenced(gpu, FENCE);
    let tensor = input_as(from, &mut graph, x);
    let wide = graph.tensor_as(to, "wide", [tensor.batch, height, width, 4 * (before + quarter + after)]);
    let slice = wide.channel_range(4 * before, 4 * quarter);
    op(&mut graph, tensor, slice);
    Ok(run(graph, &[(tensor, &x.values)], slice).await?.inside(slice))
}

pub(crate) async fn max_pool(
    gpu: &Gpu,
    [batch, height, width]: [u32; 3],
    quarter: u32,
    format: Format,
    seed: u64,
) -> Result<Case> {
    let x = random_maps_in(format, [batch, height, width, 4 * quarter], seed);
    let answer = unary(gpu, &x, format, |graph, x| ops::max_pool(graph, "out", x)).await?;
    Ok(answer.against(reference::max_pool(&x).values, 0.0))
}

pub(crate) async fn avg_pool(
    gpu: &Gpu,
    [batch, height, width]: [u32; 3],
    quarter: u32,
    format: Format,
    seed: u64,
) -> Result<Case> {
    let x = random_maps_in(format, [batch, height, width, 4 * quarter], seed);
    let answer = unary(gpu, &x, format, |graph, x| ops::avg_pool(graph, "out", x)).await?;
    Ok(answer.against(reference::avg_pool(&x).values, 1e-6))
}

/// The case of `quarter` quarters of channels with `more` besides.
pub(crate) async fn adaptive_pool(
    gpu: &Gpu,
    [batch, size, bin]: [u32; 3],
    [quarter, more]: [u32; 2],
    to: Format,
    seed: u64,
) -> Result<Case> {
    let x = random_maps([batch, size, size, 4 * (quarter + more)], seed);
    let pool = |graph: &mut Graph<'_>, x: Tensor, out: Slice| ops::adaptive_pool(graph, "out", x, out);
    let answer = into_slice(gpu, &x, [Format::F32, to], [bin, bin], [0, quarter, more], pool).await?;
    let truth = reference::adaptive_pool(&x.leading(4 * quarter as usize), bin as usize);
    Ok(answer.against(truth.values, 1e-6 + rounding(to)))
}

/// A resize from one height and width to another.
pub(crate) async fn resize(
    gpu: &Gpu,
    batch: u32,
    [[height, width], out_size]: [[u32; 2]; 2],
    quarters: [u32; 3],
    align: bool,
    to: Format,
    seed: u64,
) -> Result<Case> {
    let x = random_maps([batch, height, width, 4 * quarters[1]], seed);
    let resize = |graph: &mut Graph<'_>, x: Tensor, out: Slice| ops::resize(graph, "out", x, out, align);
    let answer = into_slice(gpu, &x, [Format::F32, to], out_size, quarters, resize).await?;
    let corners = if align { Corners::Centers } else { Corners::Edges };
    let truth = reference::resize(&x, out_size.map(|size| size as usize), corners);
    Ok(answer.against(truth.values, 1e-5 + rounding(to)))
}

pub(crate) async fn resize_through(
    gpu: &Gpu,
    [batch, size, through, out_size]: [u32; 4],
    quarters: [u32; 3],
    from: Format,
    seed: u64,
) -> Result<Case> {
    let x = random_maps_in(from, [batch, size, size, 4 * quarters[1]], seed);
    let resize = |graph: &mut Graph<'_>, x: Tensor, out: Slice| ops::resize_through(graph, "out", x, through, out);
    let answer = into_slice(gpu, &x, [from, Format::F32], [out_size, out_size], quarters, resize).await?;
    Ok(answer.against(reference::resize_through(&x, through as usize, out_size as usize).values, 1e-5))
}

pub(crate) async fn resize_sum(
    gpu: &Gpu,
    batch: u32,
    sides: &[u32],
    out_size: u32,
    quarter: u32,
    seed: u64,
) -> Result<Case> {
    let parts: Vec<Maps> =
        (seed..).zip(sides).map(|(seed, &side)| random_maps([batch, side, side, 4 * quarter], seed)).collect();
    let pixels: u32 = sides.iter().map(|side| batch * side * side).sum();
    let joined = parts.iter().flat_map(|part| part.values.iter().copied()).collect();
    let x = Maps { shape: [1, pixels as usize, 1, 4 * quarter as usize], values: joined };
    let answer =
        unary(gpu, &x, Format::F32, |graph, x| ops::resize_sum(graph, "out", x, sides, batch, out_size)).await?;
    Ok(answer.against(reference::resize_sum(&parts, out_size as usize).values, 1e-5))
}
