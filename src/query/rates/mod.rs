//! How often people complain: complaints over the messages that the same receiver told of in its aggregate reports.
//!
//! An approximation by nature, and only ever to be shown with both numbers. A loop may pass on no more than a sample of the
//! complaints, so there are at least as many; reports count what went to the spam folder too, so fewer messages were seen.
//! Complaints and messages are of the same time: reports count whose whole period lies in the window, and complaints that
//! arrived within such a period. What a receiver did not report on is not divided by anything.

mod interval;
mod receivers;

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::named_params;

pub use interval::{BAD, HIGH, Interval, Verdict};

use super::{Database, Error, Window};

/// What complaints and messages are compared by, beside the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Sending address.
    Source,
    /// Domain and selector of a DKIM signature.
    Dkim,
    /// Domain of the From field.
    Domain,
    /// Mailing list, by its List-Id.
    Stream,
    /// Nothing: the receiver alone.
    Provider,
}

/// Complaints and messages that have a value and a receiver in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// The address, domain or stream; `None` where the complaint does not say, and by provider.
    pub value: Option<String>,
    /// By DKIM, the selector.
    pub selector: Option<String>,
    /// The mailbox provider whose users complained.
    pub receiver: String,
    /// Incidents of complaints that arrived in the window.
    pub complaints: i64,
    /// Of these known to come from a feedback loop.
    pub trusted: i64,
    /// Of all these within periods that the receiver reported on: the numerator.
    pub compared: i64,
    /// Messages that it reported, without those it refused: the denominator. `None` where it published no report of the
    /// window, or cannot tell.
    pub messages: Option<i64>,
}

impl Rate {
    /// The rate with its bounds.
    pub fn interval(&self) -> Option<Interval> {
        Interval::of(self.compared, self.messages?)
    }

    /// What it means. Well it is only where it would be with the complaints that could not be compared, too: reports of the
    /// last days are often still to come.
    pub fn verdict(&self) -> Verdict {
        match Verdict::of(self.interval()) {
            Verdict::Ok
                if Verdict::of(self.messages.and_then(|all| Interval::of(self.complaints, all))) != Verdict::Ok =>
            {
                Verdict::Unclear
            }
            verdict => verdict,
        }
    }
}

super::row! {
    /// A complaint.
    pub struct Complaint {
        /// When it arrived.
        arrived_at: i64,
        /// How many times the same.
        incidents: i64,
        /// Who runs the feedback loop.
        provider: Option<String>,
        /// The mailbox provider behind a shared one.
        provider_source: Option<String>,
        /// It is known to come from one.
        trusted: bool,
        /// Sending address.
        source_ip: Option<String>,
        /// Domain of the From field.
        header_from: Option<String>,
        /// Signatures, JSON array of [domain, selector].
        dkim_signatures: String,
        /// Its List-Id.
        list_id: Option<String>,
        /// The first person whom it names, in lower case.
        recipient: Option<String>,
    }
}

super::row! {
    /// A period that a reporter covers.
    pub struct Period {
        /// The reporter.
        org_name: String,
        /// Its first second.
        begin_at: i64,
        /// Its last.
        end_at: i64,
    }
}

super::row! {
    /// Messages that a reporter told of.
    pub struct Told {
        /// The reporter.
        org_name: String,
        /// What they have in common.
        value: Option<String>,
        /// By DKIM, the selector.
        selector: Option<String>,
        /// How many.
        messages: i64,
    }
}

/// What is compared: value and selector.
type Key = (Option<String>, Option<String>);

