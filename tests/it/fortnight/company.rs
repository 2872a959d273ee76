//! Meadow, a made-up company, and four weeks of its mail as receivers report it: a fortnight of history, and the fortnight that the
//! tests ask about. The same in every run: what varies comes from a generator with a fixed seed.

use std::collections::BTreeMap;
use std::fmt::Write;

pub const DAY: i64 = 86_400;
/// 2026-11-01, a Sunday: the first day of the fortnight.
pub const BEGIN: i64 = 1_793_491_200;
/// The first second after it.
pub const END: i64 = BEGIN + 14 * DAY;
/// Days of history before it.
const HISTORY: i64 = 14;

/// Knuth's MMIX generator: enough to look like life.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// About `typical`, never less than half of it or more than one and a half times.
    pub fn about(&mut self, typical: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let part = i64::try_from(self.0 >> 33).unwrap() % (typical.max(1) + 1);
        typical / 2 + part
    }
}

/// Messages of one result.
#[derive(Clone)]
struct Row {
    ip: String,
    count: i64,
    dkim: bool,
    spf: bool,
    disposition: &'static str,
    header_from: &'static str,
    reason: Option<(&'static str, &'static str)>,
    dkim_results: Vec<(&'static str, &'static str, &'static str)>,
    spf_result: (&'static str, &'static str),
}

/// Passes by both.
fn own(ip: &str, count: i64) -> Row {
    Row {
        ip: ip.to_owned(),
        count,
        dkim: true,
        spf: true,
        disposition: "none",
        header_from: "meadow.example",
        reason: None,
        dkim_results: vec![("meadow.example", "s2026", "pass")],
        spf_result: ("meadow.example", "pass"),
    }
}

/// Passes by neither.
fn failing(ip: &str, count: i64, spf_result: (&'static str, &'static str)) -> Row {
    Row { dkim: false, spf: false, dkim_results: Vec::new(), spf_result, ..own(ip, count) }
}

/// The company's own servers, of which one breaks a signature now and then.
fn servers(dice: &mut Dice, scale: i64) -> Vec<Row> {
    vec![
        own("192.0.2.10", dice.about(40 * scale)),
        own("192.0.2.11", dice.about(25 * scale)),
        own("2001:db8:10::25", dice.about(6 * scale)),
        Row {
            dkim: false,
            dkim_results: vec![("meadow.example", "s2026", "fail")],
            ..own("192.0.2.11", dice.about(scale / 4))
        },
        Row {
            header_from: "shop.meadow.example",
            dkim_results: vec![("shop.meadow.example", "shop", "pass")],
            ..own("192.0.2.12", dice.about(9 * scale))
        },
    ]
}

/// A newsletter provider that signs with its own domain, a payroll provider that only has its own envelope, a forgotten printer.
fn others(dice: &mut Dice, day: i64, scale: i64) -> Vec<Row> {
    let mut rows = Vec::new();
    // Tuesdays and Fridays.
    if matches!(day.rem_euclid(7), 2 | 5) {
        for ip in ["198.51.100.20", "198.51.100.21"] {
            rows.push(Row {
                dkim_results: vec![("mailer.example", "k1", "pass")],
                ..failing(ip, dice.about(30 * scale), ("bounce.mailer.example", "pass"))
            });
        }
    }
    if day.rem_euclid(14) == 12 {
        rows.push(failing("198.51.100.77", dice.about(3 * scale), ("payroll.example", "pass")));
    }
    if day.rem_euclid(3) == 0 {
        rows.push(failing("192.0.2.99", dice.about(2), ("meadow.example", "softfail")));
    }
    rows
}

/// Alumni who have their mail forwarded, a list that writes into the body, and one that trusts a seal.
fn forwarders(dice: &mut Dice, org: &str, scale: i64) -> Vec<Row> {
    let broken = vec![("meadow.example", "s2026", "fail")];
    let mut rows = vec![
        Row { spf: false, spf_result: ("meadow.example", "fail"), ..own("203.0.113.40", dice.about(2 * scale)) },
        Row { dkim_results: broken.clone(), ..failing("203.0.113.41", dice.about(scale), ("list.example", "pass")) },
    ];
    if org == "google.com" {
        let reason = Some(("local_policy", "arc=pass as.1.relay.example=pass"));
        rows.push(Row {
            reason,
            dkim_results: broken,
            ..failing("203.0.113.42", dice.about(scale), ("relay.example", "pass"))
        });
    }
    rows
}

/// Somebody else, from 58 addresses, on the ninth day.
fn burst(dice: &mut Dice, disposition: &'static str) -> Vec<Row> {
    let row = |last: i64, count| Row {
        disposition,
        ..failing(&format!("203.0.113.{last}"), count, ("burst.example", "none"))
    };
    (0..58).map(|number| row(130 + number, dice.about(20))).collect()
}

/// A customer database that somebody in sales has begun to use, from the tenth day on.
fn newcomer(dice: &mut Dice, scale: i64) -> Row {
    Row {
        dkim_results: vec![("crm.example", "crm", "pass")],
        ..failing("198.51.100.50", dice.about(2 * scale), ("crm.example", "pass"))
    }
}

/// Who reports, on which scale, and under which address.
const REPORTERS: [(&str, &str, i64); 4] = [
    ("google.com", "noreply-dmarc-support@google.com", 20),
    ("Outlook.com", "dmarcreport@microsoft.com", 12),
    ("Yahoo", "dmarchelp@yahooinc.com", 6),
    ("webmail.example", "dmarc@webmail.example", 3),
];

/// Policy of a day: the company tightened it in the middle of the fortnight.
fn policy(day: i64) -> &'static str {
    if day < 7 { "none" } else { "quarantine" }
}

