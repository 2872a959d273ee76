//! The ways to write a report: order, prefixes, escapes, character set and container.

use std::io::Write as _;

use base64::Engine as _;
use encoding_rs::{Encoding, WINDOWS_1252};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::sample::select;

use super::model::{Model, Policy, Record, Told};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prefix {
    None,
    /// A default namespace, no prefix.
    Namespace,
    /// AOL: the root alone has a prefix.
    Root,
    All,
}

#[derive(Clone, Copy, Debug)]
pub enum Charset {
    Utf8,
    Utf8Bom,
    Utf16Le,
    Utf16Be,
    Latin1,
    Windows1252,
}

#[derive(Clone, Copy, Debug)]
pub enum Container {
    Bare,
    Gzip,
    GzipMembers,
    Zip,
    GzipInZip,
    MailBase64,
    MailBase64Gzip,
    MailQuotedPrintable,
    Mail8bit,
    NestedMultipart,
    ForwardedZip,
}

/// One way to write a report.
#[derive(Clone, Debug)]
pub struct Form {
    /// Decides the order of elements and how each text is escaped.
    pub seed: u64,
    pub prefix: Prefix,
    pub charset: Charset,
    pub indented: bool,
    pub container: Container,
}

pub fn form() -> impl Strategy<Value = Form> {
    use Charset::*;
    use Container::*;
    let prefixes = [Prefix::None, Prefix::Namespace, Prefix::Root, Prefix::All];
    let charsets = [Utf8, Utf8Bom, Utf16Le, Utf16Be, Latin1, Windows1252];
    let containers = [
        Bare,
        Gzip,
        GzipMembers,
        Zip,
        GzipInZip,
        MailBase64,
        MailBase64Gzip,
        MailQuotedPrintable,
        Mail8bit,
        NestedMultipart,
        ForwardedZip,
    ];
    (any::<u64>(), select(prefixes.to_vec()), select(charsets.to_vec()), any::<bool>(), select(containers.to_vec()))
        .prop_map(|(seed, prefix, charset, indented, container)| Form { seed, prefix, charset, indented, container })
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }
}

