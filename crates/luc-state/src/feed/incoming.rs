//! A batch as a follower reads it, before any transaction: rows, and what can be refused by
//! looking at it alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use luc_core::SitePrefix;

use super::batch::{Batch, Entry};
use super::refusal::BatchRefused;
use super::rules::Misplaced;
use super::{BATCH_ENTRIES_MAX, Filter, KIND_BYTES_MAX, RECORD_BYTES_MAX};
use crate::driver::describe;
use crate::kinds::Kind;
use crate::revision::Stamp;
use crate::schema::Schema;
use crate::scope::Scope;
use crate::table::Row;

/// The records of a batch.
pub(super) struct Incoming {
    /// Which all rows have; whoever writes them must take it.
    pub(super) stamp: Stamp,
    pub(super) puts: BTreeMap<(Kind, Arc<str>), Row>,
    pub(super) gone: BTreeSet<(Kind, Arc<str>)>,
    /// Kinds that this store has no tables of.
    pub(super) skipped: BTreeSet<String>,
}

/// Reads the records of `batch`, which comes from `home` under `filter`.
pub(super) fn read(
    schema: &Schema,
    home: SitePrefix,
    filter: &Filter,
    batch: &Batch,
) -> Result<Incoming, BatchRefused> {
    let entries = batch.entries.len();
    if entries > BATCH_ENTRIES_MAX {
        return Err(BatchRefused::Entries { entries });
    }
    let mut incoming = Incoming {
        stamp: Stamp::pending(),
        puts: BTreeMap::new(),
        gone: BTreeSet::new(),
        skipped: BTreeSet::new(),
    };
    for entry in &batch.entries {
        let (name, id) = match entry {
            Entry::Put { kind, id, .. } | Entry::Gone { kind, id } => (kind, id),
        };
        let spec = Kind::named(name).and_then(|kind| schema.spec(kind));
        let Some(spec) = spec else {
            if name.len() > KIND_BYTES_MAX {
                return Err(BatchRefused::Kinds);
            }
            incoming.skipped.insert(name.clone());
            continue;
        };
        let (kind, place) = (spec.kind, (spec.kind, Arc::from(id.as_str())));
        if incoming.puts.contains_key(&place) || incoming.gone.contains(&place) {
            let id = id.clone();
            return Err(BatchRefused::Repeated { kind, id });
        }
        let Entry::Put { record, .. } = entry else {
            incoming.gone.insert(place);
            continue;
        };
        let (bytes, named) = (record.get().as_bytes(), || id.clone());
        if bytes.len() > RECORD_BYTES_MAX {
            let (id, bytes) = (named(), bytes.len());
            return Err(BatchRefused::Size { kind, id, bytes });
        }
        let read = (spec.decode)(id, bytes, incoming.stamp.clone());
        let record = read.map_err(|error| BatchRefused::Record {
            kind,
            id: named(),
            reason: describe(&error),
        })?;
        let envelope = record.envelope();
        if envelope.home != home {
            let (id, home) = (named(), envelope.home);
            return Err(BatchRefused::NotOwn { kind, id, home });
        }
        if envelope.scope == Scope::Site {
            let (id, reason) = (named(), Misplaced::Scope);
            return Err(BatchRefused::Misplaced { kind, id, reason });
        }
        if !filter.admits(kind, &envelope.scope) {
            return Err(BatchRefused::Unasked { kind, id: named() });
        }
        incoming.puts.insert(place, Row::new(record));
    }
    Ok(incoming)
}
