//! Who decides: a label, a word about an address, trust in a sender.

use std::fs;

/// `--author`.
#[derive(Debug, clap::Args)]
pub(super) struct Author {
    /// Who says so [default: the user who runs this]
    #[arg(id = "author", long = "author", value_name = "NAME", default_value_t = user(), hide_default_value = true)]
    pub(super) name: String,
}

/// The user's name by the environment, or, where that is empty as under cron or in a container, by the number.
fn user() -> String {
    let said =
        ["USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok()).find(|name| !name.is_empty());
    said.unwrap_or_else(|| {
        let number = rustix::process::getuid().as_raw();
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        name_of(number, &users).map_or_else(|| format!("uid {number}"), str::to_owned)
    })
}

/// The name in a line of `passwd(5)`.
fn name_of(number: u32, users: &str) -> Option<&str> {
    let number = number.to_string();
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1) == Some(number.as_str())).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let users = "root:x:0:0:root:/root:/bin/bash\n:x:7:7::/:\nbroken\nmia:x:1000:1000:Mia:/home/mia:/bin/sh\n";
        let found = |number| name_of(number, users);
        assert_eq!((found(0), found(1000), found(7), found(1)), (Some("root"), Some("mia"), None, None));
    }
}
