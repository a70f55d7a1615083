//! Pixels and single-channel maps.

use super::*;
use crate::config::BackboneConfig;
use crate::ops;
use crate::reference;

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn normalize(batch in 1..3_u32, side in 1..70_u32, edge: bool, seed: u32) {
        let bits: Vec<f32> = values((batch * side * side) as usize, seed.into());
        let pixels: Vec<u32> = bits.iter().map(|value| value.to_bits().wrapping_mul(2_654_435_761)).collect();
        let backbone = if edge { BackboneConfig::efficientnet_lite0() } else { BackboneConfig::resnet18() };
        let normalization = backbone.normalization();
        let mut graph = Graph::fenced(gpu(), FENCE);
        let tensor = graph.external("pixels", [batch, side, side, 1]);
        let out = ops::normalize(&mut graph, tensor, normalization);
        let values = run(graph, &[(tensor, bytemuck::cast_slice(&pixels))], out.all());
        let shape = [batch, side, side].map(|size| size as usize);
        let truth = reference::normalize(&pixels, shape, normalization.mean, normalization.deviation);
        assert_close(&values, &truth.values, 1e-6);
    }

    #[test]
    fn pack_nchw(batch in 1..3_u32, height in 1..70_u32, width in 1..70_u32, seed: u32) {
        let planes = values((3 * batch * height * width) as usize, seed.into());
        let mut graph = Graph::fenced(gpu(), FENCE);
        let tensor = graph.external("planes", [batch, 3, height, width]);
        let out = ops::pack_nchw(&mut graph, tensor, [batch, height, width]);
        let truth = reference::pack_nchw(&planes, [batch, height, width].map(|size| size as usize));
        assert_close(&run(graph, &[(tensor, &planes)], out.all()), &truth.values, 0.0);
    }

    #[test]
    fn project(pixels in 1..200_u32, quarter in 1..30_u32, seed: u32) {
        let x = random_maps([1, pixels, 1, 4 * quarter], seed.into());
        let weight = values(4 * quarter as usize, u64::from(seed) + 1);
        let mut padded = weight.clone();
        padded.extend([0.7, 0.0, 0.0, 0.0]);
        let mut graph = Graph::fenced(gpu(), FENCE);
        let tensor = input(&mut graph, &x);
        let out = ops::project(&mut graph, "out", tensor, &vector(gpu(), &padded));
        let truth = reference::project(&x, &weight, 0.7);
        assert_close(&run(graph, &[(tensor, &x.values)], out.all()), &truth.values, 1e-5);
    }

    #[test]
    fn upsample_map(batch in 1..3_u32, size in 1..20_u32, out_size in 1..80_u32, seed: u32) {
        let x = random_maps([batch, size, size, 1], seed.into());
        let mut graph = Graph::fenced(gpu(), FENCE);
        let tensor = input(&mut graph, &x);
        let out = graph.tensor("out", [batch, out_size, out_size, 1]);
        ops::upsample_map(&mut graph, "out", tensor, out);
        let truth = reference::upsample_map(&x, out_size as usize);
        assert_close(&run(graph, &[(tensor, &x.values)], out.all()), &truth.values, 1e-5);
    }

    /// Maps smaller than the blur's radius are mirrored several times.
    #[test]
    fn blur(batch in 1..3_u32, size in 1..80_u32, sigma in 0.5..6.0_f64, seed: u32) {
        let x = random_maps([batch, size, size, 1], seed.into());
        let weights = ops::gaussian_weights(sigma, 4.0);
        let mut graph = Graph::fenced(gpu(), FENCE);
        let tensor = input(&mut graph, &x);
        let out = graph.tensor("out", [batch, size, size, 1]);
        ops::blur(&mut graph, "out", tensor, &vector(gpu(), &weights), weights.len() as u32, out);
        let truth = reference::blur(&x, sigma, 4.0);
        assert_close(&run(graph, &[(tensor, &x.values)], out.all()), &truth.values, 1e-5);
    }

    #[test]
    fn max_score(batch in 1..4_u32, height in 1..40_u32, width in 1..40_u32, shift in -9.0..9.0_f32, seed: u32) {
        let x = random_maps([batch, height, width, 1], seed.into()).map(|value| value + shift);
        let mut graph = Graph::fenced(gpu(), FENCE);
        let tensor = input(&mut graph, &x);
        let out = graph.tensor("out", [batch, 1, 1, 1]);
        ops::max_score(&mut graph, "out", tensor, out);
        assert_close(&run(graph, &[(tensor, &x.values)], out.all()), &reference::max_score(&x), 0.0);
    }
}
