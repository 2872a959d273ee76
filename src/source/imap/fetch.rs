//! Fetching messages: how large they are, as many as fit into one command, one by one where that is refused, and what is made
//! of those that do not come.

use std::collections::{BTreeMap, HashMap};

use super::session::{self, Failure};
use super::{Claim, ImapSource, SIZES, Work, uids};
use crate::source::{ErrorKind, Message, Origin, Refused, Taken};

/// The next messages to fetch by one command, and what is in between.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// All UIDs of the batch in order; `true` for those that are too large to fetch.
    pub order: Vec<(u32, Claim, bool)>,
    fetch: Vec<u32>,
    bytes: u64,
}

impl ImapSource {
    /// Asks for the sizes of the next UIDs that were found.
    ///
    /// New ones are asked for by range, so that two answers tell what there is: a message that is missing in one of them
    /// must not be passed over, because the cursor would leave it behind for ever.
    pub(super) fn ask_sizes(&mut self, work: &mut Work) -> Result<(), Failure> {
        let uids: Vec<u32> = work.found.iter().take(SIZES).copied().collect();
        let last = uids.last().copied().unwrap_or_default();
        let again = last <= work.cursor;
        let until = if uids.len() == work.found.len() { work.window_end.unwrap_or(last).max(last) } else { last };
        let sets = match again {
            true => uids::sets(&uids).into_iter().map(|(set, _)| set).collect(),
            false => vec![format!("{}:{until}", work.sized_to.saturating_add(1))],
        };
        let mut claims = BTreeMap::new();
        let mut strange = false;
        for set in sets {
            match self.connection.sizes(&set, self.literal_bound()) {
                Ok(sizes) => {
                    strange |= sizes.strange;
                    claims.extend(
                        sizes.told.into_iter().map(|(uid, size)| (uid, size.map_or(Claim::Unknown, Claim::Bytes))),
                    );
                }
                Err(Failure::Refused(said)) if !said.stops_the_run() => {
                    claims.extend(uids.iter().map(|uid| (*uid, Claim::Unknown)));
                }
                Err(failure) => return Err(failure),
            }
        }
        strange |= claims.keys().any(|uid| *uid > until && work.found.binary_search(uid).is_err());
        claims.retain(|uid, _| match again {
            true => uids.binary_search(uid).is_ok(),
            false => *uid > work.sized_to && *uid <= until,
        });
        let missing: Vec<u32> = uids.iter().filter(|uid| !claims.contains_key(uid)).copied().collect();
        if let Some(first) = missing.first() {
            if work.found_again.is_none() {
                let last = work.found.back().copied().unwrap_or(last);
                work.found_again = Some(self.connection.search(&format!("{first}:{last}"))?);
            }
            let there = work.found_again.as_deref().unwrap_or_default();
            for uid in missing {
                if there.binary_search(&uid).is_ok() {
                    claims.insert(uid, Claim::Withheld);
                } else if again {
                    self.gone.push(Origin::Imap { mailbox: work.mailbox.clone(), uid });
                }
            }
        }
        if strange && claims.values().any(|claim| *claim == Claim::Withheld) {
            self.say_strange();
        }
        work.found.drain(..uids.len());
        work.sized.extend(claims);
        if !again {
            work.sized_to = until;
        }
        Ok(())
    }

    /// Notes for the end, once, that messages did not come because others did.
    pub(super) fn say_strange(&mut self) {
        if !std::mem::replace(&mut self.strange, true) {
            let reason = "the server sent messages that were not asked for in the place of those that were; \
                these are left to the next run";
            self.failed.push(self.error(ErrorKind::Temporary, reason.into()));
        }
    }

    /// The longest literal that is let through. Servers miscount RFC822.SIZE by a little; what comes is measured again.
    pub(super) fn literal_bound(&self) -> u64 {
        let limit = self.account.bounds.message_bytes;
        limit.saturating_add(limit / 8).saturating_add(64 << 10)
    }

    /// The first of `sized` that go into one command: at least one.
    pub(super) fn next_batch(&self, work: &Work) -> Batch {
        let bounds = self.account.bounds;
        let mut batch = Batch::default();
        let left = |most: u64, taken: u64| if most > 0 { most.saturating_sub(taken) } else { u64::MAX };
        let most_messages = left(bounds.run_messages, self.taken.0);
        let most_bytes = left(bounds.run_bytes, self.taken.1).min(bounds.batch_bytes);
        for (uid, claim) in &work.sized {
            if batch.order.len() as u64 >= most_messages {
                break;
            }
            let too_large = claim.bytes().is_some_and(|size| size > bounds.message_bytes);
            if !too_large && *claim != Claim::Withheld {
                // One of unknown size goes alone.
                let size = claim.bytes().unwrap_or(bounds.batch_bytes.saturating_add(1));
                let bytes = batch.bytes.saturating_add(size);
                let most = if self.suspects > 0 { 1 } else { self.batch_messages };
                let full = batch.fetch.len() >= most || bytes > most_bytes;
                if full && !batch.fetch.is_empty() {
                    break;
                }
                batch.bytes = bytes;
                batch.fetch.push(*uid);
            }
            batch.order.push((*uid, *claim, too_large));
        }
        batch
    }

