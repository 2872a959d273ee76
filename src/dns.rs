//! Asks DNS: many questions at once, each bounded in time, all together bounded in time and number. The one room that knows
//! the resolver's crate.

pub mod signatures;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::checks::lookup::{Answer, Failure, Kind, Lookup, Question, Record};

/// Records of one answer that are looked at, at most.
const RECORDS: usize = 200;
/// Bytes of one TXT record that are looked at, at most: ten times what fits into a sensible one.
const TEXT: usize = 4096;

/// Whom to ask, and the bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The server; `None`: those of /etc/resolv.conf.
    pub server: Option<SocketAddr>,
    /// For one question, with all its tries.
    pub timeout: Duration,
    /// For all questions together.
    pub run: Duration,
    /// How many questions, at most.
    pub queries: u64,
    /// How many at once, at most.
    pub at_once: usize,
}

/// Asks DNS, and remembers the answers.
pub struct Dns {
    settings: Settings,
    runtime: Runtime,
    resolver: TokioResolver,
    known: HashMap<Question, Answer>,
    asked: u64,
    until: Instant,
    stop: Arc<AtomicBool>,
    short: bool,
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns").field("settings", &self.settings).field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Dns {
    /// Gets ready; nothing is asked yet. When `stop` is set, no more questions are put.
    ///
    /// # Errors
    /// Text for people: /etc/resolv.conf cannot be used, or the system has no more sockets.
    pub fn new(settings: Settings, stop: Arc<AtomicBool>) -> Result<Dns, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| format!("DNS: {error}"))?;
        let resolver = runtime.block_on(async { resolver(&settings) })?;
        let until = Instant::now() + settings.run;
        Ok(Dns { settings, runtime, resolver, known: HashMap::new(), asked: 0, until, stop, short: false })
    }

    /// How many questions were put.
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// How many more may be put.
    pub fn questions_left(&self) -> u64 {
        self.settings.queries.saturating_sub(self.asked)
    }

    /// Whether a question was not put because a bound was reached.
    pub fn ran_short(&self) -> bool {
        self.short
    }

    /// Forgets the answers; for runs over many names.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Whether DNS answers at all: asked when other questions got no answer, which a single broken name may cause.
    pub fn is_reachable(&mut self) -> bool {
        let root = Question::new("", Kind::Ns);
        self.known.remove(&root);
        let settings = &mut self.settings;
        settings.queries = settings.queries.max(self.asked + 1);
        let answer = self.ask(&root);
        !matches!(answer, Answer::Failed(Failure::Silent))
    }

    /// Asks what is not known yet, as many at once as may be.
    fn ask_all(&mut self, questions: impl IntoIterator<Item = Question>) {
        let mut waiting: Vec<Question> = Vec::new();
        for question in questions {
            if !self.known.contains_key(&question) && !waiting.contains(&question) {
                waiting.push(question);
            }
        }
        let mut waiting = waiting.into_iter();
        let mut under_way = JoinSet::new();
        let (resolver, settings) = (&self.resolver, &self.settings);
        let (known, asked, short) = (&mut self.known, &mut self.asked, &mut self.short);
        let (until, stop) = (self.until, &self.stop);
        self.runtime.block_on(async {
            loop {
                while under_way.len() < settings.at_once.max(1) {
                    let Some(question) = waiting.next() else { break };
                    let left = until.saturating_duration_since(Instant::now());
                    if *asked >= settings.queries || left.is_zero() || stop.load(Ordering::Relaxed) {
                        *short = true;
                        known.insert(question, Answer::Failed(Failure::NotAsked));
                        continue;
                    }
                    *asked += 1;
                    let (resolver, time) = (resolver.clone(), settings.timeout.min(left));
                    under_way.spawn(async move { (question.clone(), one(&resolver, &question, time).await) });
                }
                match under_way.join_next().await {
                    Some(Ok((question, answer))) => {
                        known.insert(question, answer);
                    }
                    // A task that panicked leaves its question without an answer.
                    Some(Err(_)) => {}
                    None => break,
                }
            }
        });
    }
}

