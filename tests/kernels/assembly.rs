//! AMD's machine code, as far as it must be understood to judge a loop.

use std::collections::HashMap;

/// An instruction: its name and its operands.
type Instruction<'a> = (&'a str, &'a str);

/// Instructions that touch memory.
pub fn memory_operations(text: &str) -> u64 {
    const BEGINNINGS: [&str; 6] = ["buffer_", "global_", "flat_", "scratch_", "image_", "ds_"];
    let (instructions, _) = parse(text);
    let touches = |name: &str| BEGINNINGS.iter().any(|beginning| name.starts_with(beginning));
    instructions.iter().filter(|(name, _)| touches(name)).count() as u64
}

/// Fused multiply-adds as a share of the vector arithmetic of the loop that has most of them; `None` without any.
/// Moves of registers are no arithmetic.
pub fn fused_share(text: &str) -> Option<f64> {
    let (instructions, labels) = parse(text);
    let back_edge = |(end, &(name, operands)): (usize, &Instruction<'_>)| {
        let target = operands.split(|c: char| !c.is_ascii_alphanumeric()).find_map(|word| labels.get(word))?;
        (name.contains("branch") && *target <= end).then_some(*target..end + 1)
    };
    let loops = instructions.iter().enumerate().filter_map(back_edge);
    let counts = loops.map(|body| {
        let body = &instructions[body];
        let count = |matches: fn(&Instruction<'_>) -> usize| body.iter().map(matches).sum::<usize>();
        (count(fused), count(arithmetic))
    });
    // Of loops in one another that have the same, the innermost.
    let (fused, arithmetic) = counts.max_by_key(|&(fused, arithmetic)| (fused, std::cmp::Reverse(arithmetic)))?;
    (fused > 0).then(|| fused as f64 / arithmetic as f64)
}

/// Fused multiply-adds of an instruction; two in one that RDNA 3 issues together.
fn fused(&(name, operands): &Instruction<'_>) -> usize {
    const NAMES: [&str; 7] = ["fma_", "fmac_", "fmaak_", "mac_f", "mad_f", "dot2", "wmma"];
    let is = |text: &str| NAMES.iter().any(|part| text.contains(part));
    usize::from(name.starts_with("v_") && is(name)) + usize::from(second(operands).is_some_and(is))
}

fn arithmetic(&(name, operands): &Instruction<'_>) -> usize {
    let moves = |name: &str, operands: &str| {
        // 64 bits are moved by shifting them by nothing.
        name.contains("mov") || name.starts_with("v_swap") || (name.contains("rev_b64") && operands.contains(", 0,"))
    };
    usize::from(name.starts_with("v_") && !moves(name, operands))
        + usize::from(second(operands).is_some_and(|name| !moves(name, "")))
}

/// The second half of a dual instruction.
fn second(operands: &str) -> Option<&str> {
    operands.split("::").nth(1)?.split_whitespace().next()
}

/// Instructions in order, and the place of each label. Where the driver has no disassembler for a generation it prints
/// the compiler's last form in its place: labels without a colon, and results before what computes them.
fn parse(text: &str) -> (Vec<Instruction<'_>>, HashMap<&str, usize>) {
    let mut instructions = Vec::new();
    let mut labels = HashMap::new();
    for line in text.lines() {
        let line = line.split(';').next().unwrap_or_default().trim();
        let code = line.split_once(" = ").map_or(line, |(_, code)| code);
        if let Some(label) = label(code) {
            labels.insert(label, instructions.len());
        } else if !code.is_empty() && !code.starts_with("/*") {
            instructions.push(code.split_once(char::is_whitespace).unwrap_or((code, "")));
        }
    }
    (instructions, labels)
}

/// The name of a block that begins with this line.
fn label(code: &str) -> Option<&str> {
    let name = code.strip_suffix(':').unwrap_or(code);
    let number = name.strip_prefix("BB")?;
    (!number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())).then_some(name)
}

/// Run by the program that has no harness of its own.
pub mod tests {
    use super::*;

    const LOOP: &str = "\
BB0:
\ts_load_dwordx4 s[0:3], s[2:3], 0x0 ; f4080001 fa000000
\tv_fma_f32 v9, v1, v2, v3
BB1:
\tbuffer_load_dwordx4 v[0:3], v8, s[0:3], 0 offen
\tv_fmac_f32_e32 v4, v0, v1
\tv_dual_fmac_f32 v4, v0, v1 :: v_dual_mov_b32 v5, 0
\tv_add_u32_e32 v8, 16, v8
\tv_mov_b32_e32 v1, v2
\tv_lshrrev_b64 v[4:5], 0, v[6:7]
\tv_lshrrev_b64 v[4:5], 3, v[6:7]
\ts_cbranch_scc1 BB1
BB2:
\tds_read_b128 v[0:3], v8
\ts_endpgm
";

    const NOT_DISASSEMBLED: &str = "\
Shader disassembly is not supported in the current configuration, falling back to print_program.

BB0
/* logical preds: / linear preds: / kind: uniform, top-level, loop-preheader, */
\t s4: %16:s[4-7] = s_load_dwordx4 %14:s[2-3], 0
\t v1: %1:v[0] = v_fma_f32 %2:v[1], %3:v[2], %4:v[3]
BB1
\t v4: %23:v[4-7] = buffer_load_dwordx4 %16:s[4-7], %5:v[8], 0 offen
\t v1: %445:v[6] = v_fmac_f32 %1805:v[4], %1771:v[12], %305:v[6]
\t v1: %446:v[8] = v_add_u32 16, %10:v[8]
\t v1: %447:v[9] = v_mov_b32 %446:v[8]
\ts_cbranch_scc1 block:BB3
BB2
\ts_branch block:BB1
BB3
\tds_write_b128 %5:v[8], %23:v[4-7]
";

    pub fn counts_a_loop() {
        for text in [LOOP, NOT_DISASSEMBLED] {
            assert_eq!(fused_share(text), Some(0.5));
            assert_eq!(memory_operations(text), 2);
        }
        assert_eq!(fused_share("BB0:\n\tv_fma_f32 v0, v1, v2, v3\n\ts_cbranch_scc1 BB1\nBB1:\n\ts_endpgm\n"), None);
    }
}
