//! A message to everything in it, with all that must hold of it.
#![no_main]

#[path = "../../tests/it/invariants.rs"]
mod invariants;

use dmarcdb::limits::Limits;
use dmarcdb::reading::Settings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits {
        document_bytes: 16 << 20,
        unpacked_bytes: 24 << 20,
        ..Limits::default()
    };
    let settings = Settings {
        limits,
        authserv_id: Some("mx.example.com".into()),
    };
    invariants::read(data, None, &settings);
});