impl Lookup for Dns {
    fn ask(&mut self, question: &Question) -> Answer {
        if !self.known.contains_key(question) {
            self.ask_all([question.clone()]);
        }
        self.known.get(question).cloned().unwrap_or(Answer::Failed(Failure::Silent))
    }

    fn prepare(&mut self, questions: &[Question]) {
        self.ask_all(questions.iter().cloned());
    }
}

fn resolver(settings: &Settings) -> Result<TokioResolver, String> {
    let provider = TokioRuntimeProvider::default();
    let mut builder = match settings.server {
        Some(server) => {
            let mut config = NameServerConfig::udp_and_tcp(server.ip());
            for connection in &mut config.connections {
                connection.port = server.port();
            }
            TokioResolver::builder_with_config(ResolverConfig::from_name_servers(vec![config]), provider)
        }
        None => TokioResolver::builder(provider)
            .map_err(|error| format!("/etc/resolv.conf: {error}; name a server: `[dns] server`"))?,
    };
    let options = builder.options_mut();
    options.timeout = settings.timeout / 2;
    options.attempts = 2;
    options.edns0 = true;
    // Neither /etc/hosts nor names below the own domain: the question is what the world sees.
    options.use_hosts_file = ResolveHosts::Never;
    options.ndots = 0;
    builder.build().map_err(|error| format!("DNS: {error}"))
}

async fn one(resolver: &TokioResolver, question: &Question, time: Duration) -> Answer {
    let kind = match question.kind {
        Kind::Txt => RecordType::TXT,
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Mx => RecordType::MX,
        Kind::Ptr => RecordType::PTR,
        Kind::Cname => RecordType::CNAME,
        Kind::Ns => RecordType::NS,
    };
    // With the dot at the end, or the domains of /etc/resolv.conf are tried.
    let Ok(name) = Name::from_ascii(format!("{}.", question.name)) else {
        return Answer::Failed(Failure::Malformed);
    };
    match tokio::time::timeout(time, resolver.lookup(name, kind)).await {
        Err(_) => Answer::Failed(Failure::Silent),
        Ok(Err(error)) => failure(&error),
        Ok(Ok(lookup)) => {
            let records: Vec<Record> = lookup
                .answers()
                .iter()
                .filter(|answer| answer.record_type() == kind)
                .filter_map(|answer| record(&answer.data))
                .take(RECORDS)
                .collect();
            if records.is_empty() { Answer::NoData } else { Answer::Records(records) }
        }
    }
}

fn failure(error: &NetError) -> Answer {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(found)) => match found.response_code {
            ResponseCode::NXDomain => Answer::NoName,
            ResponseCode::NoError => Answer::NoData,
            code => Answer::Failed(Failure::Server(word(code))),
        },
        NetError::Dns(DnsError::ResponseCode(ResponseCode::NXDomain)) => Answer::NoName,
        NetError::Dns(DnsError::ResponseCode(code)) => Answer::Failed(Failure::Server(word(*code))),
        NetError::Proto(_) | NetError::Msg(_) | NetError::Message(_) => {
            Answer::Failed(Failure::Server("something that is no DNS message".to_owned()))
        }
        _ => Answer::Failed(Failure::Silent),
    }
}

fn word(code: ResponseCode) -> String {
    match code {
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        other => format!("code {}", u16::from(other)),
    }
}

fn record(data: &RData) -> Option<Record> {
    match data {
        RData::A(address) => Some(Record::Address(address.0.into())),
        RData::AAAA(address) => Some(Record::Address(address.0.into())),
        RData::TXT(text) => {
            let mut bytes = text.txt_data.concat();
            bytes.truncate(TEXT);
            Some(Record::Txt(String::from_utf8_lossy(&bytes).into_owned()))
        }
        RData::MX(mx) => Some(Record::Mx(mx.preference, plain(&mx.exchange))),
        RData::PTR(name) => Some(Record::Name(plain(&name.0))),
        RData::CNAME(name) => Some(Record::Name(plain(&name.0))),
        RData::NS(name) => Some(Record::Name(plain(&name.0))),
        _ => None,
    }
}

/// In lower case, without the dot at the end; what is not ASCII is escaped as in zone files.
fn plain(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}
