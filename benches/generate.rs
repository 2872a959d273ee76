//! Aggregate reports out of a seed, with the sizes and words that real ones have: half of them hold up to five records,
//! one in ten holds dozens, on average 12.6; sources, counts and results follow what about 4 000 real reports show.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// SplitMix64: small, and the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

const REPORTERS: [(&str, &str); 8] = [
    ("google.com", "noreply-dmarc-support@google.com"),
    ("Outlook.com", "dmarcreport@microsoft.com"),
    ("Enterprise Outlook", "dmarcreport@microsoft.com"),
    ("Yahoo", "dmarchelp@yahooinc.com"),
    ("AMAZON-SES", "postmaster@amazonses.com"),
    ("Mimecast", "no-reply@us-1.mimecastreport.com"),
    ("GMX", "noreply-dmarc@sicher.gmx.net"),
    ("Fastmail Pty Ltd", "reports@fastmaildmarc.com"),
];
const DOMAINS: [&str; 3] = ["example.com", "example.org", "example.net"];
const SELECTORS: [&str; 4] = ["mail", "news", "s1", "k2026"];
const MONDAY: i64 = 1_785_715_200;
const DAY: i64 = 86_400;

/// One record.
pub struct Row {
    pub source_ip: String,
    pub messages: i64,
    /// Column value: 0 none, 1 quarantine, 2 reject.
    pub disposition: u8,
    pub dkim: bool,
    pub spf: bool,
    pub header_from: &'static str,
    pub envelope_from: String,
    pub selector: &'static str,
    pub forwarded: bool,
}

/// What stands above the records.
pub struct Head {
    pub org_name: &'static str,
    pub org_email: &'static str,
    pub report_id: String,
    pub domain: &'static str,
    pub begin_at: i64,
    pub end_at: i64,
}

/// The head of report number `number`.
pub fn head(random: &mut Random, number: u64) -> Head {
    let (org_name, org_email) = REPORTERS[random.below(REPORTERS.len() as u64) as usize];
    let begin_at = MONDAY + random.below(7) as i64 * DAY;
    Head {
        org_name,
        org_email,
        report_id: format!("{number}.{:016x}", random.next()),
        domain: DOMAINS[random.below(3) as usize],
        begin_at,
        end_at: begin_at + DAY - 1,
    }
}

/// How many records a report holds: 12.6 on average.
pub fn size(random: &mut Random) -> u64 {
    match random.below(10) {
        0..=5 => 1 + random.below(6),
        6..=8 => 5 + random.below(21),
        _ => 28 + random.below(65),
    }
}

/// A record: four in five from a few addresses of ours, the rest from anywhere.
pub fn row(random: &mut Random, domain: &'static str) -> Row {
    let ours = random.chance(80);
    let source_ip = match (ours, random.chance(15)) {
        (true, false) => format!("192.0.2.{}", 1 + random.below(40)),
        (true, true) => format!("2001:db8:10::{:x}", 1 + random.below(12)),
        (false, false) => {
            format!("{}.{}.{}.{}", 11 + random.below(180), random.below(256), random.below(256), 1 + random.below(254))
        }
        (false, true) => format!("2001:db8:{:x}::{:x}", 1 + random.below(0xffff), 1 + random.below(0xffff)),
    };
    let (dkim, spf) = if ours { (random.chance(97), random.chance(70)) } else { (random.chance(20), random.chance(5)) };
    let failed = !dkim && !spf;
    let doubled = random.below(12);
    let messages = if random.chance(60) { 1 } else { 1 + random.below(1 << doubled) as i64 };
    Row {
        source_ip,
        messages,
        disposition: if failed { random.below(3) as u8 } else { 0 },
        dkim,
        spf,
        header_from: domain,
        envelope_from: if spf { domain.to_owned() } else { format!("bounce{}.mailer.example", random.below(30)) },
        selector: random.pick(&SELECTORS),
        forwarded: failed && random.chance(20),
    }
}

/// Writes a report; `rows` are made as they are written, so a report may be larger than memory.
pub fn write_xml(out: &mut impl Write, head: &Head, rows: impl Iterator<Item = Row>) -> io::Result<()> {
    let Head { org_name, org_email, report_id, domain, begin_at, end_at } = head;
    write!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<feedback>\n  <version>1.0</version>\n  <report_metadata>\n    \
         <org_name>{org_name}</org_name>\n    <email>{org_email}</email>\n    <report_id>{report_id}</report_id>\n    \
         <date_range>\n      <begin>{begin_at}</begin>\n      <end>{end_at}</end>\n    </date_range>\n  \
         </report_metadata>\n  <policy_published>\n    <domain>{domain}</domain>\n    <adkim>r</adkim>\n    \
         <aspf>r</aspf>\n    <p>quarantine</p>\n    <sp>quarantine</sp>\n    <pct>100</pct>\n  </policy_published>\n"
    )?;
    for row in rows {
        write_row(out, &row)?;
    }
    out.write_all(b"</feedback>\n")
}

/// `pass` or `fail`.
pub fn word(passed: bool) -> &'static str {
    if passed { "pass" } else { "fail" }
}

