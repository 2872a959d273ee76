//! SMTP TLS reports.
#![no_main]

use dmarcdb::limits::Limits;
use dmarcdb::report::tls::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(report) = read(data, &Limits::default()) {
        assert!(report.begin_at <= report.end_at && !report.report_id.is_empty());
    }
});
