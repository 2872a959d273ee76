//! Mandrill (Mailchimp Transactional), rejection denylist: a text file with one address a line.

use super::{Format, List, Removal, Same, line};

/// For "Import Addresses From File". Entries added so never expire.
pub const FORMAT: Format = Format {
    name: "mandrill",
    about: "Mandrill (Mailchimp Transactional) denylist: one address per line, to import from file",
    extension: "txt",
    lists: &[List::lines("", line)],
    list: |_| 0,
    same: Same::Address,
    sheet: false,
    marks_pending: false,
    removal: Removal::Listed(List::lines("remove", line)),
};
