//! That a node is of a site, in the words of the node itself: its own key signs it (Ed25519,
//! RFC 8032).
//!
//! A site says which keys its nodes have. Without the nodes' own word it could name the key of
//! anybody who comes later as its own, and turn that one away everywhere. So what another site says
//! of a key counts only with this proof; [`super::members`] leaves the rest out. The cloud stands
//! in it too: that of the site, or the site itself for a node that joined before its site did.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ed25519_dalek::{Signature, VerifyingKey};
use luc_core::SitePrefix;
use sha2::{Digest as _, Sha256};

/// How many proofs are remembered as checked; then they are checked anew.
const CHECKED_MAX: usize = 65_536;

/// Whether a signature holds for a message, by the hash of both and the key: a function of nothing
/// else, so it is checked once in a process and not each time the members are read.
static CHECKED: Mutex<BTreeMap<[u8; 32], bool>> = Mutex::new(BTreeMap::new());

/// What a node's key signs: everything that must not be exchanged.
pub fn node_message(cloud: SitePrefix, site: SitePrefix, key: &str) -> Vec<u8> {
    let parts = ["luc node", &cloud.to_string(), &site.to_string(), key];
    parts.join("\0").into_bytes()
}

/// Whether `proof` is the signature of `key` that it is of a node of `site` in `cloud`. `None`, a
/// text that is none and a wrong one are all refused.
pub(super) fn proves(cloud: SitePrefix, site: SitePrefix, key: &str, proof: Option<&str>) -> bool {
    let mut bytes = ([0u8; 32], [0u8; 64]);
    let read = hex::decode_to_slice(key, &mut bytes.0).is_ok()
        && proof.is_some_and(|proof| hex::decode_to_slice(proof, &mut bytes.1).is_ok());
    read && [cloud, site]
        .iter()
        .any(|cloud| holds(&node_message(*cloud, site, key), &bytes.0, &bytes.1))
}

fn holds(message: &[u8], key: &[u8; 32], signature: &[u8; 64]) -> bool {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(key)
        .chain_update(signature)
        .chain_update(message)
        .finalize()
        .into();
    let checked = || CHECKED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = checked().get(&digest) {
        return *known;
    }
    let signature = Signature::from_bytes(signature);
    let good = VerifyingKey::from_bytes(key)
        .is_ok_and(|key| key.verify_strict(message, &signature).is_ok());
    let mut checked = checked();
    if checked.len() >= CHECKED_MAX {
        checked.clear();
    }
    checked.insert(digest, good);
    good
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    #[test]
    fn a_proof_is_for_one_key_at_one_site_of_one_cloud() {
        let [cloud, site, other] = [1, 2, 3].map(|n| SitePrefix::of_key(&[n]));
        let secret = SigningKey::from_bytes(&[7; 32]);
        let key = hex::encode(secret.verifying_key().as_bytes());
        let signed = |cloud, site| {
            let message = node_message(cloud, site, &key);
            hex::encode(secret.sign(&message).to_bytes())
        };
        let proof = signed(cloud, site);
        for _ in 0..2 {
            assert!(proves(cloud, site, &key, Some(&proof)));
            assert!(!proves(other, site, &key, Some(&proof)));
            assert!(!proves(cloud, other, &key, Some(&proof)));
            assert!(!proves(cloud, site, &"00".repeat(32), Some(&proof)));
        }
        // Of the time when the site was a cloud of its own.
        assert!(proves(cloud, site, &key, Some(&signed(site, site))));
        assert!(!proves(cloud, site, &key, Some(&signed(other, site))));
        for wrong in ["", "00", &"0".repeat(128), &proof[1..]] {
            assert!(!proves(cloud, site, &key, Some(wrong)), "{wrong}");
        }
        assert!(!proves(cloud, site, &key, None));
    }
}
