//! Flagging, moving and deleting messages that are kept. Each step may be repeated without harm.

use std::sync::Arc;

use super::session::Failure;
use super::{After, ImapSource, uids};
use crate::source::{Error, ErrorKind, Fate, Mailbox, Origin};

/// Why the server does not let a step be done; the connection goes on, and the messages stay where they are.
type Refused = String;

impl ImapSource {
    /// Does at the server what the account asks for with those of `settled` that are kept. Those for which nothing is
    /// left to be done.
    pub(super) fn settle_all(&mut self, settled: &[(Origin, Fate)]) -> Result<Vec<Origin>, Error> {
        let mut done = Vec::new();
        if self.account.after == After::Keep {
            return Ok(done);
        }
        // What was taken is settled also when the time for taking is over.
        self.connection.grant(self.account.timeouts.command);
        let mut first = None;
        for (mailbox, uids) in by_mailbox(settled) {
            let step = self.persist(|source| source.settle_in(&mailbox, &uids));
            // What concerns one folder must not keep the others from being settled.
            match step {
                Ok(Ok(())) => {
                    done.extend(uids.into_iter().map(|uid| Origin::Imap { mailbox: mailbox.clone(), uid }));
                }
                Ok(Err(refused)) => self.warn(&mailbox.folder, &refused),
                Err(error) if self.connection.is_open() => drop(first.get_or_insert(error)),
                Err(error) => return Err(first.unwrap_or(error)),
            }
        }
        first.map_or(Ok(done), Err)
    }

    /// Repeats for `uids` what an earlier run could not confirm.
    pub(super) fn repeat(
        &mut self,
        mailbox: &Arc<Mailbox>,
        read_only: bool,
        mut uids: Vec<u32>,
    ) -> Result<(), Failure> {
        uids.retain(|uid| *uid > 0);
        uids.sort_unstable();
        uids.dedup();
        if self.account.after == After::Keep || uids.is_empty() {
            return Ok(());
        }
        match self.perform(&mailbox.folder, read_only, &uids)? {
            Ok(()) => {
                let origin = |uid| Origin::Imap { mailbox: mailbox.clone(), uid };
                self.repeated.extend(uids.into_iter().map(origin));
            }
            Err(refused) => self.warn(&mailbox.folder, &refused),
        }
        Ok(())
    }

    fn settle_in(&mut self, mailbox: &Mailbox, uids: &[u32]) -> Result<Result<(), Refused>, Failure> {
        let folder = &mailbox.folder;
        let Some(index) = self.account.folders.iter().position(|name| name == folder) else {
            return Ok(Ok(()));
        };
        if mailbox.server != self.account.server() {
            return Ok(Ok(()));
        }
        let noted = self.failed.len();
        let Some((selected, opened)) = self.select(index)? else {
            let error = self.failed.drain(noted..).next();
            return Err(match error {
                Some(error) => Failure::Broken(error.kind, error.reason),
                None => Failure::Broken(ErrorKind::Temporary, "the folder cannot be opened".into()),
            });
        };
        self.stale |= opened.is_some();
        if selected.uid_validity != mailbox.uid_validity {
            self.notices.push(format!(
                "{}: folder `{folder}`: UIDVALIDITY changed; {} kept messages stay there as they are",
                self.connection.place(),
                uids.len()
            ));
            return Ok(Ok(()));
        }
        self.perform(folder, selected.read_only, uids)
    }

