//! Reports out of a model: whatever form one is written in, the same is read, and its digest is the same; and whatever
//! single thing is changed in it, the digest is another.

mod form;
mod model;

use std::cell::RefCell;
use std::net::IpAddr;

use dmarcdb::reading::{self, Item, Records, Settings};
use dmarcdb::report::aggregate::{Chunk, Disposition, Text};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use form::{Charset, Container, Form, Prefix, document, form, written};
use model::{Checked, Model, Policy, Reason, Record, Told, model};

/// The report in a message as a model, and its digest.
fn read(message: &[u8]) -> Result<(Model, [u8; 32]), String> {
    let mut reading = reading::read(message, None, &Settings::default());
    let found = reading.found.pop();
    let (Some(Item::Aggregate(report, Records::Here(chunks))), []) =
        (found.map(|found| found.item), &reading.found[..])
    else {
        return Err(format!("no single report: {:?} {:?}", reading.problems, reading.not_a_report));
    };
    let told = |text: &Text| (text.text.clone(), text.lang.clone());
    let policy = &report.policy;
    let model = Model {
        version: report.version.clone(),
        org_name: report.org_name.clone(),
        email: report.email.clone(),
        contact: report.extra_contact_info.as_ref().map(told),
        report_id: report.report_id.clone(),
        begin: report.begin_at,
        end: report.end_at,
        errors: report.errors.iter().map(told).collect(),
        generator: report.generator.clone(),
        policy: Policy {
            domain: policy.domain.clone(),
            p: policy.p.clone(),
            sp: policy.sp.clone(),
            np: policy.np.clone(),
            adkim: policy.adkim.clone(),
            aspf: policy.aspf.clone(),
            pct: policy.pct,
            fo: policy.fo.clone(),
            testing: policy.testing.clone(),
            discovery_method: policy.discovery_method.clone(),
        },
        extension: report.extensions.first().map(|raw| {
            let start = raw.find('>').map_or(0, |at| at + 1);
            raw[start..raw.rfind("</").unwrap_or(raw.len())].to_owned()
        }),
        records: chunks
            .iter()
            .flat_map(|chunk| chunk.records.iter().map(|record| record_read(chunk, record)))
            .collect(),
    };
    let messages: u64 = model.records.iter().map(|record| u64::from(record.count)).sum();
    let counted = (report.records_seen, report.records, report.messages);
    if counted != (model.records.len() as u64, model.records.len() as u64, messages) {
        return Err(format!("counted {counted:?}"));
    }
    Ok((model, report.content_hash))
}

fn record_read(chunk: &Chunk, record: &dmarcdb::report::aggregate::Record) -> Record {
    let text = |id| chunk.text_of(id).map(str::to_owned);
    let told = |id, lang| text(id).map(|told| (told, text(lang)));
    let set = chunk.auth_sets[record.auth_set as usize];
    let (signed, spf) = (chunk.dkim_sets.get(set.dkim).unwrap(), chunk.spf_sets.get(set.spf).unwrap());
    let reasons = record.reason_set.map_or(&[][..], |set| chunk.reason_sets.get(set).unwrap());
    let disposition = |disposition| match disposition {
        Disposition::None => "none",
        Disposition::Quarantine => "quarantine",
        Disposition::Reject => "reject",
        Disposition::Pass => "pass",
    };
    Record {
        source_ip: record.source_ip,
        count: record.messages,
        disposition: record.disposition.map(|word| disposition(word).to_owned()),
        dkim: record.dkim,
        spf: record.spf,
        reasons: reasons
            .iter()
            .map(|reason| Reason { kind: text(reason.kind), comment: told(reason.comment, reason.lang) })
            .collect(),
        header_from: text(record.header_from),
        envelope_from: text(record.envelope_from),
        envelope_to: text(record.envelope_to),
        dkim_results: signed
            .iter()
            .map(|dkim| Checked {
                domain: text(dkim.domain),
                detail: text(dkim.selector),
                result: text(dkim.result),
                human_result: told(dkim.human_result, dkim.lang),
            })
            .collect(),
        spf_results: spf
            .iter()
            .map(|spf| Checked {
                domain: text(spf.domain),
                detail: text(spf.scope),
                result: text(spf.result),
                human_result: told(spf.human_result, spf.lang),
            })
            .collect(),
    }
}

