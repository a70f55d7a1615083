//! Distances of descriptors to the nearest of some others.

use crate::Result;
use crate::gpu::{Binding, Constant, Format, Gpu, Graph, Schedule, Tensor, Uploader, read_buffers};
use crate::ops::{Prototypes, nearest_of, rows_as_columns, square_norm};

/// The squared norm of a prototype that is to be left out: so large that nothing else is farther.
pub(crate) const LEFT_OUT: f32 = 3e38;

/// The comparison of some descriptors with some prototypes, written down for their numbers: of as many as the most
/// accurate models have within WebGPU's default limits.
pub(crate) struct Comparison<'a> {
    gpu: &'a Gpu,
    schedule: Schedule,
    queries: Tensor,
    prototypes: Tensor,
    norms: Tensor,
    distances: Tensor,
}

impl<'a> Comparison<'a> {
    /// A comparison of `queries` with `prototypes` rows of `channels` each.
    pub(crate) async fn new(gpu: &'a Gpu, [queries, prototypes, channels]: [u32; 3]) -> Result<Self> {
        let origin = Constant::buffer("teach.origin".to_owned(), [1, 1, channels], Format::F32);
        Uploader::new(gpu).fill(&origin, 0, bytemuck::cast_slice(&vec![0.0_f32; channels as usize])).await?;
        let mut graph = Graph::new(gpu, false);
        let rows = graph.external("teach.queries", [1, queries, 1, channels]);
        let others = graph.external("teach.prototypes", [1, prototypes, 1, channels]);
        let numbers = graph.external("teach.numbers", [1, 1, 1, prototypes]);
        let norms = graph.external("teach.prototype_norms", [1, 1, 1, prototypes]);
        let distances = graph.external("teach.distances", [1, queries, 1, 1]);
        let columns = rows_as_columns(&mut graph, "teach.columns", others, numbers);
        let position_norms = square_norm(&mut graph, "teach.query_norms", rows, &origin);
        let compared = Prototypes { columns: &columns, norms: Binding::read(norms) };
        nearest_of(&mut graph, "teach", [rows, position_norms], &compared, distances);
        let schedule = graph.finish().await?;
        let all: Vec<u32> = (0..prototypes).collect();
        schedule.write(gpu, numbers, &all).await?;
        Ok(Self { gpu, schedule, queries: rows, prototypes: others, norms, distances })
    }

    /// Takes other prototypes.
    pub(crate) async fn set_prototypes(&self, prototypes: &[f32]) -> Result<()> {
        self.schedule.write(self.gpu, self.prototypes, prototypes).await
    }

    /// The distance of each row of `queries` to the nearest prototype, where `norms` has the prototypes' squared norms,
    /// [`LEFT_OUT`] for those that shall not count.
    pub(crate) async fn distances(&self, queries: &[f32], norms: &[f32]) -> Result<Vec<f32>> {
        self.schedule.write(self.gpu, self.queries, queries).await?;
        self.schedule.write(self.gpu, self.norms, norms).await?;
        self.schedule.submit(self.gpu).await?;
        let source = (self.schedule.buffer(self.distances), self.distances.bytes());
        let distances = read_buffers(self.gpu, &[source]).await?.remove(0);
        super::give_way().await;
        Ok(distances)
    }
}

/// |x|^2 of each row.
pub(crate) fn square_norms(rows: &[f32], channels: usize) -> Vec<f32> {
    let square = |row: &[f32]| row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() as f32;
    rows.chunks_exact(channels).map(square).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::gpu::EngineOptions;
    use crate::random::SplitMix;
    use pollster::block_on;

    /// A device as a careful host makes it: no features, WebGPU's default limits.
    pub(in crate::teach) fn default_gpu() -> Gpu {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = block_on(instance.request_adapter(&Default::default())).expect("an adapter");
        let (device, queue) = block_on(adapter.request_device(&Default::default())).expect("nothing is asked for");
        Gpu::new(device, queue, EngineOptions::default()).expect("the defaults are enough")
    }

    /// A grid of 56 and 16,384 prototypes; in f64, a position's least distance by the definition.
    #[test]
    fn accurate_models_are_compared_within_default_limits() {
        const SIZES: [u32; 3] = [56 * 56, 16_384, 4];
        let [queries, prototypes, channels] = SIZES.map(|size| size as usize);
        let mut random = SplitMix(5);
        let mut draw = |rows: usize| -> Vec<f32> { (0..rows * channels).map(|_| random.normal() as f32).collect() };
        let (rows, others) = (draw(queries), draw(prototypes));
        let mut norms = square_norms(&others, channels);
        norms[..100].fill(LEFT_OUT);
        let gpu = default_gpu();
        let found = block_on(async {
            let comparison = Comparison::new(&gpu, SIZES).await?;
            comparison.set_prototypes(&others).await?;
            comparison.distances(&rows, &norms).await
        });
        let found = found.expect("within the limits");
        let square = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        for (row, found) in rows.chunks_exact(channels).zip(found) {
            let others = others.chunks_exact(channels).skip(100);
            let least = others.map(|other| square(row, other)).fold(f64::INFINITY, f64::min);
            // The root of a small difference keeps few bits.
            assert!((f64::from(found).powi(2) - least).abs() < 1e-4, "{found}, not {}", least.sqrt());
        }
    }
}
