//! What holds for every reading, whatever was read. Shared with the fuzz targets.

use dmarcdb::limits::Limits;
use dmarcdb::reading::{self, Item, Reading, Records, Settings};
use dmarcdb::report::aggregate::{AggregateReport, Chunk, StringId};
use dmarcdb::report::feedback::{Recipient, RecipientStatus};
use dmarcdb::report::{Bounce, Complaint, TlsReport};

/// Reads a message in two ways and holds what both must satisfy. The first reading is handed back.
///
/// # Panics
/// Something does not hold.
pub fn read(message: &[u8], name: Option<&str>, settings: &Settings) -> Reading {
    let reading = reading::read(message, name, settings);
    hold(&reading, &settings.limits);
    let again = reading::read_holding(message, name, settings, 0);
    assert_eq!(again.found.len(), reading.found.len(), "reports, when records are not held");
    assert_eq!(again.problems, reading.problems, "problems, when records are not held");
    let mut sums = Vec::new();
    reading::replay(message, name, settings, &mut |number, chunk| {
        if sums.len() <= number {
            sums.resize(number + 1, (0, 0));
        }
        add(&mut sums[number], &chunk);
    });
    for found in &again.found {
        if let Item::Aggregate(report, Records::Again(number)) = &found.item {
            let sum = sums.get(*number).copied().unwrap_or_default();
            assert_eq!(sum, (report.records, report.messages), "records handed out again and counted");
        }
    }
    reading
}

fn add(sum: &mut (u64, u64), chunk: &Chunk) {
    sum.0 += chunk.records.len() as u64;
    sum.1 += chunk.records.iter().map(|record| u64::from(record.messages)).sum::<u64>();
}

fn hold(reading: &Reading, limits: &Limits) {
    for found in &reading.found {
        match &found.item {
            Item::Aggregate(report, records) => aggregate(report, records, limits),
            Item::Tls(report) => tls(report),
            Item::Failure(report) => printable(&format!("{report:?}")),
            Item::Complaint(complaint) => complaint_holds(complaint, limits),
            Item::Bounce(bounce) => bounce_holds(bounce, limits),
        }
    }
    for found in &reading.found {
        assert!(!found.part.contains('\0'), "NUL in {:?}", found.part);
    }
    printable(&format!("{:?}", reading.head));
    for problem in &reading.problems {
        printable(&format!("{:?}", (&problem.refusal, &problem.part, &problem.declared_type, &problem.file_name)));
        assert!(!problem.refusal.reason.is_empty(), "a problem without a reason");
        assert!(problem.head.len() <= dmarcdb::problem::Problem::HEAD_BYTES, "a problem's head is bounded");
    }
    assert!(reading.held_bytes <= reading::HELD_BYTES, "records held are bounded");
    let nothing = reading.found.is_empty() && reading.problems.is_empty();
    assert!(!nothing || reading.not_a_report.is_some(), "nothing found, and nobody says why");
}

/// SQLite's readers cut a text at NUL.
fn printable(debug: &str) {
    assert!(!debug.replace("\\\\", "").contains("\\0"), "NUL in {debug}");
}

fn bounce_holds(bounce: &Bounce, limits: &Limits) {
    printable(&format!("{bounce:?}"));
    assert!(bounce.recipients.len() <= limits.bounce_recipients, "recipients of a bounce");
    assert!(bounce.fields.len() <= limits.feedback_fields, "fields of a bounce");
    for one in &bounce.recipients {
        assert!(one.fields.len() <= limits.feedback_fields, "fields of a recipient");
        let usable = matches!(one.recipient.status, RecipientStatus::Ok | RecipientStatus::OwnDomain);
        assert_eq!(usable, one.recipient.address.is_some(), "{one:?}");
        recipient_holds(&one.recipient);
    }
}

fn aggregate(report: &AggregateReport, records: &Records, limits: &Limits) {
    printable(&format!("{report:?}"));
    assert!(!report.policy.domain.is_empty() && report.policy.domain.len() <= 253, "a policy domain");
    assert!(!report.report_id.is_empty(), "a report id");
    assert!(report.begin_at <= report.end_at && report.begin_at >= 0, "a period");
    assert!(report.records <= report.records_seen && report.records_seen <= limits.records, "records");
    for warning in &report.warnings {
        assert!(warning.place.len() <= 400 && warning.text.len() <= 800, "a warning is short: {warning:?}");
    }
    if let Records::Here(chunks) = records {
        let (mut sum, mut rejected) = ((0, 0), 0);
        for chunk in chunks {
            chunk_holds(chunk, limits);
            add(&mut sum, chunk);
            rejected += chunk.rejected.len() as u64;
        }
        assert_eq!(sum, (report.records, report.messages), "records held and counted");
        assert_eq!(rejected, report.records_seen - report.records, "rejected rows held and counted");
    }
}

fn chunk_holds(chunk: &Chunk, limits: &Limits) {
    let known = |id: Option<StringId>| {
        assert!(id.is_none_or(|id| id.index() < chunk.strings.len()), "a text that is not there")
    };
    for text in chunk.strings.iter() {
        assert!(!text.contains('\0'), "NUL in {text:?}");
        assert!(text.len() <= 2 * limits.value_bytes, "a text of {} bytes", text.len());
    }
    for record in &chunk.records {
        let set = chunk.auth_sets.get(record.auth_set as usize).expect("an auth set that is there");
        let results = (chunk.dkim_sets.get(set.dkim), chunk.spf_sets.get(set.spf));
        let (dkim, spf) = (results.0.expect("DKIM results"), results.1.expect("SPF results"));
        assert!(dkim.len().max(spf.len()) <= limits.results_per_record + 1, "results of one record");
        assert!(
            record.reason_set.is_none_or(|set| (set as usize) < chunk.reason_sets.len()),
            "a reason set that is not there"
        );
        [record.header_from, record.envelope_from, record.envelope_to].into_iter().for_each(known);
        assert!(record.messages <= 1 << 31, "a count");
    }
}

fn tls(report: &TlsReport) {
    printable(&format!("{report:?}"));
    assert!(!report.report_id.is_empty(), "a report id");
    assert!(report.begin_at <= report.end_at, "a period");
}

fn complaint_holds(complaint: &Complaint, limits: &Limits) {
    printable(&format!("{complaint:?}"));
    assert!(complaint.recipients.len() <= limits.complaint_recipients, "people of one complaint");
    assert!((1..=1000).contains(&complaint.incidents), "incidents");
    complaint.recipients.iter().for_each(recipient_holds);
}

fn recipient_holds(recipient: &Recipient) {
    if let Some(address) = &recipient.address {
        let (local, domain) = address.rsplit_once('@').expect("an address");
        assert!(!local.is_empty() && !domain.is_empty(), "an address: {address:?}");
        assert!(!address.chars().any(char::is_control), "an address without control characters: {address:?}");
        assert!(!domain.contains(['*', ' ', ',', '<', '>']), "a domain: {address:?}");
    }
}
