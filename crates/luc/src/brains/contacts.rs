//! Whom a brain announces itself to: some nodes of its own site, and controllers of others.

use std::sync::Arc;

use luc_core::PeerId;
use luc_runtime::NodeKey;
use luc_runtime::brain::{BrainHandle, Keys};
use luc_runtime::fabric::Fabric;

use crate::sites::Membership;

/// How many nodes of the own site are named.
const MATES: usize = 8;
/// How many controllers of each other site are.
const PER_SITE: usize = 2;

impl Keys for Membership {
    fn key_of(&self, peer: PeerId) -> Option<NodeKey> {
        Self::key_of(self, peer)
    }
}

/// Whom the brain of `me` is told to announce itself to.
pub fn of(membership: &Membership, me: PeerId) -> Vec<PeerId> {
    let nodes = membership.nodes();
    let (mut mates, mut later): (Vec<PeerId>, Vec<PeerId>) = nodes
        .into_keys()
        .filter(|peer| peer.site == me.site && *peer != me)
        .partition(|peer| *peer > me);
    // Each begins with those after itself, so that not all call the same few.
    mates.append(&mut later);
    mates.truncate(MATES);
    for site in membership.others() {
        let keys = membership.controllers(site);
        mates.extend(keys.iter().take(PER_SITE).map(|key| key.peer_id(site)));
    }
    mates
}

/// Tells the brain, and its own fabric if it has one, of everybody new. Ends when dropped.
pub async fn keep(
    membership: Arc<Membership>,
    me: PeerId,
    own_fabric: Option<Arc<dyn Fabric>>,
    brain: BrainHandle,
) {
    let mut changes = membership.changes();
    loop {
        if let Some(fabric) = &own_fabric {
            membership.place(&**fabric).await;
        }
        brain.meet(of(&membership, me)).await;
        if changes.changed().await.is_err() {
            return;
        }
    }
}
