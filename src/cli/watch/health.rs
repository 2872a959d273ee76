//! How an account fares: when to say so, and when to try again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use crate::cli::Status;

/// How an account fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Not known yet.
    #[default]
    Starting,
    /// All its mail has been read.
    Working,
    /// Something is wrong, and was told.
    Failing,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Whether it is news.
    pub tell: bool,
    /// When to try again.
    pub pause: Duration,
}

/// After so long a connection counts as steady; that it ends then is nothing strange.
const STEADY: Duration = Duration::from_secs(60);
/// The first pause and the longest, by what went wrong: a network comes back by itself; a server that breaks the protocol
/// may be mended, and so may a folder that is missing or a certificate; but logins that are refused again and again get an
/// account locked.
const NETWORK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
const SERVER: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(1800));
const PERSON: (Duration, Duration) = (Duration::from_secs(900), Duration::from_secs(3600));

/// The history that matters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Health {
    condition: Condition,
    /// Failures without a steady connection or new mail in between.
    failures: u32,
    failing_since: Option<Instant>,
    connected_at: Option<Instant>,
}

impl Health {
    /// How the account fares.
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// A connection was made at `now`.
    pub fn connected(&mut self, now: Instant) {
        self.connected_at = Some(now);
    }

    /// New mail was kept: whatever is wrong, trying again is worth it.
    pub fn progressed(&mut self) {
        self.failures = 0;
    }

    /// All mail has been read: for how long the account had failed, if that was told.
    pub fn works(&mut self, now: Instant) -> Option<Duration> {
        self.condition = Condition::Working;
        self.failing_since.take().map(|since| now.saturating_duration_since(since))
    }

    /// It failed with `status`.
    pub fn failed(&mut self, status: Status, now: Instant) -> Advice {
        let steady = self.connected_at.take().is_some_and(|at| now.saturating_duration_since(at) >= STEADY);
        if steady {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        let (first, longest) = match status {
            Status::Temporary => NETWORK,
            Status::Permission => PERSON,
            _ => SERVER,
        };
        let factor = 1_u32.checked_shl(self.failures - 1).unwrap_or(u32::MAX);
        let pause = first.saturating_mul(factor).min(longest);
        if steady && status == Status::Temporary {
            // Servers close connections now and then; the next one tells whether anything is wrong.
            return Advice { tell: false, pause };
        }
        let tell = self.failing_since.is_none();
        self.failing_since.get_or_insert(now);
        self.condition = Condition::Failing;
        Advice { tell, pause }
    }
}

/// `pause`, a quarter more or less by chance, so that many who lost the same server do not come back at once.
pub fn jitter(pause: Duration) -> Duration {
    let chance = RandomState::new().build_hasher().finish() % 1000;
    pause.mul_f64(0.75 + chance as f64 / 2000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn pauses_grow_and_only_the_first_failure_is_news() {
        let check = |status, pauses: &[u64]| {
            let mut health = Health::default();
            for (number, pause) in pauses.iter().enumerate() {
                let expected = Advice { tell: number == 0, pause: seconds(*pause) };
                assert_eq!(health.failed(status, Instant::now()), expected, "{status:?} {number}");
            }
            for _ in 0..100 {
                assert!(health.failed(status, Instant::now()).pause <= PERSON.1);
            }
            assert_eq!(health.condition(), Condition::Failing);
        };
        check(Status::Temporary, &[1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        check(Status::Permission, &[900, 1800, 3600, 3600]);
        check(Status::Configuration, &[60, 120, 240, 480, 960, 1800, 1800]);
        check(Status::Protocol, &[60, 120]);
    }

    #[test]
    fn a_steady_connection_may_end_without_a_word() {
        let start = Instant::now();
        let mut health = Health::default();
        health.connected(start);
        assert_eq!(health.works(start), None);
        let later = start + STEADY;
        assert_eq!(health.failed(Status::Temporary, later), Advice { tell: false, pause: seconds(1) });
        assert_eq!(health.condition(), Condition::Working);
        assert_eq!(health.failed(Status::Temporary, later), Advice { tell: true, pause: seconds(2) });
        health.connected(later);
        assert_eq!(health.works(later + seconds(5)), Some(seconds(5)));
        // A server that lets us in and throws us out does not get asked every second.
        assert_eq!(health.failed(Status::Temporary, later + seconds(6)), Advice { tell: true, pause: seconds(4) });
        health.progressed();
        assert_eq!(health.failed(Status::Temporary, later), Advice { tell: false, pause: seconds(1) });
        health.connected(later);
        health.works(later);
        let refused = health.failed(Status::Permission, later + STEADY);
        assert_eq!(refused, Advice { tell: true, pause: PERSON.0 }, "that is always news");
    }

    #[test]
    fn chance_keeps_within_a_quarter() {
        for _ in 0..1000 {
            let pause = jitter(seconds(100));
            assert!((seconds(75)..=seconds(125)).contains(&pause), "{pause:?}");
        }
    }
}
