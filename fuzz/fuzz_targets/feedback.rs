//! Complaints, failure reports and the fields they are made of.
#![no_main]

use dmarcdb::limits::Limits;
use dmarcdb::mail::parse;
use dmarcdb::report::address::{self, Address};
use dmarcdb::report::feedback::{self, Feedback};
use dmarcdb::report::{authentication, date};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    if let Ok(mail) = parse(data, &limits) {
        if let Some(found) = feedback::read(&mail, &limits)
            && let Ok(Feedback::Complaint(complaint)) = found.report
        {
            assert!(complaint.recipients.len() <= limits.complaint_recipients);
        }
        authentication::assess(&mail.entities[0].headers, Some("mx.example.com"));
    }
    let _ = feedback::read_ses_json(data, &limits);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = date::mail(text);
        let _ = address::mailboxes(text);
        let _ = address::from_domain(text);
        if let Ok(address) = Address::parse(text) {
            let canonical = address.canonical();
            assert_eq!(
                Address::parse(&canonical).map(|again| again.canonical()),
                Ok(canonical)
            );
        }
    }
});
