//! A message to everything in it: reports of every kind, complaints, and what could not be used. Pure, and run on every
//! core.
//!
//! One kind a message: where a mail is a feedback report, nothing inside it is read as an aggregate report, because the
//! mail that somebody complained about is in there.

use crate::limits::Limits;
use crate::mail::{self, Entity, Kind, Mail};
use crate::problem::{Code, Problem, Refusal, Warning};
use crate::report::aggregate::{self, AggregateReport, Chunk, Input, Read, Sink};
use crate::report::authentication::{self, Verdict};
use crate::report::feedback::{self, Feedback};
use crate::report::trace;
use crate::report::verification::Sender;
use crate::report::{Bounce, Complaint, FailureReport, TlsReport, address, bounce, date, tls};
use crate::unpack::{self, Budget, Content, Document, Event, Looks, unpack};

/// What reading needs to know beside the message.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Bounds.
    pub limits: Limits,
    /// Whose `Authentication-Results` to believe.
    pub authserv_id: Option<String>,
}

/// All that was found in a message.
#[derive(Debug, Default)]
pub struct Reading {
    /// What the mail says of itself; `None` where the message is a bare document.
    pub head: Option<MailHead>,
    /// Reports and complaints in the order met.
    pub found: Vec<Found>,
    /// What could not be used, in the order met.
    pub problems: Vec<Problem>,
    /// Why it is no report, where it is none; for people.
    pub not_a_report: Option<String>,
    /// About how much memory the records take that are held.
    pub held_bytes: usize,
}

/// The header of a mail, as far as the ledger keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailHead {
    /// `Message-ID` without angle brackets.
    pub message_id: Option<String>,
    /// Address in `From`.
    pub from_address: Option<String>,
    /// The first address in `To`: of a bounce, the return path that the bounced mail had.
    pub to: Option<String>,
    /// `Subject`, decoded, at most 512 bytes.
    pub subject: Option<String>,
    /// `Date`, seconds since the epoch.
    pub sent_at: Option<i64>,
    /// How it was authenticated, as told by our own server.
    pub auth: Auth,
    /// The aligned domain that passed.
    pub auth_domain: Option<String>,
    /// The domain of the one address in the one `From` field, canonical.
    pub from_domain: Option<String>,
    /// The own server says that the mail failed.
    pub auth_failed: bool,
    /// The header fields that say so, at most 8 KiB.
    pub auth_results: Option<String>,
    /// Of a bounce: its trace fields say that our own server wrote it, and nobody handed it in from outside.
    pub own_server: bool,
}

impl MailHead {
    /// What the own server said about the mail, as [`verify`](crate::report::verification::verify) needs it.
    pub fn sender(&self) -> Sender {
        Sender { passed: self.auth_domain.clone(), failed: self.auth_failed }
    }
}

/// Whether a mail's `From` domain is proven (RFC 7489, section 6.6.2, as found by our own server).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// An aligned pass.
    Pass,
    /// The server looked and found none.
    Fail,
    /// The server said nothing that may be believed.
    #[default]
    None,
}

impl Auth {
    /// The word in `message.auth`.
    pub fn as_str(self) -> &'static str {
        match self {
            Auth::Pass => "pass",
            Auth::Fail => "fail",
            Auth::None => "none",
        }
    }
}

/// One report or complaint.
#[derive(Debug)]
pub struct Found {
    /// Where in the message: MIME part numbers and container members.
    pub part: String,
    /// What it is.
    pub item: Item,
}

/// The kinds.
#[derive(Debug)]
pub enum Item {
    /// An aggregate report and its records.
    Aggregate(Box<AggregateReport>, Records),
    /// A failure report.
    Failure(Box<FailureReport>),
    /// A TLS report.
    Tls(Box<TlsReport>),
    /// A complaint.
    Complaint(Box<Complaint>),
    /// A delivery status notification.
    Bounce(Box<Bounce>),
}

impl Item {
    fn warnings(&mut self) -> &mut Vec<Warning> {
        match self {
            Item::Aggregate(report, _) => &mut report.warnings,
            Item::Failure(report) => &mut report.warnings,
            Item::Tls(report) => &mut report.warnings,
            Item::Complaint(complaint) => &mut complaint.warnings,
            Item::Bounce(bounce) => &mut bounce.warnings,
        }
    }
}

/// The records of a report.
#[derive(Debug)]
pub enum Records {
    /// All of them.
    Here(Vec<Chunk>),
    /// Too many to hold; [`replay`] hands them out again under this number.
    Again(usize),
}

