//! What the socket, the guard and the session share about one connection: how much time and how many bytes the
//! current command has left, and what the server said that the protocol library does not hand on.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::account::{Secret, Timeouts};
use crate::source::{ErrorKind, Stop};

/// Which untagged data a command asks for. All other data is of no use here and is dropped by the guard, because
/// servers may send it at any time and the protocol library takes some of it badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// None: the tagged line is all that matters.
    Nothing,
    /// Continuation requests (AUTHENTICATE).
    Challenge,
    /// `CAPABILITY`.
    Capability,
    /// `EXISTS`, beside the response codes.
    Select,
    /// `LIST`.
    List,
    /// `SEARCH`.
    Search,
    /// `FETCH` without bodies: those that are sent all the same are taken out.
    Sizes,
    /// `FETCH`.
    Fetch,
    /// Continuation requests, and `EXISTS` whenever a message comes (IDLE, RFC 2177).
    Idle,
}

/// What a command may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Which data it is about.
    pub expect: Expect,
    /// Bytes of the whole answer, at most.
    pub bytes: u64,
    /// Bytes that are likely, for which the server gets more time.
    pub likely: u64,
    /// The largest literal.
    pub literal: u64,
}

impl Budget {
    /// For a command whose answer is a few lines.
    pub fn small(expect: Expect) -> Self {
        Budget { expect, bytes: 2 << 20, likely: 0, literal: 64 << 10 }
    }
}

/// The status lines of an answer: OK, NO or BAD, a response code such as `UNAVAILABLE`, and text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The first word within `[…]`, in upper case.
    pub code: Option<String>,
    /// The line after its status word, made readable and shortened.
    pub text: String,
}

/// Why the stream was given up, decided where it was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub kind: ErrorKind,
    pub reason: String,
}

/// Untagged lines of one answer, at most.
pub(super) const LINES: u32 = 200_000;
/// Alerts remembered, at most.
const ALERTS: usize = 20;
/// How long a server may stay silent after `BYE`.
const AFTER_BYE: Duration = Duration::from_secs(5);
/// Once it is time to stop: how long the command under way may still take, a command after that, and all of it.
const STOP_NOW: Duration = Duration::from_millis(1500);
const STOP_STEP: Duration = Duration::from_secs(1);
const STOP_ALL: Duration = Duration::from_millis(3500);
/// What is said of a run that was stopped.
pub(super) const STOPPED: &str = "stopped by a signal";

#[derive(Debug)]
struct State {
    timeouts: Timeouts,
    run_until: Instant,
    command_until: Instant,
    stop: Stop,
    /// Since when it is time to stop, and until when the next answer must be there.
    stopping: Option<(Instant, Instant)>,
    /// Until when to wait for news in an IDLE, where nothing else ends the wait.
    idle_until: Option<Instant>,
    /// Whether the server told of messages that nobody had asked for.
    news: bool,
    veil: u8,
    budget: Budget,
    bytes: u64,
    lines: u32,
    fault: Option<Fault>,
    bye: Option<Said>,
    alerts: VecDeque<String>,
    codes: Vec<String>,
    tagged: Option<Said>,
    capabilities: Option<Vec<String>>,
    namespace: Option<String>,
    /// What must not be shown, in every spelling in which it is sent.
    secrets: Vec<Secret>,
}

impl State {
    fn end_idle(&mut self) {
        if self.idle_until.take().is_some() {
            let until = Instant::now() + self.timeouts.command;
            self.command_until = until;
            self.run_until = self.run_until.max(until);
        }
    }

    fn clean(&self, text: String) -> String {
        let secrets = self.secrets.iter().map(Secret::expose).filter(|secret| !secret.is_empty());
        secrets.fold(text, |text, secret| text.replace(secret, "…"))
    }
}

/// A handle to the state of one connection.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<Mutex<State>>);

impl Watch {
    /// A new connection that must be done at `run_until`, and soon after `stop` is set.
    pub fn new(timeouts: Timeouts, run_until: Instant, stop: Stop) -> Self {
        Watch(Arc::new(Mutex::new(State {
            timeouts,
            run_until,
            command_until: Instant::now() + timeouts.connect,
            stop,
            stopping: None,
            idle_until: None,
            news: false,
            veil: RandomState::new().build_hasher().finish() as u8 | 0x80,
            budget: Budget::small(Expect::Nothing),
            bytes: 0,
            lines: 0,
            fault: None,
            bye: None,
            alerts: VecDeque::new(),
            codes: Vec::new(),
            tagged: None,
            capabilities: None,
            namespace: None,
            secrets: Vec::new(),
        })))
    }

