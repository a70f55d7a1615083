// How activations are stored, 4 channels of a pixel an element: as f32, or as f16 where INPUT_F16 is defined for what a
// shader reads and OUTPUT_F16 for what it writes. Arithmetic is f32 either way, and no device feature is needed. With
// PAIRS defined an element is 2 channels, for kernels that hold so many of them that 4 would not fit the registers.
#ifdef PAIRS
alias Channels = vec2<f32>;
alias Bits = vec2<u32>;
alias Halves = u32;

fn unpack_halves(halves: Halves) -> Channels {
    return unpack2x16float(halves);
}

fn pack_halves(value: Channels) -> Halves {
    return pack2x16float(value);
}
#else
alias Channels = vec4<f32>;
alias Bits = vec4<u32>;
alias Halves = vec2<u32>;

fn unpack_halves(halves: Halves) -> Channels {
    return vec4(unpack2x16float(halves.x), unpack2x16float(halves.y));
}

fn pack_halves(value: Channels) -> Halves {
    return vec2(pack2x16float(value.xy), pack2x16float(value.zw));
}
#endif

#ifdef INPUT_F16
alias Input = Halves;

fn from_input(stored: Input) -> Channels {
    return unpack_halves(stored);
}
#else
alias Input = Channels;

fn from_input(stored: Input) -> Channels {
    return stored;
}
#endif

#ifdef OUTPUT_F16
alias Output = Halves;

// What f16 cannot hold becomes its largest number, not infinity. Packing may cut digits off rather than round them, so
// they are rounded before, to the nearest and ties to even.
fn to_output(value: Channels) -> Output {
    let bits = bitcast<Bits>(clamp(value, Channels(-65504.0), Channels(65504.0)));
    let rounded = (bits + 0xfffu + ((bits >> Bits(13u)) & Bits(1u))) & Bits(0xffffe000u);
    return pack_halves(bitcast<Channels>(rounded));
}

fn from_output(stored: Output) -> Channels {
    return unpack_halves(stored);
}
#else
alias Output = Channels;

fn to_output(value: Channels) -> Output {
    return value;
}

fn from_output(stored: Output) -> Channels {
    return stored;
}
#endif
