//! What a sending source is to us, judged from a row of facts, and what to do about it. Pure, so that people can argue about
//! a line in [`classify`]: its test is a table of cases.
//!
//! | class       | what it is |
//! |-------------|------------|
//! | `ok`        | passes, all of it or nearly |
//! | `fix`       | yours or your provider's, but not authenticated as you |
//! | `forwarded` | your mail, passed on by others |
//! | `threat`    | uses your name and proves nothing |
//! | `new`       | first seen in this window |

pub mod evidence;
mod tally;
pub mod tighten;
mod words;

use std::fmt;
use std::str::FromStr;

use crate::query::Counts;
pub use tally::Tally;

/// What a source is to us. In the order in which people want to read of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Yours or your provider's, but misaligned or unsigned.
    Fix,
    /// First seen in this window.
    New,
    /// Uses your name and proves nothing.
    Threat,
    /// Your mail, passed on by others.
    Forwarded,
    /// Passes.
    Ok,
}

impl Class {
    /// All, in order.
    pub const ALL: [Class; 5] = [Class::Fix, Class::New, Class::Threat, Class::Forwarded, Class::Ok];

    /// The word of it in every format.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Fix => "fix",
            Class::New => "new",
            Class::Threat => "threat",
            Class::Forwarded => "forwarded",
            Class::Ok => "ok",
        }
    }

    /// What it is, for people.
    pub fn about(self) -> &'static str {
        match self {
            Class::Fix => "yours or your provider's, but not authenticated as you",
            Class::New => "first seen in this window: yours?",
            Class::Threat => "uses your name and proves nothing",
            Class::Forwarded => "your mail, passed on by others; nothing to do",
            Class::Ok => "passes",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Class {
    type Err = String;

    fn from_str(text: &str) -> Result<Class, String> {
        let all = Class::ALL.map(Class::as_str).join(", ");
        Class::ALL.into_iter().find(|class| class.as_str() == text).ok_or(format!("no class: give one of {all}"))
    }
}

/// What the user said about a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// The address, network or domain it was said of.
    pub subject: String,
    /// The class; `None` leaves that to [`classify`].
    pub class: Option<Class>,
    /// What to call it.
    pub name: Option<String>,
    /// In the user's words.
    pub note: Option<String>,
}

/// All that is known about one source, or several taken together, in one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Its messages and complaints.
    pub counts: Counts,
    /// Messages that pass although their reporter tells that they were forwarded.
    pub pass_forwarded: i64,
    /// Other messages that pass by DKIM alone, while SPF fails for an envelope of ours: a signature that survives being passed on.
    pub pass_survived: i64,
    /// Failing messages: their reporter tells that they were forwarded or went through a list.
    pub fail_forwarded: i64,
    /// Other failing messages: they bear a signature of ours that does not verify, of a key that works elsewhere.
    pub fail_broken: i64,
    /// Other failing messages: SPF or DKIM passes, for a domain that is not ours.
    pub fail_authenticated: i64,
    /// Other failing messages: nothing vouches for them.
    pub fail_bare: i64,
    /// Failing messages with a signature of ours whose key works nowhere; counted among the others too.
    pub fail_key: i64,
    /// Domains that SPF or DKIM passes for on failing messages, and on how many.
    pub authenticated_as: Tally,
    /// Domains not ours that SPF passes for, on whatever message, and on how many: what a provider is known by.
    pub spf_as: Tally,
    /// The same of DKIM.
    pub dkim_as: Tally,
    /// Override reasons that reporters gave, and for how many messages.
    pub reasons: Tally,
    /// Begin of the first period of the window that it was seen in.
    pub first_at: i64,
    /// End of the last.
    pub last_at: i64,
    /// Whether it was seen before the window; `None` where there are no older reports to tell.
    pub seen_before: Option<bool>,
    /// Whether one of its names is in a domain of ours.
    pub name_is_ours: bool,
    /// Whether its provider is known for passing mail on.
    pub forwarder: bool,
    /// See [`Facts::known`].
    pub known: Option<Box<Known>>,
}

/// What is known about a source beside what reports tell: of thousands that forge, nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Its names in the DNS that resolve to it again.
    pub names: Vec<String>,
    /// Whose service it is.
    pub provider: Option<String>,
    /// A source in the same network that passes SPF as ours.
    pub neighbour: Option<String>,
    /// DNS block lists that it is on.
    pub lists: Vec<String>,
    /// What the user said about it.
    pub label: Option<Label>,
}

static NOTHING: Known = Known { names: Vec::new(), provider: None, neighbour: None, lists: Vec::new(), label: None };

/// Why a source has its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The user said so.
    Labelled,
    /// Every message passes.
    Passes,
    /// Nearly every message passes.
    PassesNearly,
    /// Passes or fails, reporters left that out.
    NotKnown,
    /// Passes, and is forwarded all the same.
    PassesForwarded,
    /// Passes by signatures that survived being passed on.
    Survived,
    /// Passes, and was never seen before.
    NewPasses,
    /// Does not pass, and was never seen before, and is not known to be ours.
    NewFails,
    /// Reporters tell that it is forwarded.
    ToldForwarded,
    /// Signatures of ours that were broken on the way.
    Broken,
    /// A service known for passing mail on.
    Forwarder,
    /// Ours, and on a block list.
    OursListed,
    /// Not ours, and on a block list.
    Listed,
    /// Part of it passes.
    PartlyPasses,
    /// Its name in the DNS is in a domain of ours.
    OurName,
    /// Its neighbour is ours.
    OurNetwork,
    /// Authenticates, as somebody else.
    OtherDomain,
    /// Nothing vouches for it.
    Bare,
}

