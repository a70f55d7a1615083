//! The head that is taught rather than trained: how far each position is from prototypes of good parts, level by level,
//! in units of how far good parts are.
//!
//! Each level has prototypes of its own (Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR
//! 2022, keep one bank for all), because what tells a defect differs from part to part more between levels than
//! anywhere else.

use super::Outputs;
use super::anomaly_map::AnomalyMap;
use crate::ModelConfig;
use crate::config::{TaughtHead, TaughtLevel};
use crate::gpu::{Binding, Constant, Graph, Tensor};
use crate::ops::{Matrix, Product, Prototypes, describe, join_levels, matmul, nearest_of, square_norm};
use crate::parameters::{Parameters, Part};
use crate::weights::names::TAUGHT;
use crate::weights::{Parameter, Role};

pub(crate) struct Taught {
    levels: Vec<Level>,
    join: Join,
    grid: u32,
}

/// What becomes of the levels' distances: one map, in units of what good parts have.
pub(crate) struct Join {
    /// Reciprocals of good parts' distances, `[levels][grid][grid]`.
    normal: Constant,
    /// Weight, lowest and highest quantile and evenness of each level.
    bounds: Constant,
    anomaly_map: AnomalyMap,
}

/// The prototypes of one level.
struct Level {
    /// The level's index in the backbone.
    level: usize,
    /// Mean and reciprocal of the deviation of each channel.
    center: Constant,
    /// `[channels][channels]`, of linear levels: what makes all directions vary alike.
    whitening: Option<Matrix>,
    /// `[channels][prototypes]`, standardised and, of linear levels, whitened.
    prototypes: Matrix,
    /// |C|^2 of each.
    norms: Constant,
    origin: Constant,
}

impl Taught {
    pub(crate) fn new(parameters: &mut Parameters<'_>, config: &ModelConfig, head: &TaughtHead) -> Self {
        let levels: Vec<Level> = head.levels.iter().map(|level| Level::new(parameters, config, *level)).collect();
        let join = Join::new(parameters, config, head.levels.len() as u32);
        Self { levels, join, grid: config.grid }
    }

    /// Appends everything behind the backbone.
    pub(crate) fn write(&self, graph: &mut Graph<'_>, features: &[Tensor]) -> Outputs {
        let distances: Vec<Tensor> =
            self.levels.iter().map(|level| level.write(graph, features[level.level], self.grid)).collect();
        self.join.write(graph, &distances)
    }
}

impl Join {
    pub(crate) fn new(parameters: &mut Parameters<'_>, config: &ModelConfig, levels: u32) -> Self {
        let normal = parameters.vector("taught.normal".to_owned(), levels * config.grid * config.grid);
        let bounds = parameters.vector("taught.bounds".to_owned(), 4 * levels);
        let declared = vec![
            Parameter::new(format!("{TAUGHT}normal"), Role::Distances, &[levels, config.grid, config.grid]),
            Parameter::new(format!("{TAUGHT}bounds"), Role::Distances, &[levels, 4]),
        ];
        let constants = [normal.clone(), bounds.clone()];
        parameters.declare(declared, move |values| {
            let mut parts = constants.into_iter().zip(values).map(|(constant, values)| Part::whole(constant, values));
            Ok(Box::new([parts.next(), parts.next()].into_iter().flatten()))
        });
        Self { normal, bounds, anomaly_map: AnomalyMap::of_cells(parameters, config) }
    }

    /// Appends the map of the levels' distances, each `[batch][grid][grid]`.
    pub(crate) fn write(&self, graph: &mut Graph<'_>, distances: &[Tensor]) -> Outputs {
        let joined = join_levels(graph, "taught.join", distances, &self.normal, &self.bounds);
        graph.stage("joined", joined.all());
        self.anomaly_map.write(graph, joined)
    }
}

