use super::Maps;

/// `torch.cdist(phi, C) ** 2`: for each pixel of `descriptors` (D channels) the squared distance to each of the
/// prototypes, D x P.
pub fn distances(descriptors: &Maps, prototypes: &[f32]) -> Maps {
    let [batch, height, width, channels] = descriptors.shape;
    let count = prototypes.len() / channels;
    Maps::from_fn([batch, height, width, count], |[image, y, x, prototype]| {
        let values = prototypes[prototype..].iter().step_by(count);
        let pixel = descriptors.pixel([image, y, x]);
        pixel.iter().zip(values).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
    })
}
