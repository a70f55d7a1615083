//! Distances in units of how descriptors vary: whitening, after which Euclidean distances are those of Mahalanobis.
//!
//! Channels of a level vary together, some directions far more than others; what is unlike good parts often lies along
//! those in which good parts hardly vary. Whitened by the inverse of the covariance's Cholesky factor, all directions
//! vary alike. That is done to levels that are linear projections; the channels of others are compared as they are.
//! Few photographs tell the weakest directions badly, so the covariance is shrunk towards a multiple of the identity
//! (Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004, with a share that
//! is fixed).

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
    /// `[outputs][inputs]`; none leaves descriptors as they are.
    rows: Option<Vec<f32>>,
    channels: usize,
}

impl Whitening {
    /// The map that leaves descriptors as they are.
    pub(super) fn none(channels: usize) -> Self {
        Self { rows: None, channels }
    }

    /// The map of the tensor `[inputs][outputs]` that model files have.
    pub(super) fn of_columns(columns: &[f32], channels: usize) -> Self {
        Self { rows: Some(transposed(columns, channels)), channels }
    }

    /// `[inputs][outputs]`, as model files have it.
    pub(super) fn columns(&self) -> Vec<f32> {
        match &self.rows {
            Some(rows) => transposed(rows, self.channels),
            None => DMatrix::identity(self.channels, self.channels).as_slice().to_vec(),
        }
    }

    /// Descriptors `[rows][channels]` as they are compared.
    pub(super) async fn apply(&self, gpu: &Gpu, descriptors: &[f32]) -> Result<Vec<f32>> {
        let Some(rows) = &self.rows else { return Ok(descriptors.to_vec()) };
        let mut whitened = Vec::with_capacity(descriptors.len());
        for some in descriptors.chunks(ROWS * self.channels) {
            whitened.extend(row_products(gpu, some, rows, self.channels).await?);
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
        Ok(Whitening { rows: Some(rows), channels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{EngineOptions, open_device};
    use pollster::block_on;

    const ROWS_OF_FOUR: [[f32; 4]; 6] = [
        [1.0, 2.0, 0.0, 1.0],
        [3.0, 1.0, 1.0, 0.0],
        [0.0, 1.0, 4.0, 2.0],
        [2.0, 2.0, 1.0, 5.0],
        [1.0, 0.0, 3.0, 1.0],
        [4.0, 3.0, 0.0, 2.0],
    ];

    fn assert_close(found: &[f32], truth: &[f32]) {
        assert_eq!(found.len(), truth.len());
        let close = found.iter().zip(truth).all(|(found, truth)| (found - truth).abs() < 1e-5);
        assert!(close, "{found:?}, not {truth:?}");
    }

    /// From `numpy.cov(bias=True)`, a tenth of its mean diagonal added, `numpy.linalg.cholesky` and `inv`: of all rows,
    /// and of all but the first two.
    #[test]
    fn as_numpy() {
        let (device, queue) = block_on(open_device(None)).expect("an adapter");
        let gpu = Gpu::new(device, queue, EngineOptions::default()).expect("the adapter was checked");
        let scatter = |rows: &[[f32; 4]]| block_on(Scatter::of(&gpu, rows.as_flattened(), 4)).expect("room");
        let (all, some) = (scatter(&ROWS_OF_FOUR), scatter(&ROWS_OF_FOUR[..2]));
        let whitening = all.whitening().expect("numbers that vary");
        #[rustfmt::skip]
        assert_close(&whitening.columns(), &[
            0.708_584_5, -0.415_762, 0.445_740_3, 0.108_420_9,
            0.0, 1.104_079, 0.651_064_4, -0.621_408_7,
            0.0, 0.0, 0.971_339_6, -0.189_938_7,
            0.0, 0.0, 0.0, 0.682_616_7,
        ]);
        #[rustfmt::skip]
        assert_close(&all.without(&some).whitening().expect("numbers that vary").columns(), &[
            0.646_550_4, -0.705_192_3, 1.052_158_5, 0.813_695_3,
            0.0, 1.226_874_4, 0.429_826_6, -0.420_256_6,
            0.0, 0.0, 1.381_320_8, 0.743_276_3,
            0.0, 0.0, 0.0, 0.809_900_5,
        ]);
        let whitened = block_on(whitening.apply(&gpu, ROWS_OF_FOUR[..2].as_flattened())).expect("room");
        #[rustfmt::skip]
        assert_close(&whitened, &[
            0.708_584_54, 1.792_396, 1.747_869_1, -0.451_779_7,
            2.125_753_6, -0.143_206_9, 2.959_625, -0.486_084_66,
        ]);
    }

    #[test]
    fn what_does_not_vary_stays_and_what_is_no_number_is_refused() {
        let scatter = |value: f64| Scatter { rows: 2, sums: vec![2.0; 4], products: vec![value; 16] };
        assert_close(&scatter(2.0).whitening().expect("all alike").columns(), &Whitening::none(4).columns());
        assert!(matches!(scatter(f64::NAN).whitening(), Err(Error::Input { .. })));
    }
}