/// A model as it is read: where the reporter's name is missing, the domain of its address stands for it.
fn as_read(model: &Model) -> Model {
    let host = model.email.as_ref().and_then(|email| Some(email.rsplit_once('@')?.1.to_owned()));
    Model { org_name: model.org_name.clone().or(host), ..model.clone() }
}

/// The same cases in every run; `PROPTEST_CASES` asks for more of them.
fn check<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = Config { cases: asked.unwrap_or(cases), failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    if let Err(error) = runner.run(&strategy, test) {
        panic!("{error}");
    }
}

#[test]
fn every_form_reads_back_equal() {
    check(96, (model(), form(), form()), |(model, one, other)| {
        let expected = as_read(&model);
        let mut digests = Vec::new();
        for form in [one, other] {
            let message = written(&model, &form);
            let (read, digest) = read(&message).map_err(|error| {
                TestCaseError::fail(format!("{form:?}: {error}\n{}", String::from_utf8_lossy(&message)))
            })?;
            prop_assert_eq!(&read, &expected, "{:?}\n{}", form, String::from_utf8_lossy(&document(&model, &form)));
            digests.push(digest);
        }
        // Raw XML is kept as it is written, prefixes and all.
        if model.extension.is_none() {
            prop_assert_eq!(digests[0], digests[1]);
        }
        Ok(())
    });
}

