//! What every kernel that a GPU is given by default must keep to.

use crate::driver::Statistics;
use crate::family::Family;

/// What is wrong with a kernel, in words.
pub fn violations(family: Family, kernel: &str, found: &Statistics) -> Vec<String> {
    // No GPU is given products of f16 unless that is asked for.
    if kernel.contains("+HALVES") {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let mut rule = |holds: bool, words: String| {
        if !holds {
            wrong.push(format!("{} {kernel}: {words}", family.name()));
        }
    };
    rule(found.spilled_registers == 0, format!("{} registers spilled", found.spilled_registers));
    rule(found.scratch == 0, format!("{} bytes of scratch memory", found.scratch));
    let waves = if family == Family::Gcn5 { 2 } else { 4 };
    rule(found.waves >= waves, format!("{} waves a SIMD, at least {waves} hide latency", found.waves));
    if kernel.starts_with("matmul_") {
        let share = found.fused.unwrap_or_default();
        let words = format!("{:.1} % of the inner loop's vector arithmetic are fused multiply-adds", 100.0 * share);
        rule(share >= 0.9, format!("{words}, at least 90 % should be"));
    }
    if kernel.starts_with("winograd") {
        rule(found.branches <= 12, format!("{} branches, at most 12 are needed", found.branches));
    }
    wrong
}