/// An element.
enum Node {
    Leaf(&'static str, String, Option<String>),
    Branch(&'static str, Vec<Node>),
    Raw(&'static str, String),
}

impl Node {
    fn name(&self) -> &'static str {
        let (Node::Leaf(name, ..) | Node::Branch(name, _) | Node::Raw(name, _)) = self;
        name
    }
}

fn leaf(nodes: &mut Vec<Node>, name: &'static str, text: Option<impl ToString>) {
    nodes.extend(text.map(|text| Node::Leaf(name, text.to_string(), None)));
}

fn told_leaf(nodes: &mut Vec<Node>, name: &'static str, told: Option<&Told>) {
    nodes.extend(told.map(|(text, lang)| Node::Leaf(name, text.clone(), lang.clone())));
}

fn tree(model: &Model) -> Node {
    let mut metadata = Vec::new();
    leaf(&mut metadata, "org_name", model.org_name.as_ref());
    leaf(&mut metadata, "email", model.email.as_ref());
    told_leaf(&mut metadata, "extra_contact_info", model.contact.as_ref());
    leaf(&mut metadata, "report_id", Some(&model.report_id));
    let mut range = Vec::new();
    leaf(&mut range, "begin", Some(model.begin));
    leaf(&mut range, "end", Some(model.end));
    metadata.push(Node::Branch("date_range", range));
    model.errors.iter().for_each(|error| told_leaf(&mut metadata, "error", Some(error)));
    leaf(&mut metadata, "generator", model.generator.as_ref());
    let Policy { domain, p, sp, np, adkim, aspf, pct, fo, testing, discovery_method } = &model.policy;
    let mut policy = Vec::new();
    leaf(&mut policy, "domain", Some(domain));
    let words = [("p", p), ("sp", sp), ("np", np), ("adkim", adkim), ("aspf", aspf), ("fo", fo), ("testing", testing)];
    words.into_iter().for_each(|(name, word)| leaf(&mut policy, name, word.as_ref()));
    leaf(&mut policy, "pct", *pct);
    leaf(&mut policy, "discovery_method", discovery_method.as_ref());
    let mut feedback = Vec::new();
    leaf(&mut feedback, "version", model.version.as_ref());
    feedback.push(Node::Branch("report_metadata", metadata));
    feedback.push(Node::Branch("policy_published", policy));
    feedback.extend(model.extension.iter().map(|raw| Node::Raw("extension", raw.clone())));
    feedback.extend(model.records.iter().map(record_tree));
    Node::Branch("feedback", feedback)
}

fn record_tree(record: &Record) -> Node {
    let aligned = |pass: Option<bool>| pass.map(|pass| if pass { "pass" } else { "fail" });
    let mut evaluated = Vec::new();
    leaf(&mut evaluated, "disposition", record.disposition.as_ref());
    leaf(&mut evaluated, "dkim", aligned(record.dkim));
    leaf(&mut evaluated, "spf", aligned(record.spf));
    for reason in &record.reasons {
        let mut nodes = Vec::new();
        leaf(&mut nodes, "type", reason.kind.as_ref());
        told_leaf(&mut nodes, "comment", reason.comment.as_ref());
        evaluated.push(Node::Branch("reason", nodes));
    }
    let mut row = Vec::new();
    leaf(&mut row, "source_ip", Some(record.source_ip));
    leaf(&mut row, "count", Some(record.count));
    row.push(Node::Branch("policy_evaluated", evaluated));
    let mut identifiers = Vec::new();
    leaf(&mut identifiers, "header_from", record.header_from.as_ref());
    leaf(&mut identifiers, "envelope_from", record.envelope_from.as_ref());
    leaf(&mut identifiers, "envelope_to", record.envelope_to.as_ref());
    let mut results = Vec::new();
    for (name, detail, all) in [("dkim", "selector", &record.dkim_results), ("spf", "scope", &record.spf_results)] {
        for checked in all {
            let mut nodes = Vec::new();
            leaf(&mut nodes, "domain", checked.domain.as_ref());
            leaf(&mut nodes, detail, checked.detail.as_ref());
            leaf(&mut nodes, "result", checked.result.as_ref());
            told_leaf(&mut nodes, "human_result", checked.human_result.as_ref());
            results.push(Node::Branch(name, nodes));
        }
    }
    Node::Branch(
        "record",
        vec![Node::Branch("row", row), Node::Branch("identifiers", identifiers), Node::Branch("auth_results", results)],
    )
}

/// Writes elements.
struct Writer<'a> {
    form: &'a Form,
    random: Random,
    xml: String,
}

impl Writer<'_> {
    fn node(&mut self, node: &Node, depth: usize) {
        let prefix = match (self.form.prefix, depth) {
            (Prefix::All, _) | (Prefix::Root, 0) => "ns1:",
            _ => "",
        };
        let name = format!("{prefix}{}", node.name());
        self.margin(depth);
        self.xml.push('<');
        self.xml.push_str(&name);
        if depth == 0 {
            self.xml.push_str(match self.form.prefix {
                Prefix::None => "",
                Prefix::Namespace => " xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\"",
                Prefix::Root | Prefix::All => " xmlns:ns1=\"urn:ietf:params:xml:ns:dmarc-2.0\"",
            });
        }
        match node {
            Node::Leaf(_, text, lang) => {
                if let Some(lang) = lang {
                    self.xml.push_str(&format!(" lang='{lang}'"));
                }
                self.xml.push('>');
                self.text(text);
            }
            Node::Raw(_, raw) => {
                self.xml.push('>');
                self.xml.push_str(raw);
            }
            Node::Branch(_, children) => {
                self.xml.push('>');
                for at in self.order(children) {
                    self.node(&children[at], depth + 1);
                }
                self.margin(depth);
            }
        }
        self.xml.push_str(&format!("</{name}>"));
    }

    fn margin(&mut self, depth: usize) {
        if self.form.indented {
            self.xml.push_str("\r\n");
            self.xml.push_str(&"  ".repeat(depth));
        }
        if self.random.below(40) == 0 {
            self.xml.push_str("<!-- <record> -->");
        }
    }

    /// Any order, except that elements of one name stay in theirs.
    fn order(&mut self, children: &[Node]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..children.len()).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, self.random.below(at + 1));
        }
        let places = order.clone();
        for (place, &child) in places.iter().enumerate() {
            let same = |&&other: &&usize| children[other].name() == children[child].name();
            let earlier = places[..place].iter().filter(same).count();
            let mut all: Vec<usize> = places.iter().filter(same).copied().collect();
            all.sort_unstable();
            order[place] = all[earlier];
        }
        order
    }

    fn text(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            let length = 1 + self.random.below(rest.chars().count());
            let (piece, after) = rest.split_at(rest.char_indices().nth(length).map_or(rest.len(), |(at, _)| at));
            rest = after;
            match self.random.below(6) {
                0 if !piece.contains("]]>") => self.xml.push_str(&format!("<![CDATA[{piece}]]>")),
                1 => piece.chars().for_each(|c| self.xml.push_str(&format!("&#{};", c as u32))),
                2 => piece.chars().for_each(|c| self.xml.push_str(&format!("&#x{:x};", c as u32))),
                _ => piece.chars().for_each(|c| match c {
                    '&' => self.xml.push_str("&amp;"),
                    '<' => self.xml.push_str("&lt;"),
                    '>' if self.random.below(2) == 0 => self.xml.push_str("&gt;"),
                    '"' if self.random.below(2) == 0 => self.xml.push_str("&quot;"),
                    '\'' if self.random.below(2) == 0 => self.xml.push_str("&apos;"),
                    other => self.xml.push(other),
                }),
            }
        }
    }
}

