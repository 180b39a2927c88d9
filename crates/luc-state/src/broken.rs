//! Rules that a test may switch off in a store, to see whether the checkers of a cloud notice.
//!
//! Never in production: nothing but [`StoreOptions::broken`](crate::StoreOptions::broken) sets one,
//! and no configuration reaches that.

/// A rule of state that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broken {
    /// A deletion leaves no tombstone, so that a follower who was away never hears of it.
    TombstonesDropped,
    /// Copies of other sites' records may be written as if they were this site's own.
    CopiesWritable,
    /// A new record is at home where it is made, whatever the rule of its kind says.
    HomesIgnored,
    /// A batch is applied wherever the follower's cursor is.
    CursorUnchecked,
}
