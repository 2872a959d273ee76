//! The table of cases to argue about.

use super::*;

/// Messages that pass by DKIM, pass by SPF only, and fail; all else is told by `with`.
fn facts(dkim: i64, spf: i64, fail: i64, with: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = Facts { seen_before: Some(true), fail_bare: fail, ..Facts::default() };
    facts.counts.messages = dkim + spf + fail;
    facts.counts.dmarc_pass = dkim + spf;
    facts.counts.dkim_pass = dkim;
    facts.counts.spf_pass = spf;
    with(&mut facts);
    facts
}

fn forwarded(messages: i64) -> impl FnOnce(&mut Facts) {
    move |facts| {
        facts.fail_forwarded = messages;
        facts.fail_bare -= messages;
        facts.reasons.add("mailing_list", messages);
    }
}

fn broken(messages: i64) -> impl FnOnce(&mut Facts) {
    move |facts| {
        facts.fail_broken = messages;
        facts.fail_bare -= messages;
    }
}

fn authenticated(messages: i64) -> impl FnOnce(&mut Facts) {
    move |facts| {
        facts.fail_authenticated = messages;
        facts.fail_bare -= messages;
        facts.authenticated_as.add("payroll.test", messages);
    }
}

fn new(facts: &mut Facts) {
    facts.seen_before = Some(false);
}

fn listed(facts: &mut Facts) {
    facts.know().lists.push("dnsbl.test".to_owned());
}

fn label(class: Option<Class>) -> impl FnOnce(&mut Facts) {
    move |facts| {
        facts.know().label =
            Some(Label { subject: "192.0.2.0/24".to_owned(), class, name: None, note: Some("ours".to_owned()) });
    }
}

