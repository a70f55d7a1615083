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
        /// Until then, GPUs that were idle have turned their clocks up.
        const AT_LEAST: Duration = Duration::from_millis(250);
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
        let mut repeats = 1;
        let (mut runs, mut best) = (0, Duration::MAX);
        let start = Instant::now();
        while runs < RUNS || start.elapsed() < AT_LEAST {
            let start = Instant::now();
            let record = |encoder: &mut wgpu::CommandEncoder| {
                (0..repeats).for_each(|_| schedule.record(encoder, product.clone()));
            };
            gpu.submit("throughput", record).await?;
            gpu.wait()?;
            let once = start.elapsed() / repeats;
            // Many together, so that the way to the device does not count.
            repeats = (AT_LEAST.as_secs_f64() / 16.0 / once.as_secs_f64()).clamp(1.0, 64.0) as u32;
            (runs, best) = (runs + 1, best.min(once));
        }
        Ok(SIZE.map(f64::from).iter().product::<f64>() / best.as_secs_f64())
    }
}
