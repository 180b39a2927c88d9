//! What always holds of an overlay, checked after every input in debug builds.
//!
//! All are cheap: none looks at every member.

use crate::protocol::{Overlay, Phase};

/// Panics if the overlay contradicts itself; a bug, never a peer's doing.
pub(crate) fn assert_invariants(overlay: &Overlay) {
    let (me, members) = (overlay.me, &overlay.members);
    assert!(members.get(me).is_none(), "{me}: a node is its own member");
    let foreign = |known: Option<&crate::members::Known>| {
        known.is_some_and(|known| known.peer.site != me.site)
    };
    if overlay.cloud.is_none() {
        // In order of sites, so looking at both ends is looking at all.
        let strangers = foreign(members.iter().next()) || foreign(members.iter().next_back());
        assert!(!strangers, "{me}: no delegate, and keeps other sites");
    }
    let contacts = overlay.contacts.as_slice();
    assert!(
        contacts.len() <= usize::from(overlay.swim.contacts),
        "{me}: too many contacts"
    );
    assert!(
        contacts.iter().all(|peer| peer.site != me.site),
        "{me}: a contact of the own site"
    );
    if overlay.phase == Phase::Serving {
        let swims = overlay.site.is_some();
        let asks = overlay.directory.is_some();
        assert!(swims != asks, "{me}: one source of membership, not both");
        assert!(swims || overlay.cloud.is_none(), "{me}: a lone cloud pool");
    }
    assert!(overlay.edition > 0, "{me}: a coordinate without edition");
}