/// A change of one thing, where there is such a thing to change.
type Change = (&'static str, fn(&mut Model) -> Option<()>);

/// Gives an optional text another value, or one at all.
fn other(text: &mut Option<String>, values: [&str; 2]) -> Option<()> {
    let value = if text.as_deref() == Some(values[0]) { values[1] } else { values[0] };
    *text = Some(value.to_owned());
    Some(())
}

fn other_told(told: &mut Option<Told>) -> Option<()> {
    match told {
        Some((_, lang)) => other(lang, ["fr", "nl"]),
        None => {
            *told = Some(("said".to_owned(), None));
            Some(())
        }
    }
}

fn no_longer<T>(value: &mut Option<T>) -> Option<()> {
    value.take().map(drop)
}

#[allow(clippy::unit_arg, reason = "whether there was something to change is all they say")]
const CHANGES: &[Change] = &[
    ("version", |model| other(&mut model.version, ["1.0", "1"])),
    ("org_name", |model| other(&mut model.org_name, ["another", "yet another"])),
    ("email", |model| other(&mut model.email, ["another@receiver.example", "b@receiver.example"])),
    ("extra_contact_info", |model| other_told(&mut model.contact)),
    ("no extra_contact_info", |model| no_longer(&mut model.contact)),
    ("report_id", |model| Some(model.report_id.push('x'))),
    ("begin", |model| (model.begin != model.end).then(|| model.begin += 1)),
    ("end", |model| Some(model.end += 1)),
    ("one more error", |model| Some(model.errors.push(("failed".to_owned(), None)))),
    ("one error less", |model| model.errors.pop().map(drop)),
    ("generator", |model| other(&mut model.generator, ["made", "by hand"])),
    ("policy domain", |model| Some(model.policy.domain.insert(0, 'x'))),
    ("p", |model| other(&mut model.policy.p, ["none", "reject"])),
    ("no p", |model| no_longer(&mut model.policy.p)),
    ("sp", |model| other(&mut model.policy.sp, ["none", "reject"])),
    ("np", |model| other(&mut model.policy.np, ["none", "reject"])),
    ("adkim", |model| other(&mut model.policy.adkim, ["r", "s"])),
    ("aspf", |model| other(&mut model.policy.aspf, ["r", "s"])),
    ("pct", |model| Some(model.policy.pct = Some(model.policy.pct.map_or(7, |pct| (pct + 1) % 100)))),
    ("fo", |model| other(&mut model.policy.fo, ["0", "1"])),
    ("testing", |model| other(&mut model.policy.testing, ["y", "n"])),
    ("discovery_method", |model| other(&mut model.policy.discovery_method, ["psl", "treewalk"])),
    ("extension", |model| other(&mut model.extension, ["<a/>", "<b/>"])),
    ("one record less", |model| model.records.pop().map(drop)),
    ("a record again", |model| model.records.last().cloned().map(|record| model.records.push(record))),
    ("records in another order", |model| {
        let [first, second, ..] = &mut model.records[..] else {
            return None;
        };
        (first != second).then(|| std::mem::swap(first, second))
    }),
    ("source_ip", |model| {
        let record = model.records.first_mut()?;
        record.source_ip = match record.source_ip {
            IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_compatible()),
            IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) ^ 1).into()),
        };
        Some(())
    }),
    ("count", |model| {
        model.records.last_mut().map(|record| record.count ^= 1).filter(|()| model.records.iter().all(|r| r.count > 0))
    }),
    ("disposition", |model| other(&mut model.records.last_mut()?.disposition, ["none", "pass"])),
    ("no disposition", |model| no_longer(&mut model.records.last_mut()?.disposition)),
    ("dkim", |model| model.records.last_mut().map(|record| record.dkim = Some(record.dkim != Some(true)))),
    ("no dkim", |model| no_longer(&mut model.records.last_mut()?.dkim)),
    ("spf", |model| model.records.last_mut().map(|record| record.spf = Some(record.spf != Some(true)))),
    ("header_from", |model| other(&mut model.records.last_mut()?.header_from, ["a.example", "b.example"])),
    ("envelope_from", |model| other(&mut model.records.last_mut()?.envelope_from, ["", "b.example"])),
    ("no envelope_from", |model| no_longer(&mut model.records.last_mut()?.envelope_from)),
    ("envelope_to", |model| other(&mut model.records.last_mut()?.envelope_to, ["a.example", "b.example"])),
    ("identifiers exchanged", |model| {
        let Record { envelope_from, envelope_to, .. } = model.records.last_mut()?;
        let differ = envelope_from != envelope_to && envelope_from.as_deref() != Some("");
        differ.then(|| std::mem::swap(envelope_from, envelope_to))
    }),
    ("one more reason", |model| {
        let reason = Reason { kind: Some("other".to_owned()), comment: None };
        Some(model.records.last_mut()?.reasons.push(reason))
    }),
    ("reason comment", |model| other_told(&mut model.records.last_mut()?.reasons.last_mut()?.comment)),
    ("reason type", |model| other(&mut model.records.last_mut()?.reasons.last_mut()?.kind, ["other", "forwarded"])),
    ("one dkim result less", |model| model.records.last_mut()?.dkim_results.pop().map(drop)),
    ("dkim domain", |model| {
        other(&mut model.records.last_mut()?.dkim_results.last_mut()?.domain, ["a.example", "b.example"])
    }),
    ("dkim selector", |model| other(&mut model.records.last_mut()?.dkim_results.last_mut()?.detail, ["s1", "s2"])),
    ("dkim result", |model| other(&mut model.records.last_mut()?.dkim_results.last_mut()?.result, ["pass", "fail"])),
    ("dkim human_result", |model| other_told(&mut model.records.last_mut()?.dkim_results.last_mut()?.human_result)),
    ("spf domain", |model| {
        other(&mut model.records.last_mut()?.spf_results.last_mut()?.domain, ["a.example", "b.example"])
    }),
    ("spf scope", |model| other(&mut model.records.last_mut()?.spf_results.last_mut()?.detail, ["mfrom", "helo"])),
    ("spf result", |model| other(&mut model.records.last_mut()?.spf_results.last_mut()?.result, ["pass", "fail"])),
    ("spf human_result", |model| other_told(&mut model.records.last_mut()?.spf_results.last_mut()?.human_result)),
];

#[test]
fn every_change_changes_the_digest() {
    let form =
        Form { seed: 1, prefix: Prefix::None, charset: Charset::Utf8, indented: false, container: Container::Bare };
    let mut applied = vec![0; CHANGES.len()];
    let counts = RefCell::new(&mut applied);
    check(24, model(), |model| {
        let (_, before) = read(&written(&model, &form)).map_err(TestCaseError::fail)?;
        for (number, (name, change)) in CHANGES.iter().enumerate() {
            let mut changed = model.clone();
            if change(&mut changed).is_none() {
                continue;
            }
            counts.borrow_mut()[number] += 1;
            let (_, after) = read(&written(&changed, &form)).map_err(TestCaseError::fail)?;
            prop_assert_ne!(before, after, "{}", name);
        }
        Ok(())
    });
    let never: Vec<&str> =
        CHANGES.iter().zip(&applied).filter(|(_, count)| **count == 0).map(|(change, _)| change.0).collect();
    assert!(never.is_empty(), "never tried: {never:?}");
}
