//! Takes values out of TOML and notes every mistake with its line, instead of stopping at the first.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something wrong in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// From 1.
    pub line: usize,
    /// A lower-case fragment.
    pub text: String,
}

/// Reads one file.
pub(super) struct Reader<'t> {
    text: &'t str,
    folder: PathBuf,
    mistakes: Vec<Mistake>,
    /// Lines that are not TOML. What was made of them is a guess, and what is missing may only have been lost.
    broken: Vec<usize>,
}

/// A table of the file.
#[derive(Clone, Debug)]
pub(super) struct Section<'t> {
    table: DeTable<'t>,
    at: Range<usize>,
}

impl<'t> Section<'t> {
    fn get(&self, key: &str) -> Option<&Spanned<DeValue<'t>>> {
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    /// Where the value of `key` is, or the section where it is missing.
    pub fn at(&self, key: &str) -> Range<usize> {
        self.get(key).map_or(self.at.clone(), Spanned::span)
    }

    /// Whether `key` is there, right or wrong.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }
}

impl<'t> Reader<'t> {
    /// Reads `text`; relative paths in it are below `folder`.
    pub fn new(text: &'t str, folder: &Path) -> Self {
        Reader { text, folder: folder.to_owned(), mistakes: Vec::new(), broken: Vec::new() }
    }

    /// The file as one section, as far as it is TOML.
    pub fn top(&mut self) -> Section<'t> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            self.mistake(error.span().unwrap_or(0..0), error.message().to_owned());
        }
        self.broken = self.mistakes.iter().map(|mistake| mistake.line).collect();
        let at = table.span();
        Section { table: table.into_inner(), at }
    }

    /// All mistakes in the order of the file, if there are any.
    pub fn finish(mut self) -> Result<(), Vec<Mistake>> {
        self.mistakes.sort_by(|a, b| (a.line, &a.text).cmp(&(b.line, &b.text)));
        self.mistakes.dedup();
        if self.mistakes.is_empty() { Ok(()) } else { Err(self.mistakes) }
    }

    /// Notes a mistake.
    pub fn mistake(&mut self, at: Range<usize>, text: impl Into<String>) {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        if !self.broken.contains(&line) {
            self.mistakes.push(Mistake { line, text: text.into() });
        }
    }

    /// Notes a mistake in the value of `key`.
    pub fn wrong(&mut self, at: Range<usize>, key: &str, text: impl AsRef<str>) {
        self.mistake(at, format!("`{key}`: {}", text.as_ref()));
    }

    /// Notes that something is not there.
    pub fn missing(&mut self, section: &Section<'_>, text: impl Into<String>) {
        if self.broken.is_empty() {
            self.mistake(section.at.clone(), text);
        }
    }

    /// Notes every key of `section` that is not among `keys`.
    pub fn known(&mut self, section: &Section<'_>, keys: &[&str]) {
        for name in section.table.keys() {
            let key: &str = name.get_ref();
            if keys.contains(&key) {
                continue;
            }
            let text = match key {
                "password" => "a password does not belong in this file: use `password_command`, `password_file`, \
                    `password_env` or `password_credential`"
                    .to_owned(),
                "secret" => {
                    "a secret does not belong in this file: use `secret_command`, `secret_file`, `secret_env` or \
                    `secret_credential`"
                        .to_owned()
                }
                "client_secret" | "refresh_token" => format!(
                    "a secret does not belong in this file: use `client_secret_command`, `client_secret_file`, \
                     `client_secret_env` or `client_secret_credential`, and `dmarcdb auth` for the rest of `{key}`"
                ),
                _ => match closest(key, keys) {
                    Some(other) => format!("unknown key `{key}`; did you mean `{other}`?"),
                    None => format!("unknown key `{key}`; known are {}", keys.join(", ")),
                },
            };
            self.mistake(name.span(), text);
        }
    }

    fn text_of(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let Some(text) = value.get_ref().as_str() else {
            let found = value.get_ref().type_str();
            self.wrong(value.span(), key, format!("expected text in quotes, found {found}"));
            return None;
        };
        if text.is_empty() {
            self.wrong(value.span(), key, "must not be empty");
            return None;
        }
        if text.chars().any(char::is_control) {
            self.wrong(value.span(), key, "must not hold control characters");
            return None;
        }
        Some(text.to_owned())
    }

    /// A text that is not empty.
    pub fn text(&mut self, section: &Section<'_>, key: &str) -> Option<String> {
        section.get(key).and_then(|value| self.text_of(key, value))
    }

    /// A text that must be there.
    pub fn required(&mut self, section: &Section<'_>, key: &str) -> Option<String> {
        if !section.has(key) {
            self.missing(section, format!("`{key}` is missing"));
        }
        self.text(section, key)
    }

    /// A path; `~/` is the home directory, and a relative one is below the file's folder.
    pub fn path(&mut self, section: &Section<'_>, key: &str) -> Option<PathBuf> {
        let text = self.text(section, key)?;
        Some(self.path_of(&text))
    }

    /// A list of paths, each as in [`Reader::path`].
    pub fn paths(&mut self, section: &Section<'_>, key: &str) -> Vec<PathBuf> {
        let texts = self.texts(section, key).unwrap_or_default();
        texts.into_iter().map(|(_, text)| self.path_of(&text)).collect()
    }

    fn path_of(&self, text: &str) -> PathBuf {
        match (text.strip_prefix("~/"), std::env::home_dir()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => self.folder.join(text),
        }
    }

    /// A mistake in the value of a key that is there.
    pub fn wrong_key(&mut self, section: &Section<'_>, key: &str, text: impl AsRef<str>) {
        if let Some(value) = section.get(key) {
            self.wrong(value.span(), key, text);
        }
    }

    /// A whole number from `least` to `most`, or the default.
    pub fn number(&mut self, section: &Section<'_>, key: &str, default: u64, least: u64, most: u64) -> u64 {
        let Some(value) = section.get(key) else {
            return default;
        };
        let number = value.get_ref().as_integer();
        let number = number.and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => number,
            None => {
                let upper = if most == u64::MAX { String::new() } else { format!(" to {most}") };
                let text = format!("expected a whole number from {least}{upper}");
                self.wrong(value.span(), key, text);
                default
            }
        }
    }

    /// `true` or `false`, or the default.
    pub fn flag(&mut self, section: &Section<'_>, key: &str, default: bool) -> bool {
        let Some(value) = section.get(key) else {
            return default;
        };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong(value.span(), key, "expected `true` or `false`");
            default
        })
    }

    /// Where the file lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A list of texts, each with its place; `None` when the key is not there.
    pub fn texts(&mut self, section: &Section<'_>, key: &str) -> Option<Vec<(Range<usize>, String)>> {
        let value = section.get(key)?;
        let Some(list) = value.get_ref().as_array() else {
            let found = value.get_ref().type_str();
            self.wrong(value.span(), key, format!("expected a list in [ ], found {found}"));
            return None;
        };
        let texts = list.iter().filter_map(|item| Some((item.span(), self.text_of(key, item)?)));
        Some(texts.collect())
    }

    /// A list of domain names, in lower-case ASCII.
    pub fn domains(&mut self, section: &Section<'_>, key: &str) -> Vec<String> {
        let mut domains = Vec::new();
        for (at, text) in self.texts(section, key).unwrap_or_default() {
            match domain(&text) {
                Some(domain) => domains.push(domain),
                None => self.wrong(at, key, format!("`{text}` is not a domain name")),
            }
        }
        domains
    }

    /// A list of senders: domain names, `@` and a domain name, or addresses; domains in lower-case ASCII.
    pub fn senders(&mut self, section: &Section<'_>, key: &str) -> Vec<String> {
        let mut senders = Vec::new();
        for (at, text) in self.texts(section, key).unwrap_or_default() {
            match sender(&text) {
                Some(sender) => senders.push(sender),
                None => self.wrong(at, key, format!("`{text}` is neither a domain name nor an address")),
            }
        }
        senders
    }

    /// A table within.
    pub fn section<'s>(&mut self, section: &Section<'s>, key: &str) -> Option<Section<'s>> {
        let value = section.get(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(value.span(), key, format!("write `[{key}]` on a line of its own"));
            return None;
        };
        Some(Section { table: table.clone(), at: value.span() })
    }

    /// A list of tables.
    pub fn sections<'s>(&mut self, section: &Section<'s>, key: &str) -> Vec<Section<'s>> {
        let Some(value) = section.get(key) else {
            return Vec::new();
        };
        let list = value.get_ref().as_array();
        let tables = list.map(|list| {
            let tables = list.iter().map(|item| {
                let table = item.get_ref().as_table()?.clone();
                Some(Section { table, at: item.span() })
            });
            tables.collect::<Option<Vec<_>>>()
        });
        tables.flatten().unwrap_or_else(|| {
            self.wrong(value.span(), key, format!("write `[[{key}]]` on a line of its own"));
            Vec::new()
        })
    }
}

