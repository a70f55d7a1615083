// Rows of A: activations, one vec4 = 4 channels of a pixel, [z][rows][a_stride]. With CONVOLUTION defined, A is never
// stored: its rows are gathered from an NHWC image (implicit im2col) with k running over (tap row, tap column, channel).
#import activation_storage
#import matmul_params

@group(0) @binding(1) var<storage, read> a: array<Input>;

// Channels 4 * k .. 4 * k + 3 of row `row`.
fn load_a(z: u32, row: u32, k: u32) -> vec4<f32> {
#ifdef CONVOLUTION
    let channel = k % params.in_channels;
    let tap = k / params.in_channels;
    let out_x = row % params.out_width;
    let out_y = (row / params.out_width) % params.out_height;
    let image = row / (params.out_width * params.out_height);
    // Positions left of or above the image wrap around to huge numbers and fail the same comparison.
    let y = out_y * params.stride + tap / params.kernel - params.padding;
    let x = out_x * params.stride + tap % params.kernel - params.padding;
    if y >= params.in_height || x >= params.in_width {
        return vec4(0.0);
    }
    let pixel = (image * params.in_height + y) * params.in_width + x;
    return max(from_input(a[params.a_offset + pixel * params.a_stride + channel]), vec4(params.input_floor));
#else
    let index = z * params.a_batch + params.a_offset + row * params.a_stride + k;
    return max(from_input(a[index]), vec4(params.input_floor));
#endif
}
