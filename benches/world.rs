//! Three years of an e-mail service provider's reports out of a seed: 300 customers' domains that send through 60 shared
//! addresses, two dozen reporters of very different size, forwarders that come again, and spoofers that mostly do not.
//! Ends of periods are spread as in 477 real reports: most at midnight UTC, some at midnight elsewhere, few anywhere.

use crate::generate::{Head, Random, Report, Row, size, write_xml};

/// The day after the last one of the world: Monday, 3 August 2026.
pub const END: i64 = 1_785_715_200;
const DAY: i64 = 86_400;
/// Days of the world.
pub const DAYS: i64 = 1_096;

const DOMAINS: u64 = 300;
const SERVERS: u64 = 60;
const FORWARDERS: u64 = 3_000;
const SPOOFERS: u64 = 1_000_000;
/// The same where the world is calm: a thousand addresses in all.
const CALM_FORWARDERS: u64 = 300;
const CALM_SPOOFERS: u64 = 640;

/// Name, address, and the second of the day at which its periods end; `None`: at any.
const REPORTERS: [(&str, &str, Option<i64>); 24] = [
    ("google.com", "noreply-dmarc-support@google.com", Some(86_399)),
    ("Outlook.com", "dmarcreport@microsoft.com", Some(0)),
    ("Yahoo", "dmarchelp@yahooinc.com", Some(86_399)),
    ("Enterprise Outlook", "dmarcreport@microsoft.com", Some(0)),
    ("Mail.Ru", "dmarc_support@corp.mail.ru", Some(75_600)),
    ("comcast.net", "dmarc@comcast.net", Some(86_399)),
    ("AMAZON-SES", "postmaster@amazonses.com", Some(86_399)),
    ("Mimecast", "no-reply@us-1.mimecastreport.com", Some(86_399)),
    ("GMX", "noreply-dmarc@sicher.gmx.net", Some(0)),
    ("Fastmail Pty Ltd", "reports@fastmaildmarc.com", Some(86_399)),
    ("AOL", "dmarchelp@yahooinc.com", Some(86_399)),
    ("163.com", "dmarc@service.netease.com", Some(57_600)),
    ("seznam.cz", "abuse@seznam.cz", Some(82_800)),
    ("wp.pl", "dmarc@wp.pl", Some(0)),
    ("Cisco", "dmarc@cisco.example", Some(86_399)),
    ("zoho.com", "dmarc@zoho.example", Some(66_600)),
    ("laposte.net", "dmarc@laposte.example", Some(0)),
    ("docomo.ne.jp", "dmarc@docomo.example", Some(54_000)),
    ("uol.com.br", "dmarc@uol.example", Some(10_800)),
    ("university.example", "postmaster@university.example", None),
    ("hoster.example", "postmaster@hoster.example", None),
    ("club.example", "postmaster@club.example", None),
    ("firm.example", "postmaster@firm.example", None),
    ("town.example", "postmaster@town.example", None),
];

/// The world, as far as it is the same on every day.
pub struct World {
    domains: Vec<&'static str>,
    bounces: Vec<&'static str>,
    forwarders: u64,
    spoofers: u64,
}

/// The words of a process that ends soon.
fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// Below `n`, small numbers more often: the number of times halves with every doubling.
fn skewed(random: &mut Random, n: u64) -> u64 {
    let bits = 64 - (n - 1).leading_zeros() as u64;
    let most = 1 << (1 + random.below(bits));
    random.below(n.min(most))
}

impl World {
    pub fn new() -> World {
        World {
            domains: (0..DOMAINS).map(|n| leaked(format!("customer{n}.example"))).collect(),
            bounces: (0..DOMAINS).map(|n| leaked(format!("bounce.customer{n}.example"))).collect(),
            forwarders: FORWARDERS,
            spoofers: SPOOFERS,
        }
    }

    /// The same with a thousand sending addresses.
    #[allow(dead_code, reason = "shared with the other benchmarks")]
    pub fn calm() -> World {
        World { forwarders: CALM_FORWARDERS, spoofers: CALM_SPOOFERS, ..World::new() }
    }

    /// The domain that most reports are about.
    pub fn largest_domain(&self) -> &'static str {
        self.domains[0]
    }

    /// The address that most records are about.
    pub fn largest_source(&self) -> String {
        server(0)
    }

    /// A report whose period ends `days` days before the end of the world.
    pub fn report(&self, random: &mut Random, number: u64, days: i64) -> (Head, Vec<Row>) {
        let customer = skewed(random, DOMAINS);
        let (org_name, org_email, ends) = REPORTERS[skewed(random, REPORTERS.len() as u64) as usize];
        let second = ends.unwrap_or_else(|| random.below(DAY as u64) as i64);
        let end_at = END - days * DAY - DAY + if second == 0 { DAY } else { second };
        let begin_at = end_at - if second == 86_399 { DAY - 1 } else { DAY };
        let domain = self.domains[customer as usize];
        let report_id = format!("{number}.{:016x}", random.next());
        let head = Head { org_name, org_email, report_id, domain, begin_at, end_at };
        let rows = (0..size(random)).map(|_| self.row(random, customer)).collect();
        (head, rows)
    }

    fn row(&self, random: &mut Random, customer: u64) -> Row {
        let (domain, bounce) = (self.domains[customer as usize], self.bounces[customer as usize]);
        let doubled = random.below(12);
        let messages = if random.chance(60) { 1 } else { 1 + random.below(1 << doubled) as i64 };
        let selector = if random.chance(90) { "s1" } else { "s2" };
        let row = |source_ip: String, dkim: bool, spf: bool, envelope_from: String| Row {
            source_ip,
            messages,
            disposition: u8::from(!dkim && !spf),
            dkim,
            spf,
            header_from: domain,
            envelope_from,
            selector,
            forwarded: false,
        };
        match random.below(100) {
            // A customer sends through some of the servers, the first most.
            0..75 => {
                let server = server((customer * 7 + skewed(random, 6)) % SERVERS);
                row(server, random.chance(98), random.chance(95), bounce.to_owned())
            }
            75..95 => {
                let number = skewed(random, self.forwarders);
                let forwarded = Row { forwarded: true, ..row(forwarder(number), false, false, String::new()) };
                let dkim = random.chance(80);
                Row { dkim, disposition: 0, envelope_from: format!("forward{}.example", number % 300), ..forwarded }
            }
            _ => {
                let number = random.below(self.spoofers);
                row(spoofer(number), false, false, format!("spoof{}.example", number % 500))
            }
        }
    }
}

fn server(number: u64) -> String {
    if number.is_multiple_of(5) { format!("2001:db8:10::{number:x}") } else { format!("192.0.2.{number}") }
}

fn forwarder(number: u64) -> String {
    format!("198.18.{}.{}", number >> 8, number & 255)
}

fn spoofer(number: u64) -> String {
    // Spread over the address space, as they are.
    let number = number.wrapping_mul(0x9E37_79B1) as u32;
    format!("{}.{}.{}.{}", 11 + (number >> 24) % 180, number >> 16 & 255, number >> 8 & 255, number & 255)
}

/// The report with its XML.
pub fn written((head, rows): (Head, Vec<Row>)) -> Report {
    let mut xml = Vec::new();
    let again = rows.iter().map(|row| Row {
        source_ip: row.source_ip.clone(),
        envelope_from: row.envelope_from.clone(),
        ..*row
    });
    write_xml(&mut xml, &head, again).expect("memory");
    Report { head, rows, xml }
}
