//! Messages counted by how they fared: the figures of every summary.

use rusqlite::Row;

use crate::number;

/// Counts of messages, and of the complaints about them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All messages.
    pub messages: i64,
    /// Aligned DKIM or aligned SPF passes.
    pub dmarc_pass: i64,
    /// Aligned DKIM passes.
    pub dkim_pass: i64,
    /// Aligned SPF passes.
    pub spf_pass: i64,
    /// Neither passes, and at least one result is absent: they may pass or fail.
    pub unknown: i64,
    /// The reporter says it quarantined them.
    pub quarantine: i64,
    /// The reporter says it rejected them.
    pub reject: i64,
    /// Incidents that complaints tell of.
    pub complaints: i64,
}

/// What a number in the database says of a check; -1 stands for a result that was left out.
pub(super) fn result(stored: i64) -> Option<bool> {
    (stored >= 0).then_some(stored == 1)
}

/// Whether DMARC passes; `None` where neither check passes and a result was left out.
pub(super) fn dmarc_pass(dkim: Option<bool>, spf: Option<bool>) -> Option<bool> {
    match (dkim, spf) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

impl Counts {
    /// Reads the columns of these names; `complaints` is no column of a record and stays 0.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Counts> {
        Ok(Counts {
            messages: row.get("messages")?,
            dmarc_pass: row.get("dmarc_pass")?,
            dkim_pass: row.get("dkim_pass")?,
            spf_pass: row.get("spf_pass")?,
            unknown: row.get("unknown")?,
            quarantine: row.get("quarantine")?,
            reject: row.get("reject")?,
            complaints: 0,
        })
    }

    /// Of messages that have these results in common.
    pub fn of(messages: i64, dkim: Option<bool>, spf: Option<bool>, disposition: Option<i64>) -> Counts {
        let if_so = |so: bool| if so { messages } else { 0 };
        let pass = dmarc_pass(dkim, spf);
        Counts {
            messages,
            dmarc_pass: if_so(pass == Some(true)),
            dkim_pass: if_so(dkim == Some(true)),
            spf_pass: if_so(spf == Some(true)),
            unknown: if_so(pass.is_none()),
            quarantine: if_so(disposition == Some(1)),
            reject: if_so(disposition == Some(2)),
            complaints: 0,
        }
    }

    /// The counts of both. Stops at the largest number there is: the counts are what strangers say.
    pub fn plus(self, other: Counts) -> Counts {
        Counts {
            messages: self.messages.saturating_add(other.messages),
            dmarc_pass: self.dmarc_pass.saturating_add(other.dmarc_pass),
            dkim_pass: self.dkim_pass.saturating_add(other.dkim_pass),
            spf_pass: self.spf_pass.saturating_add(other.spf_pass),
            unknown: self.unknown.saturating_add(other.unknown),
            quarantine: self.quarantine.saturating_add(other.quarantine),
            reject: self.reject.saturating_add(other.reject),
            complaints: self.complaints.saturating_add(other.complaints),
        }
    }

    /// Messages that pass neither check, both results being known.
    pub fn fail(self) -> i64 {
        self.messages.saturating_sub(self.dmarc_pass).saturating_sub(self.unknown)
    }

    /// Which part of the messages `part` is; `None` where there are no messages.
    pub fn share(self, part: i64) -> Option<f64> {
        (self.messages > 0).then(|| part as f64 / self.messages as f64)
    }

    /// What these counts say, in a sentence; `None` where there is nothing to say.
    pub fn why(self) -> Option<String> {
        if self.messages <= 0 {
            return None;
        }
        let fail = self.fail();
        let text = if self.dmarc_pass == self.messages {
            let by = match (self.dkim_pass == self.messages, self.spf_pass == self.messages) {
                (true, true) => "both DKIM and SPF",
                (true, false) => "DKIM",
                (false, true) => "SPF",
                (false, false) => "DKIM or SPF",
            };
            format!("all pass DMARC by {by}")
        } else if fail == self.messages {
            "none passes DMARC: neither DKIM nor SPF is aligned and passes".to_owned()
        } else if self.unknown == self.messages {
            "not known: none passes, and reporters left a result out".to_owned()
        } else {
            let all = number::grouped(self.messages);
            let mut text = match fail {
                0 => format!("none of {all} fails DMARC"),
                fail => format!("{} of {all} fail DMARC", number::grouped(fail)),
            };
            if self.unknown > 0 {
                text.push_str(&format!(", {} not known", number::grouped(self.unknown)));
            }
            text
        };
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_tells_the_whole_from_the_part() {
        let check = |messages, dmarc_pass, dkim_pass, spf_pass, unknown, expected: Option<&str>| {
            let counts = Counts { messages, dmarc_pass, dkim_pass, spf_pass, unknown, ..Counts::default() };
            assert_eq!(counts.why().as_deref(), expected, "{counts:?}");
        };
        check(0, 0, 0, 0, 0, None);
        check(5, 5, 5, 5, 0, Some("all pass DMARC by both DKIM and SPF"));
        check(5, 5, 5, 2, 0, Some("all pass DMARC by DKIM"));
        check(5, 5, 0, 5, 0, Some("all pass DMARC by SPF"));
        check(5, 5, 3, 2, 0, Some("all pass DMARC by DKIM or SPF"));
        check(5, 0, 0, 0, 0, Some("none passes DMARC: neither DKIM nor SPF is aligned and passes"));
        check(5, 0, 0, 0, 5, Some("not known: none passes, and reporters left a result out"));
        check(5, 2, 2, 0, 0, Some("3 of 5 fail DMARC"));
        check(5, 2, 2, 0, 1, Some("2 of 5 fail DMARC, 1 not known"));
        check(5, 4, 4, 0, 1, Some("none of 5 fails DMARC, 1 not known"));
    }

    #[test]
    fn sums_stop_at_the_largest_number() {
        let most = Counts { messages: i64::MAX, ..Counts::default() };
        assert_eq!(most.plus(most).messages, i64::MAX);
        assert_eq!(Counts::default().share(0), None);
    }
}
