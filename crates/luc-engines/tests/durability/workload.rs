//! Clerks that write, and what must be true of the file whatever happened to them.
//!
//! Each clerk numbers its commits. Its `n`-th writes `n` under `last/<clerk>` and, in the same
//! batch, under one of its slots; it expects `last` as its predecessor left it. So of every state
//! it can be told whether a commit is missing, torn or too much: the revision of the file is the
//! sum of all `last`, and the newest slots hold the newest numbers.

use std::collections::BTreeMap;

use luc_core::entropy::SplitMix64;
use luc_core::id::OpId;
use luc_core::{Entropy, SitePrefix};
use luc_state::Revision;
use luc_state::engine::{Expectation, Loaded, Mutation, Operation, Proposal};

/// How many clerks write at the same time.
pub(crate) const CLERKS: u64 = 4;

/// How many of its newest numbers each clerk keeps.
const SLOTS: u64 = 5;

/// What a clerk has done, as far as the file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Its newest number.
    pub(crate) number: u64,
    /// The revision that wrote it.
    pub(crate) revision: Option<Revision>,
}

/// The next commit of `clerk`.
pub(crate) fn proposal(clerk: u64, done: Done, base: Revision, dice: &mut SplitMix64) -> Proposal {
    let number = done.number + 1;
    let id = OpId::born_at(SitePrefix::from_bytes([7; 6]), dice);
    let key = format!("last/{clerk}");
    let padding = "x".repeat((dice.next_u64() % 700) as usize);
    let slot = format!("slot/{clerk}/{}", number % SLOTS);
    let put = |key: &str, value: String| Mutation::Put {
        key: key.to_owned(),
        value: value.into_bytes().into(),
    };
    Proposal {
        operation: Operation { id, base },
        batch: vec![
            put(&key, format!("{{\"n\":{number}}}")),
            put(
                &slot,
                format!("{{\"n\":{number},\"padding\":\"{padding}\"}}"),
            ),
        ],
        expectations: vec![Expectation {
            key,
            revision: done.revision,
        }],
    }
}

/// Reads what the clerks have done, or says what is wrong.
pub(crate) fn audit(loaded: &Loaded) -> Result<BTreeMap<u64, Done>, String> {
    let entries: BTreeMap<&str, _> = loaded
        .entries
        .iter()
        .map(|entry| (entry.key.as_str(), entry))
        .collect();
    let number = |key: &str| -> Result<Option<(u64, Revision)>, String> {
        let Some(entry) = entries.get(key) else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&entry.value);
        let digits = text.trim_start_matches("{\"n\":").split([',', '}']).next();
        let number = digits.and_then(|digits| digits.parse().ok());
        let number = number.ok_or_else(|| format!("{key} is torn: {text}"))?;
        Ok(Some((number, entry.revision)))
    };
    let mut all = BTreeMap::new();
    for clerk in 0..CLERKS {
        let last = number(&format!("last/{clerk}"))?;
        let done = last.map_or_else(Done::default, |(number, revision)| Done {
            number,
            revision: Some(revision),
        });
        for wanted in (1..=done.number).rev().take(SLOTS as usize) {
            let key = format!("slot/{clerk}/{}", wanted % SLOTS);
            match number(&key)? {
                Some((found, _)) if found == wanted => {}
                found => return Err(format!("{key} holds {found:?} instead of {wanted}")),
            }
        }
        all.insert(clerk, done);
    }
    let sum: u64 = all.values().map(|done| done.number).sum();
    if sum != loaded.revision.number() {
        return Err(format!("{sum} commits, but revision {}", loaded.revision));
    }
    Ok(all)
}

/// Says which acknowledged number is not in the file.
pub(crate) fn missing(
    all: &BTreeMap<u64, Done>,
    acknowledged: &BTreeMap<u64, u64>,
) -> Option<String> {
    acknowledged.iter().find_map(|(clerk, number)| {
        let found = all.get(clerk).map_or(0, |done| done.number);
        (found < *number)
            .then(|| format!("clerk {clerk} was told of {number}, the file has only {found}"))
    })
}
