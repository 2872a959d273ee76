//! One address a line, each once, sorted: what most programs read.

use super::{Format, List, Removal, Same, line};

/// The address as it is spelled, whatever scopes it is suppressed for.
pub const FORMAT: Format = Format {
    name: "plain",
    about: "one address per line",
    extension: "txt",
    lists: &[List::lines("", line)],
    list: |_| 0,
    same: Same::Address,
    sheet: false,
    marks_pending: false,
    removal: Removal::Listed(List::lines("remove", line)),
};
