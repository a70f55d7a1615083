#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pcsnet_fuzz::targets::weights(bytes));
