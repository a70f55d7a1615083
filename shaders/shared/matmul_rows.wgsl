// Rows of A: activations, one vec4 = 4 channels of a pixel, [z][rows][a_stride]. With CONVOLUTION defined, A is never
// stored: its rows are gathered from an NHWC image (implicit im2col) with k running over (tap row, tap column,
// channel).
//
// Factors are f32, or with HALVES defined f16, as both operands are then stored.
#import activation_storage
#import matmul_params

// Whether a relu is applied to A on the way in.
override INPUT_RELU: bool = false;

#ifdef HALVES
alias Factors = vec4<f16>;

@group(0) @binding(1) var<storage, read> a: array<Factors>;

fn a_at(index: u32) -> Factors {
    return a[index];
}
#else
alias Factors = vec4<f32>;

@group(0) @binding(1) var<storage, read> a: array<Input>;

fn a_at(index: u32) -> Factors {
    return from_input(a[index]);
}
#endif

// Where a row of A lies, as far as it does not depend on k.
struct Row {
    // The row's first element, or that under the upper left of the kernel.
    first: u32,
#ifdef CONVOLUTION
    // Its line in the image, and its place in the line. Left of or above the image they wrap around to huge numbers.
    y: u32,
    x: u32,
#endif
}

fn row_of_a(z: u32, row: u32) -> Row {
#ifdef CONVOLUTION
    let line = row / params.out_width;
    let x = (row % params.out_width) * params.stride_across - params.padding_across;
    let y = (line % params.out_height) * params.stride_down - params.padding_down;
    let image = line / params.out_height;
    return Row(params.a_offset + (image * params.in_height + y) * params.in_line + x, y, x);
#else
    return Row(z * params.a_batch + params.a_offset + row * params.a_stride);
#endif
}

fn floored(value: Factors) -> Factors {
    if INPUT_RELU {
        return max(value, Factors());
    }
    return value;
}

// Channels 4 * k .. 4 * k + 3 of a row.
fn load_a(row: Row, k: u32) -> Factors {
#ifdef CONVOLUTION
    // What lies under a line of the kernel lies side by side in the image.
    let down = (k * params.kernel_line_reciprocal) >> 28u;
    let across = k - down * params.kernel_line;
    let inside = row.y + down < params.in_height && row.x + across < params.in_line;
    // Loads behind a branch wait for one another: what lies outside is read elsewhere and dropped.
    let value = floored(a_at(select(0u, row.first + down * params.in_line + across, inside)));
    return select(Factors(), value, inside);
#else
    return floored(a_at(row.first + k));
#endif
}
