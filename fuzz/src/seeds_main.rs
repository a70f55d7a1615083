//! Writes the seed corpus: `seeds FOLDER` makes a folder for each target, with a file for each seed.

// What is compiled with coverage counts it, and the fuzzer's library is where the counters are.
use libfuzzer_sys as _;
use pcsnet_fuzz::{seeds, targets};
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map_or_else(|| PathBuf::from("corpus"), PathBuf::from);
    for (target, _) in targets::ALL {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in seeds::of(target) {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}
