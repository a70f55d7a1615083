//! Measuring which kernels are the fastest for a model's layers on this device.

use super::harness::{random_maps_in, values};
use crate::engine::session::layers;
use crate::engine::{Engine, Model};
use crate::gpu::{
    Factors, Format, Gpu, Graph, Layer, MeasuredWay, Schedule, Tensor, Tiling, Tuned, Tuning, Winograd, read_buffers,
};
use crate::ops::{Conv2d, Convolution, Epilogue, Geometry, Padding};
use crate::parameters::{Parameters, Storage};
use crate::reference::{self, Maps, Window};
use crate::weights::Parameter;
use crate::{Error, Result};
use std::time::Duration;
use web_time::Instant;

/// How far [`Engine::tune`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TuningProgress {
    /// Layers measured.
    pub done: usize,
    /// Layers to measure.
    pub total: usize,
}

impl Engine {
    /// What was measured on this device so far, to be kept and handed to the next engine's
    /// [`EngineOptions::tuning`](crate::EngineOptions::tuning).
    pub fn tuning(&self) -> Tuning {
        self.gpu.tuning().clone()
    }

    /// Measures the distinct layers of a model at a batch that were not measured yet, each in every sensible way that
    /// computes it rightly, and keeps the fastest. It takes seconds, in which the device should have nothing else to
    /// do.
    ///
    /// Sessions opened from here on run so. `true` when the model's weights would now be laid out otherwise (another of
    /// Winograd's algorithms won): the model has to be loaded again to gain from that.
    ///
    /// # Errors
    /// [`Error::Gpu`] that names the kernel when the usual one computes something wrong, and as [`Model::session`].
    pub async fn tune(&self, model: &Model, batch: u32, mut on_progress: impl FnMut(TuningProgress)) -> Result<bool> {
        let (gpu, choice) = (&self.gpu, model.options.winograd);
        let mut pending = layers(model, batch)?;
        pending.retain(|layer| {
            let ways = ways(gpu, layer, choice);
            ways.len() > 1 && !ways.iter().all(|way| gpu.tuning().knows(layer, way.winograd, &way.tiling))
        });
        let total = pending.len();
        let mut changed = false;
        for (done, layer) in pending.iter().enumerate() {
            on_progress(TuningProgress { done, total });
            let algorithm = || Parameters::new(model.options.storage(gpu)).winograd(layer);
            let before = algorithm();
            let tuned = measure(gpu, layer, choice).await?;
            gpu.tuning().insert(tuned);
            changed |= layer.is_winograd() && algorithm() != before;
        }
        on_progress(TuningProgress { done: total, total });
        Ok(changed)
    }
}

/// A way of computing a layer.
#[derive(Clone, Copy, PartialEq)]
struct Way {
    winograd: Option<Winograd>,
    tiling: Tiling,
}

/// The sensible ways of computing a layer, by one of Winograd's algorithms where the model was loaded so; the first is
/// the usual one.
fn ways(gpu: &Gpu, layer: &Layer, choice: Option<Winograd>) -> Vec<Way> {
    let winograds = match choice {
        _ if !layer.is_winograd() => vec![None],
        Some(choice) => vec![Some(choice)],
        None => {
            let usual = gpu.matmul.winograd(layer.height);
            let other = if usual == Winograd::F2x2 { Winograd::F4x4 } else { Winograd::F2x2 };
            vec![Some(usual), Some(other)]
        }
    };
    let ways = |winograd| gpu.tilings_of(layer, winograd).into_iter().map(move |tiling| Way { winograd, tiling });
    winograds.into_iter().flat_map(ways).collect()
}

/// Measures every way of computing a layer. Only the usual one must work.
async fn measure(gpu: &Gpu, layer: &Layer, choice: Option<Winograd>) -> Result<Tuned> {
    let problem = Problem::new(layer);
    let mut measured = Vec::new();
    let mut least = Duration::MAX;
    let mut idle_since = Instant::now();
    for ways in ways(gpu, layer, choice).chunk_by(|a, b| a.winograd == b.winograd) {
        let conv = problem.load(gpu, ways[0].winograd).await?;
        for &Way { winograd, tiling } in ways {
            let time = match problem.time(gpu, &conv, tiling, idle_since, least).await {
                Ok(time) => Some(time),
                Err(error) if measured.is_empty() || matches!(error, Error::DeviceLost(_)) => return Err(error),
                // Wrong, or refused by the driver.
                Err(_) => None,
            };
            idle_since = Instant::now();
            least = least.min(time.unwrap_or(Duration::MAX));
            let nanoseconds = time.map(|time| time.as_nanos() as u64);
            measured.push(MeasuredWay { tiling: tiling.name(), winograd, nanoseconds });
        }
    }
    Ok(Tuned { layer: *layer, ways: measured })
}

