//! Digests of addresses, as providers put them in an address' place. What they are of no provider tells, so all forms that
//! are known to be used are tried.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::report::address::Address;

/// What a digest is of, and how it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Form {
    of: Of,
    by: By,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Local,
    Address,
    Folded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Md5,
    Sha1,
    Sha256,
}

impl Form {
    /// The form in words.
    pub fn as_str(self) -> &'static str {
        match (self.by, self.of) {
            (By::Md5, Of::Local) => "MD5 of the local part",
            (By::Md5, Of::Address) => "MD5 of the address",
            (By::Md5, Of::Folded) => "MD5 of the address in lower case",
            (By::Sha1, Of::Local) => "SHA-1 of the local part",
            (By::Sha1, Of::Address) => "SHA-1 of the address",
            (By::Sha1, Of::Folded) => "SHA-1 of the address in lower case",
            (By::Sha256, Of::Local) => "SHA-256 of the local part",
            (By::Sha256, Of::Address) => "SHA-256 of the address",
            (By::Sha256, Of::Folded) => "SHA-256 of the address in lower case",
        }
    }

    /// Whether it is of the local part alone, which many addresses have in common.
    pub fn is_of_local_part(self) -> bool {
        self.of == Of::Local
    }
}

/// Whether a text can be one of these digests: 32, 40 or 64 hexadecimal digits.
pub fn is_hex(text: &str) -> bool {
    matches!(text.len(), 32 | 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Hands out every digest of an address in lower-case hexadecimal digits, each with its form.
pub fn each(address: &Address, take: &mut dyn FnMut(&str, Form)) {
    let canonical = address.canonical();
    let folded = canonical.to_lowercase();
    let mut texts = vec![(Of::Local, address.local.as_str()), (Of::Address, canonical.as_str())];
    if folded != canonical {
        texts.push((Of::Folded, folded.as_str()));
    }
    for (of, text) in texts {
        take(&hex(&Md5::digest(text)), Form { of, by: By::Md5 });
        take(&hex(&Sha1::digest(text)), Form { of, by: By::Sha1 });
        take(&hex(&Sha256::digest(text)), Form { of, by: By::Sha256 });
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_an_address() {
        let address = Address::parse("Bob@Example.com").expect("an address");
        let mut found = Vec::new();
        each(&address, &mut |digest, form| found.push((digest.to_owned(), form.as_str())));
        assert_eq!(found.len(), 9);
        assert!(found.iter().all(|(digest, _)| is_hex(digest)));
        let has = |digest: &str, form: &str| assert!(found.contains(&(digest.to_owned(), leak(form))), "{form}");
        // `printf %s Bob | md5sum`, `printf %s bob@example.com | md5sum`, and the like.
        has("2fc1c0beb992cd7096975cfebf9d5c3b", "MD5 of the local part");
        has("4b9bb80620f03eb3719e0a061c14283d", "MD5 of the address in lower case");
        has("5ff860bf1190596c7188ab851db691f0f3169c453936e9e1eba2f9a47f7a0018", "SHA-256 of the address in lower case");
    }

    fn leak(text: &str) -> &'static str {
        Box::leak(text.to_owned().into_boxed_str())
    }

    #[test]
    fn what_can_be_a_digest() {
        for (text, expected) in [("d41d8cd98f00b204e9800998ecf8427e", true), ("", false), ("bob", false)] {
            assert_eq!(is_hex(text), expected, "{text}");
        }
        assert!(!is_hex(&"g".repeat(32)));
    }
}
