//! What is done with the networks' kernels: tables, comparisons, rules.

use crate::family::Family;
use crate::network::{Network, networks};
use crate::report::Report;
use crate::spirv::Module;
use crate::{assembly, driver, family, report, rules, spirv};
use anyhow::{Context, Result, ensure};
use clap::Parser;
use libtest_mimic::Trial;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What `cargo xtask kernels` asks for.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask kernels", about = "What AMD's compiler makes of the kernels, without a GPU")]
struct Arguments {
    /// Prints the tables, rather than test the rules.
    #[arg(long, hide = true)]
    tables: bool,
    /// Renews docs/kernels.md and the table that the column of changes compares with.
    #[arg(long)]
    write: bool,
    /// Writes the networks' kernels down.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Compares with kernels that were written down.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// The Vulkan driver's description instead of the installed one's.
    #[arg(long, value_name = "FILE")]
    driver: Option<PathBuf>,
}

/// The whole program: a compiler, the tables, or tests.
pub fn run() -> Result<()> {
    if std::env::var_os(family::COMPILER).is_some() {
        let modules: Vec<Module> = serde_json::from_reader(std::io::stdin())?;
        serde_json::to_writer(std::io::stdout(), &driver::compile(&modules)?)?;
        return Ok(());
    }
    if std::env::args().any(|word| word == "--tables") {
        return tables(&Arguments::parse());
    }
    let has_driver = family::driver().is_some();
    if !has_driver {
        eprintln!("\nTHE KERNELS ARE NOT JUDGED: {NO_DRIVER}.\n");
    }
    let rules = Trial::test("kernels_keep_the_rules", || keep_the_rules().map_err(|error| format!("{error:#}").into()));
    let tests = vec![
        rules.with_ignored_flag(!has_driver),
        Trial::test("assembly_is_understood", || {
            assembly::tests::counts_a_loop();
            Ok(())
        }),
    ];
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), tests).exit()
}

fn keep_the_rules() -> Result<()> {
    let driver = family::driver().context(NO_DRIVER)?;
    let broken = violations(&compile(&driver, &translate(&networks()?)?)?);
    ensure!(broken.is_empty(), "{} rules are broken:\n{}", broken.len(), broken.join("\n"));
    Ok(())
}

const NO_DRIVER: &str = "this machine has no RADV, AMD's driver in Mesa; on Debian and Ubuntu, `apt-get install \
                         mesa-vulkan-drivers` has it";

fn tables(arguments: &Arguments) -> Result<()> {
    let networks = networks()?;
    if let Some(file) = &arguments.export {
        std::fs::write(file, serde_json::to_vec(&networks)?).with_context(|| file.display().to_string())?;
    }
    let driver = arguments.driver.clone().or_else(family::driver).context(NO_DRIVER)?;
    let modules = translate(&networks)?;
    let report = compile(&driver, &modules)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = root.join("tests/kernels/table.json");
    let before = match std::fs::read(&table) {
        Ok(text) => serde_json::from_slice(&text).with_context(|| table.display().to_string())?,
        Err(_) => Report::default(),
    };
    println!("{}", report.tables(&before)?);
    if arguments.write {
        std::fs::write(&table, serde_json::to_string_pretty(&report)?)?;
        let page = format!("{}{}", include_str!("page.md"), report.tables(&Report::default())?);
        std::fs::write(root.join("docs/kernels.md"), page)?;
    }
    if let Some(file) = &arguments.against {
        println!("{}", compare(&driver, file, &networks, &modules, &report)?);
    }
    println!("{}", violations(&report).join("\n"));
    Ok(())
}

/// Every pipeline of some networks once.
fn translate(networks: &[Network]) -> Result<Vec<Module>> {
    let mut programs = BTreeMap::new();
    for program in networks.iter().flat_map(|network| &network.programs) {
        programs.insert(&program.kernel, program);
    }
    programs.values().map(|program| spirv::translate(program)).collect()
}

fn compile(driver: &Path, modules: &[Module]) -> Result<Report> {
    let mut report = Report::default();
    for family in Family::ALL {
        match family::compile(driver, family, modules)? {
            Some(compiled) => {
                report.families.insert(family, compiled);
            }
            None => eprintln!("NOT JUDGED: {}, which {} does not know", family.name(), driver.display()),
        }
    }
    Ok(report)
}

fn compare(driver: &Path, file: &Path, networks: &[Network], modules: &[Module], report: &Report) -> Result<String> {
    let text = std::fs::read(file).with_context(|| file.display().to_string())?;
    let earlier: Vec<Network> = serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
    let earlier_modules = translate(&earlier)?;
    let earlier_report = compile(driver, &earlier_modules)?;
    let mut rows = Vec::new();
    for network in networks {
        let Some(earlier) = earlier.iter().find(|known| known.name == network.name) else { continue };
        let before = earlier_report.work(earlier, &earlier_modules)?;
        rows.push((network.name.clone(), before, report.work(network, modules)?));
    }
    report::comparison(&rows)
}

/// The rules that kernels break, in words.
fn violations(report: &Report) -> Vec<String> {
    let judge = |(&family, compiled): (&Family, &driver::Compiled)| {
        let kernels = compiled.kernels.iter();
        kernels.flat_map(|(kernel, found)| rules::violations(family, kernel, found)).collect::<Vec<_>>()
    };
    report.families.iter().flat_map(judge).collect()
}
