//! Squared distances to the prototypes, `shaders/distances.wgsl`.

use super::groups_of_64;
use crate::config::LEVELS;
use crate::gpu::{Binding, Graph, Kernel, Tensor, uniforms};

/// A band of grid rows of one image.
pub(crate) struct Band {
    pub grid: u32,
    pub first_row: u32,
    pub rows: u32,
    /// Positions of the images before this one.
    pub first_position: u32,
    /// One for each level of the descriptors, at most [`LEVELS`].
    pub levels: Vec<LevelProducts>,
}

/// A level of descriptors, multiplied.
#[derive(Clone, Copy)]
pub(crate) struct LevelProducts {
    /// Products of the level with its part of every prototype, `[rows needed][side][prototypes]`,
    /// [`Graph::pixel_rows`].
    pub products: Tensor,
    /// The row of the level that is the first of them.
    pub first_row: u32,
}

/// `[band rows * grid][prototypes]` squared distances. `position_norms` are those of all images.
pub(crate) fn distances(
    graph: &mut Graph<'_>,
    label: &str,
    band: &Band,
    position_norms: Tensor,
    prototype_norms: Binding,
) -> Tensor {
    uniforms! {
        struct Params {
            grid: u32,
            prototypes: u32,
            band: u32,
            first_position: u32,
            sides: [u32; 4],
            first: [u32; 4],
        }
    }
    const { assert!(LEVELS == 3, "as many bindings of products as levels") };
    let levels = &band.levels;
    let of_levels = |value: fn(&LevelProducts) -> u32| std::array::from_fn(|level| levels.get(level).map_or(0, value));
    let prototypes = levels[0].products.channels;
    let params = Params {
        grid: band.grid,
        prototypes: prototypes / 4,
        band: band.first_row,
        first_position: band.first_position,
        sides: of_levels(|level| level.products.width),
        first: of_levels(|level| level.first_row),
    };
    let out = graph.scratch(label, [1, band.rows, band.grid, prototypes]);
    // Of a level that the descriptors do not have nothing is read.
    let [products_1, products_2, products_3] =
        [0, 1, 2].map(|level| Binding::read(levels.get(level).unwrap_or(&levels[0]).products));
    let position_norms = Binding::read(position_norms);
    let bindings = [products_1, products_2, products_3, position_norms, prototype_norms, Binding::write(out)];
    let workgroups = [groups_of_64(params.prototypes), band.rows * band.grid, 1];
    let kernel = Kernel::with("distances", [("TEXTURE", graph.is_texture(levels[0].products))]);
    graph.dispatch(label, kernel, &params, bindings, workgroups);
    out
}