/// A layer with an input and weights.
struct Problem<'a> {
    layer: &'a Layer,
    geometry: Geometry,
    x: Maps,
    encoded_x: Vec<u8>,
    /// Output x input x kernel x kernel.
    weight: Vec<f32>,
}

impl<'a> Problem<'a> {
    fn new(layer: &'a Layer) -> Self {
        let Layer { kernel, stride, batch, height, width, inputs, outputs, .. } = *layer;
        let format = format_of_input(layer);
        let x = random_maps_in(format, [batch, height, width, inputs], 1);
        Self {
            layer,
            geometry: Geometry { kernel, stride, padding: Padding::Even(kernel / 2) },
            encoded_x: format.encode(&x.values),
            x,
            weight: values((outputs * inputs * kernel * kernel) as usize, 2),
        }
    }

    async fn load(&self, gpu: &Gpu, winograd: Option<Winograd>) -> Result<Conv2d> {
        let Layer { inputs, outputs, f16, .. } = *self.layer;
        let format = if f16 { Format::F16 } else { Format::F32 };
        let mut parameters = Parameters::new(Storage { gpu: Some(gpu), format, ..Storage::default() });
        let convolution = Convolution::new("tuning", [outputs, inputs], self.geometry);
        let algorithm = self.geometry.algorithm(winograd.unwrap_or_default());
        let conv = Conv2d::computed_by(algorithm, &mut parameters, convolution);
        parameters.load(gpu, &|_: &Parameter| self.weight.clone()).await?;
        Ok(conv)
    }

    /// How long one run takes, the least of several; measured no longer than it takes to see that it is no improvement
    /// on the `best`. The device has had nothing to do since `idle_since`.
    async fn time(
        &self,
        gpu: &Gpu,
        conv: &Conv2d,
        tiling: Tiling,
        idle_since: Instant,
        best: Duration,
    ) -> Result<Duration> {
        const RUNS: u32 = 3;
        /// Shorter ones would measure the way to the device.
        const AT_LEAST: Duration = Duration::from_millis(4);
        let (schedule, x, out) = self.schedule(gpu, conv, tiling).await?;
        schedule.write(gpu, x, &self.encoded_x).await?;
        // The first run compiles.
        run(gpu, &schedule, out, 1).await?;
        let found: Vec<u8> = read_buffers(gpu, &[(schedule.buffer(out), out.bytes())]).await?.remove(0);
        self.check(&out.format.decode(&found), tiling)?;
        keep_busy(gpu, &schedule, out, idle_since.elapsed()).await?;
        let once = run(gpu, &schedule, out, 1).await?;
        if once > best.saturating_mul(2).saturating_add(AT_LEAST) {
            return Ok(once);
        }
        let repeats = (AT_LEAST.as_secs_f64() / once.as_secs_f64()).clamp(1.0, 200.0) as u32;
        let mut least = Duration::MAX;
        for _ in 0..RUNS {
            least = least.min(run(gpu, &schedule, out, repeats).await? / repeats);
        }
        Ok(least)
    }

    async fn schedule(&self, gpu: &Gpu, conv: &Conv2d, tiling: Tiling) -> Result<(Schedule, Tensor, Tensor)> {
        let Layer { batch, height, width, inputs, .. } = *self.layer;
        let mut graph = Graph::new(gpu, true).tiled(tiling);
        let x = graph.external_as(format_of_input(self.layer), "tuning.x", [batch, height, width, inputs]);
        let out = conv.write(&mut graph, "tuning", x, Epilogue::NONE);
        graph.stage("out", out.all());
        Ok((graph.finish().await?, x, out))
    }

