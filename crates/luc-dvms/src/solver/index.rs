//! Which hosts are worth a look as targets.
//!
//! A host that was overloaded from the start never is: a plan that fills what it has just emptied
//! has to wait for itself. In a group all others are. In a whole cloud of thousands only the
//! calmest of the source's own site and the nearest and calmest of all are, so that an overload
//! costs the same to solve however large the cloud is.

use std::collections::{BTreeMap, BTreeSet};

use luc_core::SitePrefix;

use super::budget::Budget;
use super::model::{CPU, Model};

/// Up to this many hosts, all are looked at.
pub(super) const GROUP_HOSTS: usize = 64;

/// How many of the own site and how many of all are looked at in a larger cloud.
const CHOICE: usize = 24;

/// Orders targets: round trip in milliseconds, risk after one more usual machine, index.
type Key = (u64, u64, usize);

/// The targets in reach of a source.
pub(super) enum Reach {
    /// All hosts of a group.
    Group,
    /// The calmest and nearest of a cloud.
    Cloud(Cloud),
}

/// The receiving hosts of a cloud, in order of calm.
pub(super) struct Cloud {
    /// Usual demand, and variance, of one machine more.
    usual: (u64, u64),
    all: BTreeSet<Key>,
    sites: BTreeMap<SitePrefix, BTreeSet<Key>>,
    keys: Vec<Key>,
}

impl Reach {
    /// Orders the hosts; costs a step for each host of a cloud.
    pub(super) fn new(model: &Model<'_>, budget: &mut Budget) -> Self {
        let hosts = model.loads.len();
        if hosts <= GROUP_HOSTS {
            return Self::Group;
        }
        budget.charge(hosts as u64);
        let machines = model
            .hosts
            .iter()
            .map(|host| host.vms.len() as u64)
            .sum::<u64>()
            .max(1);
        let total = |of: fn(&super::model::Load) -> u64| model.loads.iter().map(of).sum::<u64>();
        let usual = (
            total(|load| load.mean) / machines,
            total(|load| load.variance) / machines,
        );
        let mut cloud = Cloud {
            usual,
            all: BTreeSet::new(),
            sites: BTreeMap::new(),
            keys: Vec::with_capacity(hosts),
        };
        for host in 0..hosts {
            let key = cloud.key(model, host);
            cloud.keys.push(key);
        }
        for key in &cloud.keys {
            let load = &model.loads[key.2];
            if load.receives && load.over_before == 0 {
                cloud.all.insert(*key);
            }
        }
        for key in &cloud.all {
            cloud
                .sites
                .entry(model.hosts[key.2].peer.site)
                .or_default()
                .insert(*key);
        }
        Self::Cloud(cloud)
    }

    /// The targets with room for `least` processor time that `host` should look at: in order of
    /// preference in a cloud, all of them by index in a group.
    pub(super) fn targets(&self, model: &Model<'_>, host: usize, least: u64) -> Vec<usize> {
        let Self::Cloud(cloud) = self else {
            return (0..model.loads.len())
                .filter(|target| *target != host && model.loads[*target].receives)
                .filter(|target| model.loads[*target].over_before == 0)
                .collect();
        };
        let site = cloud.sites.get(&model.hosts[host].peer.site);
        let mut targets: Vec<usize> = Vec::with_capacity(2 * CHOICE);
        for keys in site.into_iter().chain([&cloud.all]) {
            let roomy = keys
                .iter()
                .map(|key| key.2)
                .filter(|target| {
                    let load = &model.loads[*target];
                    *target != host && load.used[CPU] + least <= load.capacity[CPU]
                })
                .take(CHOICE);
            targets.extend(roomy);
        }
        let mut seen = BTreeSet::new();
        targets.retain(|target| seen.insert(*target));
        targets
    }

    /// Orders `host` anew after it took something in.
    pub(super) fn learn(&mut self, model: &Model<'_>, host: usize) {
        let Self::Cloud(cloud) = self else { return };
        if !model.loads[host].receives {
            return;
        }
        let (old, new) = (cloud.keys[host], cloud.key(model, host));
        cloud.keys[host] = new;
        let site = cloud.sites.entry(model.hosts[host].peer.site).or_default();
        for keys in [&mut cloud.all, site] {
            keys.remove(&old);
            keys.insert(new);
        }
    }
}

impl Cloud {
    fn key(&self, model: &Model<'_>, host: usize) -> Key {
        let far = model.rtt(host).as_millis() as u64;
        (far, model.likelihood_with(host, self.usual), host)
    }
}
