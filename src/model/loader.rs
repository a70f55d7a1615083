//! From tensors in files to constants on the GPU.

use crate::gpu::{Gpu, Uploader, Winograd};
use crate::ops::{Algorithm, Conv2d, Depthwise, Geometry, Matrix};
use crate::weights::{Weights, layout};
use crate::{Error, Result};

/// Reads, folds, lays out and uploads one tensor after another.
pub(crate) struct Loader<'a> {
    pub weights: &'a Weights,
    uploader: Uploader<'a>,
    f16: bool,
}

/// A BatchNorm's name and what it adds to variances.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    pub name: &'a str,
    pub epsilon: f64,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(gpu: &'a Gpu, weights: &'a Weights, f16: bool) -> Self {
        Self { weights, uploader: Uploader::new(gpu), f16 }
    }

    /// Waits for the last uploads and gives the bytes of all.
    pub(crate) fn finish(mut self) -> u64 {
        self.uploader.flush();
        self.uploader.total()
    }

    /// Matrices `[batch][depth][columns]`, packed as f16 if the model is loaded so.
    pub(crate) async fn matrix(&mut self, label: &str, values: &[f32], shape: [u32; 3]) -> Result<Matrix> {
        let matrix = Matrix::new(&mut self.uploader, label, shape, self.f16).await?;
        self.write(&matrix, label, 0, values).await?;
        Ok(matrix)
    }

    /// Whole matrices from the `first` on.
    async fn write(&mut self, matrix: &Matrix, label: &str, first: u32, values: &[f32]) -> Result<()> {
        debug_assert!(values.len().is_multiple_of((matrix.depth * matrix.columns) as usize), "{label}");
        if self.f16 {
            let halves = pack_f16(label, values)?;
            matrix.write(&mut self.uploader, label, first, bytemuck::cast_slice(&halves)).await
        } else {
            matrix.write(&mut self.uploader, label, first, bytemuck::cast_slice(values)).await
        }
    }

    /// Values that stay f32: biases, norms, maps of constants.
    pub(crate) async fn vector(&mut self, label: &str, values: &[f32]) -> Result<wgpu::Buffer> {
        self.uploader.buffer(label, bytemuck::cast_slice(values)).await
    }

    /// A convolution without bias, `{name}.weight` of shape output x input x kernel x kernel.
    pub(crate) async fn conv2d(
        &mut self,
        name: &str,
        [outputs, inputs]: [u32; 2],
        geometry: Geometry,
    ) -> Result<Conv2d> {
        let shape = [outputs, inputs, geometry.kernel, geometry.kernel].map(|n| n as usize);
        let weight = self.weights.read(&format!("{name}.weight"), &shape)?;
        let algorithm = geometry.algorithm(self.uploader.gpu().winograd.unwrap_or_default());
        self.laid_out(name, weight, None, shape, geometry, algorithm).await
    }

    /// A 3 x 3 convolution without bias, as many channels out as in, of images of `side` x `side`.
    pub(crate) async fn conv3x3(&mut self, name: &str, channels: u32, side: u32) -> Result<Conv2d> {
        let shape = [channels, channels, 3, 3].map(|n| n as usize);
        let weight = self.weights.read(&format!("{name}.weight"), &shape)?;
        let winograd = self.uploader.gpu().winograd.unwrap_or(Winograd::for_side(side));
        self.laid_out(name, weight, None, shape, Geometry::SIDE_3, Algorithm::Winograd(winograd)).await
    }

    /// A convolution and the BatchNorm behind it as one convolution with bias.
    pub(crate) async fn conv2d_folded(
        &mut self,
        name: &str,
        norm: Norm<'_>,
        [outputs, inputs]: [u32; 2],
        geometry: Geometry,
    ) -> Result<Conv2d> {
        let shape = [outputs, inputs, geometry.kernel, geometry.kernel].map(|n| n as usize);
        let folded = self.weights.read_folded(name, norm.name, shape, norm.epsilon)?;
        let algorithm = geometry.algorithm(self.uploader.gpu().winograd.unwrap_or_default());
        self.laid_out(name, folded.weight, Some(folded.bias), shape, geometry, algorithm).await
    }

    /// A depthwise convolution and the BatchNorm behind it.
    pub(crate) async fn depthwise_folded(
        &mut self,
        name: &str,
        norm: Norm<'_>,
        channels: u32,
        geometry: Geometry,
    ) -> Result<Depthwise> {
        let shape = [channels, 1, geometry.kernel, geometry.kernel].map(|n| n as usize);
        let folded = self.weights.read_folded(name, norm.name, shape, norm.epsilon)?;
        let rows = layout::rows_of_inputs(&folded.weight, shape, 1);
        Ok(Depthwise {
            geometry,
            weight: self.vector(&format!("{name}.weight"), &rows).await?,
            bias: self.vector(&format!("{name}.bias"), &folded.bias).await?,
        })
    }

    /// A convolution of these values.
    pub(crate) async fn laid_out(
        &mut self,
        name: &str,
        weight: Vec<f32>,
        bias: Option<Vec<f32>>,
        shape: [usize; 4],
        geometry: Geometry,
        algorithm: Algorithm,
    ) -> Result<Conv2d> {
        let [outputs, inputs, kernel, _] = shape;
        let label = format!("{name}.weight");
        let matrix = match algorithm {
            Algorithm::Winograd(winograd) => self.winograd(&label, winograd, &weight, [outputs, inputs]).await?,
            Algorithm::Pointwise | Algorithm::Implicit => {
                let padded_inputs = inputs.next_multiple_of(4);
                let values = layout::rows_of_inputs(&weight, shape, padded_inputs);
                // The file's values are no longer needed while the laid-out ones travel.
                drop(weight);
                let depth = kernel * kernel * padded_inputs;
                self.matrix(&label, &values, [1, depth as u32, outputs as u32]).await?
            }
        };
        let bias = match bias {
            Some(bias) => Some(self.vector(&format!("{name}.bias"), &bias).await?),
            None => None,
        };
        Ok(Conv2d { geometry, algorithm, matrix, bias })
    }

    /// The transformed weights of a 3 x 3 convolution, one row of positions after another: all together they are up to four
    /// times as large as the file's.
    async fn winograd(
        &mut self,
        label: &str,
        winograd: Winograd,
        weight: &[f32],
        [outputs, inputs]: [usize; 2],
    ) -> Result<Matrix> {
        let shape = [winograd.positions(), inputs as u32, outputs as u32];
        let matrix = Matrix::new(&mut self.uploader, label, shape, self.f16).await?;
        let side = winograd.tile() + 2;
        for row in 0..side {
            let values = layout::winograd_row(winograd, row as usize, weight, [outputs, inputs]);
            self.write(&matrix, label, row * side, &values).await?;
        }
        Ok(matrix)
    }
}

fn pack_f16(label: &str, values: &[f32]) -> Result<Vec<half::f16>> {
    let halves: Vec<half::f16> = values.iter().map(|&value| half::f16::from_f32(value)).collect();
    match values.iter().zip(&halves).find(|(_, half)| half.is_infinite()) {
        None => Ok(halves),
        Some((value, _)) => Err(Error::Input {
            what: format!("tensor `{label}` as f16"),
            expected: "values of at most 65504; load the model with f32 weights".to_owned(),
            found: value.to_string(),
        }),
    }
}
