//! What controller and compute-only node say to each other; versioned JSON.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::agents::Ratios;
use luc_agent::desired::{DesiredServer, Generation, HostPlace};
use luc_agent::host::Heartbeat;
use luc_core::id::ServerId;
use serde::{Deserialize, Serialize};

/// The version of this conversation. A node that speaks another is refused with both numbers.
pub(super) const VERSION: u32 = 1;

/// An answer about wishes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wishes {
    /// The version of the conversation.
    pub version: u32,
    /// The revision up to which this is true.
    pub revision: u64,
    /// Everything that is wanted; `None` in an answer about changes.
    pub snapshot: Option<Vec<DesiredServer>>,
    /// What changed, in order.
    pub changes: Vec<Change>,
    /// Changes are missing: ask for everything again.
    pub reload: bool,
    /// Whether the controller wants to be asked before new servers among these are begun; one of
    /// an older release does not, and believes that they are begun at once.
    #[serde(default)]
    pub ask: bool,
}

/// New servers, with the numbers of their wishes, that a node asks to begin.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Builds(pub Vec<(ServerId, Generation)>);

/// The answer to it: all but these.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Begin {
    /// They are wanted no more, or not so; what is wanted of them now comes as a change.
    pub stale: BTreeSet<ServerId>,
}

/// One change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// This is wanted now.
    Want(Box<DesiredServer>),
    /// There is no such server any more.
    Forget(ServerId),
}

/// A sign of life.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Alive {
    /// The version of the conversation.
    pub version: u32,
    /// The port on which the node is reached, at the address the heartbeat comes from.
    pub reached_at: SocketAddr,
    /// How many times over that may be promised.
    pub ratios: Ratios,
    /// What it has.
    pub heartbeat: Heartbeat,
}

/// The answer to a sign of life. A controller of an older release answers with nothing.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Heard {
    /// What the controller says of the host.
    #[serde(default)]
    pub place: HostPlace,
}

impl Heard {
    /// The answer in `body`, however old the controller is.
    pub(super) fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(body)
    }
}

/// A refusal.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    /// Why.
    pub reason: String,
}

/// An answer about a console.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Console {
    /// The lines.
    pub output: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use luc_agent::desired::PlacementRules;
    use luc_agent::testing::server;
    use serde_json::json;

    #[test]
    fn wishes_of_an_older_controller_are_read_without_rules_and_questions() {
        let wish = DesiredServer {
            rules: Some(PlacementRules::default()),
            ..server("s1")
        };
        let wishes = Wishes {
            version: VERSION,
            revision: 7,
            snapshot: Some(vec![wish.clone()]),
            changes: vec![Change::Want(Box::new(wish))],
            reload: false,
            ask: true,
        };
        let mut told = serde_json::to_value(&wishes).expect("they are written");
        for wish in ["/snapshot/0", "/changes/0/want"] {
            let wish = told.pointer_mut(wish).and_then(|wish| wish.as_object_mut());
            let taken = wish.and_then(|wish| wish.remove("rules"));
            assert!(taken.is_some());
        }
        let asks = told.as_object_mut().and_then(|told| told.remove("ask"));
        assert_eq!(asks, Some(json!(true)));
        let read: Wishes = serde_json::from_value(told).expect("they are read");
        assert!(!read.ask);
        let rules = read.snapshot.map(|wishes| wishes[0].rules.clone());
        assert_eq!(rules, Some(None));
        assert!(matches!(&read.changes[0], Change::Want(wish) if wish.rules.is_none()));
    }

    #[test]
    fn an_older_controller_says_nothing_of_the_host() {
        let labels = |body: &[u8]| Heard::read(body).expect("it is read").place.labels;
        assert!(labels(b"").is_empty() && labels(b"{}").is_empty());
        let said = json!({"place": {"labels": ["zone:a"], "later": 1}}).to_string();
        assert_eq!(labels(said.as_bytes()), ["zone:a".to_owned()].into());
        assert!(Heard::read(b"no").is_err());
    }
}
