//! The bounds on everything that strangers send: one plain value, handed down as an argument.
//!
//! Every bound is checked before the memory it guards is taken, and a bound that is hit is named in the
//! reason under `problems`. The defaults leave a factor of ten or more above anything seen in about
//! 4 000 real reports (largest document 3.6 MB, XML depth 6, MIME depth 4, 13 parts).

use serde::Deserialize;

/// Bounds for one message and all it holds. Sizes are bytes. Configured under `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// A whole message or file, as taken from its source.
    pub message_bytes: u64,
    /// One document after decompression. It is streamed, so memory does not follow it.
    pub document_bytes: u64,
    /// All that one message unpacks to, every container layer counted.
    pub unpacked_bytes: u64,
    /// Members of one archive, and of all archives in one message.
    pub archive_members: usize,
    /// Containers within containers.
    pub container_depth: usize,
    /// MIME parts of one message.
    pub mime_parts: usize,
    /// Multiparts and attached messages within each other.
    pub mime_depth: usize,
    /// The header block of a message or part.
    pub header_block_bytes: usize,
    /// One header field with its continuation lines.
    pub header_field_bytes: usize,
    /// XML elements within each other.
    pub xml_depth: usize,
    /// One text or attribute value, and one tag, in XML or JSON.
    pub value_bytes: usize,
    /// Records of one aggregate report.
    pub records: u64,
    /// DKIM results, SPF results or override reasons of one record, each.
    pub results_per_record: usize,
    /// Fields of one feedback report.
    pub feedback_fields: usize,
    /// People named by one complaint.
    pub complaint_recipients: usize,
    /// Recipients that one bounce tells about.
    pub bounce_recipients: usize,
    /// Bytes of a message with a problem that are kept so that it can be read again later.
    pub kept_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Limits {
            message_bytes: 32 * MIB,
            document_bytes: 512 * MIB,
            unpacked_bytes: 1024 * MIB,
            archive_members: 1000,
            container_depth: 5,
            mime_parts: 1000,
            mime_depth: 32,
            header_block_bytes: 256 << 10,
            header_field_bytes: 32 << 10,
            xml_depth: 32,
            value_bytes: 64 << 10,
            records: 2_000_000,
            results_per_record: 1000,
            feedback_fields: 256,
            complaint_recipients: 10,
            bounce_recipients: 100,
            kept_bytes: MIB,
        }
    }
}
