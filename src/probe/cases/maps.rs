//! Pixels and single-channel maps.

use crate::config::{BackboneConfig, Light};
use crate::gpu::{Format, Gpu, Graph};
use crate::ops::{Convolution, Geometry};
use crate::parameters::Parameters;
use crate::probe::harness::{Case, FENCE, declared, input, random_maps, rounding, run, values};
use crate::reference::Corners;
use crate::{Result, ops, reference};

/// Photographs brought to a light, or as they are.
pub(crate) async fn normalize(
    gpu: &Gpu,
    [batch, side]: [u32; 2],
    edge: bool,
    light: Option<Light>,
    format: Format,
    seed: u64,
) -> Result<Case> {
    let bits = values((batch * side * side) as usize, seed);
    let pixels: Vec<u32> = bits.iter().map(|value| value.to_bits().wrapping_mul(2_654_435_761)).collect();
    let backbone = if edge { BackboneConfig::efficientnet_lite0() } else { BackboneConfig::resnet18() };
    let normalization = backbone.normalization();
    let mut graph = Graph::fenced(gpu, FENCE).storing(format);
    let tensor = graph.external("pixels", [batch, side, side, 1]);
    let out = ops::normalize(&mut graph, tensor, normalization, light);
    let answer = run(graph, &[(tensor, bytemuck::cast_slice(&pixels))], out.all()).await?;
    let shape = [batch, side, side].map(|size| size as usize);
    let change = match light {
        Some(Light { level, contrast }) => reference::light(&pixels, batch as usize, level, contrast),
        None => vec![[1.0, 0.0]; batch as usize],
    };
    let truth = reference::normalize(&pixels, shape, &change, normalization.mean, normalization.deviation);
    Ok(answer.against(truth.values, 1e-6 + rounding(format)))
}

pub(crate) async fn pack_nchw(gpu: &Gpu, [batch, height, width]: [u32; 3], format: Format, seed: u64) -> Result<Case> {
    let planes = values((3 * batch * height * width) as usize, seed);
    let mut graph = Graph::fenced(gpu, FENCE).storing(format);
    let tensor = graph.external("planes", [batch, 3, height, width]);
    let out = ops::pack_nchw(&mut graph, tensor, [batch, height, width]);
    let answer = run(graph, &[(tensor, &planes)], out.all()).await?;
    let truth = reference::pack_nchw(&planes, [batch, height, width].map(|size| size as usize));
    Ok(answer.against(truth.values, rounding(format)))
}

pub(crate) async fn project(gpu: &Gpu, pixels: u32, quarter: u32, seed: u64) -> Result<Case> {
    let x = random_maps([1, pixels, 1, 4 * quarter], seed);
    let weight = values(4 * quarter as usize, seed + 1);
    let convolution = Convolution::new("project", [1, 4 * quarter], Geometry::POINTWISE).biased();
    let declare = |parameters: &mut Parameters<'_>| ops::Projection::new(parameters, &convolution);
    let projection = declared(gpu, Format::F32, &weight, &[0.7], declare).await?;
    let mut graph = Graph::fenced(gpu, FENCE);
    let tensor = input(&mut graph, &x);
    let out = ops::project(&mut graph, "out", tensor, &projection);
    let answer = run(graph, &[(tensor, &x.values)], out.all()).await?;
    Ok(answer.against(reference::project(&x, &weight, 0.7).values, 1e-5))
}

pub(crate) async fn upsample_map(
    gpu: &Gpu,
    batch: u32,
    [size, out_size]: [u32; 2],
    corners: Corners,
    seed: u64,
) -> Result<Case> {
    let x = random_maps([batch, size, size, 1], seed);
    let mut graph = Graph::fenced(gpu, FENCE);
    let tensor = input(&mut graph, &x);
    let out = graph.tensor("out", [batch, out_size, out_size, 1]);
    ops::upsample_map(&mut graph, "out", tensor, out, corners == Corners::Centers);
    let answer = run(graph, &[(tensor, &x.values)], out.all()).await?;
    Ok(answer.against(reference::upsample_map(&x, out_size as usize, corners).values, 1e-5))
}

pub(crate) async fn blur(gpu: &Gpu, batch: u32, size: u32, sigma: f64, seed: u64) -> Result<Case> {
    let x = random_maps([batch, size, size, 1], seed);
    let gaussian =
        declared(gpu, Format::F32, &[], &[], |parameters| ops::Gaussian::new(parameters, sigma, 4.0)).await?;
    let mut graph = Graph::fenced(gpu, FENCE);
    let tensor = input(&mut graph, &x);
    let out = graph.tensor("out", [batch, size, size, 1]);
    ops::blur(&mut graph, "out", tensor, &gaussian, out);
    let answer = run(graph, &[(tensor, &x.values)], out.all()).await?;
    Ok(answer.against(reference::blur(&x, sigma, 4.0).values, 1e-5))
}

pub(crate) async fn max_score(gpu: &Gpu, [batch, height, width]: [u32; 3], shift: f32, seed: u64) -> Result<Case> {
    let x = random_maps([batch, height, width, 1], seed).map(|value| value + shift);
    let mut graph = Graph::fenced(gpu, FENCE);
    let tensor = input(&mut graph, &x);
    let out = graph.tensor("out", [batch, 1, 1, 1]);
    ops::max_score(&mut graph, "out", tensor, out);
    let answer = run(graph, &[(tensor, &x.values)], out.all()).await?;
    Ok(answer.against(reference::max_score(&x), 0.0))
}
