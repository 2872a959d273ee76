//! DKIM signatures of report mail (RFC 6376), for those whose server writes no `Authentication-Results`.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator};
use tokio::runtime::Runtime;

use super::{Settings, resolver};

/// Signatures of one mail that are looked at, at most: each may cost a look-up and a pass over the body. A mail with more has
/// none checked.
const SIGNATURES: usize = 8;

/// Checks signatures. May be shared by threads, which wait for each other.
pub struct Signatures {
    runtime: Runtime,
    authenticator: MessageAuthenticator,
    time: Duration,
}

impl fmt::Debug for Signatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signatures").field("time", &self.time).finish_non_exhaustive()
    }
}

impl Signatures {
    /// Gets ready; nothing is asked yet. One mail takes twice the time for one question, at most.
    ///
    /// # Errors
    /// As [`super::Dns::new`].
    pub fn new(settings: &Settings) -> Result<Signatures, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| format!("DNS: {error}"))?;
        let resolver = runtime.block_on(async { resolver(settings) })?;
        Ok(Signatures {
            runtime,
            authenticator: MessageAuthenticator(resolver),
            time: settings.timeout.saturating_mul(2),
        })
    }

    /// The domains whose signatures on a mail pass: those that cover its `From` field and its whole body. None also where DNS
    /// does not answer in time: that proves nothing.
    pub fn passed(&self, message: &[u8]) -> Vec<String> {
        if !(1..=SIGNATURES).contains(&count(message)) {
            return Vec::new();
        }
        // What strangers write must not end the run, whatever a library makes of it.
        catch_unwind(AssertUnwindSafe(|| self.check(&as_sent(message)))).unwrap_or_default()
    }

    fn check(&self, message: &[u8]) -> Vec<String> {
        let Some(parsed) = AuthenticatedMessage::parse(message) else { return Vec::new() };
        let checked = self.runtime.block_on(async {
            tokio::time::timeout(self.time, self.authenticator.verify_dkim(&parsed)).await.unwrap_or_default()
        });
        let mut domains = Vec::new();
        for output in &checked {
            let Some(signature) = output.signature() else { continue };
            let covers_from = signature.h.iter().any(|name| name.eq_ignore_ascii_case("from"));
            // With `l=` anybody may add to the body (RFC 6376, section 8.2).
            if *output.result() == DkimResult::Pass && signature.l == 0 && covers_from {
                domains.push(signature.d.to_ascii_lowercase());
            }
        }
        domains
    }
}

/// The mail with the line ends that it was signed with: a Maildir has those of Unix.
fn as_sent(message: &[u8]) -> Cow<'_, [u8]> {
    let first = message.iter().position(|byte| *byte == b'\n');
    if first.and_then(|at| at.checked_sub(1)).and_then(|at| message.get(at)) == Some(&b'\r') {
        return Cow::Borrowed(message);
    }
    let mut sent = Vec::with_capacity(message.len() + message.len() / 32);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) => {
                sent.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
                sent.extend_from_slice(b"\r\n");
            }
            None => sent.extend_from_slice(line),
        }
    }
    Cow::Owned(sent)
}

/// How many signatures the header has.
fn count(message: &[u8]) -> usize {
    const NAME: &[u8] = b"dkim-signature";
    let lines = message.split(|byte| *byte == b'\n').take_while(|line| !line.trim_ascii().is_empty());
    lines
        .filter(|line| {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            line.contains(&b':') && name.trim_ascii_end().eq_ignore_ascii_case(NAME)
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_they_were_sent() {
        let check = |text: &str, expected: &str| assert_eq!(as_sent(text.as_bytes()), expected.as_bytes(), "{text:?}");
        check("a: b\n\nc\nd", "a: b\r\n\r\nc\r\nd");
        check("a: b\r\n\r\nc\r\n", "a: b\r\n\r\nc\r\n");
        check("a: b\n\r\nc\n", "a: b\r\n\r\nc\r\n");
        check("", "");
    }

    #[test]
    fn signatures_are_counted_in_the_header() {
        let check = |text: &str, expected: usize| assert_eq!(count(text.as_bytes()), expected, "{text}");
        check("", 0);
        check("From: a@b.example\r\n\r\nDKIM-Signature: v=1\r\n", 0);
        check("DKIM-Signature: v=1\r\nFrom: a@b.example\r\ndkim-signature : v=1;\r\n b=\r\n\r\n", 2);
        check("DKIM-Signature: v=1\nX-DKIM-Signature: v=1\n\nbody", 1);
    }
}
