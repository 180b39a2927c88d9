//! Where members are, beyond what stands in their records: what other sites tell of one that is
//! silent, and what names meant when they were last looked up. Memory only; [`super::Membership`]
//! puts it together for the fabric.
//!
//! What is told is tried after what the records say, and only for keys that are members: the
//! handshake proves the key (`luc_runtime::fabric::quic`), so a wrong word costs a failed dial.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use luc_core::SitePrefix;
use luc_runtime::NodeKey;

/// How long the meaning of a name is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// What was told of the controllers of one site.
pub(super) type Told = BTreeMap<NodeKey, Vec<String>>;

/// What names mean, and what was told.
#[derive(Default)]
pub(super) struct Places {
    names: Mutex<BTreeMap<String, Vec<SocketAddr>>>,
    told: Mutex<BTreeMap<SitePrefix, Told>>,
}

impl Places {
    /// What `addresses` mean as far as that is known, in their order.
    pub(super) fn known(&self, addresses: &[String]) -> Vec<SocketAddr> {
        let names = locked(&self.names);
        let mean = |address: &String| match address.parse() {
            Ok(address) => vec![address],
            Err(_) => names.get(address).cloned().unwrap_or_default(),
        };
        addresses.iter().flat_map(mean).collect()
    }

    /// What was told of the node `key` of `site`.
    pub(super) fn told(&self, site: SitePrefix, key: NodeKey) -> Vec<String> {
        let told = locked(&self.told);
        let told = told.get(&site).and_then(|nodes| nodes.get(&key));
        told.cloned().unwrap_or_default()
    }

    /// Everything that was told.
    pub(super) fn all_told(&self) -> Vec<String> {
        let told = locked(&self.told);
        let nodes = told.values().flat_map(BTreeMap::values);
        nodes.flatten().cloned().collect()
    }

    /// Takes what was told of `site` in place of what was told before.
    pub(super) fn tell(&self, site: SitePrefix, told: Told) {
        locked(&self.told).insert(site, told);
    }

    /// Forgets what was told of `site`; whether there was anything.
    pub(super) fn forget(&self, site: SitePrefix) -> bool {
        locked(&self.told).remove(&site).is_some()
    }

    /// Looks `names` up, all at once. One that has no answer now means what it meant before.
    pub(super) async fn look_up(&self, names: BTreeSet<String>) {
        let asked = names.into_iter().map(async |name| {
            let found = looked_up_one(&name).await;
            (name, found)
        });
        let answered = join_all(asked).await;
        let mut names = locked(&self.names);
        for (name, found) in answered {
            if !found.is_empty() {
                names.insert(name, found);
            }
        }
    }

    /// Forgets what names meant that are not among `names`.
    pub(super) fn keep(&self, names: &BTreeSet<String>) {
        locked(&self.names).retain(|name, _| names.contains(name));
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether an address must be looked up.
pub(super) fn is_name(address: &str) -> bool {
    address.parse::<SocketAddr>().is_err()
}

async fn looked_up_one(name: &str) -> Vec<SocketAddr> {
    let found = tokio::time::timeout(PATIENCE, tokio::net::lookup_host(name)).await;
    match found {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => {
            tracing::debug!(name, %error, "the name of a node means nothing");
            Vec::new()
        }
        Err(_) => {
            tracing::debug!(name, "nobody says in time what the name of a node means");
            Vec::new()
        }
    }
}

/// Addresses as the fabric wants them; a name is looked up.
pub async fn resolved(addresses: &[String]) -> Vec<SocketAddr> {
    let places = Places::default();
    let names = addresses.iter().filter(|address| is_name(address));
    places.look_up(names.cloned().collect()).await;
    places.known(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_means_what_it_was_looked_up_to_and_keeps_its_place() {
        let addresses = ["127.0.0.1:7", "localhost:8", "nowhere.invalid:9"].map(str::to_owned);
        let found = resolved(&addresses).await;
        assert_eq!(found[0], SocketAddr::from(([127, 0, 0, 1], 7)));
        assert!(
            found.len() > 1
                && found[1..]
                    .iter()
                    .all(|a| a.port() == 8 && a.ip().is_loopback())
        );
    }

    #[tokio::test]
    async fn a_name_without_an_answer_means_what_it_meant() {
        let places = Places::default();
        let (name, meant) = (
            "nowhere.invalid:9".to_owned(),
            SocketAddr::from(([1, 2, 3, 4], 9)),
        );
        locked(&places.names).insert(name.clone(), vec![meant]);
        let names = BTreeSet::from([name.clone()]);
        places.look_up(names.clone()).await;
        places.keep(&names);
        assert_eq!(places.known(std::slice::from_ref(&name)), [meant]);
        places.keep(&BTreeSet::new());
        assert!(places.known(&[name]).is_empty());
    }
}
