//! Why a follower does not take a batch. Nothing is changed then, and the feed ends with the
//! reason: the home is out of step, or says what it may not.

use luc_core::SitePrefix;

use super::Token;
use super::rules::Misplaced;
use crate::kinds::Kind;

/// Why a batch was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchRefused {
    /// It is of another site than the one that is followed.
    #[error("it is of site {found}")]
    Site {
        /// Of which it is.
        found: SitePrefix,
    },
    /// It does not follow what is held: one was lost, repeated, or came out of turn.
    #[error("it does not follow on {held:?}: from {from:?}, part {part}")]
    OutOfTurn {
        /// What is held.
        held: Token,
        /// Where the batch begins.
        from: Token,
        /// Which part of a step it says to be.
        part: u32,
    },
    /// It goes back, or has a filter that was not asked for.
    #[error("it goes to {to:?}, which was not asked for")]
    Target {
        /// Where the batch ends.
        to: Token,
    },
    /// It has more entries than any batch.
    #[error("it has {entries} entries")]
    Entries {
        /// How many.
        entries: usize,
    },
    /// It has records of too many kinds that this release does not know, or of no such name.
    #[error("it has records of kinds that no release knows")]
    Kinds,
    /// A record is too large.
    #[error("the {kind} '{id}' has {bytes} bytes")]
    Size {
        /// The kind.
        kind: Kind,
        /// The id.
        id: String,
        /// Its size.
        bytes: usize,
    },
    /// A record cannot be read.
    #[error("the {kind} '{id}' cannot be read: {reason}")]
    Record {
        /// The kind.
        kind: Kind,
        /// The id.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// A record comes twice.
    #[error("the {kind} '{id}' comes twice")]
    Repeated {
        /// The kind.
        kind: Kind,
        /// The id.
        id: String,
    },
    /// A record is not the feeding site's own.
    #[error("the home of the {kind} '{id}' is site {home}")]
    NotOwn {
        /// The kind.
        kind: Kind,
        /// The id.
        id: String,
        /// The home it says.
        home: SitePrefix,
    },
    /// The filter does not admit a record.
    #[error("the {kind} '{id}' was not asked for")]
    Unasked {
        /// The kind.
        kind: Kind,
        /// The id.
        id: String,
    },
    /// The table of kinds would not put a record there.
    #[error("the {kind} '{id}' does not belong there")]
    Misplaced {
        /// The kind.
        kind: Kind,
        /// The id.
        id: String,
        /// Why not.
        #[source]
        reason: Misplaced,
    },
    /// Only a trusted site may be the home of the default domain.
    #[error("an untrusted site says to be the home of the default domain")]
    Untrusted,
    /// The `default` domain is held with another home. Of everything else that two sites have made
    /// one is kept aside ([`Withheld`](super::Withheld)).
    #[error("there is a {kind} '{id}' whose home is site {home}")]
    Foreign {
        /// The kind.
        kind: Kind,
        /// The id.
        id: String,
        /// The home of the one that is held.
        home: SitePrefix,
    },
}
