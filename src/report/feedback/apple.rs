//! Apple Mail's unsubscribe mails: sent by the subscriber to the `mailto:` of `List-Unsubscribe` (RFC 2369), marked
//! `X-Apple-Unsubscribe: true`. The person is the author, the address it was sent to is the sender's own token.

use super::{Complaint, FeedbackType, recipient};
use crate::limits::Limits;
use crate::mail::Mail;
use crate::problem::{Refusal, Warning};
use crate::report::address::Address;
use crate::report::date;

/// Reads an unsubscribe mail; `None` for any other mail.
pub(super) fn read(mail: &Mail<'_>, limits: &Limits) -> Option<(usize, Result<Complaint, Refusal>)> {
    let message = mail.entities.first()?;
    let marked = message.header("X-Apple-Unsubscribe").is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
    if !marked {
        return None;
    }
    let mut found = Complaint::new(FeedbackType::OptOut);
    found.provider = Some("apple");
    let person = message.header("From").and_then(|from| recipient::judge(&from, "from", None));
    found.arrived_at = message.header("Date").and_then(|value| date::mail(&value));
    found.unsubscribe_to = message.header("To").and_then(|to| Address::parse_field(&to).ok()).map(|a| a.canonical());
    found.tokens = found.unsubscribe_to.iter().map(|to| ("unsubscribe-to".to_owned(), to.clone())).collect();
    let mut warnings: Vec<Warning> = Vec::new();
    let people = recipient::unique(person.into_iter().collect(), limits, &mut warnings);
    Some((0, people.map(|people| Complaint { recipients: people, warnings, ..found })))
}
