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

/// Instructions in order, and the place of each label.
fn parse(text: &str) -> (Vec<Instruction<'_>>, HashMap<&str, usize>) {
    let mut instructions = Vec::new();
    let mut labels = HashMap::new();
    for line in text.lines() {
        let code = line.split(';').next().unwrap_or_default().trim();
        match (code.strip_suffix(':'), code.split_once(char::is_whitespace)) {
            (Some(label), _) => {
                labels.insert(label, instructions.len());
            }
            (None, Some((name, operands))) => instructions.push((name, operands)),
            (None, None) if !code.is_empty() => instructions.push((code, "")),
            _ => {}
        }
    }
    (instructions, labels)
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

    pub fn counts_a_loop() {
        assert_eq!(fused_share(LOOP), Some(0.5));
        assert_eq!(memory_operations(LOOP), 2);
        assert_eq!(fused_share("BB0:\n\tv_fma_f32 v0, v1, v2, v3\n\ts_cbranch_scc1 BB1\nBB1:\n\ts_endpgm\n"), None);
    }
}
