// Bilinear resizing, as torch.nn.functional.interpolate(mode="bilinear") samples.

// The two pixels around a sample along one axis.
struct Taps {
    low: u32,
    high: u32,
    // Share of `high`; `low` has the rest.
    weight: f32,
}

fn taps_at(source: f32, size: u32) -> Taps {
    let low = min(u32(source), size - 1u);
    return Taps(low, min(low + 1u, size - 1u), source - f32(low));
}

// align_corners=False: sample centres coincide; positions above the first centre are clamped to it.
fn taps_half_pixel(position: u32, from_size: u32, to_size: u32) -> Taps {
    let scale = f32(from_size) / f32(to_size);
    return taps_at(max((f32(position) + 0.5) * scale - 0.5, 0.0), from_size);
}

// align_corners=True: first and last samples coincide.
fn taps_align_corners(position: u32, from_size: u32, to_size: u32) -> Taps {
    if to_size == 1u {
        return Taps(0u, min(1u, from_size - 1u), 0.0);
    }
    let scale = f32(from_size - 1u) / f32(to_size - 1u);
    return taps_at(f32(position) * scale, from_size);
}

fn taps_of(position: u32, from_size: u32, to_size: u32, align_corners: bool) -> Taps {
    if align_corners {
        return taps_align_corners(position, from_size, to_size);
    }
    return taps_half_pixel(position, from_size, to_size);
}

// The four pixels around a sample: upper left, upper right, lower left, lower right.
struct Corners {
    pixel: vec4<u32>,
    // Of the right ones, and of the lower ones.
    share: vec2<f32>,
}

// The corners in an image whose rows of `width` pixels begin with pixel `first`.
fn corners_of(first: u32, width: u32, down: Taps, across: Taps) -> Corners {
    let top = first + down.low * width;
    let bottom = first + down.high * width;
    let pixel = vec4(top + across.low, top + across.high, bottom + across.low, bottom + across.high);
    return Corners(pixel, vec2(across.weight, down.weight));
}

// A sample of 4 channels from its corners.
fn interpolate(
    upper_left: vec4<f32>,
    upper_right: vec4<f32>,
    lower_left: vec4<f32>,
    lower_right: vec4<f32>,
    share: vec2<f32>,
) -> vec4<f32> {
    let upper = mix(upper_left, upper_right, share.x);
    let lower = mix(lower_left, lower_right, share.x);
    return mix(upper, lower, share.y);
}

// A sample of one channel from its corners, in the order of Corners.
fn interpolate_one(corner: vec4<f32>, share: vec2<f32>) -> f32 {
    let rows = mix(corner.xz, corner.yw, share.x);
    return mix(rows.x, rows.y, share.y);
}
