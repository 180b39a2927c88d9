//! What a search asks to be woken for.

use serde::{Deserialize, Serialize};

use crate::neighbour::RequestId;

/// What a search asks to be woken for; none is cancelled, a late one finds its number gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// A question should have been answered by now.
    Asked {
        /// For which request; none for the ring's own upkeep.
        request: Option<RequestId>,
        /// Which question.
        ask: u32,
    },
    /// An answer has been waited for long enough: give what there is.
    Patience {
        /// Which request.
        request: RequestId,
        /// Which of its answers.
        round: u32,
    },
    /// Upkeep is due: ages of view entries, the ring's successors.
    Upkeep {
        /// Which start of the search it belongs to.
        epoch: u16,
    },
}
