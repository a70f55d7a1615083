//! Operands and results of matrix products between operations: textures where the device's kernel multiplies textures.

use super::graph::Graph;
use super::tensor::Tensor;
use super::{Format, row_texture};

impl Graph<'_> {
    /// The left operands `[matrices][rows][channels]` of matrix products: a row texture
    /// (`shaders/shared/row_texture.wgsl`) of f32 where the device's kernel multiplies textures, otherwise a tensor
    /// like any other.
    pub(crate) fn rows(&mut self, format: Format, label: &str, [matrices, rows, channels]: [u32; 3]) -> Tensor {
        let shape = [matrices, rows, 1, channels];
        if !self.gpu().matmul.reads_textures() {
            return self.scratch_as(format, label, shape);
        }
        let tensor = self.scratch(label, shape);
        self.make_texture(tensor, row_texture::size(matrices, rows, channels));
        tensor
    }

    /// An activation `[batch][height][width][channels]` that one product makes or multiplies, for kernels that take
    /// both kinds: a row texture of all pixels where the device's kernel multiplies textures and the format is f32,
    /// otherwise a tensor like any other.
    pub(crate) fn pixel_rows(&mut self, format: Format, label: &str, shape: [u32; 4]) -> Tensor {
        let tensor = self.tensor_as(format, label, shape);
        if self.gpu().matmul.reads_textures() && !format.is_f16() {
            self.make_texture(tensor, row_texture::size(1, tensor.pixels(), tensor.channels));
        }
        tensor
    }

    /// Right operands `[matrices][depth][columns]` of matrix products: a texture where the device's kernel multiplies
    /// textures, a layer a matrix, otherwise a tensor like any other.
    pub(crate) fn matrices(&mut self, label: &str, [matrices, depth, columns]: [u32; 3]) -> Tensor {
        let tensor = self.scratch(label, [matrices, depth, 1, columns]);
        self.tenant(tensor).matrices = true;
        if self.gpu().matmul.reads_textures() {
            self.make_texture(tensor, row_texture::layers([matrices, depth, columns]));
        }
        tensor
    }

    fn make_texture(&mut self, tensor: Tensor, size: wgpu::Extent3d) {
        let tenant = self.tenant(tensor);
        tenant.texture = Some(size);
        tenant.bytes = row_texture::bytes(size);
    }
}
