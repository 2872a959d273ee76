//! SHA-256 of each address in lower case, 64 hexadecimal digits a line: for partners who may compare, not read.

use sha2::{Digest, Sha256};

use super::{Format, List, Refused, Removal, Row, Same, hexadecimal};

/// The address is trimmed and in lower case before it is hashed. Lines are in the order of the addresses.
pub const FORMAT: Format = Format {
    name: "sha256",
    about: "SHA-256 of the address in lower case, one per line",
    extension: "txt",
    lists: &[List::lines("", row)],
    list: |_| 0,
    same: Same::Folded,
    sheet: false,
    marks_pending: false,
    removal: Removal::Listed(List::lines("remove", row)),
};

fn row(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    hexadecimal(&Sha256::digest(row.address.trim().as_bytes()), out);
    out.push(b'\n');
    Ok(())
}