fn write_row(out: &mut impl Write, row: &Row) -> io::Result<()> {
    let Row { source_ip, messages, dkim, spf, header_from, envelope_from, selector, .. } = row;
    let disposition = ["none", "quarantine", "reject"][row.disposition as usize];
    let reason = if row.forwarded {
        "\n        <reason>\n          <type>local_policy</type>\n          <comment>arc=pass</comment>\n        </reason>"
    } else {
        ""
    };
    let (dkim, spf, spf_result) = (word(*dkim), word(*spf), if *spf { "pass" } else { "softfail" });
    write!(
        out,
        "  <record>\n    <row>\n      <source_ip>{source_ip}</source_ip>\n      <count>{messages}</count>\n      \
         <policy_evaluated>\n        <disposition>{disposition}</disposition>\n        <dkim>{dkim}</dkim>\n        \
         <spf>{spf}</spf>{reason}\n      </policy_evaluated>\n    </row>\n    <identifiers>\n      \
         <envelope_from>{envelope_from}</envelope_from>\n      <header_from>{header_from}</header_from>\n    \
         </identifiers>\n    <auth_results>\n      <dkim>\n        <domain>{header_from}</domain>\n        \
         <selector>{selector}</selector>\n        <result>{dkim}</result>\n      </dkim>\n      <spf>\n        \
         <domain>{envelope_from}</domain>\n        <scope>mfrom</scope>\n        <result>{spf_result}</result>\n      \
         </spf>\n    </auth_results>\n  </record>\n"
    )
}

/// A report whole in memory: its records and its XML.
pub struct Report {
    pub head: Head,
    pub rows: Vec<Row>,
    pub xml: Vec<u8>,
}

/// Report number `number`, with `records` records or as many as reports have.
pub fn report(random: &mut Random, number: u64, records: Option<u64>) -> Report {
    let head = head(random, number);
    let records = records.unwrap_or_else(|| size(random));
    let rows: Vec<Row> = (0..records).map(|_| row(random, head.domain)).collect();
    let mut xml = Vec::new();
    let again = rows.iter().map(|row| Row {
        source_ip: row.source_ip.clone(),
        envelope_from: row.envelope_from.clone(),
        ..*row
    });
    write_xml(&mut xml, &head, again).expect("memory");
    Report { head, rows, xml }
}

/// `bytes` as one gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zip(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    archive.start_file(name, zip::write::SimpleFileOptions::default()).expect("a member");
    archive.write_all(bytes).expect("memory");
    archive.finish().expect("an archive").into_inner()
}

/// The report as the file it comes in, with that file's extension: mostly mail, with gzip or zip in it.
pub fn packed(random: &mut Random, report: &Report) -> (Vec<u8>, &'static str) {
    let Head { domain, begin_at, end_at, .. } = report.head;
    let name = format!("receiver.example!{domain}!{begin_at}!{end_at}.xml");
    match random.below(10) {
        0..=5 => (mail(report, "application/gzip", &format!("{name}.gz"), &gzip(&report.xml)), "eml"),
        6..=8 => (mail(report, "application/zip", &format!("{name}.zip"), &zip(&name, &report.xml)), "eml"),
        _ => (gzip(&report.xml), "xml.gz"),
    }
}

/// The report as mail, with gzip or zip in it.
pub fn mailed(random: &mut Random, report: &Report) -> Vec<u8> {
    let Head { domain, begin_at, end_at, .. } = report.head;
    let name = format!("receiver.example!{domain}!{begin_at}!{end_at}.xml");
    match random.below(3) {
        0 | 1 => mail(report, "application/gzip", &format!("{name}.gz"), &gzip(&report.xml)),
        _ => mail(report, "application/zip", &format!("{name}.zip"), &zip(&name, &report.xml)),
    }
}

fn mail(report: &Report, media_type: &str, name: &str, attachment: &[u8]) -> Vec<u8> {
    let Head { org_email, report_id, domain, .. } = &report.head;
    let mut text = format!(
        "Received: from mail.receiver.example (mail.receiver.example [198.51.100.9])\r\n\tby mx.example.com (Postfix) \
         with ESMTPS id 4kXy2zABCDE\r\n\tfor <dmarc@example.com>; Mon, 10 Aug 2026 04:00:00 +0000\r\nFrom: {org_email}\r\n\
         To: dmarc@example.com\r\nSubject: Report Domain: {domain} Submitter: receiver.example Report-ID: <{report_id}>\r\n\
         Date: Mon, 10 Aug 2026 04:00:00 +0000\r\nMessage-ID: <{report_id}@receiver.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n--=_b\r\nContent-Type: text/plain\r\n\r\n\
         This is an aggregate report.\r\n--=_b\r\nContent-Type: {media_type}; name=\"{name}\"\r\n\
         Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n"
    );
    for line in attachment.chunks(57) {
        base64(line, &mut text);
        text.push_str("\r\n");
    }
    text.push_str("--=_b--\r\n");
    text.into_bytes()
}

/// The base64 of the attachment of a mail that [`mailed`] made, without its line ends.
pub fn attached(mail: &[u8]) -> String {
    let text = std::str::from_utf8(mail).expect("ASCII");
    let (_, after) = text.rsplit_once("\r\n\r\n").expect("a header");
    after.lines().take_while(|line| !line.starts_with("--")).collect()
}

fn base64(bytes: &[u8], out: &mut String) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for position in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * position) & 63) as usize];
            out.push(if position <= group.len() { char::from(letter) } else { '=' });
        }
    }
}
