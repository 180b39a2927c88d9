//! From the engine's keys and values to tables: at the start, after a gap, and commit by commit.
//!
//! Index entries are not stored; they follow from the records. Only the claims of unique indexes
//! are, so that two controllers cannot give one key to two records. A release that adds a unique
//! index finds records without claims; it makes them when it opens the store ([`Repair`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::{Committed, Entry, Expectation, Loaded, Mutation};
use crate::envelope::{self, DecodeError};
use crate::key::EngineKey;
use crate::kinds::{KINDS, Kind};
use crate::revision::{Revision, Stamp};
use crate::schema::Schema;
use crate::table::{Row, State, Write};

/// An entry of the engine that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the engine's entry '{key}' cannot be used")]
pub struct EntryError {
    /// Its key in the engine.
    pub key: String,
    /// What is wrong with it.
    #[source]
    pub source: DecodeError,
}

/// A claim of a unique index that did not fit the records and was put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// A record had no claim for one of its keys.
    Added {
        /// The engine key of the claim.
        key: String,
    },
    /// A claim named a record that does not have the key.
    Removed {
        /// The engine key of the claim.
        key: String,
    },
}

/// The state that was loaded and what has to be put right in the engine.
pub(crate) struct Opened {
    pub(crate) state: State,
    pub(crate) repairs: Vec<(Repair, Expectation, Mutation)>,
}

/// Builds all tables from the entries of an engine.
pub(crate) fn read(schema: &Arc<Schema>, loaded: Loaded) -> Result<Opened, EntryError> {
    let mut state = State::new(Arc::clone(schema));
    let mut claims = Vec::new();
    for entry in loaded.entries {
        match EngineKey::parse(&entry.key) {
            Some(EngineKey::Record(kind, id)) => read_record(&mut state, kind, id, &entry)?,
            Some(claim @ EngineKey::Claim(..)) => claims.push((claim, entry)),
            Some(fence @ (EngineKey::Fence(..) | EngineKey::Census(_))) => {
                state.fences.insert(fence, Stamp::at(entry.revision));
            }
            None => {}
        }
    }
    let mut repairs = Vec::new();
    let mut held = BTreeSet::new();
    for (claim, entry) in claims {
        let EngineKey::Claim(kind, name, key) = &claim else {
            continue;
        };
        let specs = state.table(*kind).specs();
        let Some(index) = specs.iter().position(|s| s.unique && s.name == *name) else {
            continue;
        };
        let id = envelope::decode_claim(&entry.value).map_err(|source| EntryError {
            key: entry.key.clone(),
            source,
        })?;
        let fits = state
            .table(*kind)
            .holder(index, key)
            .is_some_and(|(r, _)| r.id() == id);
        if fits {
            state.restamp(&claim, Stamp::at(entry.revision));
            held.insert(claim);
        } else if state.table(*kind).holder(index, key).is_none() {
            repairs.push((
                Repair::Removed {
                    key: entry.key.clone(),
                },
                Expectation {
                    key: entry.key.clone(),
                    revision: Some(entry.revision),
                },
                Mutation::Delete { key: entry.key },
            ));
        }
    }
    add_missing_claims(&state, &held, &mut repairs);
    Ok(Opened { state, repairs })
}

fn read_record(
    state: &mut State,
    kind: Kind,
    id: Arc<str>,
    entry: &Entry,
) -> Result<(), EntryError> {
    let Some(spec) = state.schema.spec(kind) else {
        return Ok(());
    };
    let stamp = Stamp::at(entry.revision);
    let wrong = |source| EntryError {
        key: entry.key.clone(),
        source,
    };
    let row = Row::new((spec.decode)(&id, &entry.value, stamp.clone()).map_err(wrong)?);
    let table = state.table(kind);
    for (index, spec) in table
        .specs()
        .iter()
        .enumerate()
        .filter(|(_, spec)| spec.unique)
    {
        for key in &row.keys[index] {
            if let Some((holder, _)) = table.holder(index, key) {
                return Err(wrong(DecodeError::Duplicate {
                    index: spec.name.to_string(),
                    key: key.clone(),
                    holder: holder.id().to_owned(),
                }));
            }
        }
    }
    state.apply(&Write {
        kind,
        id,
        before: None,
        after: Some(row),
        stamp,
    });
    Ok(())
}

fn add_missing_claims(
    state: &State,
    held: &BTreeSet<EngineKey>,
    repairs: &mut Vec<(Repair, Expectation, Mutation)>,
) {
    for table in KINDS.iter().map(|line| (line.kind, state.table(line.kind))) {
        let (kind, table) = table;
        for (index, spec) in table
            .specs()
            .iter()
            .enumerate()
            .filter(|(_, spec)| spec.unique)
        {
            for (id, row) in table.rows() {
                for key in &row.keys[index] {
                    let claim = EngineKey::Claim(kind, Arc::clone(&spec.name), key.clone());
                    if held.contains(&claim) {
                        continue;
                    }
                    let text = claim.text();
                    repairs.push((
                        Repair::Added { key: text.clone() },
                        Expectation {
                            key: text.clone(),
                            revision: None,
                        },
                        Mutation::Put {
                            key: text,
                            value: envelope::encode_claim(id).into(),
                        },
                    ));
                }
            }
        }
    }
}

/// What a commit of another controller means for our tables.
pub(crate) struct Foreign {
    pub(crate) revision: Revision,
    pub(crate) writes: Vec<Write>,
    pub(crate) keys: BTreeSet<EngineKey>,
}

/// Reads a commit of another controller against the state before it.
pub(crate) fn read_commit(state: &State, committed: &Committed) -> Result<Foreign, EntryError> {
    let revision = committed.revision;
    let stamp = Stamp::at(revision);
    let mut foreign = Foreign {
        revision,
        writes: Vec::new(),
        keys: BTreeSet::new(),
    };
    for mutation in &committed.batch {
        let Some(key) = EngineKey::parse(mutation.key()) else {
            continue;
        };
        if let EngineKey::Record(kind, id) = &key
            && let Some(spec) = state.schema.spec(*kind)
        {
            let after = match mutation {
                Mutation::Delete { .. } => None,
                Mutation::Put { key, value } => Some(Row::new(
                    (spec.decode)(id, value, stamp.clone()).map_err(|source| EntryError {
                        key: key.clone(),
                        source,
                    })?,
                )),
            };
            let known = state.table(*kind).row(id);
            let (id, before) = match known {
                Some((id, row)) => (Arc::clone(id), Some(row.clone())),
                None => (Arc::clone(id), None),
            };
            foreign.writes.push(Write {
                kind: *kind,
                id,
                before,
                after,
                stamp: stamp.clone(),
            });
        }
        foreign.keys.insert(key);
    }
    Ok(foreign)
}
