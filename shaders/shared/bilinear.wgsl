// One axis of bilinear resizing, as torch.nn.functional.interpolate(mode="bilinear") samples it.
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
