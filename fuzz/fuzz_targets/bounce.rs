//! Delivery status notifications: as whole mails, and the machine part by itself in a mail that is otherwise in order.
#![no_main]

use dmarcdb::limits::Limits;
use dmarcdb::mail::parse;
use dmarcdb::report::Bounce;
use dmarcdb::report::feedback::{self, Feedback};
use libfuzzer_sys::fuzz_target;

const HEAD: &[u8] = b"From: mailer-daemon@mx.example.com\r\nMIME-Version: 1.0\r\n\
Content-Type: multipart/report; report-type=delivery-status; boundary=frontier\r\n\r\n--frontier\r\n\r\nx\r\n\
--frontier\r\nContent-Type: message/delivery-status\r\n\r\n";
const TAIL: &[u8] = b"\r\n--frontier\r\nContent-Type: text/rfc822-headers\r\n\r\nFrom: news@example.com\r\n\r\n--frontier--\r\n";

fn hold(bounce: &Bounce, limits: &Limits) {
    assert!(!bounce.recipients.is_empty() && bounce.recipients.len() <= limits.bounce_recipients);
    for one in &bounce.recipients {
        if let Some(address) = &one.recipient.address {
            assert!(address.contains('@') && !address.chars().any(char::is_control), "{address:?}");
        }
    }
}

fn read(bytes: &[u8], limits: &Limits) {
    if let Ok(mail) = parse(bytes, limits)
        && let Some(found) = feedback::read(&mail, limits)
        && let Ok(Feedback::Bounce(bounce)) = found.report
    {
        hold(&bounce, limits);
    }
}

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    read(data, &limits);
    read(&[HEAD, data, TAIL].concat(), &limits);
});
