//! Notifications of Amazon SES over SNS: complaints and bounces, by themselves, in the envelope of SNS, and as a mail.
#![no_main]

use dmarcdb::limits::Limits;
use dmarcdb::mail::parse;
use dmarcdb::report::{bounce, feedback};
use libfuzzer_sys::fuzz_target;

const HEAD: &[u8] =
    b"From: no-reply@sns.amazonaws.com\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n";

fn read(json: &[u8], limits: &Limits) {
    if let Some(Ok(complaint)) = feedback::read_ses_json(json, limits) {
        assert!(complaint.recipients.len() <= limits.complaint_recipients);
        assert!(!format!("{complaint:?}").contains('\0'));
    }
    if let Some(Ok(bounce)) = bounce::read_ses_json(json, limits) {
        assert!(!bounce.recipients.is_empty() && bounce.recipients.len() <= limits.bounce_recipients);
        assert!(!format!("{bounce:?}").contains('\0'));
    }
}

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    read(data, &limits);
    if let Ok(text) = std::str::from_utf8(data) {
        let quoted = text.escape_default().to_string().replace("\\'", "'");
        read(format!("{{\"Type\":\"Notification\",\"Message\":\"{quoted}\"}}").as_bytes(), &limits);
    }
    let mail = [HEAD, data].concat();
    if let Ok(mail) = parse(&mail, &limits) {
        let _ = feedback::read(&mail, &limits);
    }
});
