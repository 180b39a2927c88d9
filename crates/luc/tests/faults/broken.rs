//! Switches that break one rule each, to prove that the invariants can fail.

use luc_state::Broken;

/// A rule that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A home does not remember what it has carried out: an operation that arrives twice is done
    /// twice.
    OutcomesForgotten,
    /// Deletions leave no tombstone.
    TombstonesDropped,
    /// Copies of other sites' records are written as if they were own ones.
    CopiesWritable,
    /// New records are at home where they are made, whatever their domain says.
    HomesIgnored,
    /// A site answers before what was written elsewhere is visible here.
    OwnWritesNotAwaited,
    /// Batches are applied wherever the follower's cursor is.
    CursorUnchecked,
    /// A site says that it has given back what it was lent, and goes on to use it.
    BlocksGivenBackInWords,
    /// A site that is asked for what it was lent keeps it.
    BlocksKept,
    /// A site promises a name to a joining site and does not write it down.
    PromisesInWords,
    /// Sites do not hear whose key counts no longer.
    RevocationsUnheard,
    /// A home feeds every site what that asks for.
    FollowersFedAll,
    /// The word of an edge site counts like that of any other.
    EdgesTrusted,
    /// A site with people of its own joins as if it had none.
    PeopleLeftBehind,
    /// A home keeps a part of a limit for a site whether it is free or not.
    ReservesUnchecked,
    /// A home grants more of a user's limit than it writes down.
    UserBlocksMadeUp,
    /// The homes of domains do not follow what admissions say of edge sites, and homes of limits
    /// not whether sites are back.
    PermitsUnsettled,
    /// A site says that it has heard of a limit and uses nothing, whatever it uses.
    LimitsHeardInWords,
    /// A disk says that a commit is durable, and has forgotten it after a restart.
    CommitsForgotten,
}

impl Rule {
    /// The switch of the store, where it is one.
    pub(crate) fn of_the_store(self) -> Option<Broken> {
        match self {
            Self::TombstonesDropped => Some(Broken::TombstonesDropped),
            Self::CopiesWritable => Some(Broken::CopiesWritable),
            Self::HomesIgnored => Some(Broken::HomesIgnored),
            Self::CursorUnchecked => Some(Broken::CursorUnchecked),
            _ => None,
        }
    }
}