    /// Compares some outputs, the first and the last among them, with sums in f64.
    fn check(&self, found: &[f32], tiling: Tiling) -> Result<()> {
        const SAMPLES: usize = 61;
        let sampled: Vec<usize> = (0..SAMPLES).map(|sample| sample * (found.len() - 1) / (SAMPLES - 1)).collect();
        let truth: Vec<f64> = sampled.iter().map(|&index| self.output(index)).collect();
        let scale = truth.iter().fold(0.0_f64, |scale, value| scale.max(value.abs()));
        // f16 rounds weights, and Winograd's transform of them once more.
        let tolerance = scale * if self.layer.f16 { 1e-2 } else { 1e-4 };
        for (&index, truth) in sampled.iter().zip(truth) {
            let error = (f64::from(found[index]) - truth).abs();
            if error.is_nan() || error > tolerance {
                return Err(Error::Gpu {
                    what: format!("kernel {}", tiling.name()),
                    reason: format!(
                        "{:?}: value {index} is {}, should be {truth}; `Engine::probe` tests all kernels",
                        self.layer, found[index]
                    ),
                });
            }
        }
        Ok(())
    }

    /// One output of the convolution, by its definition.
    fn output(&self, index: usize) -> f64 {
        let Layer { kernel, stride, height, width, outputs, .. } = *self.layer;
        let [kernel, stride, height, width, outputs] = [kernel, stride, height, width, outputs].map(|n| n as usize);
        let window = Window::even(kernel, stride, kernel / 2, [height, width]);
        let [out_height, out_width] = window.out;
        let pixel = index / outputs;
        let place =
            [pixel / (out_width * out_height), pixel / out_width % out_height, pixel % out_width, index % outputs];
        reference::conv2d_at(&self.x, &self.weight, window, place)
    }
}

/// Runs a schedule again and again for twice as long as the device was idle, up to what it takes any: an idle GPU turns
/// its clock down, to a fifth and less, and takes some time to turn it up.
async fn keep_busy(gpu: &Gpu, schedule: &Schedule, out: Tensor, idle: Duration) -> Result<()> {
    const LONG_ENOUGH: Duration = Duration::from_millis(150);
    if gpu.device.adapter_info().device_type == wgpu::DeviceType::Cpu {
        return Ok(());
    }
    let start = Instant::now();
    while start.elapsed() < (2 * idle).min(LONG_ENOUGH) {
        run(gpu, schedule, out, 4).await?;
    }
    Ok(())
}

fn format_of_input(layer: &Layer) -> Format {
    if layer.factors == Factors::F32 { Format::F32 } else { Format::F16 }
}

/// Runs a schedule some times in a row and waits for the first bytes of what it computes.
async fn run(gpu: &Gpu, schedule: &Schedule, out: Tensor, repeats: u32) -> Result<Duration> {
    let start = Instant::now();
    let record = |encoder: &mut wgpu::CommandEncoder| {
        (0..repeats).for_each(|_| schedule.record(encoder, 0..schedule.len()));
    };
    gpu.submit("tuning", record).await?;
    read_buffers::<f32>(gpu, &[(schedule.buffer(out), 4)]).await?;
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{EngineOptions, MatmulKernel, open_device, shaders};
    use pollster::block_on;

    /// A kernel that a driver miscompiles is never chosen; where it is the usual one, that is an error.
    #[test]
    fn wrong_kernels_are_refused() {
        let (device, queue) = block_on(open_device(None)).expect("an adapter");
        let options = EngineOptions { matmul: Some(MatmulKernel::Tiled), ..Default::default() };
        let gpu = Gpu::new(device, queue, options).expect("the adapter was checked");
        let layer = Layer::product([70, 32, 36], false);
        let problem = Problem::new(&layer);
        let conv = block_on(problem.load(&gpu, None)).expect("small enough");
        for tiling in gpu.tilings(Factors::F32).into_iter().rev() {
            let kernel = tiling.kernel([]).with_constant("EPILOGUE", false).with_constant("INPUT_RELU", false);
            let right = shaders::source(kernel.shader, &kernel.defines);
            let wrong = right.replace("Factors(a.x), sum", "Factors(1.01 * a.x), sum");
            assert_ne!(wrong, right);
            block_on(problem.time(&gpu, &conv, tiling, Instant::now(), Duration::MAX)).expect("right so far");
            gpu.replace_pipeline(&kernel, wrong);
            match block_on(problem.time(&gpu, &conv, tiling, Instant::now(), Duration::MAX)) {
                Err(Error::Gpu { what, .. }) => assert!(what.contains(&tiling.name()), "{what}"),
                outcome => panic!("{}: {outcome:?}", tiling.name()),
            }
        }
        assert!(matches!(block_on(measure(&gpu, &layer, None)), Err(Error::Gpu { .. })));
    }
}
