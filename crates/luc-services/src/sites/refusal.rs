//! Why something about sites and nodes is refused.

use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::time::Timestamp;
use luc_state::TxError;

use super::model::Purpose;

/// Why something about sites and nodes was not done. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such ticket was made here, or it has been used by somebody else.
    #[error("this ticket is not known here: it was used already, or made for another site")]
    TicketUnknown,
    /// The ticket is too old.
    #[error("this ticket has expired: ask for a new one")]
    TicketExpired {
        /// Since when.
        since: Timestamp,
    },
    /// The ticket is for something else.
    #[error("this ticket is for a {purpose}")]
    TicketPurpose {
        /// What it is for.
        purpose: Purpose,
    },
    /// What joins did not prove that it has its keys.
    #[error("the joining site does not prove that it has the key it names")]
    Proof,
    /// A field of the request is wrong.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Another site has this name, or was promised it.
    #[error("the name '{name}' belongs to another site, or is promised to one")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A site with this prefix is known.
    #[error("a site with the prefix {site} is already known; a new site makes a new key")]
    PrefixKnown {
        /// The prefix.
        site: SitePrefix,
    },
    /// Another node of the site has this name.
    #[error("another node of this site is called '{name}'")]
    NodeNameTaken {
        /// The name.
        name: String,
    },
    /// This key was revoked.
    #[error("this node's key was revoked; make a new one")]
    Revoked,
    /// Fewer than a majority of the registered sites promised.
    #[error(
        "a site joins with the consent of {needed} of {registered} registered sites; no answer \
         from: {}. One that never came or is gone for good is removed with `luc site remove NAME`",
        silent.join(", ")
    )]
    NoMajority {
        /// How many must promise.
        needed: usize,
        /// How many are registered.
        registered: usize,
        /// The names of those that did not answer.
        silent: Vec<String>,
    },
    /// There is no such site, node or ticket.
    #[error("there is no {what} '{id}'")]
    Unknown {
        /// What kind of thing.
        what: &'static str,
        /// What was given.
        id: String,
    },
    /// It still has something that would be lost.
    #[error("the site still has: {}; move or delete that first", has.join(", "))]
    Holds {
        /// What.
        has: Vec<String>,
    },
    /// It is the only controller of its site.
    #[error(
        "node '{name}' is the only controller of its site, which nobody would reach any more: the \
         site would have to be removed and join anew with a new key. If the key is in wrong hands, \
         insist"
    )]
    OnlyController {
        /// The name of the node.
        name: String,
    },
    /// Only a trusted site may do this.
    #[error("this site is not trusted with that; ask at a trusted site")]
    NotTrusted,
    /// It cannot be done to the only site, or to this one.
    #[error("{reason}")]
    Impossible {
        /// Why.
        reason: String,
    },
    /// The store refused.
    #[error("the store refused the change")]
    Store(#[from] TxError),
    /// The store did not do it.
    #[error("the change could not be stored")]
    Api(#[from] ApiError),
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Invalid { field, reason } => Self::invalid(field, reason),
            Refusal::Unknown { .. } => Self::not_found(message),
            Refusal::NoMajority { .. } => Self::Unavailable { message },
            Refusal::Holds { .. }
            | Refusal::NameTaken { .. }
            | Refusal::NodeNameTaken { .. }
            | Refusal::OnlyController { .. }
            | Refusal::PrefixKnown { .. } => Self::conflict(message),
            Refusal::TicketUnknown
            | Refusal::TicketExpired { .. }
            | Refusal::TicketPurpose { .. }
            | Refusal::Proof
            | Refusal::Revoked
            | Refusal::NotTrusted => Self::forbidden(message),
            Refusal::Impossible { reason } => Self::bad_request(reason),
            Refusal::Store(TxError::Elsewhere { home, .. }) => Self::Elsewhere { home },
            Refusal::Store(error) => Self::internal(error.to_string()),
            Refusal::Api(error) => error,
        }
    }
}
