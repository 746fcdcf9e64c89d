#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postcall_fuzz::cuts(data));