impl By {
    fn sql(self) -> &'static str {
        match self {
            By::Source => include_str!("by_source.sql"),
            By::Dkim | By::Stream => include_str!("by_dkim.sql"),
            By::Domain => include_str!("by_domain.sql"),
            By::Provider => include_str!("by_provider.sql"),
        }
    }

    /// What a complaint is counted under: once for each of its signatures.
    fn keys(self, complaint: &Complaint) -> Vec<Key> {
        match self {
            By::Source => vec![(complaint.source_ip.clone(), None)],
            By::Domain => vec![(complaint.header_from.clone(), None)],
            By::Stream => vec![(complaint.list_id.clone(), None)],
            By::Provider => vec![(None, None)],
            By::Dkim => {
                let signatures = complaint.signatures();
                if signatures.is_empty() { vec![(None, None)] } else { signatures.into_iter().collect() }
            }
        }
    }
}

impl Complaint {
    fn signatures(&self) -> BTreeSet<Key> {
        let read: Vec<(String, Option<String>)> = serde_json::from_str(&self.dkim_signatures).unwrap_or_default();
        let named = read.into_iter().filter_map(|(domain, selector)| Some((Some(domain), Some(selector?))));
        named.collect()
    }

    fn receiver(&self) -> String {
        let domain = self.recipient.as_deref().and_then(|address| address.rsplit_once('@')).map(|(_, domain)| domain);
        receivers::of_complaint(self.provider.as_deref(), self.provider_source.as_deref(), domain)
    }
}

/// Periods of each receiver, in order and joined where they touch.
fn covered(periods: Vec<Period>) -> BTreeMap<&'static str, Vec<(i64, i64)>> {
    let mut found: BTreeMap<&'static str, Vec<(i64, i64)>> = BTreeMap::new();
    for period in periods {
        if let Some(receiver) = receivers::of_org(&period.org_name) {
            found.entry(receiver).or_default().push((period.begin_at, period.end_at));
        }
    }
    for list in found.values_mut() {
        list.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::with_capacity(list.len());
        for &(begin, end) in list.iter() {
            match joined.last_mut().filter(|last| begin <= last.1.saturating_add(1)) {
                Some(last) => last.1 = last.1.max(end),
                None => joined.push((begin, end)),
            }
        }
        *list = joined;
    }
    found
}

fn holds(periods: &[(i64, i64)], at: i64) -> bool {
    let next = periods.partition_point(|(begin, _)| *begin <= at);
    next.checked_sub(1).and_then(|place| periods.get(place)).is_some_and(|(_, end)| at <= *end)
}

/// The rates of the window, most complaints first. With `domain`, of mail whose From field names it or a subdomain of it,
/// over messages that reports about this policy domain tell of.
///
/// By stream, a receiver tells of no lists; where a signature is borne by one list only, messages with that signature are
/// taken for its.
///
/// # Errors
/// As [`Database`].
pub fn rates(database: &Database, window: Window, domain: Option<&str>, by: By) -> Result<Vec<Rate>, Error> {
    let params = named_params! {":since": window.since, ":until": window.until, ":domain": domain};
    let complaints = database.rows(include_str!("complaints.sql"), params, Complaint::read)?;
    if complaints.is_empty() {
        return Ok(Vec::new());
    }
    let periods = database.rows(include_str!("periods.sql"), params, Period::read)?;
    let org_names: BTreeSet<String> = periods
        .iter()
        .map(|period| &period.org_name)
        .filter(|name| receivers::of_org(name).is_some())
        .cloned()
        .collect();
    let covered = covered(periods);
    let org_names = serde_json::json!(org_names).to_string();
    let params =
        named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":org_names": org_names};
    let mut told: BTreeMap<(&'static str, Key), i64> = BTreeMap::new();
    for row in database.rows(by.sql(), params, Told::read)? {
        if let Some(receiver) = receivers::of_org(&row.org_name) {
            let sum = told.entry((receiver, (row.value, row.selector))).or_default();
            *sum = sum.saturating_add(row.messages);
        }
    }
    let mut rates = counted(&complaints, &covered, by);
    let streams = if by == By::Stream { signed(&complaints) } else { BTreeMap::new() };
    for rate in &mut rates {
        let Some((receiver, _)) = covered.get_key_value(rate.receiver.as_str()) else { continue };
        let of = |key: &Key| told.get(&(*receiver, key.clone())).copied().unwrap_or(0);
        rate.messages = match (by, &rate.value) {
            (By::Provider, _) => Some(of(&(None, None))),
            // Nobody can tell how many messages there are of what the complaint does not say.
            (_, None) => None,
            (By::Stream, Some(stream)) => {
                let own = streams.get(stream).filter(|signatures| !signatures.is_empty());
                own.map(|signatures| signatures.iter().map(of).fold(0, i64::saturating_add))
            }
            (_, value) => Some(of(&(value.clone(), rate.selector.clone()))),
        };
    }
    rates.sort_by(|a, b| {
        (b.complaints, &a.value, &a.selector, &a.receiver).cmp(&(a.complaints, &b.value, &b.selector, &b.receiver))
    });
    Ok(rates)
}