/// Records of a message up to this size are held in memory. A longer report is read again while it is stored.
pub const HELD_BYTES: usize = 4 << 20;

/// Reads a message: a mail, or a bare file of any kind that a mail may carry.
pub fn read(message: &[u8], name: Option<&str>, settings: &Settings) -> Reading {
    read_holding(message, name, settings, HELD_BYTES)
}

/// The same with another bound for the records that are held.
pub fn read_holding(message: &[u8], name: Option<&str>, settings: &Settings, held_bytes: usize) -> Reading {
    let mut reader = Reader::new(settings, held_bytes);
    reader.read(message, name);
    let mut reading = reader.reading;
    reading.held_bytes = held_bytes - reader.room;
    if reading.found.is_empty() && reading.problems.is_empty() && reading.not_a_report.is_none() {
        reading.not_a_report = Some(if message.is_empty() { "empty" } else { "holds no report" }.into());
    }
    reading
}

/// Hands out the records of all reports in a message again, in one pass, each chunk with the number of its report. They
/// are the same chunks as when it was read. Those of a report that was a problem are void now as they were then.
pub fn replay(message: &[u8], name: Option<&str>, settings: &Settings, each: &mut dyn FnMut(usize, Chunk)) {
    let mut reader = Reader { replay: Some(each), ..Reader::new(settings, 0) };
    reader.read(message, name);
}

struct Reader<'a> {
    settings: &'a Settings,
    budget: Budget,
    reading: Reading,
    /// Deviations of the mail or of a container around what is found next.
    around: Vec<Warning>,
    /// Aggregate reports begun so far, good and bad.
    reports: usize,
    /// Bytes of records that may yet be held.
    room: usize,
    /// Who is told of records, where nothing else is wanted.
    replay: Option<&'a mut dyn FnMut(usize, Chunk)>,
}

/// How a part was announced.
#[derive(Clone, Copy, Default)]
struct Label<'a> {
    content_type: Option<&'a str>,
    file_name: Option<&'a str>,
}

impl Label<'_> {
    /// Whether the sender plainly meant a report: the names of RFC 9990 and RFC 8460, or the types of their packing.
    fn promises_report(self) -> bool {
        let name = self.file_name.unwrap_or("").to_ascii_lowercase();
        let ends = [".xml", ".xml.gz", ".xml.zip", ".json.gz", ".gz"].iter().any(|end| name.ends_with(end));
        ends || name.contains('!')
            || self.content_type.is_some_and(|declared| declared.starts_with("application/tlsrpt"))
    }
}

impl<'a> Reader<'a> {
    fn new(settings: &'a Settings, room: usize) -> Self {
        let budget = Budget::new(&settings.limits);
        Reader { settings, budget, reading: Reading::default(), around: Vec::new(), reports: 0, room, replay: None }
    }

    fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    fn read(&mut self, message: &[u8], name: Option<&str>) {
        match unpack::looks(message) {
            Looks::Gzip | Looks::Zip | Looks::Xml | Looks::Json | Looks::Empty => self.bare(message, name),
            Looks::Message | Looks::Html | Looks::Text | Looks::Binary => self.mail(message, "", 0),
        }
    }

    /// A file that is no mail.
    fn bare(&mut self, bytes: &[u8], name: Option<&str>) {
        match feedback::read_ses_json(bytes, self.limits()) {
            Some(Ok(complaint)) => return self.found("", Item::Complaint(Box::new(complaint))),
            Some(Err(refusal)) => return self.reading.problems.push(Problem::whole(refusal, bytes)),
            None => {}
        }
        match bounce::read_ses_json(bytes, self.limits()) {
            Some(Ok(bounce)) => return self.found("", Item::Bounce(Box::new(bounce))),
            Some(Err(refusal)) => return self.reading.problems.push(Problem::whole(refusal, bytes)),
            None => {}
        }
        self.documents(bytes, "", Label { content_type: None, file_name: name }, 0);
    }