impl Reason {
    /// The class that it makes.
    pub fn class(self) -> Class {
        match self {
            Reason::Labelled | Reason::Passes | Reason::PassesNearly | Reason::NotKnown => Class::Ok,
            Reason::PassesForwarded | Reason::Survived | Reason::ToldForwarded | Reason::Broken | Reason::Forwarder => {
                Class::Forwarded
            }
            Reason::NewPasses | Reason::NewFails => Class::New,
            Reason::OursListed | Reason::PartlyPasses | Reason::OurName | Reason::OurNetwork | Reason::OtherDomain => {
                Class::Fix
            }
            Reason::Listed | Reason::Bare => Class::Threat,
        }
    }

    /// The same in a sentence with the figures of `facts`, of one source or of several that have this reason in common.
    pub fn words(self, facts: &Facts) -> String {
        words::words(self, facts)
    }
}

/// The class of a source, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The class.
    pub class: Class,
    /// Why.
    pub reason: Reason,
}

/// Judges a source. The user's label wins over everything.
pub fn classify(facts: &Facts) -> Verdict {
    if let Some(class) = facts.known().label.as_ref().and_then(|label| label.class) {
        return Verdict { class, reason: Reason::Labelled };
    }
    let reason = reason(facts);
    Verdict { class: reason.class(), reason }
}

/// The lines to argue about, in the order in which they decide.
fn reason(facts: &Facts) -> Reason {
    let (counts, fail) = (facts.counts, facts.counts.fail());
    let pass = counts.dmarc_pass;
    let ours = pass > 0 || facts.name_is_ours;
    let listed = !facts.known().lists.is_empty();
    let new = facts.seen_before == Some(false);
    let more_than_half = |part: i64, of: i64| part > 0 && part.saturating_mul(2) > of;
    let forwarding = facts.pass_forwarded.saturating_add(facts.fail_forwarded);

    if pass == 0 && fail == 0 {
        return Reason::NotKnown;
    }
    // What others pass on says nothing about them but that they have readers of ours.
    if fail == 0 && (facts.forwarder || more_than_half(forwarding, counts.messages)) {
        return Reason::PassesForwarded;
    }
    if fail == 0 && !facts.name_is_ours && more_than_half(facts.pass_survived, counts.messages) {
        return Reason::Survived;
    }
    if more_than_half(facts.fail_forwarded, fail) {
        return Reason::ToldForwarded;
    }
    if facts.forwarder {
        return Reason::Forwarder;
    }
    if listed {
        return if ours { Reason::OursListed } else { Reason::Listed };
    }
    // Most of what does not pass was signed by us and changed on the way, and SPF never passes: a mailing list, a forwarder.
    if counts.spf_pass == 0 && more_than_half(facts.fail_broken.saturating_add(facts.fail_forwarded), fail) {
        return Reason::Broken;
    }
    if nearly_all(pass, fail) {
        return match (new, fail) {
            (true, _) => Reason::NewPasses,
            (false, 0) => Reason::Passes,
            (false, _) => Reason::PassesNearly,
        };
    }
    if facts.name_is_ours {
        return Reason::OurName;
    }
    let bare = facts.fail_bare >= facts.fail_authenticated.max(facts.fail_broken);
    if pass == 0 && bare {
        return if facts.known().neighbour.is_some() { Reason::OurNetwork } else { Reason::Bare };
    }
    if new {
        return Reason::NewFails;
    }
    if pass > 0 {
        return Reason::PartlyPasses;
    }
    Reason::OtherDomain
}

/// No sender is without a broken message now and then: one in fifty that fails needs nobody.
fn nearly_all(pass: i64, fail: i64) -> bool {
    fail == 0 || fail.saturating_mul(49) <= pass
}

impl Facts {
    /// Two sources taken together.
    pub fn plus(mut self, other: &Facts) -> Facts {
        self.counts = self.counts.plus(other.counts);
        for (sum, more) in [
            (&mut self.pass_forwarded, other.pass_forwarded),
            (&mut self.pass_survived, other.pass_survived),
            (&mut self.fail_forwarded, other.fail_forwarded),
            (&mut self.fail_broken, other.fail_broken),
            (&mut self.fail_authenticated, other.fail_authenticated),
            (&mut self.fail_bare, other.fail_bare),
            (&mut self.fail_key, other.fail_key),
        ] {
            *sum = sum.saturating_add(more);
        }
        for (sums, more) in [
            (&mut self.authenticated_as, &other.authenticated_as),
            (&mut self.spf_as, &other.spf_as),
            (&mut self.dkim_as, &other.dkim_as),
            (&mut self.reasons, &other.reasons),
        ] {
            sums.add_all(more);
        }
        self.first_at = self.first_at.min(other.first_at);
        self.last_at = self.last_at.max(other.last_at);
        self.seen_before = self.seen_before.max(other.seen_before);
        self.name_is_ours |= other.name_is_ours;
        self.forwarder |= other.forwarder;
        for list in &other.known().lists {
            if !self.known().lists.contains(list) {
                self.know().lists.push(list.clone());
            }
        }
        if self.known().label != other.known().label {
            self.know().label = None;
        }
        self
    }

    /// What is known about it beside what reports tell.
    pub fn known(&self) -> &Known {
        self.known.as_deref().unwrap_or(&NOTHING)
    }

    /// The same, to be added to.
    pub fn know(&mut self) -> &mut Known {
        self.known.get_or_insert_default()
    }
}

#[cfg(test)]
mod tests;
