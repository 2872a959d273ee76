//! The bound on memory: how many bytes may be on their way from the source to the database.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of messages, and of the records read in them, that may be under way between source and database. One larger message is let through alone.
const BYTES_UNDER_WAY: u64 = 10 << 20;

/// Lets no more bytes in than may be under way.
#[derive(Default)]
pub(super) struct Gate {
    under_way: Mutex<UnderWay>,
    less: Condvar,
}

#[derive(Default)]
struct UnderWay {
    bytes: u64,
    /// Whether somebody waits for less of them: to tell nobody costs a call of the kernel, too.
    waited_for: bool,
    open: bool,
}

impl Gate {
    /// Waits until `weight` fits. `false`: the writer has given up.
    pub fn enter(&self, weight: u64) -> bool {
        let mut under_way = self.lock();
        while under_way.bytes > 0 && under_way.bytes + weight > BYTES_UNDER_WAY && !under_way.open {
            under_way.waited_for = true;
            under_way = self.less.wait(under_way).unwrap_or_else(PoisonError::into_inner);
        }
        under_way.bytes += weight;
        !under_way.open
    }

    /// Adds what was read in a message that is in already.
    pub fn add(&self, weight: u64) {
        self.lock().bytes += weight;
    }

    /// Whether as many are under way as may be.
    pub fn is_full(&self) -> bool {
        self.lock().bytes >= BYTES_UNDER_WAY
    }

    /// A message is kept.
    pub fn leave(&self, weight: u64) {
        let mut under_way = self.lock();
        under_way.bytes = under_way.bytes.saturating_sub(weight);
        if std::mem::take(&mut under_way.waited_for) {
            self.less.notify_all();
        }
    }

    /// The writer has given up: nobody waits any more.
    pub fn open_for_good(&self) {
        self.lock().open = true;
        self.less.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
