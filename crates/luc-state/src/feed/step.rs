//! A step of a feed, cut into batches that are neither too many entries nor too many bytes.

use luc_core::SitePrefix;

use super::batch::{BATCH_VERSION, Batch, Entry, Token};
use super::{BATCH_BYTES, BATCH_ENTRIES_MAX};

/// The entries of one part; few in this crate's tests, so that parts are the rule there.
const PART_ENTRIES: usize = if cfg!(test) { 3 } else { BATCH_ENTRIES_MAX };

/// One step on its way: its batches. Entries are made as they are needed, so a long one costs no
/// memory.
pub struct Step {
    home: SitePrefix,
    from: Token,
    to: Token,
    reset: bool,
    part: u32,
    entries: Box<dyn Iterator<Item = Entry> + Send>,
    /// Does not fit into the part before.
    next: Option<Entry>,
    done: bool,
}

impl Step {
    pub(super) fn new(
        home: SitePrefix,
        (from, to): (Token, Token),
        reset: bool,
        entries: impl Iterator<Item = Entry> + Send + 'static,
    ) -> Self {
        Self {
            home,
            from,
            to,
            reset,
            part: 0,
            entries: Box::new(entries),
            next: None,
            done: false,
        }
    }
}

impl Iterator for Step {
    type Item = Batch;

    /// The next part; at least one, which may be empty.
    fn next(&mut self) -> Option<Batch> {
        if self.done {
            return None;
        }
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = self.next.take().or_else(|| self.entries.next()) {
            bytes += entry.weight();
            let full = entries.len() == PART_ENTRIES || bytes > BATCH_BYTES;
            if full && !entries.is_empty() {
                self.next = Some(entry);
                break;
            }
            entries.push(entry);
        }
        self.done = self.next.is_none();
        let part = self.part;
        self.part += 1;
        Some(Batch {
            version: BATCH_VERSION,
            home: self.home,
            from: self.from,
            to: self.to,
            reset: self.reset,
            part,
            more: !self.done,
            entries,
        })
    }
}
