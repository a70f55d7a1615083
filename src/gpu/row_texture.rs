//! Matrices as textures, for adapters that load a texel faster than 4 floats of a buffer:
//! `shaders/shared/row_texture.wgsl`.

/// Rows of a layer of the texture.
const ROWS_PER_LAYER: u32 = 4096;
/// The rows of a matrix are padded to a multiple of this.
const ROWS_TOGETHER: u32 = 32;

/// The texture of `matrices` left operands of `rows` x `channels`.
pub(crate) fn size(matrices: u32, rows: u32, channels: u32) -> wgpu::Extent3d {
    let rows = matrices * rows.next_multiple_of(ROWS_TOGETHER);
    wgpu::Extent3d {
        width: channels / 4,
        height: rows.min(ROWS_PER_LAYER),
        // CPU adapters compile kernels anew for textures of a single layer.
        depth_or_array_layers: rows.div_ceil(ROWS_PER_LAYER).max(2),
    }
}

/// The texture of right operands `[matrices][depth][columns]`, a layer a matrix.
pub(crate) fn layers([matrices, depth, columns]: [u32; 3]) -> wgpu::Extent3d {
    wgpu::Extent3d { width: columns / 4, height: depth, depth_or_array_layers: matrices }
}

/// Bytes of a texture of f32 texels.
pub(crate) fn bytes(size: wgpu::Extent3d) -> u64 {
    16 * texels(size)
}

pub(crate) fn texels(size: wgpu::Extent3d) -> u64 {
    u64::from(size.width) * u64::from(size.height) * u64::from(size.depth_or_array_layers)
}

/// The least texture both fit in.
pub(crate) fn larger(a: wgpu::Extent3d, b: wgpu::Extent3d) -> wgpu::Extent3d {
    wgpu::Extent3d {
        width: a.width.max(b.width),
        height: a.height.max(b.height),
        depth_or_array_layers: a.depth_or_array_layers.max(b.depth_or_array_layers),
    }
}

/// A texture that kernels load from, as matrices that are written by other kernels or once by the host.
pub(crate) fn create(
    device: &wgpu::Device,
    label: &str,
    size: wgpu::Extent3d,
    format: wgpu::TextureFormat,
) -> wgpu::Texture {
    // CPU adapters compile a kernel anew for textures whose sides are, and are not, powers of two: none of these is.
    let side = |size: u32| size + u32::from(size.is_power_of_two());
    let size = wgpu::Extent3d { width: side(size.width), height: side(size.height), ..size };
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some(label),
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    })
}

/// All layers, even of a texture with a single one.
pub(crate) fn view(texture: &wgpu::Texture) -> wgpu::TextureView {
    let dimension = Some(wgpu::TextureViewDimension::D2Array);
    texture.create_view(&wgpu::TextureViewDescriptor { dimension, ..Default::default() })
}

#[test]
fn rows_stand_where_the_shaders_have_them() {
    let constant = |name| super::reflection::constant(&super::Kernel::new("pack_rows"), name);
    let constants = ["ROWS_PER_LAYER", "ROWS_TOGETHER"].map(constant);
    assert_eq!(constants, [ROWS_PER_LAYER, ROWS_TOGETHER].map(f64::from));
}
