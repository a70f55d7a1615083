//! Distances to the prototypes and the nearest of them (NETWORK: prototypes, distances, nearest K).

use super::descriptor::Descriptors;
use crate::ModelConfig;
use crate::config::TrainedHead;
use crate::gpu::{Binding, Constant, Format, Graph, Tensor};
use crate::ops::{
    BAND_BYTES, Band, LevelProducts, Matrix, Product, Ranked, distances, matmul, nearest, nearest_ranked, square_norm,
};
use crate::parameters::{Parameters, Part};
use crate::weights::{Parameter, Role};

/// Prototypes relative to their mean. With `m` the mean and `C' = C - m`,
///
/// `|phi - C|^2 = |phi - m|^2 + (|C'|^2 + 2 m . C') - 2 phi . C'`,
///
/// exactly. Descriptors and prototypes share most of their length, which this takes out of the subtraction, so that far
/// less of it is lost to rounding.
pub(crate) struct Prototypes {
    /// Each level's channels of all `C'`, `[channels][P]`.
    levels: Vec<Matrix>,
    /// `m`, `[D]`.
    mean: Constant,
    /// `|C'|^2 + 2 m . C'` of each prototype.
    norms: Constant,
    nearest: u32,
}

impl Prototypes {
    pub(crate) fn new(parameters: &mut Parameters<'_>, config: &ModelConfig, head: &TrainedHead) -> Self {
        let count = head.prototypes;
        let levels: Vec<Constant> = config
            .levels()
            .into_iter()
            .map(|level| {
                let shape = [1, config.level_channels()[level], count];
                parameters.matrix(format!("prototypes.layer_{}", level + 1), shape, parameters.format())
            })
            .collect();
        let mean = parameters.vector("prototypes.mean".to_owned(), config.descriptor_channels());
        let norms = parameters.vector("prototypes.norms".to_owned(), count);
        let prototypes = Self {
            levels: levels.iter().cloned().map(Matrix::of).collect(),
            mean: mean.clone(),
            norms: norms.clone(),
            nearest: head.nearest,
        };
        let shape = [config.descriptor_channels(), count];
        let declared = vec![Parameter::new("adaptor.C".to_owned(), Role::Prototypes, &shape)];
        parameters.declare(declared, move |values| {
            let mut values = values.concat();
            let (means, squares) = center(&mut values, count as usize);
            let mut first = 0;
            let levels = levels.into_iter().map(move |constant| {
                let rows = constant.shape().iter().product::<u32>() as usize;
                first += rows;
                Part::whole(constant, values[first - rows..first].to_vec())
            });
            Ok(Box::new(levels.chain([Part::whole(mean, means), Part::whole(norms, squares)])))
        });
        prototypes
    }

    /// `[batch][grid][grid][K]`, the distances to the nearest prototypes in ascending order.
    pub(crate) fn write(&self, graph: &mut Graph<'_>, descriptors: &Descriptors) -> Tensor {
        let Tensor { batch, width: grid, .. } = descriptors.whole;
        let score = graph.tensor("score", [batch, grid, grid, self.nearest]);
        let norms = vec![Binding::read(&self.norms); batch as usize];
        self.each_band(graph, descriptors, &norms, |graph, label, squared, first_position| {
            nearest(graph, label, squared, score.row_range(first_position, squared.pixels()));
        });
        score
    }

    /// The nearest prototypes of each position, where each image is compared with prototypes of its own `norms`: those
    /// of [`centered_norms`], or so large ones that nothing is nearer.
    pub(crate) fn write_ranked(&self, graph: &mut Graph<'_>, descriptors: &Descriptors, norms: &[Tensor]) -> Ranked {
        let Tensor { batch, width: grid, .. } = descriptors.whole;
        graph.ensure_equal("norms of prototypes", norms.len(), batch as usize);
        let [distances, indices] =
            ["score", "indices"].map(|label| graph.external(label, [batch, grid, grid, self.nearest]));
        let out = Ranked { distances, indices };
        let norms: Vec<Binding> = norms.iter().copied().map(Binding::read).collect();
        self.each_band(graph, descriptors, &norms, |graph, label, squared, first_position| {
            nearest_ranked(graph, label, squared, out, first_position);
        });
        out
    }

