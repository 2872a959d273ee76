//! The selectors in use by a domain, and when each last verified.

use std::collections::BTreeMap;

use crate::query::facets::Facet;
use crate::report::authentication::is_aligned;

/// One selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// `d=`.
    pub domain: String,
    /// `s=`; `None` where reporters left it out.
    pub selector: Option<String>,
    /// Messages that bear such a signature.
    pub messages: i64,
    /// Of these the signature verifies on.
    pub pass: i64,
    /// End of the last period in which one verified.
    pub last_pass_at: Option<i64>,
    /// End of the last period it was seen in.
    pub last_at: i64,
}

/// Selectors of signatures aligned with `policy`, by most messages first.
pub fn selectors(policy: &str, dkim: &[Facet]) -> Vec<Selector> {
    let mut found: BTreeMap<(String, Option<String>), Selector> = BTreeMap::new();
    for facet in dkim {
        let Some(domain) = facet.name.as_deref().filter(|domain| is_aligned(domain, policy)) else { continue };
        let key = (domain.to_owned(), facet.detail.clone());
        let selector = found.entry(key).or_insert_with(|| Selector {
            domain: domain.to_owned(),
            selector: facet.detail.clone(),
            messages: 0,
            pass: 0,
            last_pass_at: None,
            last_at: facet.last_at,
        });
        selector.messages = selector.messages.saturating_add(facet.messages);
        selector.last_at = selector.last_at.max(facet.last_at);
        if facet.result.as_deref() == Some("pass") {
            selector.pass = selector.pass.saturating_add(facet.messages);
            selector.last_pass_at = selector.last_pass_at.max(Some(facet.last_at));
        }
    }
    let mut selectors: Vec<Selector> = found.into_values().collect();
    selectors.sort_by(|one, other| {
        let key = |row: &Selector| (row.domain.clone(), row.selector.clone());
        other.messages.cmp(&one.messages).then_with(|| key(one).cmp(&key(other)))
    });
    selectors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_verified_last_and_what_never() {
        let facet = |domain: &str, selector: &str, result: &str, messages, last_at| Facet {
            section: "dkim".to_owned(),
            name: Some(domain.to_owned()),
            detail: Some(selector.to_owned()),
            result: Some(result.to_owned()),
            messages,
            dmarc_pass: Some(0),
            first_at: 0,
            last_at,
        };
        let found = selectors(
            "example.com",
            &[
                facet("example.com", "s1", "pass", 10, 5),
                facet("example.com", "s1", "fail", 2, 9),
                facet("mail.example.com", "old", "fail", 40, 7),
                facet("mailer.test", "m", "pass", 99, 9),
            ],
        );
        let rows: Vec<_> = found
            .iter()
            .map(|row| (row.selector.as_deref(), row.messages, row.pass, row.last_pass_at, row.last_at))
            .collect();
        assert_eq!(rows, [(Some("old"), 40, 0, None, 7), (Some("s1"), 12, 10, Some(5), 9)]);
    }
}