    pub(super) fn fetch(&mut self, work: &Work, batch: &Batch) -> Result<Vec<Taken>, Failure> {
        let mut fetched = self.fetch_bodies(batch)?;
        let mut taken = Vec::with_capacity(batch.order.len());
        let limit = self.account.bounds.message_bytes;
        for (uid, claim, too_large) in &batch.order {
            let origin = Origin::Imap { mailbox: work.mailbox.clone(), uid: *uid };
            let claimed = claim.bytes().unwrap_or(0);
            let refuse = |bytes, refusal| Taken::Refused { origin: origin.clone(), bytes, refusal };
            taken.push(match fetched.take(*uid) {
                _ if *too_large => refuse(claimed, Refused::TooLarge { limit }),
                _ if *claim == Claim::Withheld => {
                    refuse(0, Refused::Undeliverable("the server lists it but does not describe it".into()))
                }
                Fetched::Item(item) if item.bytes.len() as u64 > limit => {
                    refuse(item.bytes.len() as u64, Refused::TooLarge { limit })
                }
                Fetched::Item(item) if item.bytes.is_empty() && claimed > 0 => {
                    let reason = format!("the server sent nothing of {claimed} bytes");
                    refuse(claimed, Refused::Undeliverable(reason))
                }
                Fetched::Item(item) => {
                    Taken::Message(Message { origin, bytes: item.bytes, received_at: item.received_at })
                }
                Fetched::Refused(reason) => refuse(claimed, Refused::Undeliverable(reason)),
                Fetched::Gone => {
                    if *uid <= work.cursor {
                        self.gone.push(origin.clone());
                    }
                    continue;
                }
            });
        }
        let bytes = taken.iter().map(|taken| match taken {
            Taken::Message(message) => message.bytes.len() as u64,
            Taken::Refused { .. } => 0,
        });
        self.taken = (self.taken.0 + taken.len() as u64, self.taken.1 + bytes.sum::<u64>());
        Ok(taken)
    }

    /// Fetches by one command, or, if that is refused, one by one.
    fn fetch_bodies(&mut self, batch: &Batch) -> Result<Bodies, Failure> {
        let mut bodies = Bodies::default();
        for (set, uids) in uids::sets(&batch.fetch) {
            match self.bodies(&set, uids, batch.bytes, &mut bodies) {
                Err(Failure::Refused(said)) if !said.stops_the_run() && uids.len() > 1 => {
                    for uid in uids {
                        self.one_body(*uid, batch.bytes, &mut bodies)?;
                    }
                }
                Err(Failure::Refused(said)) if !said.stops_the_run() => {
                    bodies.refuse(uids, &said.text);
                }
                answer => answer?,
            }
        }
        Ok(bodies)
    }

    fn one_body(&mut self, uid: u32, bytes: u64, bodies: &mut Bodies) -> Result<(), Failure> {
        match self.bodies(&uid.to_string(), &[uid], bytes, bodies) {
            Err(Failure::Refused(said)) if !said.stops_the_run() => {
                bodies.refuse(&[uid], &said.text);
                Ok(())
            }
            answer => answer,
        }
    }

    fn bodies(&mut self, set: &str, uids: &[u32], bytes: u64, bodies: &mut Bodies) -> Result<(), Failure> {
        let answer = self.connection.bodies(set, uids, bytes, self.literal_bound())?;
        let missing: Vec<u32> = uids.iter().filter(|uid| !answer.items.contains_key(uid)).copied().collect();
        bodies.items.extend(answer.items);
        // Most of these were deleted by another client in the meantime. Only a search tells, and a message that is
        // still there must not be passed over: the cursor would leave it behind for ever.
        for (set, uids) in uids::sets(&missing) {
            let there = self.connection.search(&set)?;
            let there: Vec<u32> = uids.iter().filter(|uid| there.binary_search(uid).is_ok()).copied().collect();
            let reason = match answer.strange {
                true => "the server sent another message instead",
                false => "the server lists it but did not send it",
            };
            if answer.strange && !there.is_empty() {
                self.say_strange();
            }
            bodies.refuse(&there, reason);
        }
        Ok(())
    }
}

/// What came of fetching a batch, by UID.
#[derive(Debug, Default)]
struct Bodies {
    items: HashMap<u32, session::Item>,
    refused: HashMap<u32, String>,
}

/// What came of one UID.
enum Fetched {
    Item(session::Item),
    Refused(String),
    Gone,
}

impl Bodies {
    fn refuse(&mut self, uids: &[u32], reason: &str) {
        self.refused.extend(uids.iter().map(|uid| (*uid, reason.to_owned())));
    }

    fn take(&mut self, uid: u32) -> Fetched {
        if let Some(item) = self.items.remove(&uid) {
            return Fetched::Item(item);
        }
        self.refused.remove(&uid).map_or(Fetched::Gone, Fetched::Refused)
    }
}