    /// The step itself, in the folder that is selected.
    fn perform(&mut self, folder: &str, read_only: bool, uids: &[u32]) -> Result<Result<(), Refused>, Failure> {
        let verb = match &self.account.after {
            After::Move(target) => format!("moving from `{folder}` to `{target}`"),
            After::Delete => "deleting".to_owned(),
            _ => "flagging".to_owned(),
        };
        let stays = "; what is kept stays where it is";
        if read_only {
            return Ok(Err(format!("{verb}: the server opens the folder read-only{stays}")));
        }
        for (set, _) in uids::sets(uids) {
            let step = match self.account.after.clone() {
                After::Keep => Ok(()),
                After::Seen => self.connection.add_flag(&set, "\\Seen"),
                After::Delete => self.delete(&set),
                After::Move(target) => self.move_to(&set, &target),
            };
            match step {
                Ok(()) => {}
                Err(Failure::Refused(said)) => {
                    // A target that is full does not keep new mail from being read; a server that is busy does.
                    let stops = said.stops_the_run() && said.code.as_deref() != Some("OVERQUOTA");
                    let (kind, reason) = Failure::Refused(said).into_parts(ErrorKind::Login);
                    if stops {
                        return Err(Failure::Broken(kind, format!("folder `{folder}`: {verb}: {reason}")));
                    }
                    return Ok(Err(format!("{verb}: {reason}{stays}")));
                }
                Err(Failure::Broken(_, reason)) if self.connection.is_open() => {
                    return Ok(Err(format!("{verb}: {reason}{stays}")));
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(Ok(()))
    }

    /// Only with UIDPLUS: a plain EXPUNGE would also remove what other clients have marked.
    fn delete(&mut self, set: &str) -> Result<(), Failure> {
        if !self.connection.uid_plus {
            let reason = "the server offers neither MOVE nor UIDPLUS, so kept messages cannot be removed without \
                touching others: use `after = \"seen\"` or \"keep\"";
            return Err(Failure::Broken(ErrorKind::Configuration, reason.into()));
        }
        self.connection.add_flag(set, "\\Deleted")?;
        self.connection.expunge(set)
    }

    fn move_to(&mut self, set: &str, folder: &str) -> Result<(), Failure> {
        if !self.connection.can_move && !self.connection.uid_plus {
            return self.delete(set);
        }
        let target = self.target(folder)?;
        match self.move_or_copy(set, &target) {
            Err(Failure::Refused(said)) if said.code.as_deref() == Some("TRYCREATE") => {
                self.connection.create(&target)?;
                self.move_or_copy(set, &target)
            }
            answer => answer,
        }
    }

    fn move_or_copy(&mut self, set: &str, target: &str) -> Result<(), Failure> {
        if self.connection.can_move {
            match self.connection.move_to(set, target) {
                // Exchange 2010 offers MOVE and answers BAD.
                Err(Failure::Refused(said)) if said.bad && self.connection.uid_plus => {
                    self.connection.can_move = false;
                }
                answer => return answer,
            }
        }
        self.connection.copy_to(set, target)?;
        self.delete(set)
    }

    /// The target as on the wire; created once if it is missing.
    fn target(&mut self, folder: &str) -> Result<String, Failure> {
        if let Some(target) = &self.target {
            return Ok(target.clone());
        }
        let candidates = self.connection.names_of(folder)?;
        for name in &candidates {
            if self.connection.exists(name)? {
                return Ok(self.target.insert(name.clone()).clone());
            }
        }
        let mut last = None;
        for name in candidates {
            match self.connection.create(&name) {
                Ok(()) => return Ok(self.target.insert(name).clone()),
                Err(Failure::Refused(said)) if said.code.as_deref() == Some("ALREADYEXISTS") => {
                    return Ok(self.target.insert(name).clone());
                }
                Err(Failure::Refused(said)) => last = Some(said),
                Err(failure) => return Err(failure),
            }
        }
        Err(match last {
            Some(said) => Failure::Refused(said),
            None => Failure::Broken(ErrorKind::Configuration, "no folder to move to".into()),
        })
    }
}

/// The kept messages by folder, with their UIDs ascending.
fn by_mailbox(settled: &[(Origin, Fate)]) -> Vec<(Arc<Mailbox>, Vec<u32>)> {
    let mut groups: Vec<(Arc<Mailbox>, Vec<u32>)> = Vec::new();
    for (origin, fate) in settled {
        let (Origin::Imap { mailbox, uid }, Fate::Kept) = (origin, fate) else {
            continue;
        };
        match groups.iter_mut().find(|(known, _)| known == mailbox) {
            Some((_, uids)) => uids.push(*uid),
            None => groups.push((mailbox.clone(), vec![*uid])),
        }
    }
    for (_, uids) in &mut groups {
        uids.sort_unstable();
        uids.dedup();
    }
    groups
}
