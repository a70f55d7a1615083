//! Distances and the nearest of them.

use crate::Result;
use crate::gpu::{Binding, Format, Gpu, Graph};
use crate::ops::{self, Band, Conv2d, Convolution, Geometry, LevelProducts, Product, matmul};
use crate::parameters::Parameters;
use crate::probe::harness::{Case, FENCE, SENTINEL, declared, input, matrix, random_maps, run, values, vector};
use crate::reference::{self, Corners, Maps};

pub(crate) async fn square_norm(gpu: &Gpu) -> Result<Case> {
    let x = random_maps([1, 150, 1, 36], 1);
    let center = values(36, 2);
    let buffer = vector(gpu, &center).await?;
    let mut graph = Graph::fenced(gpu, FENCE);
    let tensor = input(&mut graph, &x);
    let out = ops::square_norm(&mut graph, "out", tensor, &buffer);
    let answer = run(graph, &[(tensor, &x.values)], out.all()).await?;
    Ok(answer.against(reference::square_norm(&x, &center), 1e-5))
}

/// The second half of a grid's rows: products at each level's resolution, interpolated, against distances of the
/// interpolated descriptors.
pub(crate) async fn distances(gpu: &Gpu) -> Result<Case> {
    const GRID: u32 = 14;
    const PROTOTYPES: usize = 76;
    let (sides, channels) = ([9, 5, 3], [8, 4, 12]);
    let levels = [0, 1, 2].map(|i| random_maps([1, sides[i], sides[i], channels[i]], 1 + i as u64));
    let on_grid = levels.each_ref().map(|level| reference::resize(level, [GRID as usize; 2], Corners::Edges));
    let whole = Maps::concat(&on_grid);
    let constants = values(whole.shape[3] * PROTOTYPES, 9);
    let truth = reference::distances(&whole, &constants);
    let norms = reference::square_norm(&whole, &vec![0.0; whole.shape[3]]);
    let squares = |column: usize| constants[column..].iter().step_by(PROTOTYPES).map(|value| value * value).sum();
    let prototype_norms: Vec<f32> = (0..PROTOTYPES).map(squares).collect();
    let prototype_norms = vector(gpu, &prototype_norms).await?;

    let first_row = GRID / 2;
    let mut graph = Graph::fenced(gpu, FENCE);
    let position_norms = graph.external("norms", [1, GRID, GRID, 1]);
    let mut inputs = vec![(position_norms, norms.as_slice())];
    let mut multiplied = Vec::new();
    let mut first_channel = 0;
    for level in &levels {
        let [_, height, width, channels] = level.shape;
        let rows = &constants[first_channel * PROTOTYPES..][..channels * PROTOTYPES];
        first_channel += channels;
        let prototypes = matrix(gpu, [channels as u32, PROTOTYPES as u32], rows).await?;
        let tensor = input(&mut graph, level);
        inputs.push((tensor, level.values.as_slice()));
        let shape = [1, height as u32, width as u32, PROTOTYPES as u32];
        let products = graph.pixel_rows(Format::F32, "products", shape);
        matmul(&mut graph, "products", &Product::new(tensor.all(), &prototypes, products.all()));
        multiplied.push(LevelProducts { products, first_row: 0 });
    }
    let band = Band { grid: GRID, first_row, rows: GRID - first_row, first_position: 0, levels: multiplied };
    let out = ops::distances(&mut graph, "out", &band, position_norms, Binding::read(&prototype_norms));
    let answer = run(graph, &inputs, out.all()).await?;
    Ok(answer.against(truth.values[(first_row * GRID) as usize * PROTOTYPES..].to_vec(), 1e-5))
}

/// The second of two images, whose positions lie behind the first's. Descriptors have a multiple of 4 channels.
pub(crate) async fn nearest_prototype(
    gpu: &Gpu,
    positions: u32,
    quarter: u32,
    channels: u32,
    seed: u64,
) -> Result<Case> {
    let prototypes = 4 * quarter as usize;
    let phi = random_maps([1, 2 * positions, 1, channels], seed);
    let constants = values(channels as usize * prototypes, seed + 1);
    let distances = reference::distances(&phi, &constants);
    let nearest = reference::nearest(&distances, 1);
    let norms = reference::square_norm(&phi, &vec![0.0; channels as usize]);
    let column = |column: usize| constants[column..].iter().step_by(prototypes);
    let squares: Vec<f32> = (0..prototypes).map(|j| column(j).map(|value| value * value).sum()).collect();
    let as_weight: Vec<f32> = (0..prototypes).flat_map(|j| column(j).copied()).collect();
    let declaration = Convolution::new("prototypes", [prototypes as u32, channels], Geometry::POINTWISE);
    let declare = |parameters: &mut Parameters<'_>| Conv2d::new(parameters, declaration);
    let bank = declared(gpu, Format::F32, &as_weight, &[], declare).await?;

    let prototype_norms = vector(gpu, &squares).await?;
    let mut graph = Graph::fenced(gpu, FENCE);
    let position_norms = graph.external("norms", [1, 2 * positions, 1, 1]);
    let tensor = input(&mut graph, &phi);
    let out = graph.tensor("out", [1, 2 * positions, 1, 1]);
    let products = graph.rows(Format::F32, "products", [1, positions, prototypes as u32]);
    let second = tensor.row_range(positions, positions);
    matmul(&mut graph, "products", &Product::new(second, bank.matrix(), products.all()));
    let of = ops::Products {
        products,
        first_position: positions,
        position_norms,
        prototype_norms: Binding::read(&prototype_norms),
    };
    ops::nearest_prototype(&mut graph, "out", of, out);
    let mut answer = run(graph, &[(position_norms, &norms), (tensor, &phi.values)], out.all()).await?;
    let first: Vec<f32> = answer.values.drain(..positions as usize).collect();
    answer.intact &= first.iter().all(|&value| value == SENTINEL);
    // Squares are compared, with a tolerance relative to the norms that they are differences of: the root of a small
    // difference keeps few bits.
    answer.values.iter_mut().for_each(|distance| *distance *= *distance);
    let truth: Vec<f32> = nearest.values[positions as usize..].iter().map(|distance| distance * distance).collect();
    let largest = |values: &[f32]| values.iter().copied().fold(0.0, f32::max);
    let tolerance = 1e-6 * (largest(&norms) + largest(&squares)) / largest(&truth);
    Ok(answer.against(truth, tolerance))
}

pub(crate) async fn nearest(gpu: &Gpu) -> Result<Case> {
    let squared = random_maps([1, 6, 1, 1000], 1).map(|value| (value + 1.0) * 500.0);
    let mut graph = Graph::fenced(gpu, FENCE);
    let tensor = input(&mut graph, &squared);
    let out = graph.tensor("out", [1, 6, 1, 200]);
    ops::nearest(&mut graph, "out", tensor, out.all());
    let answer = run(graph, &[(tensor, &squared.values)], out.all()).await?;
    // Exact, but for a square root's last bit.
    Ok(answer.against(reference::nearest(&squared, 200).values, 1.2e-7))
}
