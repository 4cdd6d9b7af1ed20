#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| schleuse_properties::documents::reference(data));
