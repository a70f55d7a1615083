//! Distances of descriptors to the nearest of some others.

use crate::Result;
use crate::gpu::{Binding, Constant, Format, Gpu, Graph, Schedule, Tensor, Uploader, read_buffers};
use crate::ops::{Product, Products, matmul, nearest_prototype, rows_as_columns, square_norm};

/// The squared norm of a prototype that is to be left out: so large that nothing else is farther.
pub(crate) const LEFT_OUT: f32 = 3e38;

/// The comparison of some descriptors with some prototypes, written down for their numbers.
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
        let products = graph.rows(Format::F32, "teach.products", [1, queries, prototypes]);
        matmul(&mut graph, "teach.products", &Product::new(rows.all(), &columns, products.all()));
        let of = Products { products, first_position: 0, position_norms, prototype_norms: Binding::read(norms) };
        nearest_prototype(&mut graph, "teach.nearest", of, distances);
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
        Ok(read_buffers(self.gpu, &[source]).await?.remove(0))
    }
}

/// |x|^2 of each row.
pub(crate) fn square_norms(rows: &[f32], channels: usize) -> Vec<f32> {
    let square = |row: &[f32]| row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() as f32;
    rows.chunks_exact(channels).map(square).collect()
}
