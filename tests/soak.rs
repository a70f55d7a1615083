//! Detections without end, as on a line: memory and handles stay flat, and every score is the first one's to the last
//! bit.
//!
//! `cargo test --test soak -- --ignored --nocapture`; `PCSNET_SOAK` says how many detections, 100,000 by default, and
//! `PCSNET_SOAK_MODEL` where to write the model for `web/benches/soak.js`.

mod support;

use pcsnet::Precision;
use pollster::block_on;
use std::fs;
use std::time::Instant;
use support::{Random, engine, load, model_file, small_configs};

/// What the process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    bytes: u64,
    handles: usize,
}

/// Memory and open files; where the system does not tell them, none.
fn held() -> Held {
    let pages = fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    let handles = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    Held { bytes: pages.unwrap_or(0) * 4096, handles }
}

#[test]
#[ignore = "takes minutes to hours"]
fn detections_without_end() {
    let count: usize = std::env::var("PCSNET_SOAK").map_or(100_000, |text| text.parse().expect("a number"));
    let config = &small_configs()[0];
    if let Some(path) = std::env::var_os("PCSNET_SOAK_MODEL") {
        fs::write(path, model_file(config, 1)).expect("writable");
    }
    let images: Vec<_> = (0..4).map(|seed| Random::new(seed).image(config.input)).collect();
    let mut model = load(engine(), config, 1, Precision::F32);
    let mut session = block_on(model.session(1)).expect("one image fits");
    let run = |session: &pcsnet::Session, index: usize| {
        session.run_blocking(&images[index % 4..][..1]).expect("the device stays").remove(0)
    };
    let expected: Vec<_> = (0..4).map(|index| run(&session, index)).collect();
    let (start, mut settled) = (Instant::now(), None);
    for index in 0..count {
        // A line changes its parts, and with them sessions and models, every now and then.
        if index % (count / 20).max(1) == 0 {
            model = load(engine(), config, 1, Precision::F32);
        }
        if index % (count / 100).max(1) == 0 {
            session = block_on(model.session(1)).expect("one image fits");
        }
        assert_eq!(run(&session, index), expected[index % 4], "detection {index}");
        if index % (count / 10).max(1) == 0 {
            let now = held();
            println!("{index} detections, {:.0} s: {now:?}", start.elapsed().as_secs_f64());
            // Allocators and drivers take their time to fill what they keep.
            if index >= count / 5 {
                let first = *settled.get_or_insert(now);
                assert!(now.handles <= first.handles, "{first:?} became {now:?}");
                assert!(now.bytes <= first.bytes + (16 << 20), "{first:?} became {now:?}");
            }
        }
    }
    println!("{count} detections in {:.0} s: {:?}, at first {settled:?}", start.elapsed().as_secs_f64(), held());
}
