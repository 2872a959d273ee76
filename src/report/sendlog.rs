//! A sender's own record of what it sent: one mail to one person in each row, with columns of many names.

use serde_json::{Map, Value};

use super::address::Address;
use super::date;
use super::feedback::recipient::bare_message_id;
use super::text::bounded;

/// Bytes of a Message-ID that count; as many as are kept of one in a complaint.
const MESSAGE_ID_BYTES: usize = 1000;
/// Bytes of a stream's name that are kept.
const STREAM_BYTES: usize = 255;

/// One mail to one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// `Message-ID` without angle brackets.
    pub message_id: String,
    /// Whom it was sent to: local part as given, domain lower-case A-label.
    pub recipient: String,
    /// When, seconds since the epoch, UTC.
    pub sent_at: i64,
    /// What the sender calls this kind of mail.
    pub stream: Option<String>,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The Message-ID.
    MessageId,
    /// The recipient.
    Recipient,
    /// When it was sent.
    Time,
    /// The stream.
    Stream,
}

/// Names of columns, best first, in lower case with `_` for blanks and hyphens.
const NAMES: [(Column, &[&str]); 4] = [
    (Column::MessageId, &["message_id", "messageid", "msgid", "smtp_id", "header_message_id", "msg_id", "id"]),
    (
        Column::Recipient,
        &[
            "recipient",
            "rcpt",
            "rcpt_to",
            "to",
            "email",
            "email_address",
            "address",
            "envelope_to",
            "raw_rcpt_to",
            "orcpt",
        ],
    ),
    (
        Column::Time,
        &[
            "time",
            "sent_at",
            "timestamp",
            "date",
            "ts",
            "event_time",
            "created_at",
            "delivery_time",
            "timelogged",
            "datetime",
        ],
    ),
    (
        Column::Stream,
        &[
            "stream",
            "message_stream",
            "campaign",
            "campaign_id",
            "campaignid",
            "tag",
            "list",
            "list_id",
            "pool",
            "vmta",
        ],
    ),
];

/// The names that the user gives to columns; `None` where the usual names hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Of the Message-ID.
    pub message_id: Option<String>,
    /// Of the recipient.
    pub recipient: Option<String>,
    /// Of the time.
    pub time: Option<String>,
    /// Of the stream.
    pub stream: Option<String>,
}

impl Named {
    fn of(&self, column: Column) -> Option<&str> {
        match column {
            Column::MessageId => self.message_id.as_deref(),
            Column::Recipient => self.recipient.as_deref(),
            Column::Time => self.time.as_deref(),
            Column::Stream => self.stream.as_deref(),
        }
    }

    /// The place among `names` of a column.
    fn find<'a>(&self, column: Column, names: impl Iterator<Item = &'a str> + Clone) -> Option<usize> {
        if let Some(named) = self.of(column) {
            return names.clone().position(|name| plain(name) == plain(named));
        }
        let (_, usual) = NAMES.iter().find(|(of, _)| *of == column)?;
        usual.iter().find_map(|wanted| names.clone().position(|name| plain(name) == *wanted))
    }
}

fn plain(name: &str) -> String {
    name.trim().trim_start_matches('\u{feff}').to_lowercase().replace([' ', '-', '.'], "_")
}

/// Where the columns of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    message_id: usize,
    recipient: usize,
    time: Option<usize>,
    stream: Option<usize>,
}

impl Columns {
    /// Finds them in a header.
    ///
    /// # Errors
    /// Text for people: which column is missing, and what there is.
    pub fn of<'a>(header: impl Iterator<Item = &'a str> + Clone, named: &Named) -> Result<Columns, String> {
        let place = |column| named.find(column, header.clone());
        let missing = |option: &str| {
            let names: Vec<&str> = header.clone().take(30).collect();
            format!(
                "no column for the {}: name one with --{option} (there is {})",
                option.replace('-', " "),
                names.join(", ")
            )
        };
        for (column, option) in [(Column::Time, "time"), (Column::Stream, "stream")] {
            if named.of(column).is_some() && place(column).is_none() {
                return Err(missing(option));
            }
        }
        Ok(Columns {
            message_id: place(Column::MessageId).ok_or_else(|| missing("message-id"))?,
            recipient: place(Column::Recipient).ok_or_else(|| missing("recipient"))?,
            time: place(Column::Time),
            stream: place(Column::Stream),
        })
    }

    /// Reads a row. One without a time was sent `now`.
    ///
    /// # Errors
    /// Text for people: what in it cannot be used.
    pub fn read<'a>(&self, cell: impl Fn(usize) -> Option<&'a str>, now: i64) -> Result<Send, String> {
        let of = |place: Option<usize>| place.and_then(&cell).map(str::trim).filter(|text| !text.is_empty());
        send(of(Some(self.message_id)), of(Some(self.recipient)), of(self.time), of(self.stream), now)
    }
}

/// Reads one JSON object.
///
/// # Errors
/// Text for people: what in it cannot be used.
pub fn read_json(line: &str, named: &Named, now: i64) -> Result<Send, String> {
    let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| format!("no JSON object: {error}"))?;
    let text = |column| {
        let place = named.find(column, object.keys().map(String::as_str))?;
        match object.values().nth(place)? {
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Number(number) => Some(number.to_string()),
            // Logs of KumoMTA and others have a list of one recipient.
            Value::Array(list) if list.len() == 1 => list.first()?.as_str().map(str::to_owned),
            _ => None,
        }
        .filter(|text| !text.is_empty())
    };
    let (id, recipient) = (text(Column::MessageId), text(Column::Recipient));
    send(id.as_deref(), recipient.as_deref(), text(Column::Time).as_deref(), text(Column::Stream).as_deref(), now)
}

