/// `torch.mm`: rows x depth times depth x columns, row-major.
pub fn matmul(a: &[f32], b: &[f32], [rows, depth, columns]: [usize; 3]) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows * columns);
    for row in a.chunks_exact(depth).take(rows) {
        let mut sums = vec![0.0_f64; columns];
        for (&value, weights) in row.iter().zip(b.chunks_exact(columns)) {
            sums.iter_mut().zip(weights).for_each(|(sum, &weight)| *sum += f64::from(value) * f64::from(weight));
        }
        out.extend(sums.into_iter().map(|sum| sum as f32));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `torch.mm(torch.tensor([[1., 2, 3], [4, 5, 6]]), torch.tensor([[1., -1], [0, 2], [3, 1]]))`.
    #[test]
    fn as_pytorch() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(matmul(&a, &[1.0, -1.0, 0.0, 2.0, 3.0, 1.0], [2, 3, 2]), [10.0, 6.0, 22.0, 12.0]);
    }
}