fn counted(complaints: &[Complaint], covered: &BTreeMap<&'static str, Vec<(i64, i64)>>, by: By) -> Vec<Rate> {
    let mut rates: BTreeMap<(Key, String), Rate> = BTreeMap::new();
    for complaint in complaints {
        let receiver = complaint.receiver();
        let compared = covered.get(receiver.as_str()).is_some_and(|periods| holds(periods, complaint.arrived_at));
        for key in by.keys(complaint) {
            let rate = rates.entry((key.clone(), receiver.clone())).or_insert_with(|| Rate {
                value: key.0,
                selector: key.1,
                receiver: receiver.clone(),
                complaints: 0,
                trusted: 0,
                compared: 0,
                messages: None,
            });
            let add = |sum: &mut i64, counts: bool| {
                *sum = sum.saturating_add(if counts { complaint.incidents } else { 0 });
            };
            add(&mut rate.complaints, true);
            add(&mut rate.trusted, complaint.trusted);
            add(&mut rate.compared, compared);
        }
    }
    rates.into_values().collect()
}

/// The signatures that only one list bears, by the list.
fn signed(complaints: &[Complaint]) -> BTreeMap<String, BTreeSet<Key>> {
    let mut bearers: BTreeMap<Key, BTreeSet<Option<&String>>> = BTreeMap::new();
    for complaint in complaints {
        for key in complaint.signatures() {
            bearers.entry(key).or_default().insert(complaint.list_id.as_ref());
        }
    }
    let mut found: BTreeMap<String, BTreeSet<Key>> = BTreeMap::new();
    for (key, streams) in bearers {
        if let [Some(stream)] = streams.into_iter().collect::<Vec<_>>()[..] {
            found.entry(stream.clone()).or_default().insert(key);
        }
    }
    found
}