    /// Keeps these out of all that is reported: some servers repeat what they refuse.
    pub fn hide(&self, secrets: Vec<Secret>) {
        self.state().secrets = secrets;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new command: counters start again, and its deadline is set from what it may bring.
    pub fn begin(&self, budget: Budget) {
        let mut state = self.state();
        let allowance = state.timeouts.command + Duration::from_secs(budget.likely >> 16);
        state.command_until = Instant::now() + allowance;
        state.budget = budget;
        state.bytes = 0;
        state.lines = 0;
        state.codes.clear();
        state.tagged = None;
    }

    /// Sets the deadline of the current step from now, whatever it may bring.
    pub fn within(&self, time: Duration) {
        self.state().command_until = Instant::now() + time;
    }

    /// How much longer a read or write may wait that has waited since `since`.
    ///
    /// # Errors
    /// When no time is left; the reason is recorded, but at the end of an IDLE, which is none.
    pub fn time_left(&self, since: Instant) -> io::Result<Duration> {
        let now = Instant::now();
        let mut state = self.state();
        if state.stop.is_set() && state.stopping.is_none() {
            state.stopping = Some((now, now + STOP_NOW));
        }
        if let Some(until) = state.idle_until {
            let until = if state.stopping.is_some() { now } else { until };
            return match until.checked_duration_since(now) {
                Some(left) if left >= MOMENT => Ok(left),
                _ => {
                    state.end_idle();
                    Err(io::ErrorKind::TimedOut.into())
                }
            };
        }
        let mut until = state.command_until.min(state.run_until).min(since + state.timeouts.silence);
        if let Some((_, stop_until)) = state.stopping {
            until = until.min(stop_until);
        }
        match until.checked_duration_since(now) {
            Some(left) if left >= MOMENT => Ok(left),
            _ => {
                drop(state);
                Err(self.timed_out())
            }
        }
    }

    /// Waits for news from now on for at most `time`, without any other limit on silence.
    pub fn idle(&self, time: Duration) {
        self.state().idle_until = Some(Instant::now() + time);
    }

    /// The wait for news is over: the server has the time of a command to take note.
    pub fn end_idle(&self) {
        self.state().end_idle();
    }

    /// What stands for a line end in bodies on this connection.
    pub fn veil(&self) -> u8 {
        self.state().veil
    }

    /// The server told of new messages.
    pub fn tell_news(&self) {
        self.state().news = true;
    }

    /// Whether the server told of new messages since last asked.
    pub fn take_news(&self) -> bool {
        std::mem::take(&mut self.state().news)
    }

    /// Whether it is time to stop.
    pub fn is_stopping(&self) -> bool {
        let mut state = self.state();
        let stop = state.stop.is_set();
        if stop && state.stopping.is_none() {
            let now = Instant::now();
            state.stopping = Some((now, now + STOP_NOW));
        }
        stop
    }

    /// Allows another brief command when it is time to stop: to settle what is kept, or to take leave.
    pub fn grant_step(&self) {
        let mut state = self.state();
        if let Some((since, _)) = state.stopping {
            state.stopping = Some((since, (Instant::now() + STOP_STEP).min(since + STOP_ALL)));
        }
    }

    /// A read or write ran into its time limit: records which, and makes the error.
    fn timed_out(&self) -> io::Error {
        let now = Instant::now();
        let state = self.state();
        let soon = now + MOMENT;
        let reason = if state.stopping.is_some_and(|(_, until)| soon >= until) {
            STOPPED.to_owned()
        } else if state.bye.is_some() {
            "the server said BYE and went silent".to_owned()
        } else if soon >= state.run_until {
            out_of_time(state.timeouts.run)
        } else if soon >= state.command_until {
            "the server took too long for its answer".to_owned()
        } else {
            format!("no data from the server for {}", seconds(state.timeouts.silence))
        };
        drop(state);
        self.fail(ErrorKind::Temporary, reason, io::ErrorKind::TimedOut)
    }

    /// A run of its own begins on this connection.
    pub fn run_until(&self, until: Instant) {
        self.state().run_until = until;
    }

    /// `text` without what must not be shown.
    pub fn clean(&self, text: String) -> String {
        self.state().clean(text)
    }

    /// Lets the run go on for `time` from now at least.
    pub fn grant(&self, time: Duration) {
        let mut state = self.state();
        state.run_until = state.run_until.max(Instant::now() + time);
    }

    /// Gives the stream up: the first reason counts.
    pub fn fail(&self, kind: ErrorKind, reason: String, io: io::ErrorKind) -> io::Error {
        let mut state = self.state();
        let reason = state.clean(reason);
        let fault = state.fault.get_or_insert(Fault { kind, reason });
        io::Error::new(io, fault.reason.clone())
    }

    /// The server broke the protocol or a bound.
    pub fn violation(&self, reason: String) -> io::Error {
        self.fail(ErrorKind::Protocol, reason, io::ErrorKind::InvalidData)
    }

    /// Counts bytes from the server against the command's budget.
    pub fn count_bytes(&self, count: usize) -> io::Result<()> {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_add(count as u64);
        let bound = state.budget.bytes;
        if state.bytes <= bound {
            return Ok(());
        }
        drop(state);
        Err(self.violation(format!("the server's answer is larger than {bound} bytes")))
    }

    /// Counts a line from the server.
    pub fn count_line(&self) -> io::Result<()> {
        let mut state = self.state();
        state.lines += 1;
        if state.lines <= LINES {
            return Ok(());
        }
        drop(state);
        Err(self.violation(format!("the server's answer has more than {LINES} lines")))
    }

    /// What the current command may take.
    pub fn budget(&self) -> Budget {
        self.state().budget
    }

    /// An untagged NO or BAD, or an alert.
    pub fn alert(&self, said: &Said) {
        let mut state = self.state();
        if state.alerts.len() == ALERTS {
            state.alerts.pop_front();
        }
        let text = state.clean(said.text.clone());
        state.alerts.push_back(text);
    }

    /// A response code on any line.
    pub fn saw(&self, said: &Said) {
        if let Some(code) = &said.code {
            let mut state = self.state();
            if state.codes.len() < ALERTS {
                state.codes.push(code.clone());
            }
        }
    }

    /// `BYE`: whatever follows must come soon.
    pub fn bye(&self, said: Said) {
        let mut state = self.state();
        let soon = Instant::now() + AFTER_BYE;
        state.command_until = state.command_until.min(soon);
        state.idle_until = state.idle_until.map(|until| until.min(soon));
        state.bye = Some(Said { text: state.clean(said.text), ..said });
    }

    /// The tagged line that ends an answer.
    pub fn tagged(&self, said: Said) {
        let mut state = self.state();
        state.tagged = Some(Said { text: state.clean(said.text), ..said });
    }

    /// What the server can do, told unasked: in its greeting, or when the login is done (RFC 9051, section 7.1).
    pub fn capabilities(&self, words: Vec<String>) {
        self.state().capabilities = Some(words);
    }

    /// Takes what the server told of what it can do.
    pub fn take_capabilities(&self) -> Option<Vec<String>> {
        self.state().capabilities.take()
    }

    /// The `NAMESPACE` data (RFC 2342).
    pub fn namespace(&self, line: String) {
        self.state().namespace = Some(line);
    }

    /// Whether any line of the current answer bore this code.
    pub fn has_seen(&self, code: &str) -> bool {
        self.state().codes.iter().any(|seen| seen == code)
    }

    /// Takes the tagged line of the last answer.
    pub fn take_tagged(&self) -> Option<Said> {
        self.state().tagged.take()
    }

    /// Takes the `NAMESPACE` data.
    pub fn take_namespace(&self) -> Option<String> {
        self.state().namespace.take()
    }

    /// Why the stream was given up, if it was.
    pub fn fault(&self) -> Option<Fault> {
        self.state().fault.clone()
    }

    /// What the server said goodbye with, if it did.
    pub fn said_bye(&self) -> Option<Said> {
        self.state().bye.clone()
    }

    /// Takes what the server wanted people to see.
    pub fn take_alerts(&self) -> Vec<String> {
        self.state().alerts.drain(..).collect()
    }
}

/// Less than this is no time.
const MOMENT: Duration = Duration::from_millis(1);

/// The reason when the time for a run is over.
pub(super) fn out_of_time(run: Duration) -> String {
    format!("the {} for one run are over; the next run goes on from here", seconds(run))
}

fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        whole => format!("{whole} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(run: Duration, command: Duration) -> Watch {
        let timeouts = Timeouts { command, run, ..Timeouts::default() };
        let watch = Watch::new(timeouts, Instant::now() + run, Stop::default());
        watch.begin(Budget { bytes: 0, ..Budget::small(Expect::Nothing) });
        watch
    }

