//! What the fuzzer does (`fuzz/`), for a second each: sound files with a few bytes changed. `cargo xtask fuzz` goes by
//! what code is reached, and for as long as it is told to.

#[path = "../fuzz/src/seeds.rs"]
mod seeds;
#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

const TIME: Duration = Duration::from_secs(1);
/// No more than this, so that what is met does not depend on how fast a machine is.
const MOST: usize = 10_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// One of the seeds with up to 8 changes, some of them in its first bytes, where headers are.
    fn mutant(&mut self, seeds: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].1.clone();
        for _ in 0..self.below(9) {
            let reach = if self.below(2) == 0 { bytes.len().min(64) } else { bytes.len() };
            let at = self.below(reach);
            let end = (at + 1 + self.below(16)).min(bytes.len());
            let other = &seeds[self.below(seeds.len())].1;
            match self.below(6) {
                _ if bytes.is_empty() => bytes.push(self.next() as u8),
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'9'][self.below(6)],
                2 => bytes.truncate(at),
                3 => drop(bytes.drain(at..end)),
                4 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
                _ => drop(bytes.splice(at..end, other.iter().skip(self.below(other.len())).take(16).copied())),
            }
        }
        bytes
    }
}

fn fuzz(target: &str) {
    let (_, body) = targets::ALL.into_iter().find(|(name, _)| *name == target).expect("a target");
    let seeds = seeds::of(target);
    let run = |bytes: &[u8]| {
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| body(bytes)));
        if outcome.is_err() || start.elapsed() > Duration::from_secs(10) {
            let path = std::env::temp_dir().join(format!("pcsnet-fuzz-{target}"));
            std::fs::write(&path, bytes).expect("writable");
            panic!("{target}: wrong, or slower than 10 s, with {}", path.display());
        }
    };
    seeds.iter().for_each(|(_, bytes)| run(bytes));
    let (start, mut random, mut count) = (Instant::now(), Random(1), 0);
    while count < MOST && start.elapsed() < TIME {
        run(&random.mutant(&seeds));
        count += 1;
    }
    eprintln!("{target}: {count} files");
}

#[test]
fn image() {
    fuzz("image");
}

#[test]
fn layouts() {
    fuzz("layouts");
}

#[test]
fn metadata() {
    fuzz("metadata");
}

#[test]
fn stdin() {
    fuzz("stdin");
}

#[test]
fn weights() {
    fuzz("weights");
}

/// What the seeds stand for is read as what it is, so that fuzzing begins behind the headers.
#[test]
fn seeds_are_sound() {
    for (name, bytes) in seeds::of("image").into_iter().filter(|(name, _)| !name.starts_with("cut")) {
        let outcome = pcsnet::image::Decoder::default().decode(&bytes, &name);
        let is_odd = ["empty", "phone.heic"].contains(&name.as_str());
        assert_eq!(outcome.is_ok(), !is_odd, "{name}: {:?}", outcome.err());
    }
    for (name, bytes) in seeds::of("weights") {
        pcsnet::weights::Weights::from_bytes(&name, bytes).unwrap_or_else(|error| panic!("{error}"));
    }
}
