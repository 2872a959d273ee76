//! Two to eight runs at once, some of them killed: one works, the others say that it does, and nothing is counted twice.

use std::process::{Child, Stdio};
use std::time::Duration;

use super::site::{ANY_USER, Delivered, Mail, Site, mixture};
use super::suite::{Random, Suite, Tried, scale};
use crate::support::dovecot::Dovecot;
use crate::support::run::Ran;

/// One round.
#[derive(Clone, Copy, Debug)]
struct Round {
    number: usize,
    runs: usize,
    /// Which of them is killed, and after how many milliseconds.
    killed: Option<(usize, u64)>,
}

fn rounds(count: usize) -> Vec<Round> {
    let mut random = Random::new(51);
    let mut round = |number| {
        let runs = 2 + number % 7;
        let victim = (random.below(runs), random.below(60) as u64);
        Round { number, runs, killed: (number % 2 == 1).then_some(victim) }
    };
    (0..count).map(&mut round).collect()
}

fn start(site: &Site<'_>) -> Child {
    site.command(&[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Ran {
    Ran::from(child.wait_with_output().unwrap())
}

/// Somebody looks at the same time.
fn look(site: &Site<'_>) -> Option<String> {
    let ran = Ran::from(site.place.command(&["summary", "--since", "all"]).output().unwrap());
    // Before the first run there is no database to look at.
    let fine = ran.status == Some(0) || ran.stderr.contains("nothing has been fetched yet");
    (!fine).then(|| format!("summary ended with {:?}: {}", ran.status, ran.stderr))
}

fn attempt(site: &Site<'_>, round: &Round) -> Tried {
    let mut children: Vec<Child> = (0..round.runs).map(|_| start(site)).collect();
    if let Some((victim, after)) = round.killed {
        std::thread::sleep(Duration::from_millis(after));
        let _ = children[victim].kill();
    }
    let mut wrong: Vec<String> = look(site).into_iter().collect();
    for (number, child) in children.into_iter().enumerate() {
        let ran = end(child);
        let victim = round.killed.is_some_and(|(victim, _)| victim == number);
        let fine = matches!(ran.status, Some(0 | 75))
            || ran.status == Some(site.clean_status())
            || ran.status.is_none() && victim;
        if !fine {
            wrong.push(format!("run {number} ended with {:?}: {}", ran.status, ran.stderr));
        }
    }
    wrong.extend(site.check(false));
    wrong.extend(site.recover());
    Tried::ReachedAll(round.runs as u64, wrong)
}

#[test]
fn two_to_eight_runs_at_once() {
    let mut suite = Suite::new("overlapping runs", "torture::overlap::two_to_eight_runs_at_once");
    let server = Dovecot::start_with(ANY_USER);
    let rounds = rounds(scale(8, 120));
    suite.each(
        1,
        &rounds,
        |round| format!("{round:?}"),
        |round| {
            let mut site = match round.number % 3 {
                0 => Site::files(),
                _ => Site::imap(&server, &format!("r{}", round.number), server.imap, "batch_messages = 3\n"),
            };
            site.deliver(mixture(""));
            site.deliver((0..30).map(|number| Delivered::report(&format!("n{number}"), 1 + number)).collect());
            let tried = attempt(&site, round);
            if let Mail::Imap { server, user } = &site.mail {
                server.forget_user(user);
            }
            tried
        },
    );
    suite.done(30, 400);
}
