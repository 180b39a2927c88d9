//! Who is of the cloud: sites and their nodes, how they join, and how they go.
//!
//! ```text
//! ticket ──▶ node registered                      at once, at the inviting site
//! ticket ──▶ promises of a majority ──▶ admission  name and prefix are the site's own
//! admission ──▶ removal                            for good
//! node ──▶ revoked                                 for good
//! ```
//!
//! A ticket is good once and expires; only the hash of its secret is stored. Names and prefixes
//! stay unique although no site decides alone: each site promises a name and a prefix to one
//! joining site only, and two majorities always share a site. State contract, section "Joining".
//!
//! Not here: how sites talk (`luc` plugs [`Electorate`] over its fabric) and what a site's word
//! counts for (the identity service reads [`Admission::label`]).

mod admit;
mod invite;
mod leave;
mod members;
mod merge;
mod model;
mod promise;
mod proof;
mod refusal;
mod room;
mod ticket;
mod whereabouts;

#[cfg(test)]
mod tests;

pub use admit::{
    Admitted, Electorate, NodeWish, Silent, SiteWish, admit_site, join_message, register_node,
};
pub use invite::{Invitation, Inviter, invite};
pub use leave::{Going, Parting, allow, fenced, found, introduce, leave, parting, remove, revoke};
pub use members::{Member, Members, MembershipNode, contested};
pub use merge::{Common, bring_people, common, may_bring};
pub use model::{
    Admission, Label, NodeInfo, Promise, Purpose, Removal, SiteInfo, Ticket, node_id, site_id,
};
pub use promise::{Known, PromiseWish, may_invite, promise, release};
pub use proof::node_message;
pub use refusal::Refusal;
pub use room::room;
pub use ticket::{TicketError, TicketText};
pub use whereabouts::locate;

use luc_state::Schema;

/// The tables of sites, nodes and tickets.
pub fn schema() -> Schema {
    Schema::new()
        .table::<SiteInfo>()
        .table::<NodeInfo>()
        .table::<Admission>()
        .table::<Removal>()
        .table::<Ticket>()
        .table::<Promise>()
}