/// The bytes of a document. What the character set has no letters for is written in UTF-8.
pub fn document(model: &Model, form: &Form) -> Vec<u8> {
    let mut writer = Writer { form, random: Random(form.seed), xml: String::new() };
    writer.node(&tree(model), 0);
    let xml = writer.xml;
    let declared = |label: &str| format!("<?xml version=\"1.0\" encoding=\"{label}\"?>{xml}");
    let utf16 = |unit: fn(u16) -> [u8; 2]| {
        let text = format!("\u{feff}{}", declared("UTF-16"));
        text.encode_utf16().flat_map(unit).collect()
    };
    let single = |label: &str, encoding: &'static Encoding| {
        let text = declared(label);
        let (bytes, _, unmappable) = encoding.encode(&text);
        if unmappable { None } else { Some(bytes.into_owned()) }
    };
    match form.charset {
        Charset::Utf8 => None,
        Charset::Utf8Bom => Some(format!("\u{feff}{}", declared("UTF-8")).into_bytes()),
        Charset::Utf16Le => Some(utf16(u16::to_le_bytes)),
        Charset::Utf16Be => Some(utf16(u16::to_be_bytes)),
        Charset::Latin1 => single("iso-8859-1", WINDOWS_1252),
        Charset::Windows1252 => single("Windows-1252", WINDOWS_1252),
    }
    .unwrap_or_else(|| {
        if form.seed.is_multiple_of(2) { xml.clone().into_bytes() } else { declared("utf-8").into_bytes() }
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(bytes).unwrap();
    archive.finish().unwrap().into_inner()
}

const TOP: &str = "From: Reporter <dmarc@receiver.example>\r\nTo: dmarc@example.com\r\nSubject: Report Domain: example.com\r\n\
                   Message-ID: <1@receiver.example>\r\nMIME-Version: 1.0\r\n";

/// A MIME entity with this body.
fn entity(content_type: &str, encoding: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
    let mut entity = head.into_bytes();
    match encoding {
        "base64" => {
            let text = base64::engine::general_purpose::STANDARD.encode(body);
            for line in text.as_bytes().chunks(76) {
                entity.extend(line);
                entity.extend(b"\r\n");
            }
        }
        "quoted-printable" => {
            for (number, byte) in body.iter().enumerate() {
                match byte {
                    b'!'..=b'<' | b'>'..=b'~' => entity.push(*byte),
                    _ => entity.extend(format!("={byte:02X}").bytes()),
                }
                if number % 24 == 23 {
                    entity.extend(b"=\r\n");
                }
            }
        }
        _ => entity.extend(body),
    }
    entity
}

fn multipart(kind: &str, boundary: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut entity =
        format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\"\r\n\r\nnot shown\r\n").into_bytes();
    for part in parts {
        entity.extend(format!("--{boundary}\r\n").bytes());
        entity.extend(part);
        entity.extend(b"\r\n");
    }
    entity.extend(format!("--{boundary}--\r\n").bytes());
    entity
}

fn mail(entity: Vec<u8>) -> Vec<u8> {
    [TOP.as_bytes(), &entity].concat()
}

/// The report as it might arrive.
pub fn written(model: &Model, form: &Form) -> Vec<u8> {
    let xml = document(model, form);
    let note = entity("text/plain", "7bit", b"This is an aggregate report.");
    match form.container {
        Container::Bare => xml,
        Container::Gzip => gzip(&xml),
        Container::GzipMembers => {
            let (head, tail) = xml.split_at(Random(form.seed).below(xml.len()));
            [gzip(head), gzip(tail)].concat()
        }
        Container::Zip => zip("receiver!example.com!1!2.xml", &xml),
        Container::GzipInZip => zip("report.xml.gz", &gzip(&xml)),
        Container::MailBase64 => mail(entity("text/xml; name=report.xml", "base64", &xml)),
        Container::MailBase64Gzip => {
            mail(multipart("mixed", "b", &[note, entity("application/gzip", "base64", &gzip(&xml))]))
        }
        Container::MailQuotedPrintable => mail(entity("text/xml", "quoted-printable", &xml)),
        // Lines of UTF-16 are no lines.
        Container::Mail8bit if !matches!(form.charset, Charset::Utf16Le | Charset::Utf16Be) => {
            mail(multipart("mixed", "b", &[note, entity("application/xml", "8bit", &xml)]))
        }
        Container::Mail8bit | Container::NestedMultipart => {
            let page = entity("text/html", "7bit", b"<html><p>A report</p></html>");
            let texts = multipart("alternative", "inner", &[note, page]);
            let report = entity("application/octet-stream", "base64", &zip("r.xml", &xml));
            mail(multipart("mixed", "outer", &[multipart("related", "middle", &[texts]), report]))
        }
        Container::ForwardedZip => {
            let original = mail(entity("application/zip", "base64", &zip("r.xml", &xml)));
            let attached = entity("message/rfc822", "8bit", &original);
            mail(multipart("mixed", "f", &[note, attached]))
        }
    }
}
