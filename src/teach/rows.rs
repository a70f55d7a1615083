//! Matrices as rows of values, transposed and multiplied.

use crate::Result;
use crate::gpu::{Gpu, Graph, read_buffers};
use crate::ops::{Product, matmul, rows_as_columns};

/// The transpose of a matrix of rows of this length.
pub(crate) fn transposed(rows: &[f32], length: usize) -> Vec<f32> {
    (0..length).flat_map(|column| rows[column..].iter().step_by(length).copied()).collect()
}

/// The products of all rows `[m][depth]` with all rows `[n][depth]`: `[m][n]`.
pub(super) async fn row_products(gpu: &Gpu, rows: &[f32], others: &[f32], depth: usize) -> Result<Vec<f32>> {
    let [count, columns] = [rows, others].map(|rows| (rows.len() / depth) as u32);
    let mut graph = Graph::new(gpu, false);
    let a = graph.external("teach.rows", [1, count, 1, depth as u32]);
    let b = graph.external("teach.others", [1, columns, 1, depth as u32]);
    let numbers = graph.external("teach.numbers", [1, 1, 1, columns]);
    let matrix = rows_as_columns(&mut graph, "teach.columns", b, numbers);
    let out = graph.external("teach.products", [1, count, 1, columns]);
    matmul(&mut graph, "teach.products", &Product::new(a.all(), &matrix, out.all()));
    let schedule = graph.finish().await?;
    let all: Vec<u32> = (0..columns).collect();
    schedule.write(gpu, a, rows).await?;
    schedule.write(gpu, b, others).await?;
    schedule.write(gpu, numbers, &all).await?;
    schedule.submit(gpu).await?;
    super::give_way().await;
    Ok(read_buffers(gpu, &[(schedule.buffer(out), out.bytes())]).await?.remove(0))
}
