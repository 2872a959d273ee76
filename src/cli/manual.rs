//! The command line as clap draws it up, with the text under each help made to flow.

use clap::{Command, CommandFactory};

use super::Cli;

/// The commands and options. What is written under the help of each is broken where the terminal needs it, as the rest is:
/// clap takes the line ends of source files for meant.
pub fn command() -> Command {
    flowing(Cli::command())
}

fn flowing(command: Command) -> Command {
    let text = command.get_after_long_help().map(|text| flow(&text.to_string()));
    let command = match text {
        Some(text) => command.after_long_help(text),
        None => command,
    };
    command.mut_subcommands(flowing)
}

/// Joins the lines of a paragraph. Lines that begin with a space are examples and stay as they are.
fn flow(text: &str) -> String {
    let mut flowed = String::with_capacity(text.len());
    let mut before = "";
    for line in text.lines() {
        if !flowed.is_empty() {
            let within = |line: &str| !line.is_empty() && !line.starts_with(' ');
            flowed.push(if within(before) && within(line) && !before.ends_with(':') { ' ' } else { '\n' });
        }
        flowed.push_str(line);
        before = line;
    }
    flowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_flow_and_examples_stay() {
        let check = |text: &str, flowed: &str| assert_eq!(flow(text), flowed);
        check("", "");
        check("One\ntwo\n\nthree\nfour", "One two\n\nthree four");
        check("Say:\n  dmarcdb\n  dmarcdb -v\nand\nso on", "Say:\n  dmarcdb\n  dmarcdb -v\nand so on");
        check("Examples:\nFirst\nsecond", "Examples:\nFirst second");
    }
}
