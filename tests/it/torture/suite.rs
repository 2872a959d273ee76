//! A suite of points: tried in parallel, counted, and told in one line.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

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
    /// The fault did not come to pass, so nothing was tried.
    NotReached,
}

/// A suite under way.
pub struct Suite {
    name: &'static str,
    started: Instant,
    points: u64,
    violations: Vec<String>,
}

impl Suite {
    pub fn new(name: &'static str) -> Suite {
        Suite { name, started: Instant::now(), points: 0, violations: Vec::new() }
    }

    /// One point, with its violations.
    pub fn point(&mut self, label: &str, violations: Vec<String>) {
        self.points += 1;
        self.violations.extend(violations.into_iter().map(|violation| format!("{label}: {violation}")));
    }

    /// Tries every point, `workers` at a time.
    pub fn each<T: Sync>(&mut self, workers: usize, points: &[T], attempt: impl Fn(&T) -> (String, Tried) + Sync) {
        let next = AtomicUsize::new(0);
        let suite = Mutex::new(self);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let (label, Tried::Reached(violations)) = attempt(point) {
                            suite.lock().unwrap().point(&label, violations);
                        }
                    }
                });
            }
        });
    }

    /// Tells the line of the table and fails if there was a violation, or if fewer than `least` points were reached.
    pub fn done(self, least: u64) {
        let Suite { name, started, points, violations } = self;
        let seconds = started.elapsed().as_secs_f64();
        let line = format!("{name}\t{points}\t{}\t{seconds:.0}", violations.len());
        println!("torture: {}", line.replace('\t', " | "));
        if let Some(path) = std::env::var_os("DMARCDB_TORTURE_TABLE") {
            let mut table = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            table.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
        let first: Vec<&String> = violations.iter().take(20).collect();
        assert!(violations.is_empty(), "{name}: {} violations in {points} points: {first:#?}", violations.len());
        assert!(points >= least, "{name}: only {points} of {least} points were reached");
    }
}
