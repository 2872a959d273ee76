//! Values as reporters spell them: counts, times, addresses, and the words of the vocabularies.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::chunk::Disposition;

/// A value and, where it was sent otherwise than the standard spells it, the code of the warning that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken<T> {
    pub value: T,
    pub odd: Option<&'static str>,
}

fn plain<T>(value: T) -> Option<Taken<T>> {
    Some(Taken { value, odd: None })
}

fn odd<T>(value: T, code: &'static str) -> Option<Taken<T>> {
    Some(Taken { value, odd: Some(code) })
}

/// The largest count that is believed.
const MOST_MESSAGES: u32 = 1 << 31;

/// `row/count`: ASCII digits, up to 2^31. `3.0` (a float) is taken as 3.
pub fn count(text: &str) -> Option<Taken<u32>> {
    let (digits, code) = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => {
            (whole, Some("count-float"))
        }
        Some(_) => return None,
        None => (text, None),
    };
    let value = number(digits).and_then(|value| u32::try_from(value).ok()).filter(|&value| value <= MOST_MESSAGES)?;
    let odd = code.or((value == 0).then_some("count-zero"));
    Some(Taken { value, odd })
}

/// ASCII digits only: no sign, no other script's digits.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// The end of the year 9999, and the largest plausible time: more is in smaller units.
const MILLISECONDS_FROM: u64 = 100_000_000_000;

/// `date_range/begin` and `end` in seconds since the epoch. 163.com once sent floats, SFR sends milliseconds, and some
/// send RFC 3339.
pub fn time(text: &str) -> Option<Taken<i64>> {
    let (whole, code) = match text.split_once('.') {
        Some((whole, rest)) if rest.bytes().all(|byte| byte.is_ascii_digit()) => (whole, Some("time-float")),
        _ => (text, None),
    };
    match number(whole) {
        Some(seconds) if seconds <= MILLISECONDS_FROM => Some(Taken { value: seconds as i64, odd: code }),
        Some(milliseconds) if milliseconds / 1000 <= MILLISECONDS_FROM => {
            odd((milliseconds / 1000) as i64, "time-milliseconds")
        }
        Some(_) => None,
        None => written_time(text).and_then(|value| odd(value, "time-text")),
    }
}

fn written_time(text: &str) -> Option<i64> {
    let seconds = match chrono::DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.timestamp(),
        Err(_) => ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]
            .iter()
            .find_map(|format| chrono::NaiveDateTime::parse_from_str(text, format).ok())
            .or_else(|| chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?
            .and_utc()
            .timestamp(),
    };
    (0..=MILLISECONDS_FROM as i64).contains(&seconds).then_some(seconds)
}

/// `row/source_ip`. Leading zeros are refused: some read them as octal. IPv4-mapped IPv6 becomes IPv4.
pub fn source_ip(text: &str) -> Option<Taken<IpAddr>> {
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return plain(IpAddr::V4(ip));
    }
    let ip = text.parse::<Ipv6Addr>().ok()?;
    match ip.to_ipv4_mapped() {
        Some(mapped) => odd(IpAddr::V4(mapped), "ip-mapped"),
        None => plain(IpAddr::V6(ip)),
    }
}

/// `policy_evaluated/disposition`. `None` in the value: a word that means nothing known.
pub fn disposition(text: &str) -> Taken<Option<Disposition>> {
    if text == "none" {
        return Taken { value: Some(Disposition::None), odd: None };
    }
    let known = |value, standard: &str| Taken { value: Some(value), odd: (text != standard).then_some("enum-case") };
    match &*lower(text) {
        "none" => known(Disposition::None, "none"),
        "quarantine" => known(Disposition::Quarantine, "quarantine"),
        "reject" => known(Disposition::Reject, "reject"),
        "pass" => known(Disposition::Pass, "pass"),
        _ => Taken { value: None, odd: Some("enum-unknown") },
    }
}

/// `policy_evaluated/dkim` and `spf`: the aligned result. Other results of a check (`softfail`, `none`, …) mean that it
/// did not pass aligned; a word that is no result of a check means nothing.
pub fn aligned(text: &str) -> Taken<Option<bool>> {
    match text {
        "pass" => {
            return Taken { value: Some(true), odd: None };
        }
        "fail" => {
            return Taken { value: Some(false), odd: None };
        }
        _ => {}
    }
    match &*lower(text) {
        "pass" => Taken { value: Some(true), odd: Some("enum-case") },
        "fail" => Taken { value: Some(false), odd: Some("enum-case") },
        "softfail" | "hardfail" | "none" | "neutral" | "policy" | "temperror" | "permerror" => {
            Taken { value: Some(false), odd: Some("enum-alias") }
        }
        _ => Taken { value: None, odd: Some("enum-unknown") },
    }
}

/// A word of a vocabulary: the standard's spelling where it is known, else as sent.
pub type Word<'a> = Taken<Cow<'a, str>>;

/// `auth_results/dkim/result`.
pub fn dkim_result(text: &str) -> Word<'_> {
    word(text, &["none", "pass", "fail", "policy", "neutral", "temperror", "permerror"], &[])
}

/// `auth_results/spf/result`. docomo.ne.jp writes `hardfail`; RFC 7489's own XSD admits `unknown` and `error`.
pub fn spf_result(text: &str) -> Word<'_> {
    const ALIASES: &[(&str, &str)] = &[("hardfail", "fail"), ("unknown", "temperror"), ("error", "permerror")];
    word(text, &["none", "neutral", "pass", "fail", "softfail", "policy", "temperror", "permerror"], ALIASES)
}

/// `auth_results/spf/scope`.
pub fn scope(text: &str) -> Word<'_> {
    word(text, &["mfrom", "helo"], &[])
}

