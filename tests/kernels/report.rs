//! Tables of what compilers say.

use crate::driver::{Compiled, Statistics};
use crate::family::Family;
use crate::network::Network;
use crate::spirv::Module;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What the compilers of some generations made of some networks' kernels.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub families: BTreeMap<Family, Compiled>,
}

impl Report {
    /// A Markdown table for each generation, with the change of latency from an earlier report by the same driver.
    pub fn tables(&self, before: &Report) -> Result<String> {
        let mut text = String::new();
        for (family, compiled) in &self.families {
            let before = before.families.get(family).filter(|known| known.driver == compiled.driver);
            writeln!(text, "\n## {}\n\n{}\n", family.name(), compiled.driver)?;
            writeln!(
                text,
                "| kernel | registers | spilled | workgroup memory | waves a SIMD | instructions | branches | \
                 memory operations | fused | latency | change |"
            )?;
            writeln!(text, "| --- |{}", " ---: |".repeat(10))?;
            for (kernel, found) in &compiled.kernels {
                let change = match before.map(|before| before.kernels.get(kernel)) {
                    None => String::new(),
                    Some(None) => "new".to_owned(),
                    Some(Some(before)) if before.latency == found.latency => String::new(),
                    Some(Some(before)) => {
                        format!("{:+.0} %", 100.0 * (found.latency as f64 / before.latency as f64 - 1.0))
                    }
                };
                writeln!(text, "| `{kernel}` | {} | {change} |", row(found))?;
            }
        }
        Ok(text)
    }

    /// The estimated clocks of all waves of a network, by generation.
    pub fn work(&self, network: &Network, modules: &[Module]) -> Result<BTreeMap<Family, f64>> {
        let invocations: BTreeMap<&str, u32> =
            modules.iter().map(|module| (module.kernel.as_str(), module.invocations)).collect();
        let mut sums = BTreeMap::new();
        for (&family, compiled) in &self.families {
            let mut sum = 0.0;
            for step in &network.steps {
                let kernel = step.kernel.as_str();
                let found = compiled.kernels.get(kernel).with_context(|| kernel.to_owned())?;
                let workgroups: f64 = step.workgroups.iter().copied().map(f64::from).product();
                let waves = u64::from(invocations[kernel]).div_ceil(found.subgroup);
                sum += found.latency as f64 * workgroups * waves as f64;
            }
            sums.insert(family, sum);
        }
        Ok(sums)
    }
}

fn row(found: &Statistics) -> String {
    let fused = found.fused.map_or(String::new(), |share| format!("{:.0} %", 100.0 * share));
    format!(
        "{} | {} | {} | {} | {} | {} | {} | {fused} | {}",
        found.vector_registers,
        found.spilled_registers,
        found.workgroup_memory,
        found.waves,
        found.instructions,
        found.branches,
        found.memory_operations,
        found.latency
    )
}

/// Clocks of all waves of a network's dispatches, by generation.
pub type Work = BTreeMap<Family, f64>;

/// How much less work one set of kernels is than another, network by network, as a Markdown table.
pub fn comparison(rows: &[(String, Work, Work)]) -> Result<String> {
    let mut text = String::from("| network | generation | clocks of all waves, before | now | before / now |\n");
    text.push_str("| --- | --- | ---: | ---: | ---: |\n");
    for (network, before, now) in rows {
        for (family, now) in now {
            let Some(before) = before.get(family) else { continue };
            let (name, ratio) = (family.name(), before / now);
            writeln!(text, "| {network} | {name} | {:.0} M | {:.0} M | {ratio:.2} |", before / 1e6, now / 1e6)?;
        }
    }
    Ok(text)
}
