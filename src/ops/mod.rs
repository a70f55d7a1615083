//! One file per operation: the typed face of the shader of the same name. Each appends its dispatches to a graph.

mod activation;
mod batch_norm;
mod conv2d;
mod coreset;
mod depthwise;
mod describe;
mod distances;
mod join_levels;
mod lanczos;
mod losses;
mod maps;
mod matmul;
mod nearest;
mod pointwise;
mod pool;
mod resize;
mod trained_conv;
mod trained_norm;
mod warp;
mod winograd;

#[cfg(test)]
mod tests;

pub(crate) use activation::{Activation, Epilogue, Input, Residual};
pub(crate) use conv2d::{Algorithm, Conv2d, Convolution, Geometry, Padding, Transform, taps_inputs_outputs};
pub(crate) use coreset::{CANDIDATES, FAR, NEARLY, Selection, coreset_rounds};
pub(crate) use depthwise::Depthwise;
pub(crate) use describe::describe;
pub(crate) use distances::{Band, LevelProducts, distances};
pub(crate) use join_levels::{join_levels, quantile_rank};
pub(crate) use lanczos::{Axis, Photograph, lanczos};
pub(crate) use losses::{Distances, Margins, Optimised, Rates, Segmented, adam, distance_losses, squared_error};
pub(crate) use maps::{Gaussian, Projection, blur, max_score, project, project_by, project_gradients, upsample_map};
pub(crate) use matmul::{Matrix, Product, matmul, rows_as_columns};
pub(crate) use nearest::{
    BAND_BYTES, Products, Prototypes, Ranked, nearest, nearest_gradient, nearest_of, nearest_prototype, nearest_ranked,
};
pub(crate) use pointwise::{Relu, normalize, pack_nchw, relu_gradient, scale_channels, square_norm};
pub(crate) use pool::{adaptive_pool, adaptive_pool_gradient, avg_pool, max_pool};
pub(crate) use resize::{Gradient, resize, resize_gradient, resize_sum, resize_through};
pub(crate) use trained_conv::TrainedConv;
pub(crate) use trained_norm::{Normed, TrainedNorm};
pub(crate) use warp::{Pose, warp};

/// Workgroups of 64 invocations along x that cover `items`.
fn groups_of_64(items: u32) -> u32 {
    items.div_ceil(64)
}
