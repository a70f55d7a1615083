//! How fast the device multiplies matrices. Native only: a browser's page never waits.

use crate::Result;
use crate::engine::Engine;
use crate::gpu::{Format, Graph};
use crate::ops::{Matrix, Product, matmul};
use crate::parameters::{Parameters, Storage};
use crate::weights::Parameter;
use std::time::{Duration, Instant};

/// Rows, depth and columns of the product: enough to fill any GPU, with the depth of the decoder's.
const SIZE: [u32; 3] = [4096, 896, 896];

impl Engine {
    /// Multiply-adds a second of the engine's own kernel on a large f32 matrix product, the best of several runs.
    ///
    /// # Errors
    /// [`Error::DeviceLost`](crate::Error::DeviceLost) or [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub async fn peak_multiply_adds(&self) -> Result<f64> {
        const RUNS: u32 = 5;
        let gpu = &self.gpu;
        let [rows, depth, columns] = SIZE;
        let mut parameters = Parameters::new(Storage { gpu: Some(gpu), ..Storage::default() });
        let constant = parameters.matrix("throughput.matrix".to_owned(), [1, depth, columns], Format::F32);
        parameters.fixed(&constant, vec![0.0; (depth * columns) as usize]);
        parameters.load(gpu, &|_: &Parameter| Vec::new()).await?;
        let mut graph = Graph::new(gpu, false);
        let a = graph.external("throughput.rows", [1, rows, 1, depth]);
        let out = graph.tensor("throughput.out", [1, rows, 1, columns]);
        matmul(&mut graph, "throughput", &Product::new(a.all(), &Matrix::of(constant), out.all()));
        let schedule = graph.finish().await?;
        // Drivers compile in the first run, and rows are packed for kernels that read textures; the product comes last.
        schedule.submit(gpu).await?;
        gpu.wait()?;
        let product = schedule.len() - 1..schedule.len();
        let mut best = Duration::MAX;
        for _ in 0..RUNS {
            let start = Instant::now();
            gpu.submit("throughput", |encoder| schedule.record(encoder, product.clone())).await?;
            gpu.wait()?;
            best = best.min(start.elapsed());
        }
        Ok(SIZE.map(f64::from).iter().product::<f64>() / best.as_secs_f64())
    }
}
