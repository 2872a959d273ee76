//! Networks, their owners and countries out of files in the MaxMind format that the user has. Whoever makes such files has
//! his own names for things; those of MaxMind, DB-IP, IPinfo and of files made of iptoasn's tables are known.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use maxminddb::Reader;
use serde_json::Value;

/// Bytes of a file, at most: the largest of the free ones has a tenth.
const FILE: u64 = 2 << 30;
/// Characters of an owner's name that are kept, at most.
const OWNER: usize = 255;

/// Where an address belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The smallest prefix that a file has about it.
    pub network: Option<String>,
    /// Number of the autonomous system.
    pub asn: Option<u32>,
    /// Who runs that.
    pub as_owner: Option<String>,
    /// Two letters (ISO 3166).
    pub country: Option<String>,
}

/// The files, read into memory.
#[derive(Default)]
pub struct Networks {
    files: Vec<(PathBuf, Reader<Vec<u8>>)>,
}

impl std::fmt::Debug for Networks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.files.iter().map(|(path, _)| path)).finish()
    }
}

impl Networks {
    /// Reads the files.
    ///
    /// # Errors
    /// Text for people, with the file's name.
    pub fn open(paths: &[PathBuf]) -> Result<Networks, String> {
        let files = paths.iter().map(|path| open(path).map_err(|text| format!("{}: {text}", path.display())));
        Ok(Networks { files: files.collect::<Result<_, _>>()? })
    }

    /// What the files say of an address; what is missing in the first is taken from the next.
    pub fn of(&self, ip: IpAddr) -> Network {
        let mut found = Network::default();
        for (_, reader) in &self.files {
            let Ok(entry) = reader.lookup(ip) else { continue };
            let Ok(Some(value)) = entry.decode::<Value>() else { continue };
            let of_this = read(&value);
            if of_this == Network::default() {
                continue;
            }
            found.network = found.network.or_else(|| entry.network().ok().map(|network| network.to_string()));
            found.as_owner = found.as_owner.or(of_this.as_owner);
            found.asn = found.asn.or(of_this.asn);
            found.country = found.country.or(of_this.country);
        }
        found
    }
}

fn open(path: &Path) -> Result<(PathBuf, Reader<Vec<u8>>), String> {
    let bytes = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if bytes > FILE {
        return Err(format!("too large: {bytes} bytes, at most {FILE} are read"));
    }
    let reader = Reader::open_readfile(path).map_err(|error| format!("not a file in the MaxMind format: {error}"))?;
    Ok((path.to_owned(), reader))
}

/// What one entry says, whoever made the file.
fn read(value: &Value) -> Network {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    let first = |pointers: &[&str]| pointers.iter().find_map(|pointer| text(pointer));
    // MaxMind, DB-IP and what is made of iptoasn: a number; IPinfo: "AS15169".
    let number = |pointer: &&str| {
        let value = value.pointer(pointer)?;
        let spelled = || value.as_str()?.trim_start_matches(['A', 'S', 'a', 's']).parse().ok();
        value.as_u64().map_or_else(spelled, |number| u32::try_from(number).ok())
    };
    let asn = ["/autonomous_system_number", "/traits/autonomous_system_number", "/asn", "/as_number"];
    let owner = first(&[
        "/autonomous_system_organization",
        "/traits/autonomous_system_organization",
        "/as_name",
        "/as_organization",
        "/as_description",
    ]);
    let country = first(&["/country/iso_code", "/country_code", "/registered_country/iso_code", "/country"]);
    let two_letters = |code: &&str| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    Network {
        network: None,
        asn: asn.iter().find_map(number),
        as_owner: owner.map(|owner| owner.chars().take(OWNER).collect()),
        country: country.filter(two_letters).map(str::to_ascii_uppercase),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_all_makers() {
        let check = |json: &str, asn: Option<u32>, owner: Option<&str>, country: Option<&str>| {
            let found = read(&serde_json::from_str(json).unwrap());
            assert_eq!(
                (found.asn, found.as_owner.as_deref(), found.country.as_deref()),
                (asn, owner, country),
                "{json}"
            );
        };
        check(
            r#"{"autonomous_system_number":15169,"autonomous_system_organization":"Google LLC"}"#,
            Some(15169),
            Some("Google LLC"),
            None,
        );
        check(
            r#"{"asn":"AS15169","as_name":"Google LLC","as_domain":"google.com","country":"United States","country_code":"US"}"#,
            Some(15169),
            Some("Google LLC"),
            Some("US"),
        );
        check(r#"{"country":{"iso_code":"DE","names":{"en":"Germany"}}}"#, None, None, Some("DE"));
        check(r#"{"country":"de","asn":"junk"}"#, None, None, Some("DE"));
        check(r#"{"country":"Germany"}"#, None, None, None);
        check(r#"{"autonomous_system_number":99999999999}"#, None, None, None);
        check(r#"{"asn":64500,"as_description":"EXAMPLE"}"#, Some(64_500), Some("EXAMPLE"), None);
        check("[]", None, None, None);
    }

    #[test]
    fn files_that_are_none() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.mmdb");
        assert!(Networks::open(std::slice::from_ref(&path)).unwrap_err().contains("a.mmdb: "));
        std::fs::write(&path, "no database").unwrap();
        assert!(Networks::open(&[path]).unwrap_err().contains("not a file in the MaxMind format"));
        assert_eq!(Networks::default().of("192.0.2.1".parse().unwrap()), Network::default());
    }
}
