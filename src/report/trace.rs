//! Trace fields (`Received`, RFC 5321, section 4.4): whether the user's own server wrote a mail itself.
//!
//! Anyone can write such a field into a mail, but not above the one that the own server adds when it takes the mail in.
//! So only the topmost is looked at, and below it only what a delivery within the own system has covered up.

use crate::mail::Header;

use super::authentication::organizational;
use super::text::without_comments;

/// Whether the mail was made by the own server, `authserv_id`: its topmost `Received`, not counting local delivery, is by
/// that host (or one of its organizational domain) and names nobody whom it came from.
///
/// A bounce of Postfix has `Received: by mx.example.com (Postfix) id …`, one of Exim `from Debian-exim by mx.example.com
/// with local`. What a program on the same host handed in (`from userid 33`) does not count: that may be a web form.
pub fn is_own(headers: &[Header<'_>], authserv_id: &str) -> bool {
    let own = authserv_id.trim().to_ascii_lowercase();
    let fields = headers.iter().take_while(|header| !begins_mail(&header.name));
    let mut received = fields.filter(|header| header.name.trim().eq_ignore_ascii_case("received"));
    // Delivery to a mailbox over LMTP, which no server offers to strangers, is one more step.
    let step = |header: &Header<'_>| Step::read(&header.value);
    let first = received.next().map(step);
    let made = match first {
        Some(first) if first.with.starts_with("lmtp") => received.next().map(step),
        first => first,
    };
    made.is_some_and(|made| made.is_local() && is_ours(&made.by, &own))
}

/// A field that the author's own program writes: trace fields further down came with the mail.
fn begins_mail(name: &str) -> bool {
    ["from", "to", "subject", "date", "message-id", "mime-version", "content-type"]
        .iter()
        .any(|known| name.trim().eq_ignore_ascii_case(known))
}

fn is_ours(by: &str, own: &str) -> bool {
    by == own || (by.contains('.') && organizational(by) == organizational(own))
}

/// One `Received` field, as far as it matters here; lower case.
struct Step {
    from: Option<String>,
    by: String,
    with: String,
    handed_in: bool,
}

impl Step {
    fn read(value: &str) -> Step {
        let value = value.replace(['\r', '\n', '\t'], " ").to_ascii_lowercase();
        let plain = without_comments(&value);
        let clauses = plain.split(';').next().unwrap_or_default();
        let words: Vec<&str> = clauses.split_ascii_whitespace().collect();
        let after = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words.get(at + 1).map(|word| (*word).to_owned())
        };
        // A host may call itself anything: only the first word tells whether there is a `from`.
        let from = if words.first() == Some(&"from") { after("from") } else { None };
        Step {
            from,
            by: after("by").unwrap_or_default().trim_end_matches('.').to_owned(),
            with: after("with").unwrap_or_default(),
            handed_in: value.contains("from userid") || value.contains("uid "),
        }
    }

    fn is_local(&self) -> bool {
        let wrote_it = match self.from.as_deref() {
            None => !self.by.is_empty(),
            // Exim names the user it runs as, who is nobody else; sendmail itself.
            Some("debian-exim" | "exim" | "mailnull" | "mailer-daemon") => self.with == "local",
            Some("localhost") => self.with.is_empty(),
            Some(_) => false,
        };
        wrote_it && !self.handed_in
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wrote_it() {
        let check = |lines: &[&'static str], expected: bool| {
            let split = |line: &&'static str| line.split_once(": ").expect("name: value");
            let headers: Vec<_> = lines
                .iter()
                .map(split)
                .map(|(name, value)| Header { name: name.into(), value: value.into() })
                .collect();
            assert_eq!(is_own(&headers, "MX.example.com"), expected, "{lines:#?}");
        };
        let postfix = "Received: by mx.example.com (Postfix)\r\n\tid 3F2A1; Wed, 20 Aug 2025 10:00:00 +0000";
        let exim = "Received: from Debian-exim by mx.example.com with local (Exim 4.96)\r\n id 1uo; Wed, 20 Aug";
        let outside =
            "Received: from mx.example.com (evil.example [203.0.113.9]) by mx.example.com (Postfix) with ESMTP id 1; x";
        let lmtp = "Received: from mx.example.com ([127.0.0.1])\r\n\tby imap.example.com with LMTP\r\n\tid x; Wed";
        check(&[postfix], true);
        check(&[exim], true);
        check(&["Return-Path: <>", "Delivered-To: b@example.com", postfix, "From: MAILER-DAEMON"], true);
        check(&["Return-Path: <>", lmtp, postfix], true);
        check(&["Received: by mx2.example.com (Postfix) id 1; x"], true);
        check(&[outside], false);
        check(&[outside, postfix], false);
        check(&[lmtp, outside, postfix], false);
        check(&[lmtp, lmtp, postfix], false);
        check(&["Received: by mx.evil.example (Postfix) id 1; x"], false);
        check(&["Received: by mx.example.com (Postfix, from userid 33) id 1; x"], false);
        check(&["Received: from www by mx.example.com with esmtp; x"], false);
        check(&["Received: by (Postfix) id 1; x"], false);
        check(&["Received: from localhost (localhost)\r\n\tby mx.example.com (8.15.2/8.15.2) id x57A; Wed"], true);
        check(&["Received: from localhost (evil.example [203.0.113.9]) by mx.example.com with ESMTP id 1; x"], false);
        check(&["Received: from www-data by mx.example.com with local (Exim 4.96) id 1; x"], false);
        check(&["From: x@example.com", postfix], false);
        check(&["From: x@example.com"], false);
        check(&[], false);
    }
}
