//! `[dns]` and `[enrich]`: whom to ask about names, and what to look up.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::reader::{Reader, Section};

/// `[dns]`: whom `enrich` and `check` ask, and their bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// The server; `None`: those of the system.
    pub server: Option<SocketAddr>,
    /// How long to wait for one answer.
    pub timeout: Duration,
    /// How long one run may take.
    pub run: Duration,
    /// How many questions one run may put.
    pub queries: u64,
    /// How many questions may wait for an answer at once.
    pub at_once: usize,
}

impl Default for Dns {
    fn default() -> Dns {
        Dns {
            server: None,
            timeout: Duration::from_secs(5),
            run: Duration::from_secs(600),
            queries: 20_000,
            at_once: 32,
        }
    }
}

/// `[enrich]`: what to look up beside names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrich {
    /// Files with networks and their owners, in the MaxMind format; later ones fill in what earlier ones lack.
    pub mmdb: Vec<PathBuf>,
    /// Zones of DNS block lists.
    pub blocklists: Vec<String>,
    /// For how many days an answer is good.
    pub days: u64,
}

impl Default for Enrich {
    fn default() -> Enrich {
        Enrich { mmdb: Vec::new(), blocklists: Vec::new(), days: 14 }
    }
}

pub(super) const DNS_KEYS: &[&str] = &["server", "timeout_seconds", "run_seconds", "queries", "at_once"];
pub(super) const ENRICH_KEYS: &[&str] = &["mmdb", "blocklists", "days"];

pub(super) fn take_dns(dns: &mut Dns, reader: &mut Reader<'_>, section: &Section<'_>) {
    reader.known(section, DNS_KEYS);
    if let Some(text) = reader.text(section, "server") {
        dns.server = server(&text);
        if dns.server.is_none() {
            reader.wrong_key(section, "server", format!("`{text}` is neither an IP address nor one with a port"));
        }
    }
    let seconds = |value: Duration| value.as_secs();
    dns.timeout = Duration::from_secs(reader.number(section, "timeout_seconds", seconds(dns.timeout), 1, 300));
    dns.run = Duration::from_secs(reader.number(section, "run_seconds", seconds(dns.run), 1, 86_400));
    dns.queries = reader.number(section, "queries", dns.queries, 1, 100_000_000);
    let at_once = reader.number(section, "at_once", dns.at_once as u64, 1, 1000);
    dns.at_once = usize::try_from(at_once).unwrap_or(dns.at_once);
}

pub(super) fn take_enrich(enrich: &mut Enrich, reader: &mut Reader<'_>, section: &Section<'_>) {
    reader.known(section, ENRICH_KEYS);
    enrich.mmdb = reader.paths(section, "mmdb");
    enrich.blocklists = reader.domains(section, "blocklists");
    enrich.days = reader.number(section, "days", enrich.days, 1, 365);
}

/// An address, with port 53 where none is said.
fn server(text: &str) -> Option<SocketAddr> {
    let with_port = text.parse::<SocketAddr>().ok();
    let alone = || text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53));
    with_port.or_else(alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(server(text).map(|server| server.to_string()).as_deref(), expected, "{text}");
        };
        check("127.0.0.1:5353", Some("127.0.0.1:5353"));
        check("192.0.2.1", Some("192.0.2.1:53"));
        check("[2001:db8::1]:54", Some("[2001:db8::1]:54"));
        check("2001:db8::1", Some("[2001:db8::1]:53"));
        check("dns.example.com", None);
        check("192.0.2.1:99999", None);
    }
}