#[test]
fn every_class_with_its_reason() {
    use Class::{Fix, Forwarded, New, Ok, Threat};
    let table = [
        ("passes", facts(100, 0, 0, |_| {}), Ok, "all pass DMARC by DKIM"),
        ("passes by SPF alone", facts(0, 100, 0, |_| {}), Ok, "all pass DMARC by SPF"),
        ("one in fifty fails", facts(49, 0, 1, |_| {}), Ok, "1 of 50 fail DMARC"),
        ("more than one in fifty", facts(48, 0, 1, |_| {}), Fix, "sign all"),
        ("half is not signed", facts(50, 0, 50, |_| {}), Fix, "50 of 100 fail DMARC: what fails is not signed by you"),
        ("half is not in SPF", facts(0, 50, 50, |_| {}), Fix, "nothing is signed: have it sign as you"),
        (
            "a known provider",
            facts(0, 0, 5, |f| {
                authenticated(5)(f);
                f.authenticated_as.add("bounce.mcsv.net", 6);
            }),
            Fix,
            "authenticates as Mailchimp (bounce.mcsv.net), not as you",
        ),
        ("part as another", facts(50, 0, 50, authenticated(50)), Fix, "these authenticate as payroll.test, not as you"),
        (
            "nothing is known",
            facts(0, 0, 0, |f| {
                f.counts.messages = 5;
                f.counts.unknown = 5
            }),
            Ok,
            "not known",
        ),
        ("unaligned provider", facts(0, 0, 340, authenticated(340)), Fix, "authenticates as payroll.test, not as you"),
        ("forged", facts(0, 0, 58, |_| {}), Threat, "never passes, and no SPF or DKIM vouches for it"),
        ("forged, first seen", facts(0, 0, 58, new), Threat, "never passes"),
        ("forged, from a listed address", facts(0, 0, 58, listed), Threat, "is on dnsbl.test, and never passes"),
        (
            "listed, authenticated as another",
            facts(0, 0, 9, |f| {
                authenticated(9)(f);
                listed(f)
            }),
            Threat,
            "is on dnsbl.test",
        ),
        ("ours, listed", facts(100, 0, 0, listed), Fix, "passes, but is on dnsbl.test: have it taken off"),
        ("printer with our name", facts(0, 0, 9, |f| f.name_is_ours = true), Fix, "its name is yours"),
        (
            "printer next to our server",
            facts(0, 0, 9, |f| f.know().neighbour = Some("192.0.2.10".to_owned())),
            Fix,
            "neighbour of your 192.0.2.10",
        ),
        ("told to be forwarded", facts(0, 0, 9, forwarded(9)), Forwarded, "reporters say: mailing list"),
        ("a third told to be", facts(0, 0, 9, forwarded(3)), Threat, "never passes"),
        (
            "forwarded from a listed address",
            facts(0, 0, 9, |f| {
                forwarded(9)(f);
                listed(f)
            }),
            Forwarded,
            "reporters say",
        ),
        (
            "forwarded, first seen",
            facts(0, 0, 9, |f| {
                forwarded(9)(f);
                new(f)
            }),
            Forwarded,
            "reporters say",
        ),
        ("broken on the way", facts(0, 0, 9, broken(9)), Forwarded, "broken on the way"),
        ("some broken on the way", facts(5, 0, 4, broken(4)), Forwarded, "broken on the way"),
        ("broken, but SPF passes", facts(0, 50, 50, broken(50)), Fix, "50 of 100 fail DMARC"),
        ("survives forwarding", facts(9, 0, 0, |f| f.pass_forwarded = 9), Forwarded, "passes all the same"),
        ("survives, SPF does not", facts(9, 0, 0, |f| f.pass_survived = 9), Forwarded, "your signature survives"),
        (
            "ours, not in SPF",
            facts(9, 0, 0, |f| {
                f.pass_survived = 9;
                f.name_is_ours = true
            }),
            Ok,
            "all pass DMARC by DKIM",
        ),
        ("a known forwarder", facts(0, 0, 9, |f| f.forwarder = true), Forwarded, "passes mail on"),
        ("a known forwarder passes", facts(9, 0, 0, |f| f.forwarder = true), Forwarded, "passes all the same"),
        ("first seen, passes", facts(120, 0, 0, new), New, "not seen before; all pass DMARC by DKIM"),
        (
            "first seen, as another",
            facts(0, 0, 9, |f| {
                authenticated(9)(f);
                new(f)
            }),
            New,
            "not seen before; authenticates as payroll.test",
        ),
        ("first seen, partly", facts(50, 0, 50, new), New, "not seen before; 50 of 100 fail"),
        ("no history", facts(120, 0, 0, |f| f.seen_before = None), Ok, "all pass"),
        (
            "a key that works nowhere",
            facts(0, 0, 9, |f| {
                authenticated(9)(f);
                f.fail_key = 9
            }),
            Fix,
            "look at the key in the DNS",
        ),
        ("labelled", facts(0, 0, 58, label(Some(Ok))), Ok, "labelled by you: ours"),
        ("labelled a threat", facts(100, 0, 0, label(Some(Threat))), Threat, "labelled by you: ours"),
        ("named only", facts(0, 0, 58, label(None)), Threat, "never passes"),
    ];
    for (case, facts, class, part) in table {
        let verdict = classify(&facts);
        assert_eq!(verdict.class, class, "{case}");
        let words = verdict.reason.words(&facts);
        assert!(words.contains(part), "{case}: {words}");
    }
}

#[test]
fn classes_are_spelled_as_they_are_read() {
    for class in Class::ALL {
        assert_eq!(class.as_str().parse(), Ok(class));
    }
    assert!("good".parse::<Class>().unwrap_err().contains("fix, new, threat, forwarded, ok"));
}

#[test]
fn together_they_are_the_sum() {
    let one = facts(10, 0, 5, authenticated(3));
    let other = facts(1, 0, 7, |facts| {
        authenticated(7)(facts);
        facts.seen_before = None;
        facts.first_at = -4;
    });
    let both = one.clone().plus(&other);
    assert_eq!((both.counts.messages, both.counts.fail(), both.fail_authenticated), (23, 12, 10));
    assert_eq!(both.authenticated_as.iter().collect::<Vec<_>>(), [("payroll.test", 10)]);
    assert_eq!((both.first_at, both.seen_before), (-4, Some(true)));
}
