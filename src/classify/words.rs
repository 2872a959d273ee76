//! Reasons in words.

use super::{Facts, Reason};
use crate::providers;

/// The sentence for a reason; text of strangers in it is not sanitized yet.
pub(super) fn words(reason: Reason, facts: &Facts) -> String {
    let counts = facts.counts;
    let fail = counts.fail();
    let as_whom = || whom(facts);
    let mut text = match reason {
        Reason::Labelled => return labelled(facts),
        Reason::Passes | Reason::PassesNearly | Reason::NotKnown => counts.why().unwrap_or_default(),
        Reason::PassesForwarded => "forwarded, and passes all the same".to_owned(),
        Reason::Survived => {
            "your signature survives, SPF does not: passed on, or a server of yours that is not in SPF".to_owned()
        }
        Reason::NewPasses => format!("not seen before; {}", counts.why().unwrap_or_default()),
        Reason::NewFails if counts.dmarc_pass > 0 => format!("not seen before; {}", partly(facts)),
        Reason::NewFails => format!(
            "not seen before; authenticates as {}, not as you: if it is yours, have it sign as you, else label it",
            as_whom()
        ),
        Reason::ToldForwarded => match facts.reasons.most() {
            Some("mailing_list") => "reporters say: mailing list".to_owned(),
            Some("local_policy") => "reporters trust who passed it on (ARC)".to_owned(),
            _ => "reporters say: forwarded".to_owned(),
        },
        Reason::Broken => "bears your signature, broken on the way: a mailing list or forwarder".to_owned(),
        Reason::Forwarder => "a service that passes mail on".to_owned(),
        Reason::OursListed if fail == 0 => format!("passes, but is on {}: have it taken off", lists(facts)),
        Reason::OursListed => {
            format!("is on {}: have it taken off; {}", lists(facts), counts.why().unwrap_or_default())
        }
        Reason::Listed => format!("is on {}, and never passes", lists(facts)),
        Reason::PartlyPasses => partly(facts),
        Reason::OurName => {
            "its name is yours, but it does not authenticate as you: put it in SPF, have it sign".to_owned()
        }
        Reason::OurNetwork => format!(
            "never passes, but is a neighbour of your {}: if it is yours, put it in SPF, have it sign",
            facts.known().neighbour.as_deref().unwrap_or("servers")
        ),
        Reason::OtherDomain => {
            format!("authenticates as {}, not as you: have it sign as you, if it is yours", as_whom())
        }
        Reason::Bare => "never passes, and no SPF or DKIM vouches for it".to_owned(),
    };
    if facts.fail_key > 0 && reason.class() == super::Class::Fix {
        text.push_str("; its signature as you does not verify: look at the key in the DNS");
    }
    text
}

/// As whom failing mail authenticates: a domain, and whose service that is where it is known.
fn whom(facts: &Facts) -> String {
    let domain = facts.authenticated_as.most().unwrap_or("another domain");
    match providers::of_domain(domain) {
        Some(provider) => format!("{} ({domain})", provider.name),
        None => domain.to_owned(),
    }
}

fn labelled(facts: &Facts) -> String {
    let Some(label) = &facts.known().label else {
        return "labelled by you".to_owned();
    };
    match &label.note {
        Some(note) => format!("labelled by you: {note}"),
        None => format!("labelled by you ({})", label.subject),
    }
}

fn lists(facts: &Facts) -> String {
    facts.known().lists.join(" and ")
}

/// What is missing where a part passes.
fn partly(facts: &Facts) -> String {
    let counts = facts.counts;
    let why = counts.why().unwrap_or_default();
    let advice = match (counts.dkim_pass > 0, counts.spf_pass > 0) {
        _ if facts.fail_authenticated > facts.fail_bare => {
            return format!("{why}: these authenticate as {}, not as you", whom(facts));
        }
        (true, false) => "what fails is not signed by you: sign all",
        (false, true) => "what fails is not covered by SPF, and nothing is signed: have it sign as you",
        _ => "what fails is neither signed by you nor covered by SPF",
    };
    format!("{why}: {advice}")
}