    #[test]
    fn the_nearest_deadline_counts() {
        let hour = Duration::from_secs(3600);
        let check = |run, command, word: &str| {
            let error = watch(run, command).time_left(Instant::now()).expect_err(word);
            assert!(error.to_string().contains(word), "{error}");
        };
        check(Duration::ZERO, hour, "one run");
        check(hour, Duration::ZERO, "too long");
        let silence = Timeouts::default().silence;
        let left = watch(hour, hour).time_left(Instant::now()).expect("time is left");
        assert!(left <= silence && left > silence - Duration::from_secs(5));
        assert!(watch(hour, Duration::from_secs(5)).time_left(Instant::now()).unwrap() <= Duration::from_secs(5));
        let long_ago = Instant::now() - silence;
        let error = watch(hour, hour).time_left(long_ago).unwrap_err();
        assert!(error.to_string().contains("no data from the server for 60 s"), "{error}");
    }

    #[test]
    fn a_stop_leaves_a_moment_and_no_more() {
        let hour = Duration::from_secs(3600);
        let watch = watch(hour, hour);
        let stop = watch.state().stop.clone();
        assert!(!watch.is_stopping());
        stop.set();
        assert!(watch.time_left(Instant::now()).unwrap() <= STOP_NOW);
        watch.state().stopping = Some((Instant::now() - STOP_NOW, Instant::now()));
        let error = watch.time_left(Instant::now()).unwrap_err();
        assert!(error.to_string().contains(STOPPED), "{error}");
        watch.grant_step();
        assert!(watch.time_left(Instant::now()).unwrap() <= STOP_STEP);
        watch.state().stopping = Some((Instant::now() - STOP_ALL, Instant::now()));
        watch.grant_step();
        assert!(watch.time_left(Instant::now()).is_err(), "all steps together are bounded");
        assert!(stop.looks() > 0);
    }