    /// A mail: the message itself, or one within a container (`depth` containers deep).
    fn mail(&mut self, message: &[u8], at: &str, depth: usize) {
        let mail = match mail::parse(message, self.limits()) {
            Ok(mail) => mail,
            Err(refusal) => {
                return self.reading.problems.push(Problem { part: at.into(), ..Problem::whole(refusal, message) });
            }
        };
        self.around.extend(mail.warnings.iter().cloned());
        let Some(root) = mail.entities.first() else { return };
        let outermost = self.reading.head.is_none();
        if outermost {
            self.reading.head = Some(head(root, self.settings));
        }
        self.content(&mail, message, at, depth);
        // Only of bounces it matters who wrote them.
        let bounces = || self.reading.found.iter().any(|found| matches!(found.item, Item::Bounce(_)));
        if outermost
            && let Some(id) = self.settings.authserv_id.as_deref().filter(|_| bounces())
            && let Some(head) = &mut self.reading.head
        {
            head.own_server = trace::is_own(&root.headers, id);
        }
    }

    fn content(&mut self, mail: &Mail<'_>, message: &[u8], at: &str, depth: usize) {
        if self.feedback(mail, message, at) {
            return;
        }
        for entity in mail.entities.iter().filter(|entity| entity.kind == Kind::Leaf) {
            let label = Label { content_type: Some(&entity.content_type), file_name: entity.file_name.as_deref() };
            let part = joined(at, &entity.path);
            self.documents(&entity.body(), &part, label, depth);
        }
    }

    /// Whether the mail is a feedback report of some kind; then nothing else is looked for in it.
    fn feedback(&mut self, mail: &Mail<'_>, message: &[u8], at: &str) -> bool {
        let Some(feedback::Found { entity, report }) = feedback::read(mail, self.limits()) else { return false };
        let path = mail.entities.get(entity).map_or("", |entity| entity.path.as_str());
        let part = joined(at, path);
        match report {
            Ok(Feedback::Complaint(complaint)) => self.found(&part, Item::Complaint(complaint)),
            Ok(Feedback::Failure(failure)) => self.found(&part, Item::Failure(failure)),
            Ok(Feedback::Bounce(bounce)) => self.found(&part, Item::Bounce(bounce)),
            Ok(Feedback::BounceProse) => {
                self.reading.not_a_report.get_or_insert_with(|| "a bounce without a delivery status part".into());
            }
            Err(refusal) => self.reading.problems.push(Problem { part, ..Problem::whole(refusal, message) }),
        }
        true
    }

    fn found(&mut self, part: &str, item: Item) {
        if self.replay.is_none() {
            let mut found = Found { part: part.into(), item };
            found.item.warnings().append(&mut self.around);
            self.reading.found.push(found);
        }
    }

    /// Every document in the bytes of a part.
    fn documents(&mut self, bytes: &[u8], part: &str, label: Label<'_>, depth: usize) {
        let mut budget = std::mem::replace(&mut self.budget, Budget { bytes: 0, members: 0 });
        let limits = self.settings.limits.clone();
        unpack(bytes, part, label.file_name, &limits, &mut budget, &mut |event| match event {
            Event::Document(document) => self.document(document, label, depth),
            Event::Warning(warning) => self.container_warning(part, warning),
            Event::Problem(problem) => {
                let declared_type = label.content_type.map(str::to_owned);
                self.reading.problems.push(Problem { declared_type, ..problem });
            }
        });
        self.budget = budget;
    }

    /// A deviation of a container belongs to the report that was in it, or to the next one where none was yet.
    fn container_warning(&mut self, part: &str, warning: Warning) {
        match self.reading.found.last_mut().filter(|found| found.part.starts_with(part)) {
            Some(found) => found.item.warnings().push(warning),
            None => self.around.push(warning),
        }
    }

    fn document(&mut self, document: Document<'_>, label: Label<'_>, depth: usize) {
        let Document { path, name, looks, content, depth: containers } = document;
        let label = Label { file_name: name.as_deref().or(label.file_name), ..label };
        match looks {
            Looks::Xml => self.xml(&path, label, content),
            Looks::Json => self.json(&path, label, content),
            Looks::Message if containers + depth < self.limits().container_depth && containers > 0 => {
                if let Content::Whole(bytes) = content {
                    self.mail(bytes, &path, depth + containers + 1);
                }
            }
            Looks::Html | Looks::Text | Looks::Binary | Looks::Empty | Looks::Message => {
                self.other(&path, label, looks, content, containers);
            }
            // Containers do not come out of `unpack` as documents.
            Looks::Gzip | Looks::Zip => {}
        }
    }