/// Every report, by file name.
pub fn reports() -> BTreeMap<String, String> {
    let mut dice = Dice::new(20_261_101);
    let mut files = BTreeMap::new();
    for day in -HISTORY..14 {
        let begin = BEGIN + day * DAY;
        for (org, email, scale) in REPORTERS {
            // One of them falls silent.
            if org == "webmail.example" && day >= 6 {
                continue;
            }
            let mut rows = servers(&mut dice, scale);
            rows.extend(others(&mut dice, day, scale));
            rows.extend(forwarders(&mut dice, org, scale));
            if day == 8 && org == "google.com" {
                rows.extend(burst(&mut dice, "quarantine"));
            }
            if day >= 9 && org != "webmail.example" {
                rows.push(newcomer(&mut dice, scale));
            }
            let id = format!("{org}.{day}");
            files.insert(
                format!("{org}!{day:+03}.xml"),
                document(org, email, &id, "meadow.example", begin, begin + DAY - 1, policy(day), &rows),
            );
        }
        // The second domain sends nothing and is at reject: who uses it is somebody else.
        let rows = [Row {
            header_from: "meadow-shop.example",
            disposition: "reject",
            ..failing("203.0.113.7", dice.about(5), ("meadow-shop.example", "fail"))
        }];
        files.insert(
            format!("second!{day:+03}.xml"),
            document(
                "google.com",
                "noreply-dmarc-support@google.com",
                &format!("second.{day}"),
                "meadow-shop.example",
                begin,
                begin + DAY - 1,
                "reject",
                &rows,
            ),
        );
    }
    // A small receiver reports once a week.
    for week in -2..2 {
        let begin = BEGIN + week * 7 * DAY;
        let rows = [own("192.0.2.10", 100), failing("203.0.113.41", 3, ("list.example", "pass"))];
        let text = document(
            "town.example",
            "postmaster@town.example",
            &format!("week.{week}"),
            "meadow.example",
            begin,
            begin + 7 * DAY - 1,
            policy(week * 7),
            &rows,
        );
        files.insert(format!("town!{week:+03}.xml"), text);
    }
    files
}

