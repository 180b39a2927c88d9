//! What must be true of a cloud whatever happens to it; one file each.
//!
//! Those of states are looked at after each commit of a site (`look`), those of answers when the
//! run is over and everything is healed (`judge`), read your writes while the clients go on.

pub(crate) mod acknowledged_writes_survive;
pub(crate) mod edges_stay_inside;
pub(crate) mod exactly_once;
pub(crate) mod joins_are_whole;
pub(crate) mod limits_come_into_force;
pub(crate) mod lowered_limits_bind;
pub(crate) mod members_are_agreed;
pub(crate) mod nothing_resurrected;
pub(crate) mod one_home;
pub(crate) mod people_come_along_once;
pub(crate) mod quota_never_exceeded;
pub(crate) mod read_your_writes;
pub(crate) mod replicas_are_prefixes;
