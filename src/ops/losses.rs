//! What training makes smaller, and the step that makes it so: `squared_error`, `distance_losses`, `adam`.

use super::groups_of_64;
use crate::gpu::{Binding, Graph, Kernel, Tensor, uniforms};

/// Maps, and what they should show.
#[derive(Clone, Copy)]
pub(crate) struct Segmented {
    /// `[batch][side][side]`.
    pub maps: Tensor,
    /// `[batch][side][side]`, 1 in defects and 0 elsewhere.
    pub masks: Tensor,
    /// `[batch][1][1][4]`: the weights of normal pixels and of those in defects.
    pub weights: Tensor,
}

/// The weighted squared error of each image, `[batch]`, and `factor` times its gradient with respect to the maps.
pub(crate) fn squared_error(graph: &mut Graph<'_>, label: &str, of: Segmented, factor: f32) -> (Tensor, Tensor) {
    uniforms! {
        struct Params {
            pixels: u32,
            factor: f32,
        }
    }
    let Segmented { maps, masks, weights } = of;
    graph.ensure_equal(label, [masks.values(), weights.values()], [maps.values(), u64::from(4 * maps.batch)]);
    let loss = graph.external("squared_error", [maps.batch, 1, 1, 1]);
    let gradient = graph.tensor(label, [maps.batch, maps.height, maps.width, 1]);
    let params = Params { pixels: maps.height * maps.width, factor };
    let bindings = [
        Binding::read(maps),
        Binding::read(masks),
        Binding::read(weights),
        Binding::write(gradient),
        Binding::write(loss),
    ];
    graph.dispatch(label, Kernel::new("squared_error"), &params, bindings, [maps.batch, 1, 1]);
    (loss, gradient)
}

/// The three nearest distances of each position, and what they should be.
#[derive(Clone, Copy)]
pub(crate) struct Distances {
    /// `[batch][grid][grid][K]`, ascending, at least 3.
    pub nearest: Tensor,
    /// `[batch][grid][grid]`, 1 where a pseudo-anomaly is and 0 elsewhere.
    pub masks: Tensor,
    /// `[batch][1][1][8]`: weight of NFC, weight of AFS, 1 for images that take part in PDC, 1 for those of them that
    /// should be far; how many distances of 0 AFS sees beside these, and three zeros.
    pub roles: Tensor,
    /// The learned radius, 1 value.
    pub radius: Tensor,
}

/// How distances are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Margins {
    /// How much farther than the radius pseudo-anomalies should be.
    pub margin: f32,
    /// How many of an image's largest distances stand for it.
    pub hardest: u32,
    /// The weight of PDC's gradient.
    pub disparity: f32,
}

/// What the losses of distances are.
#[derive(Clone, Copy)]
pub(crate) struct DistanceLosses {
    /// NFC, AFS, PDC and 0.
    pub terms: Tensor,
    /// Of the distances, as [`Distances::nearest`].
    pub gradient: Tensor,
    /// Of the radius.
    pub radius_gradient: Tensor,
}

/// NFC, AFS and PDC of section III of the paper, and the gradients of NFC + AFS + `disparity` PDC.
pub(crate) fn distance_losses(graph: &mut Graph<'_>, label: &str, of: Distances, margins: Margins) -> DistanceLosses {
    uniforms! {
        struct Statistics {
            positions: u32,
            nearest: u32,
            hardest: u32,
            margin: f32,
        }
    }
    uniforms! {
        struct Losses {
            batch: u32,
            positions: u32,
            nearest: u32,
            hardest: u32,
            margin: f32,
            factor: f32,
        }
    }
    let Distances { nearest: distances, masks, roles, radius } = of;
    let Margins { margin, hardest, disparity } = margins;
    let batch = distances.batch;
    graph.ensure_equal(label, [masks.pixels(), roles.pixels()], [distances.pixels(), batch]);
    let (positions, nearest) = (distances.height * distances.width, distances.channels);
    let hardest = hardest.min(3 * positions);
    let statistics = graph.scratch(&format!("{label}.statistics"), [batch, 1, 1, 12]);
    let params = Statistics { positions, nearest, hardest, margin };
    let read = [distances, masks, roles, radius].map(Binding::read);
    let bindings = [&read[..], &[Binding::write(statistics)]].concat();
    let kernel = Kernel::new("distance_statistics");
    graph.dispatch(&format!("{label}.statistics"), kernel, &params, bindings, [batch, 1, 1]);

    let terms = graph.external("terms", [1, 1, 1, 4]);
    let gradient = graph.tensor(label, [batch, distances.height, distances.width, nearest]);
    let radius_gradient = graph.tensor(&format!("{label}.radius"), [1, 1, 1, 1]);
    let params = Losses { batch, positions, nearest, hardest, margin, factor: disparity };
    let read = [distances, masks, statistics].map(Binding::read);
    let bindings = [&read[..], &[gradient, terms, radius_gradient].map(Binding::write)].concat();
    let workgroups = [groups_of_64(nearest), distances.pixels(), 1];
    graph.dispatch(label, Kernel::new("distance_losses"), &params, bindings, workgroups);
    DistanceLosses { terms, gradient, radius_gradient }
}

/// Some values that are trained.
#[derive(Clone, Copy)]
pub(crate) struct Optimised {
    /// The values, n.
    pub values: Tensor,
    /// Parts of their gradient, `[parts]` of n each.
    pub gradient: Tensor,
    /// `[3]` of n each, zeros at first.
    pub moments: Tensor,
}

/// How values are trained.
#[derive(Clone, Copy)]
pub(crate) struct Rates {
    /// `[groups][1][1][4]`: the rate, 1 - 0.9^t and 1 - 0.999^t in step t.
    pub rates: Tensor,
    /// Which of the groups.
    pub group: u32,
    /// How much of the values is added to their gradient.
    pub weight_decay: f32,
}

/// Workgroups of 64 values along x.
pub(super) const GROUPS_OF_A_ROW: u32 = 1024;

/// A step of `torch.optim.Adam(amsgrad=True)`.
pub(crate) fn adam(graph: &mut Graph<'_>, label: &str, optimised: Optimised, rates: Rates) {
    uniforms! {
        struct Params {
            count: u32,
            parts: u32,
            group: u32,
            weight_decay: f32,
        }
    }
    let Optimised { values, gradient, moments } = optimised;
    let count = values.values();
    graph.ensure_equal(label, [gradient.values() % count, moments.values()], [0, 3 * count]);
    let parts = (gradient.values() / count) as u32;
    let params = Params { count: count as u32, parts, group: rates.group, weight_decay: rates.weight_decay };
    let groups = groups_of_64(params.count);
    let workgroups = [groups.min(GROUPS_OF_A_ROW), groups.div_ceil(GROUPS_OF_A_ROW), 1];
    let bindings =
        [Binding::read(gradient), Binding::read(rates.rates), Binding::update(values), Binding::update(moments)];
    graph.dispatch(label, Kernel::new("adam"), &params, bindings, workgroups);
}
