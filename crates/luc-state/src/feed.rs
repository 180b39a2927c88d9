//! Feeds: how a site keeps copies of what other sites own, and they of what it owns.
//!
//! There is no stored history. A record carries the revision that last wrote it, a deletion leaves
//! a [`Tombstone`], and so "what has changed since revision R, as far as filter F admits it" is a
//! question to one snapshot ([`changes_since`]). A [`Source`] at the home asks it once and then
//! follows the change log; a [`Follower`] applies what it sends, each [`Batch`] in one transaction
//! together with how far it has come ([`FeedCursor`]).
//!
//! ```text
//!   home: Store ── snapshot, watch ──▶ Source ── Batch ─▶ (any transport) ─▶ Follower ──▶ Store
//!                                        ◀── Hello, Filter, Ack ──┘         tables + cursor
//! ```
//!
//! **Invariant** what a follower holds of a home is the home's state at the cursor's revision
//! restricted to the cursor's filter. What is too large for one transaction comes in parts; until
//! the last of them the cursor says that it is not `whole`, and records of both states are seen.
//! **Invariant** where two sites have made a record with one id or one name, every third site shows
//! the same one of them, and keeps the other aside ([`Withheld`]) until the first is gone.
//! **Invariant** a copy is written only for the site that is its home by the table of kinds.
//! **Boundary** this module is pure: bytes, time, and who is connected are the driver's
//! (`luc-runtime`). It knows no services; residency and trust come in as arguments.
//!
//! Rules 1, 3 and 4 of the state contract. Tombstones against state follow the anti-entropy of
//! Bayou (Terry et al., SOSP 1995), with one writer per record in place of conflict resolution.

mod batch;
mod collect;
mod diff;
mod filter;
mod follower;
mod forget;
mod incoming;
mod lives;
mod records;
mod refusal;
mod rules;
mod source;
mod step;
mod withheld;

pub use batch::{BATCH_VERSION, Batch, BatchError, Entry, Hello, Token};
pub use collect::{CollectError, collect};
pub use diff::{Since, changes_since};
pub use filter::Filter;
pub use follower::{Applied, ApplyError, Expectations, Follower};
pub use forget::{forget, remembers};
pub use lives::{Lives, domain_of};
pub use records::{FeedCursor, FeedFilter, FeedHorizon, Tombstone};
pub use refusal::BatchRefused;
pub use rules::{Misplaced, may_name};
pub use source::{Absorbed, Source, SourceError};
pub use step::Step;
pub use withheld::{Against, Withheld};

use crate::schema::Schema;

/// The most entries of one batch; more come in parts.
pub const BATCH_ENTRIES_MAX: usize = 1024;

/// About how many bytes of records one batch has; more come in parts.
pub const BATCH_BYTES: usize = 1 << 20;

/// The most bytes of one record that a follower takes.
pub const RECORD_BYTES_MAX: usize = 8 << 20;

/// The longest name of a kind that this release does not know, in bytes, and the most such kinds
/// that one site may have: they are remembered.
const KIND_BYTES_MAX: usize = 64;
const SKIPPED_KINDS_MAX: usize = 128;

/// The tables of the feed. A store without them leaves no tombstones and can follow nobody.
pub fn schema() -> Schema {
    Schema::new()
        .table::<Tombstone>()
        .table::<FeedCursor>()
        .table::<FeedFilter>()
        .table::<FeedHorizon>()
        .table::<Withheld>()
}
