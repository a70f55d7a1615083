//! Distances in units of how descriptors vary: whitening, after which Euclidean distances are those of Mahalanobis.
//!
//! Channels of a level vary together, some directions far more than others; what is unlike good parts often lies along
//! those in which good parts hardly vary. Whitened by the inverse of the covariance's Cholesky factor, all directions
//! vary alike. Few photographs tell the weakest directions badly, so the covariance is shrunk towards a multiple of the
//! identity (Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004, with a
//! share that is fixed).

use super::rows::{row_products, transposed};
use crate::gpu::Gpu;
use crate::{Error, Result};
use nalgebra::{Cholesky, DMatrix};

/// The mean variance of a channel, times this, is added to each.
const SHRINKAGE: f64 = 0.1;
/// Rows that are multiplied at once.
const ROWS: usize = 4096;

/// A linear map of descriptors.
#[derive(Clone)]
pub(super) struct Whitening {
    /// `[outputs][inputs]`.
    rows: Vec<f32>,
    channels: usize,
}

impl Whitening {
    /// The map that leaves descriptors as they are.
    pub(super) fn identity(channels: usize) -> Self {
        let rows = DMatrix::<f32>::identity(channels, channels).as_slice().to_vec();
        Self { rows, channels }
    }

    /// The map of the tensor `[inputs][outputs]` that model files have.
    pub(super) fn of_columns(columns: &[f32], channels: usize) -> Self {
        Self { rows: transposed(columns, channels), channels }
    }

    /// `[inputs][outputs]`, as model files have it.
    pub(super) fn columns(&self) -> Vec<f32> {
        transposed(&self.rows, self.channels)
    }

    /// Descriptors `[rows][channels]` as they are compared.
    pub(super) async fn apply(&self, gpu: &Gpu, descriptors: &[f32]) -> Result<Vec<f32>> {
        let mut whitened = Vec::with_capacity(descriptors.len());
        for some in descriptors.chunks(ROWS * self.channels) {
            whitened.extend(row_products(gpu, some, &self.rows, self.channels).await?);
        }
        Ok(whitened)
    }
}

/// Sums over descriptors, of which their covariance is made.
#[derive(Clone)]
pub(super) struct Scatter {
    rows: usize,
    sums: Vec<f64>,
    /// Sums of products `[channels][channels]`.
    products: Vec<f64>,
}

impl Scatter {
    /// The sums over `[rows][channels]`.
    pub(super) async fn of(gpu: &Gpu, descriptors: &[f32], channels: usize) -> Result<Self> {
        let (mut sums, mut products) = (vec![0.0; channels], vec![0.0; channels * channels]);
        for some in descriptors.chunks(ROWS * channels) {
            let mut some = some.to_vec();
            for row in some.chunks_exact(channels) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            // Products have a depth of fours; rows of zeros add nothing.
            let rows = (some.len() / channels).next_multiple_of(4);
            some.resize(rows * channels, 0.0);
            let columns = transposed(&some, channels);
            let found = row_products(gpu, &columns, &columns, rows).await?;
            products.iter_mut().zip(found).for_each(|(sum, value)| *sum += f64::from(value));
        }
        Ok(Self { rows: descriptors.len() / channels, sums, products })
    }

    /// The sums over the other rows.
    pub(super) fn without(&self, some: &Self) -> Self {
        let less = |all: &[f64], some: &[f64]| all.iter().zip(some).map(|(all, some)| all - some).collect();
        Self {
            rows: self.rows - some.rows,
            sums: less(&self.sums, &some.sums),
            products: less(&self.products, &some.products),
        }
    }

    /// The map after which descriptors like these vary alike in all directions.
    ///
    /// # Errors
    /// [`Error::Input`] for sums that are not finite.
    pub(super) fn whitening(&self) -> Result<Whitening> {
        let channels = self.sums.len();
        let count = self.rows.max(1) as f64;
        let mut covariance = DMatrix::from_fn(channels, channels, |row, column| {
            self.products[row * channels + column] / count - self.sums[row] / count * (self.sums[column] / count)
        });
        let variance = covariance.trace() / channels as f64;
        // Descriptors that are all alike vary in no direction.
        let share = if variance > 0.0 { SHRINKAGE * variance } else { 1.0 };
        (0..channels).for_each(|channel| covariance[(channel, channel)] += share);
        let inverse = Cholesky::new(covariance)
            .and_then(|factor| factor.l().solve_lower_triangular(&DMatrix::identity(channels, channels)));
        let Some(inverse) = inverse else {
            return Err(Error::Input {
                what: "features of the photographs".to_owned(),
                expected: "numbers that vary".to_owned(),
                found: "a covariance that has no inverse".to_owned(),
            });
        };
        // Row by row, where nalgebra has column by column.
        let rows = inverse.transpose().iter().map(|value| *value as f32).collect();
        Ok(Whitening { rows, channels })
    }
}
