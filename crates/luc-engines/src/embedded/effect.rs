//! What a batch changes, as the journal keeps it.
//!
//! Effects are what was decided, not what was asked for: reading them again asks nothing, so it
//! comes to the same whatever the limits of the history are by then.
//!
//! ```text
//! commit   1 · revision u64 · operation · mutations u32 · each: 1 · key · value, or 0 · key
//! seal     2 · operation
//! compact  3 · revision u64
//! ```
//! A text or a value is its length, u32, and its bytes. Numbers are little-endian.

use luc_core::id::OpId;
use luc_state::engine::Mutation;

const COMMIT: u8 = 1;
const SEAL: u8 = 2;
const COMPACT: u8 = 3;
const PUT: u8 = 1;
const DELETE: u8 = 0;

/// One change of the file.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// A commit, which got that revision.
    Commit(u64, OpId, Vec<Mutation>),
    /// An operation that never happened, and never will.
    Seal(OpId),
    /// The history up to and including that revision is forgotten.
    Compact(u64),
}

/// The effects of a batch.
#[derive(Default)]
pub(super) struct Effects(Vec<u8>);

impl Effects {
    pub(super) fn commit(&mut self, revision: u64, id: &OpId, batch: &[Mutation]) {
        self.0.push(COMMIT);
        self.number(revision);
        self.bytes(id.as_str().as_bytes());
        self.length(batch.len());
        for mutation in batch {
            match mutation {
                Mutation::Put { key, value } => {
                    self.0.push(PUT);
                    self.bytes(key.as_bytes());
                    self.bytes(value);
                }
                Mutation::Delete { key } => {
                    self.0.push(DELETE);
                    self.bytes(key.as_bytes());
                }
            }
        }
    }

    pub(super) fn seal(&mut self, id: &OpId) {
        self.0.push(SEAL);
        self.bytes(id.as_str().as_bytes());
    }

    pub(super) fn compact(&mut self, until: u64) {
        self.0.push(COMPACT);
        self.number(until);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// A length; one that does not fit is found when the whole does not fit into a record.
    fn length(&mut self, length: usize) {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }
}

/// Reads the effects of a record; nothing if these are none.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<Effect>> {
    let mut rest = Rest(bytes);
    let mut effects = Vec::new();
    while !rest.0.is_empty() {
        effects.push(rest.effect()?);
    }
    Some(effects)
}

/// What is still to be read.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn effect(&mut self) -> Option<Effect> {
        match self.byte()? {
            COMMIT => {
                let (revision, id) = (self.number()?, self.operation()?);
                let count = self.length()?;
                let batch: Option<Vec<_>> = (0..count).map(|_| self.mutation()).collect();
                Some(Effect::Commit(revision, id, batch?))
            }
            SEAL => self.operation().map(Effect::Seal),
            COMPACT => self.number().map(Effect::Compact),
            _ => None,
        }
    }

    fn mutation(&mut self) -> Option<Mutation> {
        match self.byte()? {
            PUT => Some(Mutation::Put {
                key: self.text()?.to_owned(),
                value: self.bytes()?.into(),
            }),
            DELETE => Some(Mutation::Delete {
                key: self.text()?.to_owned(),
            }),
            _ => None,
        }
    }

    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn length(&mut self) -> Option<usize> {
        let length = self.take(4)?.try_into().ok().map(u32::from_le_bytes)?;
        usize::try_from(length).ok()
    }

    fn bytes(&mut self) -> Option<&'b [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Option<&'b str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn operation(&mut self) -> Option<OpId> {
        OpId::parse(self.text()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_read_as_they_were_written_and_cut_ones_are_refused() {
        let id = OpId::parse("op-1").unwrap();
        let batch = vec![
            Mutation::Put {
                key: "k/ä".to_owned(),
                value: b"{}".as_slice().into(),
            },
            Mutation::Delete { key: String::new() },
        ];
        let mut effects = Effects::default();
        effects.commit(7, &id, &batch);
        effects.seal(&id);
        effects.compact(3);
        let bytes = effects.into_bytes();
        let same = vec![
            Effect::Commit(7, id.clone(), batch),
            Effect::Seal(id),
            Effect::Compact(3),
        ];
        assert_eq!(read(&bytes).as_ref(), Some(&same));
        for end in 0..bytes.len() {
            assert_ne!(read(&bytes[..end]).as_ref(), Some(&same));
        }
        assert_eq!(read(&[9]), None);
    }
}
