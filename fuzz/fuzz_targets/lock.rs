#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| azud_fuzz::lock(data));
