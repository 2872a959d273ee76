//! A suite of points: tried in parallel, counted, and told in one line.

use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

/// Whether all points are to be tried.
pub fn full() -> bool {
    std::env::var("DMARCDB_TORTURE").is_ok_and(|value| value == "full")
}

/// All of `points` in the full form, else `short` of them, the same in every run.
pub fn sample<T>(mut points: Vec<T>, short: usize, seed: u64) -> Vec<T> {
    if full() || points.len() <= short {
        return points;
    }
    let mut random = Random::new(seed);
    let mut chosen = Vec::with_capacity(short);
    for _ in 0..short {
        let at = random.below(points.len());
        chosen.push(points.swap_remove(at));
    }
    chosen
}

/// `short`, or `all` in the full form.
pub fn scale(short: usize, all: usize) -> usize {
    if full() { all } else { short }
}

/// Numbers that look random and are the same in every run (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}

/// What came of one point.
pub enum Tried {
    /// It was reached; these invariants were violated.
    Reached(Vec<String>),
    /// The same, where it was so many points at once.
    ReachedAll(u64, Vec<String>),
    /// The fault did not come to pass, so nothing was tried.
    NotReached,
}

/// A suite under way.
pub struct Suite {
    name: &'static str,
    /// The name of the test, to run it again.
    test: &'static str,
    started: Instant,
    told: Instant,
    points: u64,
    violations: Vec<String>,
    note: String,
}

impl Suite {
    /// A suite that is called `name` in the table and is the test `test`.
    pub fn new(name: &'static str, test: &'static str) -> Suite {
        Suite {
            name,
            test,
            started: Instant::now(),
            told: Instant::now(),
            points: 0,
            violations: Vec::new(),
            note: String::new(),
        }
    }

    /// So many points under one label, with their violations.
    pub fn points(&mut self, label: &str, points: u64, violations: Vec<String>) {
        self.points += points;
        let form = if full() { "DMARCDB_TORTURE=full " } else { "" };
        let test = self.test;
        self.violations.extend(violations.into_iter().map(|violation| {
            let again = format!("{form}DMARCDB_TORTURE_ONLY='{label}' cargo test --test it {test}");
            let violation = format!("{label}: {violation}\n    again: {again}");
            println!("torture: {}: VIOLATION {violation}", self.name);
            violation
        }));
        if full() && self.told.elapsed().as_secs() >= 60 {
            self.told = Instant::now();
            println!("torture: {}: {} points, {} violations so far", self.name, self.points, self.violations.len());
        }
    }

    /// Something to tell beside the counts.
    pub fn note(&mut self, note: String) {
        self.note = note;
    }

    /// Tries every point, `workers` at a time: all, or those that `DMARCDB_TORTURE_ONLY` names by their label.
    pub fn each<T: Sync>(
        &mut self,
        workers: usize,
        points: &[T],
        label: impl Fn(&T) -> String + Sync,
        attempt: impl Fn(&T) -> Tried + Sync,
    ) {
        let next = AtomicUsize::new(0);
        let suite = Mutex::new(self);
        let only = only();
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if is_late() {
                            suite.lock().unwrap().note = "stopped for want of time".into();
                            break;
                        }
                        let label = label(point);
                        if only.as_ref().is_some_and(|only| *only != label) {
                            continue;
                        }
                        // A point on which the test itself fails is a violation, and the others are tried all the same.
                        match std::panic::catch_unwind(AssertUnwindSafe(|| attempt(point))) {
                            Ok(Tried::Reached(violations)) => suite.lock().unwrap().points(&label, 1, violations),
                            Ok(Tried::ReachedAll(points, violations)) => {
                                suite.lock().unwrap().points(&label, points, violations);
                            }
                            Ok(Tried::NotReached) => {}
                            Err(panic) => {
                                let said = panic
                                    .downcast_ref::<String>()
                                    .map(String::as_str)
                                    .or_else(|| panic.downcast_ref::<&str>().copied());
                                let violation = format!("the test failed: {}", said.unwrap_or("without a word"));
                                suite.lock().unwrap().points(&label, 1, vec![violation]);
                            }
                        }
                    }
                });
            }
        });
    }

    /// Tells the line of the table and fails if there was a violation, or if fewer points were reached than `short`, or
    /// `all` in the full form.
    pub fn done(self, short: u64, all: u64) {
        let least = if full() { all } else { short };
        let Suite { name, test, started, points, violations, note, .. } = self;
        let seconds = started.elapsed().as_secs_f64();
        let line = format!("{name}\t{points}\t{least}\t{}\t{seconds:.0}\t{note}", violations.len());
        println!("torture: {}", line.replace('\t', " | "));
        if let Some(path) = std::env::var_os("DMARCDB_TORTURE_TABLE") {
            let mut table = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            table.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
        let first = violations.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(violations.is_empty(), "{name}: {} violations in {points} points:\n{first}", violations.len());
        assert!(only().is_none() || points > 0, "{test}: no point bears the name in DMARCDB_TORTURE_ONLY");
        assert!(only().is_some() || points >= least, "{name}: only {points} of {least} points were reached");
    }
}

/// Whether no further point is to be begun: after `DMARCDB_TORTURE_UNTIL`, seconds since the epoch.
fn is_late() -> bool {
    let until = std::env::var("DMARCDB_TORTURE_UNTIL").ok().and_then(|text| text.parse().ok());
    until.is_some_and(|until: u64| {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|now| now.as_secs() >= until)
    })
}

/// The one point to try, to see a violation again.
pub fn only() -> Option<String> {
    std::env::var("DMARCDB_TORTURE_ONLY").ok()
}