    #[test]
    fn an_idle_ends_without_a_fault() {
        let hour = Duration::from_secs(3600);
        let watch = watch(Duration::ZERO, hour);
        watch.idle(hour);
        let long_ago = Instant::now() - Timeouts::default().silence;
        assert!(watch.time_left(long_ago).unwrap() > Duration::from_secs(3000), "only its own limit counts");
        watch.bye(Said { code: None, text: "gone".into() });
        assert!(watch.time_left(long_ago).unwrap() <= AFTER_BYE);
        watch.idle(Duration::ZERO);
        assert_eq!(watch.time_left(long_ago).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(watch.fault(), None);
        assert!(watch.time_left(Instant::now()).is_ok(), "there is time to end it");
        watch.idle(hour);
        watch.state().stop.set();
        assert!(watch.time_left(Instant::now()).is_err());
        assert_eq!(watch.fault(), None);
    }

    #[test]
    fn the_first_fault_counts() {
        let watch = watch(Duration::from_secs(9), Duration::from_secs(9));
        watch.violation("first".into());
        watch.fail(ErrorKind::Temporary, "second".into(), io::ErrorKind::Other);
        let fault = watch.fault().unwrap();
        assert_eq!((fault.kind, fault.reason.as_str()), (ErrorKind::Protocol, "first"));
    }

    #[test]
    fn bytes_and_lines_are_bounded() {
        let watch = watch(Duration::from_secs(9), Duration::from_secs(9));
        watch.begin(Budget { bytes: 10, ..Budget::small(Expect::Nothing) });
        assert!(watch.count_bytes(10).is_ok());
        assert!(watch.count_bytes(1).is_err());
        for _ in 0..LINES {
            watch.count_line().unwrap();
        }
        assert!(watch.count_line().is_err());
        watch.begin(Budget { bytes: 10, ..Budget::small(Expect::Nothing) });
        assert!(watch.count_bytes(10).is_ok() && watch.count_line().is_ok());
    }
}
