//! The `tag=value;` lists that DKIM, DMARC, TLS-RPT and MTA-STS records are (RFC 6376, section 3.2).

/// The tags of a record in order, names in lower case, values trimmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// Name and value.
    pub list: Vec<(String, String)>,
    /// Pieces without `=` or without a name.
    pub broken: Vec<String>,
}

impl Tags {
    /// Reads a record.
    pub fn read(record: &str) -> Tags {
        let mut tags = Tags::default();
        for piece in record.split(';').map(str::trim).filter(|piece| !piece.is_empty()) {
            match piece.split_once('=') {
                Some((name, value)) if !name.trim().is_empty() => {
                    tags.list.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
                }
                _ => tags.broken.push(piece.to_owned()),
            }
        }
        tags
    }

    /// The first value of a tag.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.list.iter().find(|(tag, _)| tag == name).map(|(_, value)| value.as_str())
    }

    /// Tags that are there more than once.
    pub fn repeated(&self) -> Vec<&str> {
        let mut repeated: Vec<&str> = Vec::new();
        for (index, (name, _)) in self.list.iter().enumerate() {
            let before = self.list.iter().take(index).any(|(tag, _)| tag == name);
            if before && !repeated.contains(&name.as_str()) {
                repeated.push(name);
            }
        }
        repeated
    }

    /// Whether the record begins with `v=` and this version, as every such record must.
    pub fn begins_with(&self, version: &str) -> bool {
        self.list.first().is_some_and(|(name, value)| name == "v" && value == version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_tags() {
        let tags = Tags::read(" v = DMARC1 ; P=none;; rua=mailto:a@b.example?x=y; oops ; =1; p=reject;");
        assert!(tags.begins_with("DMARC1"));
        assert_eq!(tags.get("p"), Some("none"));
        assert_eq!(tags.get("rua"), Some("mailto:a@b.example?x=y"));
        assert_eq!(tags.broken, ["oops", "=1"]);
        assert_eq!(tags.repeated(), ["p"]);
        assert!(!Tags::read("p=none; v=DMARC1").begins_with("DMARC1"));
        assert!(!Tags::read("").begins_with("DMARC1"));
    }
}
