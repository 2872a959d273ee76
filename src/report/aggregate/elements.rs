//! The elements of an aggregate report (RFC 7489 appendix C, RFC 9990 appendix A), by parent and local name.
//! Prefixes and namespaces are not looked at, and order means nothing.

/// An element with its place in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// The root of a report.
    Feedback,
    Version,
    ReportMetadata,
    OrgName,
    Email,
    ExtraContactInfo,
    ReportId,
    DateRange,
    Begin,
    End,
    Error,
    Generator,
    PolicyPublished,
    PolicyDomain,
    Adkim,
    Aspf,
    P,
    Sp,
    Np,
    Pct,
    Fo,
    Testing,
    DiscoveryMethod,
    Extension,
    Record,
    Row,
    SourceIp,
    Count,
    PolicyEvaluated,
    Disposition,
    AlignedDkim,
    AlignedSpf,
    Reason,
    ReasonType,
    ReasonComment,
    Identifiers,
    HeaderFrom,
    EnvelopeFrom,
    EnvelopeTo,
    AuthResults,
    Dkim,
    DkimDomain,
    DkimSelector,
    DkimOutcome,
    DkimHumanResult,
    Spf,
    SpfDomain,
    SpfScope,
    SpfOutcome,
    SpfHumanResult,
    /// Not of the format: read over with all it holds.
    Unknown,
    /// Of earlier formats or other records (`rf`, `ri`, `rua`, `v`): read over without a word.
    Ignored,
}

impl Element {
    /// The element called `name` (local name) within this one.
    pub fn child(self, name: &str) -> Element {
        use Element::*;
        match (self, name) {
            (Feedback, "record") => Record,
            (Feedback, "version") => Version,
            (Feedback, "report_metadata") => ReportMetadata,
            (Feedback, "policy_published") => PolicyPublished,
            // mail-auth's sample writes `extensions`.
            (Feedback | Record, "extension" | "extensions") => Extension,
            (ReportMetadata, "org_name") => OrgName,
            (ReportMetadata, "email") => Email,
            (ReportMetadata, "extra_contact_info") => ExtraContactInfo,
            (ReportMetadata, "report_id") => ReportId,
            (ReportMetadata, "date_range") => DateRange,
            (ReportMetadata, "error") => Error,
            (ReportMetadata, "generator") => Generator,
            (DateRange, "begin") => Begin,
            (DateRange, "end") => End,
            (PolicyPublished, "domain") => PolicyDomain,
            (PolicyPublished, "adkim") => Adkim,
            (PolicyPublished, "aspf") => Aspf,
            (PolicyPublished, "p") => P,
            (PolicyPublished, "sp") => Sp,
            (PolicyPublished, "np") => Np,
            (PolicyPublished, "pct") => Pct,
            (PolicyPublished, "fo") => Fo,
            (PolicyPublished, "testing") => Testing,
            (PolicyPublished, "discovery_method") => DiscoveryMethod,
            (PolicyPublished, "rf" | "ri" | "rua" | "ruf" | "v") => Ignored,
            (Record, "row") => Row,
            // The draft of 2012 says `identities`; Google did then, unipi.it and petesrs.com still do.
            (Record, "identifiers" | "identities") => Identifiers,
            (Record, "auth_results") => AuthResults,
            (Row, "source_ip") => SourceIp,
            (Row, "count") => Count,
            (Row, "policy_evaluated") => PolicyEvaluated,
            (PolicyEvaluated, "disposition") => Disposition,
            (PolicyEvaluated, "dkim") => AlignedDkim,
            (PolicyEvaluated, "spf") => AlignedSpf,
            (PolicyEvaluated, "reason") => Reason,
            (Reason, "type") => ReasonType,
            (Reason, "comment") => ReasonComment,
            (Identifiers, "header_from") => HeaderFrom,
            (Identifiers, "envelope_from") => EnvelopeFrom,
            (Identifiers, "envelope_to") => EnvelopeTo,
            (AuthResults, "dkim") => Dkim,
            (AuthResults, "spf") => Spf,
            (Dkim, "domain") => DkimDomain,
            (Dkim, "selector") => DkimSelector,
            (Dkim, "result") => DkimOutcome,
            (Dkim, "human_result") => DkimHumanResult,
            (Spf, "domain") => SpfDomain,
            (Spf, "scope") => SpfScope,
            (Spf, "result") => SpfOutcome,
            (Spf, "human_result") => SpfHumanResult,
            (Ignored, _) => Ignored,
            _ => Unknown,
        }
    }

    /// Whether its text is its value.
    pub fn holds_text(self) -> bool {
        use Element::*;
        !matches!(
            self,
            Feedback
                | ReportMetadata
                | DateRange
                | PolicyPublished
                | Extension
                | Record
                | Row
                | PolicyEvaluated
                | Identifiers
                | AuthResults
                | Dkim
                | Spf
                | Unknown
                | Ignored
        )
    }

    /// Whether RFC 9990 gives it a `lang` attribute.
    pub fn has_lang(self) -> bool {
        use Element::*;
        matches!(self, ExtraContactInfo | Error | ReasonComment | DkimHumanResult | SpfHumanResult)
    }
}
