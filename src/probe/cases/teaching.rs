//! What only teaching needs: photographs in other poses, coresets.

use crate::Result;
use crate::config::BackboneConfig;
use crate::gpu::{Format, Gpu, Graph};
use crate::ops::{self, CANDIDATES, FAR, NEARLY, Pose, Selection};
use crate::probe::harness::{Case, FENCE, input, input_as, random_maps, random_maps_in, rounding, run, values, vector};
use crate::reference::{self, Corners, Maps};

/// A photograph of `height` x `width` in poses turned, stretched, shifted and lit at random.
pub(crate) async fn warp(
    gpu: &Gpu,
    [height, width]: [u32; 2],
    side: u32,
    count: u32,
    format: Format,
    seed: u64,
) -> Result<Case> {
    let pixels: Vec<u32> = values((height * width) as usize, seed).iter().map(|value| value.to_bits() << 3).collect();
    let random = values(8 * count as usize, seed + 1);
    let poses: Vec<Pose> = random
        .chunks_exact(8)
        .map(|random| {
            let scale = |size: u32| size as f32 / side as f32;
            Pose {
                across: [random[0] * scale(width), random[1] * scale(width), (0.5 + random[2]) * width as f32],
                gain: 1.0 + 0.3 * random[3],
                down: [random[4] * scale(height), random[5] * scale(height), (0.5 + random[6]) * height as f32],
                offset: 0.2 * random[7],
            }
        })
        .collect();
    let normalization = BackboneConfig::efficientnet_lite0().normalization();
    let mut graph = Graph::fenced(gpu, FENCE).storing(format);
    let photograph = graph.external("pixels", [1, height, width, 1]);
    let pose_values = graph.external("poses", [count, 1, 1, 8]);
    let out = ops::warp(&mut graph, photograph, pose_values, side, normalization);
    let inputs: [(_, &[f32]); 2] =
        [(photograph, bytemuck::cast_slice(&pixels)), (pose_values, bytemuck::cast_slice(&poses))];
    let answer = run(graph, &inputs, out.all()).await?;
    let size = [height as usize, width as usize];
    let poses: Vec<[f32; 8]> = poses.into_iter().map(bytemuck::cast).collect();
    let truth = reference::warp(&pixels, size, &poses, side as usize, normalization.mean, normalization.deviation);
    // Neighbouring pixels differ by up to the whole range, and a place is only known to a millionth of the width.
    Ok(answer.against(truth.values, 1e-3 + rounding(format)))
}

/// The rows chosen in some rounds. Values are whole numbers, so that distances are exact and ties are ties.
pub(crate) async fn coreset(gpu: &Gpu, rows: u32, quarter: u32, wanted: u32, rounds: usize, seed: u64) -> Result<Case> {
    let channels = 4 * quarter;
    let x = random_maps([1, rows, 1, channels], seed).map(|value| (4.0 * value).round());
    let groups = CANDIDATES as usize;
    let chosen = reference::coreset(&x.values, channels as usize, wanted as usize, groups, NEARLY.into(), rounds);

    let mut graph = Graph::fenced(gpu, FENCE);
    let one_each = |value| Maps { shape: [1, 1, 1, groups], values: value };
    let norms: Vec<f32> = x.values.chunks_exact(channels as usize).map(|row| row.iter().map(|v| v * v).sum()).collect();
    let norms = Maps { shape: [1, rows as usize, 1, 1], values: norms };
    let nearest = norms.map(|_| FAR);
    let first = one_each((0..CANDIDATES).map(|group| f32::from_bits(group.min(rows - 1))).collect());
    let reach = one_each((0..CANDIDATES).map(|group| if group < rows { FAR } else { -1.0 }).collect());
    let none = Maps { shape: [1, 1, 1, 1 + wanted as usize], values: vec![0.0; 1 + wanted as usize] };
    let maps = [&x, &norms, &nearest, &first, &reach, &none];
    let tensors = maps.map(|maps| input(&mut graph, maps));
    let [rows, norms, nearest, candidates, reach, out] = tensors;
    let selection = Selection { rows, norms, nearest, candidates, reach, chosen: out };
    ops::coreset_rounds(&mut graph, "rounds", &selection, rounds);
    let inputs: Vec<_> = tensors.into_iter().zip(maps.map(|maps| maps.values.as_slice())).collect();
    let mut answer = run(graph, &inputs, out.all()).await?;
    answer.values = answer.values.into_iter().map(|value| value.to_bits() as f32).collect();
    let mut truth = vec![0.0; 1 + wanted as usize];
    truth[0] = chosen.len() as f32;
    truth[1..=chosen.len()].iter_mut().zip(&chosen).for_each(|(place, row)| *place = *row as f32);
    Ok(answer.against(truth, 0.0))
}

/// Features of `quarter` times 4 channels on a grid.
pub(crate) async fn describe(
    gpu: &Gpu,
    [batch, height, width]: [u32; 3],
    quarter: u32,
    grid: u32,
    format: Format,
    seed: u64,
) -> Result<Case> {
    let x = random_maps_in(format, [batch, height, width, 4 * quarter], seed);
    let channels = 4 * quarter as usize;
    let center = values(2 * channels, seed + 1);
    let constant = vector(gpu, &center).await?;
    let mut graph = Graph::fenced(gpu, FENCE);
    let tensor = input_as(format, &mut graph, &x);
    let out = ops::describe(&mut graph, "out", tensor, &constant, grid);
    let answer = run(graph, &[(tensor, &x.values)], out.all()).await?;
    let resized = reference::resize(&reference::avg_pool(&x), [grid as usize; 2], Corners::Edges);
    let (mean, factor) = center.split_at(channels);
    let standardised = resized
        .values
        .chunks_exact(channels)
        .flat_map(|pixel| pixel.iter().zip(mean).zip(factor).map(|((value, mean), factor)| (value - mean) * factor));
    Ok(answer.against(standardised.collect(), 1e-5))
}

/// Some levels' distances, most of them within the bounds of their quantiles, some of them more uneven than good parts.
pub(crate) async fn join_levels(gpu: &Gpu, batch: u32, grid: u32, count: usize, seed: u64) -> Result<Case> {
    let level = |index: usize| random_maps([batch, grid, grid, 1], seed + index as u64).map(|value| value + 1.5);
    let distances: Vec<Maps> = (0..count).map(level).collect();
    let positions = (grid * grid) as usize;
    let normal: Vec<f32> = values(count * positions, seed + 7).iter().map(|value| value + 2.0).collect();
    let random = values(4 * count, seed + 8);
    let bounds: Vec<[f32; 4]> = random
        .chunks_exact(4)
        .map(|random| [1.0 + random[0], 1.0 + random[1], 3.0 + random[2], 0.8 + random[3]])
        .collect();
    let constants = [vector(gpu, &normal).await?, vector(gpu, bounds.as_flattened()).await?];
    let mut graph = Graph::fenced(gpu, FENCE);
    let tensors: Vec<_> = distances.iter().map(|maps| input(&mut graph, maps)).collect();
    let out = ops::join_levels(&mut graph, "out", &tensors, &constants[0], &constants[1]);
    let inputs: Vec<_> = tensors.iter().copied().zip(distances.iter().map(|maps| maps.values.as_slice())).collect();
    let answer = run(graph, &inputs, out.all()).await?;
    let rank = ops::quantile_rank(grid * grid) as usize;
    Ok(answer.against(reference::join_levels(&distances, &normal, &bounds, rank).values, 1e-5))
}