/// A domain name with at least two labels, in lower-case ASCII without a final dot.
fn domain(text: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii(text.strip_suffix('.').unwrap_or(text)).ok()?;
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    (ascii.len() <= 253 && ascii.contains('.') && ascii.split('.').all(label)).then_some(ascii)
}

/// A domain name or an address as it is compared.
fn sender(text: &str) -> Option<String> {
    let Some((local, of)) = text.trim().rsplit_once('@') else {
        return domain(text.trim());
    };
    let plain = local.chars().all(|character| !character.is_whitespace() && !"<>()[],;:\\\"@".contains(character));
    plain.then(|| Some(format!("{}@{}", local.to_lowercase(), domain(of)?))).flatten()
}

/// The one of `words` that `word` was probably meant to be.
pub(super) fn closest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let best = words.iter().map(|other| (distance(word, other), *other)).min()?;
    (best.0 <= 1 + word.chars().count() / 4).then_some(best.1)
}

/// Insertions, deletions and changes from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, letter) in a.chars().enumerate() {
        let mut corner = line;
        let mut left = line + 1;
        for (above, other) in row.iter_mut().skip(1).zip(&b) {
            let change = corner + usize::from(letter != *other);
            corner = *above;
            left = change.min(corner + 1).min(left + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
        assert_eq!(closest("own_domain", &["db", "own_domains"]), Some("own_domains"));
        assert_eq!(closest("colour", &["db", "own_domains"]), None);
    }

    #[test]
    fn senders() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(sender(text).as_deref(), expected, "{text}");
        check("FBL.example", Some("fbl.example"));
        check(" Staff@Hotmail.com ", Some("staff@hotmail.com"));
        check("@Bücher.example", Some("@xn--bcher-kva.example"));
        for text in ["staff", "staff@", "@", "a b@c.example", "<a@b.example>", "a@b@c.example", "a@b"] {
            check(text, None);
        }
    }

    #[test]
    fn domains() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(domain(text).as_deref(), expected, "{text}");
        check("Example.COM", Some("example.com"));
        check("example.com.", Some("example.com"));
        check("_dmarc.example.com", Some("_dmarc.example.com"));
        check("bücher.example", Some("xn--bcher-kva.example"));
        for text in ["example", "a..b", "-a.b", "a.b@c", "*.example.com", "exa mple.com", "http://a.b", "."] {
            check(text, None);
        }
    }
}
