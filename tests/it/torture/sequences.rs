//! The steps of [`super::model`] with the program itself and a real server: fewer sequences, the same promises.

use std::sync::{Arc, Mutex, Weak};

use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::connection::{ends_well, run};
use super::model::{Deed, Mishap, Step, step};
use super::relay::{Fault, From, Relay, Wrong};
use super::site::{ANY_USER, Delivered, Site, broken, letter};
use super::suite::{Suite, Tried, scale};
use crate::support::dovecot::Dovecot;

/// What is delivered: none of it contradicts another.
fn pool() -> Vec<Delivered> {
    vec![
        Delivered::report("a", 3),
        Delivered::other_copy("a", 3),
        Delivered::report("b", 5),
        Delivered::complaint("k"),
        Delivered::nothing(letter("l")),
        Delivered::nothing(broken("x")),
    ]
}

/// The mail of one user, and what became of it by other hands.
#[derive(Clone)]
struct Hands {
    /// A relay that is still at work must not keep the server alive.
    server: Weak<Dovecot>,
    user: String,
    pool: Arc<Vec<Delivered>>,
    came: Arc<Mutex<Vec<usize>>>,
    taken: Arc<Mutex<Vec<usize>>>,
}

impl Hands {
    fn server(&self) -> Arc<Dovecot> {
        self.server.upgrade().unwrap()
    }

    fn deliver(&self, content: usize) {
        let content = content % self.pool.len();
        // Told first: a program that is quick has it before this is over.
        self.came.lock().unwrap().push(content);
        self.server().deliver(&self.user, "INBOX", &self.pool[content].bytes);
    }

    fn act(&self, deed: Deed) {
        match deed {
            Deed::Deliver(content) => self.deliver(content),
            Deed::Expunge(index) => self.take(index, "STORE 1 +FLAGS.SILENT (\\Deleted)|EXPUNGE"),
            Deed::Archive(index) => self.take(index, "MOVE 1 Done"),
            Deed::BringBack(_) => drop(self.server().talk(&self.user, &["SELECT Done", "UID MOVE 1:* INBOX"])),
            Deed::Forget => self.server().forget_uids(&self.user, "INBOX"),
        }
    }

    /// Takes one message out of the inbox by `commands`, and notes which it was.
    fn take(&self, index: usize, commands: &str) {
        let said = self.server().talk(&self.user, &["SELECT INBOX"]);
        let exists = said.lines().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS")?.parse().ok());
        let exists: usize = exists.unwrap_or(0);
        if exists == 0 {
            return;
        }
        let number = (1 + index % exists).to_string();
        let fetch = format!("FETCH {number} (BODY.PEEK[HEADER])");
        let commands = commands.replacen(" 1 ", &format!(" {number} "), 1);
        let all: Vec<&str> = ["SELECT INBOX", &fetch].into_iter().chain(commands.split('|')).collect();
        let said = self.server().talk(&self.user, &all);
        let heads = |content: &Delivered| {
            let text = String::from_utf8_lossy(&content.bytes).into_owned();
            said.contains(&text[..text.find("\r\n\r\n").unwrap()])
        };
        // The first line tells copies apart: the header of one ends like that of the other.
        let found = self
            .pool
            .iter()
            .rposition(|content| heads(content) && said.contains("X-Copy") == content.bytes.starts_with(b"X-Copy"));
        self.taken.lock().unwrap().extend(found);
    }
}

fn play(server: &Arc<Dovecot>, user: &str, steps: &[Step]) -> Result<(), String> {
    let pool = Arc::new(pool());
    let hands = Hands {
        server: Arc::downgrade(server),
        user: user.to_owned(),
        pool: pool.clone(),
        came: Arc::default(),
        taken: Arc::default(),
    };
    let deed = Arc::new(Mutex::new(None::<Deed>));
    let act = {
        let (hands, deed) = (hands.clone(), deed.clone());
        move || {
            let deed = deed.lock().unwrap().take();
            deed.into_iter().for_each(|deed| hands.act(deed));
        }
    };
    let relay = Relay::start_with(server.imap, None, Some(Box::new(act)));
    let mut site = Site::imap(server, user, relay.port, "batch_messages = 2\n");
    server.create_folder(user, "Done");
    let look = |site: &mut Site<'_>, drained: bool| -> Result<(), String> {
        let bytes = |content: &usize| pool[*content].clone();
        site.delivered = hands.came.lock().unwrap().iter().map(bytes).collect();
        site.taken_away = hands.taken.lock().unwrap().iter().map(|content| bytes(content).bytes).collect();
        let wrong = if drained { site.recover() } else { site.check(false) };
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    };
    for (number, step) in steps.iter().enumerate() {
        let mut told = (Some(0), String::new());
        let mut wrong = Wrong::Cut;
        match step {
            Step::Deliver(content) | Step::Ingest(content) => hands.deliver(*content),
            Step::Others(deed) => hands.act(*deed),
            Step::Fetch(mishaps) => {
                if let Some((at, mishap)) = mishaps.first() {
                    let from_server = |wrong| Fault { wrong, from: From::Server, at: 300 + at * 350 };
                    let fault = match mishap {
                        Mishap::Kill | Mishap::Stop => from_server(Wrong::Kill),
                        Mishap::Others(what) => {
                            *deed.lock().unwrap() = Some(*what);
                            from_server(Wrong::Act)
                        }
                        _ => from_server(Wrong::Cut),
                    };
                    wrong = fault.wrong;
                    relay.arm(fault);
                }
                told = run(&site, &relay);
                relay.disarm();
            }
            Step::Retry | Step::Prune(_) => {
                let again = site.place.run(&["problems", "retry"]);
                let none = again.stderr.contains("nothing has been fetched");
                if !none && !matches!(again.status, Some(0 | 65)) {
                    return Err(format!("after step {number}: retry ended with {:?}: {}", again.status, again.stderr));
                }
            }
        }
        if !ends_well(told.0, wrong) {
            return Err(format!("after step {number}: status {:?}: {}", told.0, told.1));
        }
        look(&mut site, false).map_err(|why| format!("after step {number}: {why}"))?;
    }
    look(&mut site, true).map_err(|why| format!("at the end: {why}"))
}

fn explore(server: &Arc<Dovecot>, seed: u64, cases: u32) -> Vec<String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 100, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let number = std::sync::atomic::AtomicUsize::new(0);
    let tried = runner.run(&vec(step(), 1..16), |steps| {
        let user = format!("m{seed}x{}", number.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let played = play(server, &user, &steps);
        server.forget_user(&user);
        played.map_err(TestCaseError::fail)
    });
    match tried {
        Ok(()) => Vec::new(),
        Err(TestError::Fail(why, steps)) => vec![format!("{why}: {steps:?}")],
        Err(TestError::Abort(why)) => vec![format!("gave up: {why}")],
    }
}

#[test]
fn sequences_of_steps_on_a_real_server() {
    let test = "torture::sequences::sequences_of_steps_on_a_real_server";
    let mut suite = Suite::new("sequences on a real server", test);
    let server = Arc::new(Dovecot::start_with(ANY_USER));
    let cases: u32 = 3;
    let seeds: Vec<u64> = (0..scale(4, 100) as u64).collect();
    suite.each(
        4,
        &seeds,
        |seed| format!("seed {seed}"),
        |seed| Tried::ReachedAll(u64::from(cases), explore(&server, *seed, cases)),
    );
    suite.done(12, 300);
}
