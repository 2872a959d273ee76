//! What a check found: how bad, what was seen, and what to do.

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Info,
    /// Costs mail or safety sooner or later, or could not be checked.
    Warning,
    /// Costs mail or safety now.
    Error,
}

impl Severity {
    /// As it is shown and written.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: `spf`, `dkim`, `dmarc`, `mx`, `tls-rpt`, `mta-sts` or `address`.
    pub check: &'static str,
    /// A stable word for the kind of finding.
    pub code: &'static str,
    /// The name or address that was looked at.
    pub name: String,
    /// What was found, for people.
    pub text: String,
    /// The record as seen; strangers may have written it.
    pub record: Option<String>,
    /// What to do.
    pub fix: Option<String>,
}

/// Collects the findings about one thing.
#[derive(Debug)]
pub struct Notes<'a> {
    check: &'static str,
    name: String,
    record: Option<String>,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Notes<'a> {
    /// About `name`, within the check `check`.
    pub fn new(findings: &'a mut Vec<Finding>, check: &'static str, name: &str) -> Notes<'a> {
        Notes { check, name: name.to_owned(), record: None, findings }
    }

    /// The record that the findings from here on are about.
    pub fn record(&mut self, record: &str) {
        self.record = Some(record.to_owned());
    }

    /// Adds a finding; an empty `fix` is none.
    pub fn add(&mut self, severity: Severity, code: &'static str, text: impl Into<String>, fix: impl Into<String>) {
        let fix: String = fix.into();
        self.findings.push(Finding {
            severity,
            check: self.check,
            code,
            name: self.name.clone(),
            text: text.into(),
            record: self.record.clone(),
            fix: (!fix.is_empty()).then_some(fix),
        });
    }

    /// Adds an error.
    pub fn error(&mut self, code: &'static str, text: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Error, code, text, fix);
    }

    /// Adds a warning.
    pub fn warning(&mut self, code: &'static str, text: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Warning, code, text, fix);
    }

    /// Adds what is worth knowing.
    pub fn info(&mut self, code: &'static str, text: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Info, code, text, fix);
    }

    /// Adds that all is well.
    pub fn ok(&mut self, code: &'static str, text: impl Into<String>) {
        self.add(Severity::Ok, code, text, "");
    }

    /// Adds that DNS gave no answer.
    pub fn unknown(&mut self, failure: &super::lookup::Failure) {
        self.warning(
            "dns",
            format!("could not be looked up: {}", failure.text()),
            "run the check again; if it stays, look at the name servers of this name",
        );
    }

    /// The worst so far among all findings about this name.
    pub fn worst(&self) -> Severity {
        let mine = self.findings.iter().filter(|finding| finding.check == self.check && finding.name == self.name);
        mine.map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
    }
}
