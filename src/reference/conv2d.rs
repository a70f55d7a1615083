use super::Maps;

/// How a square kernel moves over an image, as `torch.nn.Conv2d` understands it.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Side of the kernel.
    pub kernel: usize,
    /// Pixels from one output to the next.
    pub stride: usize,
    /// Zeros before the first row and column.
    pub padding: usize,
    /// Height and width of the output, which say how far zeros reach on the other sides.
    pub out: [usize; 2],
}

impl Window {
    /// `Conv2d(kernel_size=kernel, stride=stride, padding=padding)` on an image of this height and width.
    pub fn even(kernel: usize, stride: usize, padding: usize, [height, width]: [usize; 2]) -> Self {
        let out = [height, width].map(|size| (size + 2 * padding - kernel) / stride + 1);
        Self { kernel, stride, padding, out }
    }

    /// TensorFlow's "SAME" padding on a square image of this side.
    pub fn same(kernel: usize, stride: usize, side: usize) -> Self {
        let out = side.div_ceil(stride);
        let padding = ((out - 1) * stride + kernel).saturating_sub(side) / 2;
        Self { kernel, stride, padding, out: [out; 2] }
    }

    /// The pixel under a tap of the kernel, unless it is padding.
    pub(super) fn source(&self, out: [usize; 2], tap: [usize; 2], size: [usize; 2]) -> Option<[usize; 2]> {
        let place = |axis: usize| {
            let position = (out[axis] * self.stride + tap[axis]).checked_sub(self.padding)?;
            (position < size[axis]).then_some(position)
        };
        Some([place(0)?, place(1)?])
    }
}

/// `torch.nn.functional.conv2d(x, weight, bias)`; `weight` is output x input x kernel x kernel.
pub fn conv2d(x: &Maps, weight: &[f32], bias: Option<&[f32]>, window: Window) -> Maps {
    let [batch, .., inputs] = x.shape;
    let outputs = weight.len() / (inputs * window.kernel * window.kernel);
    let [out_height, out_width] = window.out;
    Maps::from_fn([batch, out_height, out_width, outputs], |place| {
        let [.., output] = place;
        bias.map_or(0.0, |bias| f64::from(bias[output])) + conv2d_at(x, weight, window, place)
    })
}

/// One value of [`conv2d`] without bias: image, row, column and output channel.
pub fn conv2d_at(x: &Maps, weight: &[f32], window: Window, [image, y, column, output]: [usize; 4]) -> f64 {
    let [_, height, width, inputs] = x.shape;
    let taps = window.kernel * window.kernel;
    let mut sum = 0.0;
    for tap in 0..taps {
        let place = [tap / window.kernel, tap % window.kernel];
        if let Some([source_y, source_x]) = window.source([y, column], place, [height, width]) {
            let pixel = x.pixel([image, source_y, source_x]);
            let weights = (0..inputs).map(|input| weight[(output * inputs + input) * taps + tap]);
            sum += pixel.iter().zip(weights).map(|(&a, b)| f64::from(a) * f64::from(b)).sum::<f64>();
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    /// From `torch.nn.functional.conv2d(torch.arange(9.).view(1, 1, 3, 3), torch.arange(9.).view(1, 1, 3, 3), stride=2,
    /// padding=1)`.
    #[test]
    fn as_pytorch() {
        let x = Maps::from_fn([1, 3, 3, 1], |[_, y, x, _]| (3 * y + x) as f64);
        let weight: Vec<f32> = (0..9).map(|value| value as f32).collect();
        let out = conv2d(&x, &weight, None, Window::even(3, 2, 1, [3, 3]));
        assert_eq!(out.values, [58.0, 70.0, 70.0, 58.0]);
    }

    /// From `conv2d(x, (torch.arange(24.) % 5 - 2).view(3, 2, 2, 2), torch.tensor([1., 2, 3]))`, of several channels.
    #[test]
    fn channels_as_pytorch() {
        let weight: Vec<f32> = (0..24).map(|index| (index % 5) as f32 - 2.0).collect();
        let window = Window::even(2, 1, 0, [3, 4]);
        let out = conv2d(&sample([1, 3, 4, 2]), &weight, Some(&[1.0, 2.0, 3.0]), window);
        assert_eq!(out.shape, [1, 2, 3, 3]);
        let rows = [
            [3.0, 23.0, -12.0, 27.0, -7.0, -1.0, -4.0, -4.0, 21.0],
            [22.0, 13.0, -1.0, 2.0, -6.0, 21.0, -18.0, 8.0, -1.0],
        ];
        assert_eq!(out.values, rows.concat());
    }
}