/// Complaints about one of the servers, by Yahoo's feedback loop.
pub fn complaints() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for number in 0..14 {
        let at = chrono::DateTime::from_timestamp(BEGIN + number * DAY + 36_000, 0).unwrap().to_rfc2822();
        let text = format!(
            "From: Yahoo! Mail AntiSpam Feedback <feedback@arf.mail.yahoo.com>\r\nTo: fbl@meadow.example\r\nDate: {at}\r\n\
             Message-ID: <fbl{number}@arf.mail.yahoo.com>\r\nMIME-Version: 1.0\r\nSubject: complaint\r\n\
             Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\
             complaint\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: Yahoo!-Mail-Feedback/2.0\r\n\
             Version: 1\r\nSource-IP: 192.0.2.12\r\nOriginal-Mail-From: <bounce@meadow.example>\r\nArrival-Date: {at}\r\n\
             Original-Rcpt-To: customer{number}@yahoo.com\r\nReported-Domain: shop.meadow.example\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
             From: shop@shop.meadow.example\r\nTo: customer{number}@yahoo.com\r\nSubject: Bells\r\nMessage-ID: <m{number}@shop.meadow.example>\r\n\
             Date: {at}\r\n\r\nBells.\r\n--b--\r\n"
        );
        files.insert(format!("complaint{number:02}.eml"), text);
    }
    files
}

#[expect(clippy::too_many_arguments, reason = "the head of a report is that long")]
fn document(org: &str, email: &str, id: &str, domain: &str, begin: i64, end: i64, p: &str, rows: &[Row]) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\"?>\n<feedback><version>1.0</version><report_metadata><org_name>{org}</org_name><email>{email}</email>\
         <report_id>{id}</report_id><date_range><begin>{begin}</begin><end>{end}</end></date_range></report_metadata>\
         <policy_published><domain>{domain}</domain><adkim>r</adkim><aspf>r</aspf><p>{p}</p><sp>{p}</sp><pct>100</pct></policy_published>\n"
    );
    for row in rows.iter().filter(|row| row.count > 0) {
        let word = |pass| if pass { "pass" } else { "fail" };
        let reason = row.reason.map_or_else(String::new, |(kind, comment)| {
            format!("<reason><type>{kind}</type><comment>{comment}</comment></reason>")
        });
        write!(
            text,
            "<record><row><source_ip>{}</source_ip><count>{}</count><policy_evaluated><disposition>{}</disposition><dkim>{}</dkim>\
             <spf>{}</spf>{reason}</policy_evaluated></row><identifiers><header_from>{}</header_from></identifiers><auth_results>",
            row.ip,
            row.count,
            row.disposition,
            word(row.dkim),
            word(row.spf),
            row.header_from
        )
        .unwrap();
        for (domain, selector, result) in &row.dkim_results {
            write!(
                text,
                "<dkim><domain>{domain}</domain><selector>{selector}</selector><result>{result}</result></dkim>"
            )
            .unwrap();
        }
        let (domain, result) = row.spf_result;
        writeln!(
            text,
            "<spf><domain>{domain}</domain><scope>mfrom</scope><result>{result}</result></spf></auth_results></record>"
        )
        .unwrap();
    }
    text + "</feedback>\n"
}

/// What `enrich` would have found.
pub const NAMES: &str = "
    INSERT INTO source_name (source, looked_up_at, expires_at, outcome, name, names, asn, as_owner, country, network, listed)
    SELECT id, 1794600000, 1795200000, CASE WHEN n.name IS NULL THEN 'none' ELSE 'confirmed' END, n.name,
           CASE WHEN n.name IS NULL THEN '[]' ELSE json_array(n.name) END, 64500, 'Example Net', 'DE', n.network, n.listed
    FROM address JOIN (
      SELECT '192.0.2.10' AS ip, 'mx1.meadow.example' AS name, '192.0.2.0/24' AS network, '[]' AS listed
      UNION ALL SELECT '192.0.2.11', 'mx2.meadow.example', '192.0.2.0/24', '[]'
      UNION ALL SELECT '198.51.100.20', 'out1.mailer.example', '198.51.100.0/26', '[]'
      UNION ALL SELECT '198.51.100.21', 'out2.mailer.example', '198.51.100.0/26', '[]'
      UNION ALL SELECT '198.51.100.77', 'mail.payroll.example', '198.51.100.64/26', '[]'
      UNION ALL SELECT '203.0.113.41', 'lists.list.example', '203.0.113.0/25', '[]'
      UNION ALL SELECT '203.0.113.7', NULL, '203.0.113.0/25', '[{\"list\":\"dnsbl.example\",\"answers\":[\"127.0.0.2\"],\"reason\":\"seen\"}]'
    ) n ON n.ip = address.ip;";