    /// Writes squared distances, a band of grid rows after another, and what `select` makes of each.
    fn each_band(
        &self,
        graph: &mut Graph<'_>,
        descriptors: &Descriptors,
        norms: &[Binding],
        mut select: impl FnMut(&mut Graph<'_>, &str, Tensor, u32),
    ) {
        let whole = descriptors.whole;
        let grid = whole.width;
        let position_norms = square_norm(graph, "prototypes.position_norms", whole, &self.mean);
        let row_bytes = 4 * grid * self.levels[0].columns;
        // Every position of a band is a row of workgroups, of which a dispatch has at most 65535.
        let band_rows = (BAND_BYTES / row_bytes).min(65535 / grid).clamp(1, grid);
        for (image, norms) in (0..whole.batch).zip(norms) {
            for first_row in (0..grid).step_by(band_rows as usize) {
                let rows = band_rows.min(grid - first_row);
                let label = format!("prototypes.image{image}.rows{first_row}");
                let band = self.band(graph, &label, descriptors, image, first_row, rows);
                let squared = distances(graph, &format!("{label}.distances"), &band, position_norms, norms.clone());
                select(graph, &format!("{label}.nearest"), squared, (image * grid + first_row) * grid);
            }
        }
    }

    /// The products of the levels' rows that a band of grid rows is interpolated from.
    fn band(
        &self,
        graph: &mut Graph<'_>,
        label: &str,
        descriptors: &Descriptors,
        image: u32,
        first_row: u32,
        rows: u32,
    ) -> Band {
        let grid = descriptors.whole.width;
        let levels = (1..).zip(descriptors.levels.iter().zip(&self.levels)).map(|(number, (level, matrix))| {
            let (first_row, count) = source_rows(first_row, rows, level.height, grid);
            let label = format!("{label}.product{number}");
            let products = graph.pixel_rows(Format::F32, &label, [1, count, level.width, matrix.columns]);
            let a = level.row_range((image * level.height + first_row) * level.width, count * level.width);
            matmul(graph, &label, &Product::new(a, matrix, products.all()));
            LevelProducts { products, first_row }
        });
        Band { grid, first_row, rows, first_position: image * grid * grid, levels: levels.collect() }
    }
}

/// What [`Prototypes::write_ranked`] takes for the norms of prototypes `[D][P]`.
pub(crate) fn centered_norms(mut values: Vec<f32>, prototypes: usize) -> Vec<f32> {
    center(&mut values, prototypes).1
}

/// Takes the mean out of prototypes `[D][P]`; gives the mean, and `|C'|^2 + 2 m . C'` of each.
fn center(values: &mut [f32], prototypes: usize) -> (Vec<f32>, Vec<f32>) {
    let mut means = Vec::with_capacity(values.len() / prototypes);
    let mut norms = vec![0.0_f64; prototypes];
    for row in values.chunks_exact_mut(prototypes) {
        let mean = (row.iter().map(|&value| f64::from(value)).sum::<f64>() / prototypes as f64) as f32;
        for (norm, value) in norms.iter_mut().zip(row) {
            *value -= mean;
            let centered = f64::from(*value);
            *norm += centered * (centered + 2.0 * f64::from(mean));
        }
        means.push(mean);
    }
    (means, norms.into_iter().map(|norm| norm as f32).collect())
}

/// First row and number of rows of `size` that bilinear resizing (half-pixel centres) of rows `first..first + rows` of
/// `to_size` reads. The margin covers the difference between this arithmetic and a shader's.
fn source_rows(first: u32, rows: u32, size: u32, to_size: u32) -> (u32, u32) {
    const MARGIN: f64 = 1e-3;
    let source = |row: u32| (f64::from(row) + 0.5) * f64::from(size) / f64::from(to_size) - 0.5;
    let low = (source(first) - MARGIN).max(0.0) as u32;
    let high = ((source(first + rows - 1) + MARGIN).max(0.0) as u32 + 1).min(size - 1);
    let low = low.min(size - 1);
    (low, high - low + 1)
}