/// The rate of the whole window, over the receivers that publish both. `None` where there is no such receiver.
///
/// # Errors
/// As [`Database`].
pub fn overall(database: &Database, window: Window, domain: Option<&str>) -> Result<Option<Rate>, Error> {
    let rates = rates(database, window, domain, By::Provider)?;
    let known = rates.into_iter().filter(|rate| rate.messages.is_some_and(|messages| messages > 0));
    Ok(known.reduce(|sum, rate| Rate {
        receiver: format!("{}, {}", sum.receiver, rate.receiver),
        complaints: sum.complaints.saturating_add(rate.complaints),
        trusted: sum.trusted.saturating_add(rate.trusted),
        compared: sum.compared.saturating_add(rate.compared),
        messages: sum.messages.zip(rate.messages).map(|(a, b)| a.saturating_add(b)),
        ..sum
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::{FIXTURE, Scratch, scratch};

    const WEEK: Window = Window { since: 1_794_614_400, until: 1_795_219_200 };

    /// The fixture, with Yahoo in place of Google.
    fn with_yahoo(rows: &str) -> Scratch {
        scratch(&format!("{FIXTURE}\nUPDATE text SET value = 'Yahoo' WHERE id = 1;\n{rows}"))
    }

    /// Value, selector, receiver, complaints, compared, messages, verdict.
    fn told(scratch: &Scratch, window: Window, domain: Option<&str>, by: By) -> Vec<String> {
        let tell = |rate: Rate| {
            let word = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let messages = word(rate.messages.map(|messages| messages.to_string()));
            let verdict = rate.verdict().as_str();
            let Rate { value, selector, receiver, complaints, compared, .. } = rate;
            let (value, selector) = (word(value), word(selector));
            format!("{value} {selector} {receiver} {complaints} {compared} {messages} {verdict}")
        };
        rates(&scratch.database, window, domain, by).unwrap().into_iter().map(tell).collect()
    }

    #[test]
    fn complaints_over_messages_of_the_same_receiver_and_time() {
        let scratch = with_yahoo("");
        let week = |by| told(&scratch, WEEK, None, by);
        // Report 1 has a record of 8 messages that were refused, which nobody can complain about.
        assert_eq!(week(By::Source), ["192.0.2.10 - yahoo 3 3 1240 unclear", "203.0.113.9 - unknown 1 0 - n/a"]);
        assert_eq!(week(By::Dkim), ["example.com s1 yahoo 3 3 1240 unclear", "- - unknown 1 0 - n/a"]);
        assert_eq!(week(By::Domain), ["example.com - yahoo 3 3 1213 unclear", "news.example.com - unknown 1 0 - n/a"]);
        assert_eq!(week(By::Provider), ["- - yahoo 3 3 1253 unclear", "- - unknown 1 0 - n/a"]);
        assert_eq!(week(By::Stream), ["- - yahoo 3 3 - n/a", "- - unknown 1 0 - n/a"]);
        // Complaint 5 arrived when Yahoo reported on nothing.
        assert_eq!(told(&scratch, Window::ALL, Some("example.com"), By::Provider)[0], "- - yahoo 4 3 1753 unclear");
        let overall = overall(&scratch.database, WEEK, None).unwrap().unwrap();
        assert_eq!((overall.compared, overall.messages), (3, Some(1253)));
    }

    #[test]
    fn who_publishes_no_reports_is_not_divided_by_nothing() {
        let scratch = scratch(FIXTURE);
        let found = told(&scratch, WEEK, None, By::Provider);
        assert_eq!(found, ["- - yahoo 3 0 - n/a", "- - unknown 1 0 - n/a"]);
        assert_eq!(overall(&scratch.database, WEEK, None).unwrap(), None);
    }

    #[test]
    fn a_list_has_the_messages_of_signatures_that_it_alone_bears() {
        let lists = "UPDATE complaint SET list_id = 'one.example.com' WHERE id = 1;";
        assert_eq!(told(&with_yahoo(lists), WEEK, None, By::Stream)[0], "one.example.com - yahoo 3 3 1240 unclear");
        let shared = format!(
            "{lists} UPDATE complaint SET list_id = 'two.example.com', dkim_signatures = '[[\"example.com\",\"s1\"]]' WHERE id = 2;"
        );
        assert_eq!(told(&with_yahoo(&shared), WEEK, None, By::Stream)[0], "one.example.com - yahoo 3 3 - n/a");
    }

    #[test]
    fn well_is_what_would_be_with_the_complaints_to_come() {
        let rate = |complaints, compared, messages| Rate {
            value: None,
            selector: None,
            receiver: String::new(),
            complaints,
            trusted: 0,
            compared,
            messages,
        };
        assert_eq!(rate(2, 2, Some(100_000)).verdict(), Verdict::Ok);
        assert_eq!(rate(2, 0, Some(10_000)).verdict(), Verdict::Ok);
        assert_eq!(rate(90, 0, Some(10_000)).verdict(), Verdict::Unclear);
        assert_eq!(rate(90, 90, Some(10_000)).verdict(), Verdict::Bad);
        assert_eq!(rate(90, 90, None).verdict(), Verdict::NotKnown);
    }
}
