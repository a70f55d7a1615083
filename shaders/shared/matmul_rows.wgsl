// Rows of A: activations, one vec4 = 4 channels of a pixel, [z][rows][a_stride]. With CONVOLUTION defined, A is never
// stored: its rows are gathered from an NHWC image (implicit im2col) with k running over (tap row, tap column,
// channel).
#import activation_storage
#import matmul_params

// Whether a relu is applied to A on the way in.
override INPUT_RELU: bool = false;

@group(0) @binding(1) var<storage, read> a: array<Input>;

// Where a row of A lies, as far as it does not depend on k.
struct Row {
    // The row's first element, or that of the image it is gathered from.
    first: u32,
#ifdef CONVOLUTION
    // The upper left tap. Positions left of or above the image wrap around to huge numbers.
    y: u32,
    x: u32,
#endif
}

fn row_of_a(z: u32, row: u32) -> Row {
#ifdef CONVOLUTION
    let line = row / params.out_width;
    let x = (row % params.out_width) * params.stride - params.padding;
    let y = (line % params.out_height) * params.stride - params.padding;
    let image = line / params.out_height;
    return Row(params.a_offset + image * params.in_height * params.in_width * params.a_stride, y, x);
#else
    return Row(z * params.a_batch + params.a_offset + row * params.a_stride);
#endif
}

fn from_a(stored: Input) -> vec4<f32> {
    if INPUT_RELU {
        return max(from_input(stored), vec4(0.0));
    }
    return from_input(stored);
}

// Channels 4 * k .. 4 * k + 3 of a row.
fn load_a(row: Row, k: u32) -> vec4<f32> {
#ifdef CONVOLUTION
    let tap = k / params.in_channels;
    let channel = k % params.in_channels;
    let y = row.y + tap / params.kernel;
    let x = row.x + tap % params.kernel;
    let inside = y < params.in_height && x < params.in_width;
    // Loads behind a branch wait for one another: what lies outside is read elsewhere and dropped.
    let pixel = select(0u, y * params.in_width + x, inside);
    let value = from_a(a[row.first + pixel * params.a_stride + channel]);
    return select(vec4(0.0), value, inside);
#else
    return from_a(a[row.first + k]);
#endif
}
