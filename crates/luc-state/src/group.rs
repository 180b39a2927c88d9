//! Groups: transactions that go to the engine as one commit.
//!
//! The transactions of a group ran one after the other on the speculative head. To the engine they
//! are one batch with the expectations that the first of them to see a key had of it; what a later
//! one saw of an earlier one's writes needs no check, for they happen together or not at all.
//!
//! Fences are the exception: they are written without looking, so a transaction that relies on a
//! fence expects it at the revision *under* the group, whatever the group itself does to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::change::Change;
use crate::engine::{Expectation, Mutation, Operation, Proposal};
use crate::envelope::{self, Erased};
use crate::key::EngineKey;
use crate::kinds::Kind;
use crate::revision::{Revision, Stamp};
use crate::snapshot::Snapshot;
use crate::table::{Table, Write};
use crate::tx::Reads;

/// What a transaction saw and wrote.
pub(crate) struct Member {
    pub(crate) stamp: Stamp,
    pub(crate) writes: Vec<Write>,
    pub(crate) reads: Reads,
}

/// Transactions that go to the engine together, in order.
pub(crate) struct Group {
    pub(crate) members: Vec<Member>,
    /// The durable state under the first of them.
    pub(crate) base: Arc<Snapshot>,
    pub(crate) shared: bool,
}

/// Why a group cannot be proposed.
#[derive(Debug)]
pub(crate) struct EncodeFailure {
    /// Which of the members wrote it.
    pub(crate) member: usize,
    pub(crate) kind: Kind,
    pub(crate) id: Arc<str>,
    pub(crate) source: serde_json::Error,
}

enum Payload {
    Record { record: Erased, member: usize },
    Claim(Arc<str>),
    Fence,
    Nothing,
}

impl Group {
    /// Whether a commit that changed `keys` makes this group impossible.
    pub(crate) fn minds(&self, keys: &BTreeSet<EngineKey>) -> bool {
        self.members.iter().any(|member| minds(&member.reads, keys))
    }

    /// The net change of each record.
    pub(crate) fn changes(&self) -> Vec<Change> {
        changes(self.members.iter().flat_map(|member| &member.writes))
    }

    /// The group as the engine takes it.
    pub(crate) fn proposal(&self, operation: Operation) -> Result<Proposal, EncodeFailure> {
        let mut expected: BTreeMap<EngineKey, Option<Revision>> = BTreeMap::new();
        let mut written: BTreeMap<EngineKey, Payload> = BTreeMap::new();
        for (number, member) in self.members.iter().enumerate() {
            self.expect(member, &written, &mut expected);
            for write in &member.writes {
                self.put(number, write, &mut written);
            }
        }
        let mut batch = Vec::with_capacity(written.len());
        for (key, payload) in written {
            let value: Arc<[u8]> = match payload {
                Payload::Record { record, member } => {
                    let encoded = record.encode().map_err(|source| {
                        let (kind, id) = name_of(&key, &record);
                        EncodeFailure {
                            member,
                            kind,
                            id,
                            source,
                        }
                    })?;
                    encoded.get().as_bytes().into()
                }
                Payload::Claim(id) => envelope::encode_claim(&id).into(),
                Payload::Fence => envelope::FENCE.into(),
                // What came and went inside the group was never there.
                Payload::Nothing if expected.get(&key) == Some(&None) => continue,
                Payload::Nothing => {
                    batch.push(Mutation::Delete { key: key.text() });
                    continue;
                }
            };
            batch.push(Mutation::Put {
                key: key.text(),
                value,
            });
        }
        let expectations = expected
            .into_iter()
            .map(|(key, revision)| Expectation {
                key: key.text(),
                revision,
            })
            .collect();
        Ok(Proposal {
            operation,
            expectations,
            batch,
        })
    }

    fn expect(
        &self,
        member: &Member,
        written: &BTreeMap<EngineKey, Payload>,
        expected: &mut BTreeMap<EngineKey, Option<Revision>>,
    ) {
        for (key, seen) in &member.reads {
            let revision = match key {
                EngineKey::Fence(..) | EngineKey::Census(_) => {
                    self.base.state.fences.get(key).and_then(Stamp::revision)
                }
                EngineKey::Record(..) | EngineKey::Claim(..) if written.contains_key(key) => {
                    continue;
                }
                EngineKey::Record(..) | EngineKey::Claim(..) => {
                    seen.as_ref().and_then(Stamp::revision)
                }
            };
            expected.entry(key.clone()).or_insert(revision);
        }
    }

    fn put(&self, member: usize, write: &Write, written: &mut BTreeMap<EngineKey, Payload>) {
        let record = EngineKey::Record(write.kind, Arc::clone(&write.id));
        let payload = match &write.after {
            Some(row) => Payload::Record {
                record: Arc::clone(&row.record),
                member,
            },
            None => Payload::Nothing,
        };
        written.insert(record, payload);
        let table = self.base.state.table(write.kind);
        for (position, spec) in table.specs().iter().enumerate().filter(|(_, s)| s.unique) {
            let claim = |key| EngineKey::Claim(write.kind, Arc::clone(&spec.name), key);
            for key in write.released(position) {
                written.insert(claim(key.clone()), Payload::Nothing);
            }
            for key in write.claimed(position) {
                written.insert(claim(key.clone()), Payload::Claim(Arc::clone(&write.id)));
            }
        }
        if self.shared {
            for fence in fences(write, table) {
                written.insert(fence, Payload::Fence);
            }
        }
    }
}

fn name_of(key: &EngineKey, record: &Erased) -> (Kind, Arc<str>) {
    match key {
        EngineKey::Record(kind, id) => (*kind, Arc::clone(id)),
        EngineKey::Claim(kind, ..) | EngineKey::Fence(kind, ..) | EngineKey::Census(kind) => {
            (*kind, record.id().into())
        }
    }
}

/// Whether something that was read is among `keys`.
pub(crate) fn minds(reads: &Reads, keys: &BTreeSet<EngineKey>) -> bool {
    if keys.len() < reads.len() {
        keys.iter().any(|key| reads.contains_key(key))
    } else {
        reads.keys().any(|key| keys.contains(key))
    }
}

/// The fences that a write moves: of the kind if the record comes or goes, and of each key of a
/// plain index that it takes or gives up.
pub(crate) fn fences(write: &Write, table: &Table) -> Vec<EngineKey> {
    let mut fences = Vec::new();
    if write.before.is_some() != write.after.is_some() {
        fences.push(EngineKey::Census(write.kind));
    }
    for (position, spec) in table.specs().iter().enumerate().filter(|(_, s)| !s.unique) {
        let keys = write.released(position).chain(write.claimed(position));
        fences.extend(keys.map(|key| EngineKey::fence(write.kind, &spec.name, key)));
    }
    fences
}

/// The net change of each record, ordered by kind and id.
pub(crate) fn changes<'a>(writes: impl Iterator<Item = &'a Write>) -> Vec<Change> {
    let mut net: BTreeMap<(Kind, Arc<str>), Change> = BTreeMap::new();
    for write in writes {
        let record =
            |row: &Option<crate::table::Row>| row.as_ref().map(|row| Arc::clone(&row.record));
        let change = net
            .entry((write.kind, Arc::clone(&write.id)))
            .or_insert_with(|| Change {
                kind: write.kind,
                id: Arc::clone(&write.id),
                before: record(&write.before),
                after: None,
            });
        change.after = record(&write.after);
    }
    net.into_values()
        .filter(|change| change.before.is_some() || change.after.is_some())
        .collect()
}
