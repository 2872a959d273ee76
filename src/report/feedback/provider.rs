//! Who runs the feedback loop a complaint came through. A name for people and statistics; trust is decided elsewhere.

use super::fields::Fields;
use crate::mail::Entity;
use crate::report::address::Address;

/// User agents, by how they begin (lower case). Public samples of each are known, but of Yandex.
const USER_AGENTS: [(&str, &str); 9] = [
    ("yahoo!-mail-feedback", "yahoo"),
    ("aol scomp", "aol"),
    ("jmrp", "microsoft"),
    ("xmr", "microsoft"),
    ("returnpathfbl", "validity"),
    ("comcast feedback loop", "comcast"),
    ("abusix", "abusix"),
    ("yandex", "yandex"),
    ("ntesdmarcreporter", "netease"),
];

/// `From` domains, and those below them.
const FROM_DOMAINS: [(&str, &str); 4] = [
    ("arf.mail.yahoo.com", "yahoo"),
    ("senderscore.net", "validity"),
    ("returnpath.net", "validity"),
    ("email-abuse.amazonses.com", "amazon-ses"),
];

/// Recognises the provider by the report's user agent, else by the report mail's headers and sender.
pub(super) fn recognise(
    user_agent: Option<&str>,
    message: &Entity<'_>,
    from: Option<&Address>,
) -> Option<&'static str> {
    let agent = user_agent.unwrap_or_default().to_ascii_lowercase();
    let by_agent = USER_AGENTS.iter().find(|(start, _)| agent.starts_with(start)).map(|(_, name)| *name);
    by_agent.or_else(|| by_header(message)).or_else(|| from.and_then(by_from))
}

fn by_header(message: &Entity<'_>) -> Option<&'static str> {
    if message.header("X-Rp-Fbl").is_some() {
        return Some("validity");
    }
    let looped = message.header("X-Loop").is_some_and(|value| value.eq_ignore_ascii_case("scomp"));
    looped.then_some("aol")
}

fn by_from(from: &Address) -> Option<&'static str> {
    match from.folded().as_str() {
        "staff@hotmail.com" => return Some("microsoft"),
        "scomp@aol.net" => return Some("aol"),
        _ => {}
    }
    let below = |name: &str| from.domain.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    FROM_DOMAINS.iter().find(|(name, _)| below(name)).map(|(_, provider)| *provider)
}

/// The mailbox provider behind a shared loop: Validity's `Source`.
pub(super) fn source(provider: Option<&str>, fields: &Fields) -> Option<String> {
    fields.text("Source").filter(|_| provider == Some("validity"))
}