    fn xml(&mut self, path: &str, label: Label<'_>, content: Content<'_>) {
        let limits = self.settings.limits.clone();
        if let Some(each) = &mut self.replay {
            let mut again = Again { number: self.reports, each: &mut **each };
            // Whether it is whole is known.
            let _ = aggregate::read(input(content), &limits, &mut again);
            self.reports = again.number;
            return;
        }
        let (bytes, head) = seen(&content);
        let mut collector = Collector { room: self.room, ..Collector::default() };
        let outcome = aggregate::read(input(content), &limits, &mut collector);
        let first = self.reports;
        self.reports += collector.reports.len();
        let problem = |refusal| Problem {
            refusal,
            part: path.into(),
            declared_type: label.content_type.map(str::to_owned),
            found_type: Some(Looks::Xml.as_str()),
            file_name: label.file_name.map(str::to_owned),
            bytes,
            head: head.clone(),
        };
        match outcome {
            Ok(Read::Other) => {
                self.reading.not_a_report.get_or_insert_with(|| "XML, but no report".into());
            }
            Ok(Read::Reports(_)) => {
                self.room = collector.room;
                for (number, result) in (first..).zip(collector.reports) {
                    match result {
                        Ok((report, Some(chunks))) => {
                            self.found(path, Item::Aggregate(Box::new(report), Records::Here(chunks)));
                        }
                        Ok((report, None)) => {
                            self.found(path, Item::Aggregate(Box::new(report), Records::Again(number)));
                        }
                        Err(refusal) => self.reading.problems.push(problem(refusal)),
                    }
                }
            }
            Err(refusal) => self.reading.problems.push(problem(refusal)),
        }
    }

    fn json(&mut self, path: &str, label: Label<'_>, content: Content<'_>) {
        if self.replay.is_some() {
            return;
        }
        let (bytes, head) = seen(&content);
        let result = match whole(content, self.limits()) {
            Ok(json) => tls::read(&json, self.limits()),
            Err(refusal) => Err(refusal),
        };
        match result {
            Ok(report) => self.found(path, Item::Tls(Box::new(report))),
            Err(refusal) if refusal.code == Code::Json && !label.promises_report() => {
                self.reading.not_a_report.get_or_insert_with(|| "JSON, but no report".into());
            }
            Err(refusal) => self.reading.problems.push(Problem {
                refusal,
                part: path.into(),
                declared_type: label.content_type.map(str::to_owned),
                found_type: Some(Looks::Json.as_str()),
                file_name: label.file_name.map(str::to_owned),
                bytes,
                head,
            }),
        }
    }

    /// What is neither XML nor JSON: a problem only where a report was promised.
    fn other(&mut self, path: &str, label: Label<'_>, looks: Looks, content: Content<'_>, containers: usize) {
        if self.replay.is_some() {
            return;
        }
        let (bytes, head) = seen(&content);
        let refusal = match looks {
            // Yahoo and AOL, May 2023: gzip of six letters.
            Looks::Text if head.trim_ascii() == b"unused" => {
                Refusal::new(Code::Unused, "the word `unused` in place of a report")
            }
            Looks::Html if containers > 0 || label.promises_report() => {
                Refusal::new(Code::Html, "a web page in place of a report")
            }
            Looks::Empty if label.promises_report() => Refusal::new(Code::Empty, "nothing in place of a report"),
            Looks::Text | Looks::Binary if containers == 0 && label.promises_report() => Refusal::new(
                Code::Corrupt,
                "neither gzip, zip, XML nor JSON, although its name or type promises a report",
            ),
            _ => return,
        };
        self.reading.problems.push(Problem {
            refusal,
            part: path.into(),
            declared_type: label.content_type.map(str::to_owned),
            found_type: Some(looks.as_str()),
            file_name: label.file_name.map(str::to_owned),
            bytes,
            head,
        });
    }
}

/// A part within a message that is itself within a part.
fn joined(at: &str, path: &str) -> String {
    match (at, path) {
        (at, "") => at.to_owned(),
        ("", path) => path.to_owned(),
        (at, path) => format!("{at}/{path}"),
    }
}

