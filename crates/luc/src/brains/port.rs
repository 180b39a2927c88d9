//! What comes in on the overlay's channel: messages of other brains, and questions about this one.
//!
//! A question is a JSON request, answered with [`Report`]s. Nodes of the own site may ask, and
//! controllers of sites whose word counts for the whole cloud.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use luc_core::{PeerId, SitePrefix};
use luc_runtime::brain::{BrainHandle, Status};
use luc_runtime::fabric::{Channel, Handler, Peer, RecvHalf, Refusal, SendHalf};
use serde::{Deserialize, Serialize};

use super::Brains;
use crate::sites::Membership;

/// The longest question.
const BYTES_MAX: usize = 4096;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// What do you think?
    Yours,
    /// What do all of your site think?
    OfSite,
}

/// What a node's brain knows and thinks, or why nobody knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The name of its site.
    pub site: String,
    /// The node's name; empty where the whole site is silent.
    pub node: String,
    /// The node, as protocols name it.
    pub peer: Option<PeerId>,
    /// The brain's own words.
    pub status: Option<Status>,
    /// Why there are none.
    pub error: Option<String>,
}

/// The handler of one brain.
pub struct Port {
    pub(super) site: SitePrefix,
    pub(super) membership: Arc<Membership>,
    brain: OnceLock<BrainHandle>,
    brains: OnceLock<Weak<Brains>>,
}

impl Port {
    /// For a node of `site`. Until it is connected everything is dropped.
    pub fn new(site: SitePrefix, membership: Arc<Membership>) -> Self {
        Self {
            site,
            membership,
            brain: OnceLock::new(),
            brains: OnceLock::new(),
        }
    }

    /// Hands everything to `brain` from now on.
    pub(super) fn connect(&self, brain: BrainHandle) {
        // A port is made for one brain.
        let _ = self.brain.set(brain);
    }

    /// Says which brains run beside this one.
    pub(super) fn belongs_to(&self, brains: &Arc<Brains>) {
        let _ = self.brains.set(Arc::downgrade(brains));
    }

    fn may_ask(&self, from: Peer) -> bool {
        let Some(peer) = from.id() else { return false };
        let site = peer.site;
        let speaks_for_it = || self.membership.controllers(site).contains(&from.key);
        site == self.site || self.membership.trusts(site) && speaks_for_it()
    }
}

#[async_trait]
impl Handler for Port {
    async fn request(&self, from: Peer, _: Channel, body: Bytes) -> Result<Bytes, Refusal> {
        if !self.may_ask(from) {
            return Err(Refusal::NotAdmitted);
        }
        let brains = self.brains.get().and_then(Weak::upgrade);
        let (Some(brains), Some(brain)) = (brains, self.brain.get()) else {
            return Err(Refusal::Busy);
        };
        if body.len() > BYTES_MAX {
            return Err(Refusal::Malformed("too long".to_owned()));
        }
        let question = serde_json::from_slice(&body);
        let question = question.map_err(|error| Refusal::Malformed(error.to_string()))?;
        let reports = match question {
            Question::Yours => {
                let status = brain.status().await.ok_or(Refusal::Busy)?;
                vec![brains.report(status.me, "", Ok::<_, String>(status))]
            }
            Question::OfSite => brains.of_site().await,
        };
        serde_json::to_vec(&reports)
            .map(Bytes::from)
            .map_err(|error| Refusal::Other(error.to_string()))
    }

    fn datagram(&self, from: Peer, _: Channel, body: Bytes) {
        if let Some(brain) = self.brain.get() {
            brain.deliver_from(from, body);
        }
    }

    async fn stream(&self, _: Peer, _: Channel, _: SendHalf, _: RecvHalf) {}

    fn rtt(&self, peer: Peer, sample: Duration) {
        if let (Some(brain), Some(peer)) = (self.brain.get(), peer.id()) {
            brain.round_trip(peer, sample);
        }
    }
}