/// `policy_evaluated/reason/type`, RFC 7489 and RFC 9990.
pub fn reason(text: &str) -> Word<'_> {
    const KNOWN: &[&str] =
        &["local_policy", "mailing_list", "forwarded", "trusted_forwarder", "sampled_out", "policy_test_mode", "other"];
    word(text, KNOWN, &[])
}

/// `policy_published/p`, `sp`, `np`.
pub fn policy(text: &str) -> Word<'_> {
    word(text, &["none", "quarantine", "reject"], &[])
}

fn word<'a>(text: &'a str, known: &[&'static str], aliases: &[(&str, &'static str)]) -> Word<'a> {
    if known.contains(&text) {
        return Taken { value: Cow::Borrowed(text), odd: None };
    }
    let lower = lower(text);
    if let Some(&standard) = known.iter().find(|&&standard| standard == lower) {
        return Taken { value: Cow::Borrowed(standard), odd: Some("enum-case") };
    }
    if let Some(&(_, standard)) = aliases.iter().find(|(alias, _)| *alias == lower) {
        return Taken { value: Cow::Borrowed(standard), odd: Some("enum-alias") };
    }
    Taken { value: Cow::Borrowed(text), odd: Some("enum-unknown") }
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// A domain in its canonical form: lower case, A-labels, no trailing dot. What is no domain stays as sent, lower-cased.
pub fn domain(text: &str) -> Taken<Cow<'_, str>> {
    let bare = text.strip_suffix('.').unwrap_or(text);
    if bare.is_ascii() {
        let value = lower(bare);
        let code = if bare.len() != text.len() || matches!(value, Cow::Owned(_)) {
            Some("domain-form")
        } else if bare.bytes().any(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))) {
            Some("domain-odd")
        } else {
            None
        };
        return Taken { value, odd: code };
    }
    match idna::domain_to_ascii(bare) {
        Ok(ascii) => Taken { value: Cow::Owned(ascii), odd: Some("domain-form") },
        Err(_) => Taken { value: Cow::Owned(bare.to_lowercase()), odd: Some("domain-odd") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        let check = |text: &str, value: Option<u32>, code: Option<&'static str>| {
            assert_eq!(count(text), value.map(|value| Taken { value, odd: code }), "{text:?}");
        };
        check("7", Some(7), None);
        check("0", Some(0), Some("count-zero"));
        check("3.0", Some(3), Some("count-float"));
        check("2147483648", Some(1 << 31), None);
        for bad in
            ["", "2147483649", "99999999999999999999", "-1", "+3", "1e9", "0x10", "NaN", "3.5", "3.", "١٢", "1 2"]
        {
            check(bad, None, None);
        }
    }

    #[test]
    fn times() {
        let check = |text: &str, value: Option<i64>, code: Option<&'static str>| {
            assert_eq!(time(text), value.map(|value| Taken { value, odd: code }), "{text:?}");
        };
        check("1755648000", Some(1_755_648_000), None);
        check("100", Some(100), None);
        check("1337270400.0", Some(1_337_270_400), Some("time-float"));
        check("1627776308616", Some(1_627_776_308), Some("time-milliseconds"));
        check("2025-08-20T00:00:00Z", Some(1_755_648_000), Some("time-text"));
        check("2025-08-20 00:00:00", Some(1_755_648_000), Some("time-text"));
        check("2025-08-20", Some(1_755_648_000), Some("time-text"));
        for bad in ["", "-1", "99999999999999999", "soon", "1755648000.x", "0000-00-00"] {
            check(bad, None, None);
        }
    }

    #[test]
    fn addresses() {
        let check = |text: &str, canonical: Option<&str>| {
            assert_eq!(source_ip(text).map(|ip| ip.value.to_string()).as_deref(), canonical, "{text:?}");
        };
        check("192.0.2.1", Some("192.0.2.1"));
        check("2001:DB8:0:0::1", Some("2001:db8::1"));
        check("::ffff:192.0.2.1", Some("192.0.2.1"));
        for bad in [
            "",
            "192.0.2.1/24",
            "fe80::1%eth0",
            "11111111111111111111",
            "X.X.X.X",
            "::ffff:092.168.4.4",
            "192.0.02.1",
            "192.0.2.1\0",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn words() {
        let check = |word: Word<'_>, value: &str, code: Option<&'static str>| {
            assert_eq!((&*word.value, word.odd), (value, code));
        };
        check(spf_result("pass"), "pass", None);
        check(spf_result("SoftFail"), "softfail", Some("enum-case"));
        check(spf_result("HardFail"), "fail", Some("enum-alias"));
        check(spf_result("unknown"), "temperror", Some("enum-alias"));
        check(dkim_result("invalid"), "invalid", Some("enum-unknown"));
        check(reason("Forwarded"), "forwarded", Some("enum-case"));
        assert_eq!(aligned("PASS").value, Some(true));
        assert_eq!(aligned("softfail").value, Some(false));
        assert_eq!(aligned("unknown").value, None);
        assert_eq!(disposition("None"), Taken { value: Some(Disposition::None), odd: Some("enum-case") });
        assert_eq!(disposition("softfail").value, None);
    }

    #[test]
    fn domains() {
        let check = |text: &str, value: &str, code: Option<&'static str>| {
            let taken = domain(text);
            assert_eq!((&*taken.value, taken.odd), (value, code), "{text:?}");
        };
        check("example.com", "example.com", None);
        check("Example.COM.", "example.com", Some("domain-form"));
        check("bücher.example", "xn--bcher-kva.example", Some("domain-form"));
        check("a.example, b.example", "a.example, b.example", Some("domain-odd"));
        check("", "", None);
    }
}
