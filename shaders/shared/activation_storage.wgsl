// How activations are stored, 4 channels of a pixel an element: as f32, or as f16 where INPUT_F16 is defined for what a
// shader reads and OUTPUT_F16 for what it writes. Arithmetic is f32 either way, and no device feature is needed.

#ifdef INPUT_F16
alias Input = vec2<u32>;

fn from_input(stored: Input) -> vec4<f32> {
    return vec4(unpack2x16float(stored.x), unpack2x16float(stored.y));
}
#else
alias Input = vec4<f32>;

fn from_input(stored: Input) -> vec4<f32> {
    return stored;
}
#endif

#ifdef OUTPUT_F16
alias Output = vec2<u32>;

// What f16 cannot hold becomes its largest number, not infinity. Packing may cut digits off rather than round them, so
// they are rounded before, to the nearest and ties to even.
fn to_output(value: vec4<f32>) -> Output {
    let bits = bitcast<vec4<u32>>(clamp(value, vec4(-65504.0), vec4(65504.0)));
    let rounded = (bits + 0xfffu + ((bits >> vec4(13u)) & vec4(1u))) & vec4(0xffffe000u);
    let halves = bitcast<vec4<f32>>(rounded);
    return vec2(pack2x16float(halves.xy), pack2x16float(halves.zw));
}

fn from_output(stored: Output) -> vec4<f32> {
    return vec4(unpack2x16float(stored.x), unpack2x16float(stored.y));
}
#else
alias Output = vec4<f32>;

fn to_output(value: vec4<f32>) -> Output {
    return value;
}

fn from_output(stored: Output) -> vec4<f32> {
    return stored;
}
#endif