fn send(
    message_id: Option<&str>,
    recipient: Option<&str>,
    time: Option<&str>,
    stream: Option<&str>,
    now: i64,
) -> Result<Send, String> {
    let message_id = bounded(bare_message_id(message_id.unwrap_or_default()), MESSAGE_ID_BYTES);
    if message_id.is_empty() {
        return Err("no Message-ID".to_owned());
    }
    let sent = recipient.unwrap_or_default();
    let address = Address::parse_field(sent).map_err(|fault| format!("recipient `{}`: {fault}", bounded(sent, 80)))?;
    let sent_at = match time {
        None => now,
        Some(text) => self::time(text).ok_or_else(|| format!("time `{}` is none", bounded(text, 40)))?,
    };
    let stream = stream.map(|text| bounded(text, STREAM_BYTES).to_owned());
    Ok(Send { message_id: message_id.to_owned(), recipient: address.canonical(), sent_at, stream })
}

/// Seconds or milliseconds since the epoch, RFC 3339, a mail date, or a date and time without a zone, which is UTC.
fn time(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<f64>() {
        let seconds = if number.abs() >= 1e11 { number / 1000.0 } else { number };
        // Beyond this no calendar reaches, and neither does the cast.
        return (seconds.abs() < 1e11).then_some(seconds.floor() as i64);
    }
    let zoned = || {
        let (day, clock) = text.split_once([' ', 'T'])?;
        let fits = clock.len() >= 5 && clock.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.'));
        fits.then(|| format!("{day}T{clock}Z"))
    };
    let dated = || (text.len() == 10).then(|| format!("{text}T00:00:00Z"));
    let standard = |text: &str| date::rfc3339(text).map(|(at, _)| at);
    standard(text)
        .or_else(|| zoned().and_then(|text| standard(&text)))
        .or_else(|| dated().and_then(|text| standard(&text)))
        .or_else(|| date::mail(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_219_200;

    fn row(header: &str, row: &str, named: &Named) -> Result<Send, String> {
        let columns = Columns::of(header.split(','), named)?;
        let cells: Vec<&str> = row.split(',').collect();
        columns.read(|place| cells.get(place).copied(), NOW)
    }

    fn shown(found: Result<Send, String>) -> String {
        found.map_or_else(
            |error| error,
            |Send { message_id, recipient, sent_at, stream }| {
                format!("{message_id} {recipient} {sent_at} {}", stream.unwrap_or_default())
            },
        )
    }

    #[test]
    fn tables() {
        let check = |header: &str, cells: &str, expected: &str| {
            assert_eq!(shown(row(header, cells, &Named::default())), expected, "{header}\n{cells}");
        };
        check(
            "message_id,recipient,time,stream",
            "<m1@x>,A@ISP.example,1755684000,news",
            "m1@x A@isp.example 1755684000 news",
        );
        check("\u{feff}Message-ID,Email", "m1@x,a@isp.example", &format!("m1@x a@isp.example {NOW} "));
        check("time,to,id,x", "2025-08-20T10:00:00Z,<a@isp.example>,m1@x,y", "m1@x a@isp.example 1755684000 ");
        check("recipient,message_id", ",m1@x", "recipient ``: empty");
        check("recipient,message_id", "a@isp.example,<>", "no Message-ID");
        check("recipient,message_id,time", "a@isp.example,m,soon", "time `soon` is none");
        check(
            "recipient,subject",
            "a,b",
            "no column for the message id: name one with --message-id (there is recipient, subject)",
        );
        let named = Named { message_id: Some("X-Id".into()), time: Some("when".into()), ..Named::default() };
        assert_eq!(shown(row("x_id,id,to,when", "m1@x,7,a@isp.example,5", &named)), "m1@x a@isp.example 5 ");
        assert!(shown(row("x_id,to", "m1@x,a@isp.example", &named)).contains("no column for the time"));
    }

    #[test]
    fn objects() {
        let check =
            |line: &str, expected: &str| assert_eq!(shown(read_json(line, &Named::default(), NOW)), expected, "{line}");
        check(
            r#"{"message_id":"<m1@x>","recipient":"a@isp.example","time":1755684000.5,"stream":"news"}"#,
            "m1@x a@isp.example 1755684000 news",
        );
        check(
            r#"{"id":"m1@x","recipient":["a@isp.example"],"timestamp":1755684000000}"#,
            "m1@x a@isp.example 1755684000 ",
        );
        check(r#"{"message_id":"m1@x","recipient":null}"#, "recipient ``: empty");
        assert!(read_json("[1]", &Named::default(), NOW).is_err());
        assert!(read_json("", &Named::default(), NOW).is_err());
    }

    #[test]
    fn times() {
        let check = |text: &str, expected: Option<i64>| assert_eq!(time(text), expected, "{text}");
        check("1755684000", Some(1_755_684_000));
        check("1755684000123", Some(1_755_684_000));
        check("2025-08-20T10:00:00Z", Some(1_755_684_000));
        check("2025-08-20T12:00:00+02:00", Some(1_755_684_000));
        check("2025-08-20 10:00:00", Some(1_755_684_000));
        check("2025-08-20", Some(1_755_648_000));
        check("Wed, 20 Aug 2025 10:00:00 +0000", Some(1_755_684_000));
        check("1e300", None);
        check("nan", None);
        check("yesterday", None);
    }
}
