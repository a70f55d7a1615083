//! From tensors in files to constants on the GPU.

use crate::gpu::{Format, Gpu, Layer, Uploader, Winograd};
use crate::ops::{Algorithm, Conv2d, Depthwise, Geometry, Matrix, Transform};
use crate::weights::{Weights, layout};
use crate::{Error, Result};

/// Reads, folds, lays out and uploads one tensor after another.
pub(crate) struct Loader<'a> {
    pub weights: &'a Weights,
    uploader: Uploader<'a>,
    /// Of the weights of products and convolutions.
    format: Format,
    /// Bytes there is room for in transformed weights.
    winograd_room: u64,
}

/// What a loader has put on the GPU.
#[derive(Clone, Copy)]
pub(crate) struct Loaded {
    pub bytes: u64,
    /// Bytes there is still room for in transformed weights.
    pub winograd_room: u64,
}

/// A BatchNorm's name and what it adds to variances.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    pub name: &'a str,
    pub epsilon: f64,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(gpu: &'a Gpu, weights: &'a Weights, format: Format, winograd_room: u64) -> Self {
        Self { weights, uploader: Uploader::new(gpu), format, winograd_room }
    }

    /// Waits for the last uploads.
    pub(crate) fn finish(mut self) -> Loaded {
        self.uploader.flush();
        Loaded { bytes: self.uploader.total(), winograd_room: self.winograd_room }
    }

    /// Matrices `[batch][depth][columns]`, packed as f16 if the model is loaded so.
    pub(crate) async fn matrix(&mut self, label: &str, values: &[f32], shape: [u32; 3]) -> Result<Matrix> {
        let matrix = Matrix::new(&mut self.uploader, label, shape, self.format).await?;
        self.write(&matrix, label, 0, values).await?;
        Ok(matrix)
    }

    /// How a convolution of images of `side` x `side` is computed. Transformed weights take from the room for them.
    fn algorithm(&mut self, [outputs, inputs]: [u32; 2], geometry: Geometry, side: u32) -> Algorithm {
        let Geometry { kernel, stride, .. } = geometry;
        let f16 = self.format.is_f16();
        let layer = Layer { kernel, stride, batch: 1, height: side, width: side, inputs, outputs, f16 };
        let winograd = self.uploader.gpu().winograd_for(&layer);
        let algorithm = geometry.algorithm(winograd);
        if !matches!(algorithm, Algorithm::Winograd(..)) {
            return algorithm;
        }
        let values = u64::from(winograd.positions()) * u64::from(inputs) * u64::from(outputs);
        match self.winograd_room.checked_sub(values * self.format.bytes_per_value()) {
            Some(room) => {
                self.winograd_room = room;
                algorithm
            }
            None => Algorithm::Winograd(winograd, Transform::BeforeUse),
        }
    }

    /// Whole matrices from the `first` on.
    async fn write(&mut self, matrix: &Matrix, label: &str, first: u32, values: &[f32]) -> Result<()> {
        debug_assert!(values.len().is_multiple_of((matrix.depth * matrix.columns) as usize), "{label}");
        if matrix.format.is_f16() {
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

    /// A 1 x 1 convolution without bias.
    pub(crate) async fn conv1x1(&mut self, name: &str, [outputs, inputs]: [u32; 2]) -> Result<Conv2d> {
        let shape = [outputs, inputs, 1, 1].map(|n| n as usize);
        let weight = self.weights.read(&format!("{name}.weight"), &shape)?;
        self.laid_out(name, weight, None, shape, Geometry::POINTWISE, Algorithm::Pointwise).await
    }

    /// A 3 x 3 convolution without bias, as many channels out as in, of images of `side` x `side`.
    pub(crate) async fn conv3x3(&mut self, name: &str, channels: u32, side: u32) -> Result<Conv2d> {
        let shape = [channels, channels, 3, 3].map(|n| n as usize);
        let weight = self.weights.read(&format!("{name}.weight"), &shape)?;
        let algorithm = self.algorithm([channels, channels], Geometry::SIDE_3, side);
        self.laid_out(name, weight, None, shape, Geometry::SIDE_3, algorithm).await
    }

    /// [`Loader::conv3x3`] whose weights stay f32 in any model.
    pub(crate) async fn conv3x3_in_f32(&mut self, name: &str, channels: u32, side: u32) -> Result<Conv2d> {
        let format = std::mem::replace(&mut self.format, Format::F32);
        let conv = self.conv3x3(name, channels, side).await;
        self.format = format;
        conv
    }

    /// A 1 x 1 convolution and the BatchNorm behind it as one convolution with bias.
    pub(crate) async fn conv1x1_folded(&mut self, name: &str, norm: Norm<'_>, channels: [u32; 2]) -> Result<Conv2d> {
        // Pointwise convolutions are computed alike whatever the size of the image.
        self.conv2d_folded(name, norm, channels, Geometry::POINTWISE, 1).await
    }

    /// A convolution and the BatchNorm behind it as one convolution with bias, whose output is `side` x `side`.
    pub(crate) async fn conv2d_folded(
        &mut self,
        name: &str,
        norm: Norm<'_>,
        [outputs, inputs]: [u32; 2],
        geometry: Geometry,
        side: u32,
    ) -> Result<Conv2d> {
        let shape = [outputs, inputs, geometry.kernel, geometry.kernel].map(|n| n as usize);
        let folded = self.weights.read_folded(name, norm.name, shape, norm.epsilon)?;
        let algorithm = self.algorithm([outputs, inputs], geometry, side);
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
            Algorithm::Winograd(winograd, Transform::AtLoad) => {
                self.winograd(&label, winograd, &weight, [outputs, inputs]).await?
            }
            Algorithm::Winograd(_, Transform::BeforeUse) => {
                let values = layout::rows_of_inputs(&weight, shape, inputs);
                drop(weight);
                let shape = [(kernel * kernel) as u32, inputs as u32, outputs as u32];
                let matrix = Matrix::in_buffer(&mut self.uploader, &label, shape, self.format).await?;
                self.write(&matrix, &label, 0, &values).await?;
                matrix
            }
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
        let matrix = Matrix::new(&mut self.uploader, label, shape, self.format).await?;
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