fn input(content: Content<'_>) -> Input<'_> {
    match content {
        Content::Whole(bytes) => Input::Whole(bytes),
        Content::Stream(stream) => Input::Stream(stream),
    }
}

/// The size of a document, as far as it is known, and its first bytes.
fn seen(content: &Content<'_>) -> (u64, Vec<u8>) {
    match content {
        Content::Whole(bytes) => {
            (bytes.len() as u64, bytes.get(..bytes.len().min(Problem::HEAD_BYTES)).unwrap_or_default().to_vec())
        }
        Content::Stream(_) => (unpack::WHOLE_BYTES as u64, Vec::new()),
    }
}

/// A document in memory. JSON is not streamed: a TLS report beyond [`unpack::WHOLE_BYTES`] is refused.
fn whole(content: Content<'_>, _limits: &Limits) -> Result<Vec<u8>, Refusal> {
    match content {
        Content::Whole(bytes) if bytes.len() <= unpack::WHOLE_BYTES => Ok(bytes.to_vec()),
        _ => Err(Refusal::new(Code::TooLarge, format!("JSON larger than {} bytes", unpack::WHOLE_BYTES))),
    }
}

/// What the ledger keeps of a mail's header.
fn head(root: &Entity<'_>, settings: &Settings) -> MailHead {
    let authors = root.header("from").map(|value| address::mailboxes(&value)).unwrap_or_default();
    let authentication = authentication::assess_from(&root.headers, &authors, settings.authserv_id.as_deref());
    let (auth, auth_domain) = match authentication.verdict {
        Verdict::Pass(domain) => (Auth::Pass, Some(domain)),
        Verdict::Fail => (Auth::Fail, None),
        Verdict::None => (Auth::None, None),
    };
    let first = |people: &[address::Mailbox]| {
        let usable = people.iter().find_map(|mailbox| mailbox.address.as_ref().ok());
        usable.map(|address| bounded(&address.canonical()))
    };
    MailHead {
        message_id: root
            .header("message-id")
            .map(|id| bounded(id.trim_matches(['<', '>', ' '])))
            .filter(|id| !id.is_empty()),
        from_address: first(&authors),
        to: root.header("to").and_then(|value| first(&address::mailboxes(&value))),
        subject: root.header_decoded("subject").map(|subject| bounded(&subject)),
        sent_at: root.header("date").and_then(|date| date::mail(&date)),
        auth,
        auth_domain,
        from_domain: authentication.from_domain,
        auth_failed: authentication.failed,
        auth_results: Some(authentication.fields.join("\n")).filter(|fields| !fields.is_empty()),
        own_server: false,
    }
}

impl MailHead {
    /// Takes signatures that passed for the word of the own server, where that said nothing: an aligned one proves the `From`
    /// domain. None that passed proves nothing.
    pub fn believe(&mut self, signers: &[String]) {
        let Some(from) = self.from_domain.as_deref().filter(|_| self.auth == Auth::None) else { return };
        let signers = signers.iter().filter_map(|name| address::domain(name));
        if let Some(domain) = signers.into_iter().find(|domain| authentication::is_aligned(domain, from)) {
            self.auth = Auth::Pass;
            self.auth_results = Some(format!("dmarcdb; dkim=pass header.d={domain}"));
            self.auth_domain = Some(domain);
        }
    }
}

/// At most 512 bytes, without NUL, which would cut the text for some readers of the database.
fn bounded(text: &str) -> String {
    text.get(..text.floor_char_boundary(512)).unwrap_or("").replace('\0', "\u{fffd}")
}

type Whole = (AggregateReport, Option<Vec<Chunk>>);

/// Keeps what a document tells, unless it is too long to hold.
#[derive(Default)]
struct Collector {
    /// The current report's.
    chunks: Vec<Chunk>,
    chunk_bytes: usize,
    overflow: bool,
    /// Bytes that may yet be held.
    room: usize,
    /// Each with its chunks, unless they were too many to hold.
    reports: Vec<Result<Whole, Refusal>>,
}

impl Sink for Collector {
    fn chunk(&mut self, chunk: Chunk) {
        self.chunk_bytes += chunk.bytes();
        if self.chunk_bytes > self.room {
            self.overflow = true;
            self.chunks = Vec::new();
        }
        if !self.overflow {
            self.chunks.push(chunk);
        }
    }

    fn report(&mut self, report: Result<AggregateReport, Refusal>) {
        let chunks = std::mem::take(&mut self.chunks);
        let bytes = std::mem::take(&mut self.chunk_bytes);
        let overflow = std::mem::take(&mut self.overflow);
        if report.is_ok() && !overflow {
            self.room -= bytes;
        }
        self.reports.push(report.map(|report| (report, (!overflow).then_some(chunks))));
    }
}

/// Passes on chunks with the number of their report.
struct Again<'a> {
    number: usize,
    each: &'a mut dyn FnMut(usize, Chunk),
}

impl Sink for Again<'_> {
    fn chunk(&mut self, chunk: Chunk) {
        (self.each)(self.number, chunk);
    }

    fn report(&mut self, _: Result<AggregateReport, Refusal>) {
        self.number += 1;
    }
}
