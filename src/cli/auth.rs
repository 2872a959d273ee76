//! `dmarcdb auth`: a person logs in once, so that `fetch` gets its tokens from then on.

use std::io::{self, Write};

use super::login::Door;
use super::{Context, Error, Status};
use crate::config::{Config, Flow, Login};
use crate::oauth::Prompt;
use crate::render::sanitize::Untrusted;
use crate::source::Stop;

/// Options of `dmarcdb auth`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
For accounts with `auth = \"xoauth2\"` or `auth = \"oauthbearer\"` and a section [account.oauth]. The address and the code \
that are printed can be opened on any device. With a browser login (Google) the browser comes back to this machine; when it \
runs on another one, paste the address that it ends at, and press Enter.

Run it as the user that runs `fetch`: the login is kept in a file that only this user may read.")]
pub struct Args {
    /// The account's name in the configuration
    account: String,
    /// Log in by a browser although the provider has a login for other devices
    #[arg(long)]
    browser: bool,
}

/// Runs the command.
///
/// # Errors
/// 77 when the login is refused; 75 when nobody confirms it in time; 78 for the configuration.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let config = context.config()?;
    let wrong = |text: String| Error::new(Status::Configuration, format_args!("account `{}`: {text}", args.account));
    let account = find(&config, &args.account)?;
    let Login::OAuth { oauth, .. } = &account.login else {
        return Err(wrong("it logs in with a password: there is nothing to do".into()));
    };
    if oauth.flow == Flow::ClientCredentials {
        return Err(wrong("`flow = \"client_credentials\"` needs no person's login".into()));
    }
    let door = Door::new(&config, account, Stop::default());
    let client = door.client(oauth)?;
    let by_browser = args.browser || oauth.device_url.is_none();
    let done = match (&oauth.device_url, &oauth.auth_url) {
        (_, Some(url)) if by_browser => client.log_in_by_browser(url, io::stdin(), show),
        (Some(url), _) if !by_browser => client.log_in_by_device(url, show),
        _ => return Err(wrong("neither `device_url` nor `auth_url` says where to log in".into())),
    };
    done.map_err(|error| door.oauth_error(error))?;
    context.note(format_args!(
        "account `{}`: logged in; the login is kept in {}",
        account.name,
        oauth.token_file.display()
    ));
    Ok(Status::Ok)
}

fn find<'a>(config: &'a Config, name: &str) -> Result<&'a crate::config::Account, Error> {
    config.accounts.iter().find(|account| account.name == name).ok_or_else(|| {
        let known: Vec<&str> = config.accounts.iter().map(|account| account.name.as_str()).collect();
        let known = if known.is_empty() { "no account at all".into() } else { known.join(", ") };
        Error::new(Status::Usage, format_args!("{name}: no account of this name; there is {known}"))
    })
}

fn show(prompt: &Prompt) {
    let mut out = io::stdout().lock();
    let minutes = prompt.lasts.as_secs().div_ceil(60);
    let _ = match &prompt.code {
        Some(code) => writeln!(out, "Open  {}\nEnter {}", Untrusted(&prompt.address), Untrusted(code)),
        None => writeln!(out, "Open  {}", Untrusted(&prompt.address)),
    };
    let _ = writeln!(out, "There are {minutes} minutes for it.");
    let _ = out.flush();
}
