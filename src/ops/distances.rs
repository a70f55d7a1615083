//! Squared distances to the prototypes, `shaders/distances.wgsl`.

use super::groups_of_64;
use crate::config::LEVELS;
use crate::gpu::{Binding, Graph, Kernel, Tensor};

/// A band of grid rows of one image.
pub(crate) struct Band {
    pub grid: u32,
    pub first_row: u32,
    pub rows: u32,
    /// Positions of the images before this one.
    pub first_position: u32,
    /// Products of each level with its part of every prototype, `[rows needed][side][prototypes]`.
    pub products: [Tensor; LEVELS],
    /// The row of the level that is the first of its products.
    pub first_product_rows: [u32; LEVELS],
}

/// `[band rows * grid][prototypes]` squared distances. `position_norms` are those of all images.
pub(crate) fn distances(
    graph: &mut Graph<'_>,
    label: &str,
    band: &Band,
    position_norms: Tensor,
    prototype_norms: &wgpu::Buffer,
) -> Tensor {
    #[repr(C)]
    #[derive(Clone, Copy, bytemuck::NoUninit)]
    struct Params {
        grid: u32,
        prototypes: u32,
        band: u32,
        first_position: u32,
        sides: [u32; 4],
        first: [u32; 4],
    }
    let padded = |[a, b, c]: [u32; LEVELS]| [a, b, c, 0];
    let prototypes = band.products[0].channels;
    let params = Params {
        grid: band.grid,
        prototypes: prototypes / 4,
        band: band.first_row,
        first_position: band.first_position,
        sides: padded(band.products.map(|products| products.width)),
        first: padded(band.first_product_rows),
    };
    let out = graph.scratch(label, [1, band.rows, band.grid, prototypes]);
    let [products_1, products_2, products_3] = band.products.map(Binding::Read);
    let norms = [Binding::Read(position_norms), Binding::Constant(prototype_norms)];
    let [position_norms, prototype_norms] = norms;
    let bindings = [products_1, products_2, products_3, position_norms, prototype_norms, Binding::Write(out)];
    let workgroups = [groups_of_64(params.prototypes), band.rows * band.grid, 1];
    graph.dispatch(label, Kernel::new("distances"), &params, &bindings, workgroups);
    out
}