impl Level {
    fn new(
        parameters: &mut Parameters<'_>,
        config: &ModelConfig,
        TaughtLevel { level, prototypes }: TaughtLevel,
    ) -> Self {
        let channels = config.level_channels()[level as usize - 1];
        let name = format!("{TAUGHT}layer_{level}");
        let center = parameters.vector(format!("{name}.center"), 2 * channels);
        let matrix = parameters.matrix(format!("{name}.C"), [1, channels, prototypes], parameters.format());
        let norms = parameters.vector(format!("{name}.norms"), prototypes);
        let origin = parameters.vector(format!("{name}.origin"), channels);
        parameters.fixed(&origin, vec![0.0; channels as usize]);
        let declared = vec![
            Parameter::new(format!("{name}.mean"), Role::NormMean, &[channels]),
            Parameter::new(format!("{name}.deviation"), Role::NormScale, &[channels]),
            Parameter::new(format!("{name}.C"), Role::Prototypes, &[channels, prototypes]),
        ];
        let constants = [center.clone(), matrix.clone(), norms.clone()];
        parameters.declare(declared, move |values| {
            let [center, matrix, norms] = constants;
            let mut values = values.into_iter();
            let mut next = || values.next().unwrap_or_default();
            let (mean, deviation, columns) = (next(), next(), next());
            let reciprocals = deviation.iter().map(|deviation| 1.0 / deviation.max(f32::MIN_POSITIVE));
            let centers = mean.into_iter().chain(reciprocals).collect();
            let squares = square_norms(&columns, prototypes as usize);
            let parts = [Part::whole(center, centers), Part::whole(norms, squares), Part::whole(matrix, columns)];
            Ok(Box::new(parts.into_iter()))
        });
        let is_linear = config.backbone.has_linear_levels();
        let whitening = is_linear.then(|| whitening(parameters, format!("{name}.whitening"), channels));
        Self { level: level as usize - 1, center, whitening, prototypes: Matrix::of(matrix), norms, origin }
    }

    /// `[batch][grid][grid]`, the distance of each position's descriptor to the nearest prototype.
    fn write(&self, graph: &mut Graph<'_>, feature: Tensor, grid: u32) -> Tensor {
        let name = format!("taught.layer_{}", self.level + 1);
        let mut descriptors = describe(graph, &format!("{name}.descriptors"), feature, &self.center, grid);
        if let Some(whitening) = &self.whitening {
            let shape = [descriptors.batch, grid, grid, descriptors.channels];
            let whitened = graph.tensor(&format!("{name}.whitened"), shape);
            matmul(graph, &format!("{name}.whitened"), &Product::new(descriptors.all(), whitening, whitened.all()));
            descriptors = whitened;
        }
        graph.stage(&format!("descriptors{}", self.level + 1), descriptors.all());
        let norms = square_norm(graph, &format!("{name}.position_norms"), descriptors, &self.origin);
        let out = graph.tensor(&format!("{name}.distances"), [descriptors.batch, grid, grid, 1]);
        let prototypes = Prototypes { columns: &self.prototypes, norms: Binding::read(&self.norms) };
        nearest_of(graph, &name, [descriptors, norms], &prototypes, out);
        graph.stage(&format!("distances{}", self.level + 1), out.all());
        out
    }
}

/// The linear map of a level's descriptors.
fn whitening(parameters: &mut Parameters<'_>, name: String, channels: u32) -> Matrix {
    let constant = parameters.matrix(name.clone(), [1, channels, channels], parameters.format());
    let (matrix, declared) = (Matrix::of(constant.clone()), Parameter::new(name, Role::Weight, &[channels, channels]));
    parameters.declare(vec![declared], |values| Ok(Box::new(std::iter::once(Part::whole(constant, values.concat())))));
    matrix
}

/// |C|^2 of each column of `[channels][columns]`.
fn square_norms(values: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; columns];
    for row in values.chunks_exact(columns) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value).powi(2));
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}
