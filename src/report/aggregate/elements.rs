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
    /// Where it stands, in the RFC's names: for warnings.
    pub fn place(self) -> &'static str {
        use Element::*;
        match self {
            Feedback => "feedback",
            Version => "version",
            ReportMetadata => "report_metadata",
            OrgName => "report_metadata/org_name",
            Email => "report_metadata/email",
            ExtraContactInfo => "report_metadata/extra_contact_info",
            ReportId => "report_metadata/report_id",
            DateRange => "date_range",
            Begin => "date_range/begin",
            End => "date_range/end",
            Error => "report_metadata/error",
            Generator => "report_metadata/generator",
            PolicyPublished => "policy_published",
            PolicyDomain => "policy_published/domain",
            Adkim => "policy_published/adkim",
            Aspf => "policy_published/aspf",
            P => "policy_published/p",
            Sp => "policy_published/sp",
            Np => "policy_published/np",
            Pct => "policy_published/pct",
            Fo => "policy_published/fo",
            Testing => "policy_published/testing",
            DiscoveryMethod => "policy_published/discovery_method",
            Extension => "extension",
            Record => "record",
            Row => "row",
            SourceIp => "row/source_ip",
            Count => "row/count",
            PolicyEvaluated => "policy_evaluated",
            Disposition => "policy_evaluated/disposition",
            AlignedDkim => "policy_evaluated/dkim",
            AlignedSpf => "policy_evaluated/spf",
            Reason => "policy_evaluated/reason",
            ReasonType => "reason/type",
            ReasonComment => "reason/comment",
            Identifiers => "identifiers",
            HeaderFrom => "identifiers/header_from",
            EnvelopeFrom => "identifiers/envelope_from",
            EnvelopeTo => "identifiers/envelope_to",
            AuthResults => "auth_results",
            Dkim => "auth_results/dkim",
            DkimDomain => "auth_results/dkim/domain",
            DkimSelector => "auth_results/dkim/selector",
            DkimOutcome => "auth_results/dkim/result",
            DkimHumanResult => "auth_results/dkim/human_result",
            Spf => "auth_results/spf",
            SpfDomain => "auth_results/spf/domain",
            SpfScope => "auth_results/spf/scope",
            SpfOutcome => "auth_results/spf/result",
            SpfHumanResult => "auth_results/spf/human_result",
            Unknown => "unknown element",
            Ignored => "unknown element",
        }
    }

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

    /// Its name in the standard; empty where that can not be told from the element alone.
    pub fn name(self) -> &'static str {
        use Element::*;
        match self {
            Feedback => "feedback",
            Version => "version",
            ReportMetadata => "report_metadata",
            OrgName => "org_name",
            Email => "email",
            ExtraContactInfo => "extra_contact_info",
            ReportId => "report_id",
            DateRange => "date_range",
            Begin => "begin",
            End => "end",
            Error => "error",
            Generator => "generator",
            PolicyPublished => "policy_published",
            Adkim => "adkim",
            Aspf => "aspf",
            P => "p",
            Sp => "sp",
            Np => "np",
            Pct => "pct",
            Fo => "fo",
            Testing => "testing",
            DiscoveryMethod => "discovery_method",
            Record => "record",
            Row => "row",
            SourceIp => "source_ip",
            Count => "count",
            PolicyEvaluated => "policy_evaluated",
            Disposition => "disposition",
            AlignedDkim | Dkim => "dkim",
            AlignedSpf | Spf => "spf",
            Reason => "reason",
            ReasonType => "type",
            ReasonComment => "comment",
            Identifiers => "identifiers",
            HeaderFrom => "header_from",
            EnvelopeFrom => "envelope_from",
            EnvelopeTo => "envelope_to",
            AuthResults => "auth_results",
            PolicyDomain | DkimDomain | SpfDomain => "domain",
            DkimSelector => "selector",
            DkimOutcome | SpfOutcome => "result",
            DkimHumanResult | SpfHumanResult => "human_result",
            SpfScope => "scope",
            Extension | Unknown | Ignored => "",
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
