//! Who is of the cloud, derived from the records held here.
//!
//! An admission counts if a trusted site made it; the founder is trusted, and whom a trusted site
//! admits as trusted is. So a site that is not trusted cannot let anybody in, whatever it feeds. A
//! removal by a trusted site (or by the site itself, of itself) ends a membership for good.
//!
//! A site says which keys its nodes have, and which of those count no longer. Of another site that
//! is believed only where the key itself says so, too ([`super::proof`]), or where it was shown to
//! the site that admitted it; of a key that two sites claim one alone is believed ([`Claims`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use luc_core::SitePrefix;
use luc_core::id::DomainId;
use luc_state::{Snapshot, Stored, TransactError, Tx, key};
use serde::{Deserialize, Serialize};

use super::model::{Admission, Label, NodeInfo, Removal, SiteInfo, site_id};
use super::refusal::Refusal;
use crate::Services;
use crate::write::settled;

/// The sites of the cloud, as one snapshot shows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// The prefix of the founder.
    pub cloud: SitePrefix,
    /// The registered sites, ordered by name.
    pub sites: Vec<Member>,
    /// The keys that count no longer.
    pub revoked: BTreeSet<String>,
    /// The sites that are gone.
    pub removed: BTreeSet<SitePrefix>,
}

/// A registered site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its prefix.
    pub site: SitePrefix,
    /// Its name.
    pub name: String,
    /// How far its word counts.
    pub label: Label,
    /// The domains whose records it may hold beside its own. An edge site may hold none that is
    /// not listed, and none at all without a list; a trusted site has no list and may hold any.
    #[serde(default)]
    pub domains: Option<Vec<DomainId>>,
    /// The site that admitted it.
    pub admitted_by: SitePrefix,
    /// Where its API is reached, if it said so.
    #[serde(default)]
    pub api_url: Option<String>,
    /// Its nodes whose keys count, ordered by name.
    pub nodes: Vec<MembershipNode>,
}

/// A node whose key counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipNode {
    /// Its key on the fabric, 64 hexadecimal digits.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Where it is reached.
    pub addresses: Vec<String>,
    /// Whether it keeps its site's store.
    pub controller: bool,
}

impl Members {
    /// What `snapshot` shows at `site`.
    pub fn of(snapshot: &Snapshot, site: SitePrefix) -> Self {
        let own = snapshot.get::<SiteInfo>(site_id(site).as_str());
        let cloud = own.map_or(site, |own| own.cloud);
        let admissions: Vec<_> = snapshot.all().collect();
        let counted = counted(&admissions, cloud);
        let removed = gone(&counted, snapshot.all());
        let mut registered = counted;
        registered.retain(|site, _| !removed.contains(site));
        let claims = Claims::of(snapshot, (site, cloud), &registered);
        let revoked = claims.revoked();
        let mut sites: Vec<Member> = registered
            .values()
            .map(|admission| member(snapshot, &claims, admission))
            .collect();
        sites.sort_by(|left, right| (&left.name, left.site).cmp(&(&right.name, right.site)));
        Self {
            cloud,
            sites,
            revoked,
            removed,
        }
    }

    /// The registered site `site`.
    pub fn site(&self, site: SitePrefix) -> Option<&Member> {
        self.sites.iter().find(|member| member.site == site)
    }

    /// The registered site whose prefix is `text`, or that is called so. No site can be called like
    /// a prefix.
    pub fn named(&self, text: &str) -> Option<&Member> {
        match text.parse() {
            Ok(prefix) => self.site(prefix),
            Err(_) => self.sites.iter().find(|member| member.name == text),
        }
    }

    /// Whether the word of `site` counts for the whole cloud.
    pub fn trusts(&self, site: SitePrefix) -> bool {
        self.site(site)
            .is_some_and(|member| member.label == Label::Trusted)
    }
}

/// The sites that are gone, as a transaction at `site` sees it.
pub(super) fn removed(tx: &Tx<'_>, site: SitePrefix) -> BTreeSet<SitePrefix> {
    let own = tx.get::<SiteInfo>(site_id(site).as_str());
    let cloud = own.map_or(site, |own| own.cloud);
    gone(&counted(&tx.all(), cloud), tx.all().into_iter())
}

/// The sites that are gone by the word of a trusted one or their own, `counted` being the
/// admissions that count.
fn gone(
    counted: &Counted,
    removals: impl Iterator<Item = Arc<Stored<Removal>>>,
) -> BTreeSet<SitePrefix> {
    let trusts = |site: SitePrefix| {
        let admission = counted.get(&site);
        admission.is_some_and(|admission| admission.label == Label::Trusted)
    };
    let removals = removals.filter(|said| trusts(said.home()) || said.home() == said.site);
    removals.map(|removal| removal.site).collect()
}

/// Admissions that count, by site.
type Counted = BTreeMap<SitePrefix, Arc<Stored<Admission>>>;

/// The admissions that count, one per site.
fn counted(admissions: &[Arc<Stored<Admission>>], cloud: SitePrefix) -> Counted {
    let mut counted: BTreeMap<SitePrefix, Arc<Stored<Admission>>> = BTreeMap::new();
    let mut trusted = vec![cloud];
    while let Some(inviter) = trusted.pop() {
        for admission in admissions {
            let rooted = admission.site != inviter || inviter == cloud;
            let first = !counted.contains_key(&admission.site);
            if admission.home() != inviter || !rooted || !first {
                continue;
            }
            if admission.label == Label::Trusted && admission.site != cloud {
                trusted.push(admission.site);
            }
            counted.insert(admission.site, Arc::clone(admission));
        }
    }
    counted
}

/// How well a claim to a key is founded; the greatest counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ground {
    /// A site that is not registered, or no longer, says so.
    Past,
    /// A registered site says so.
    Said,
    /// A trusted site says so.
    Trusted,
    /// The key was shown to the site that admitted this one.
    Shown,
    /// This very site says so of its own nodes.
    Own,
}

/// To which site each key belongs. Else a captured site could name the keys of others as its own
/// and so turn them away everywhere, or revoke them.
struct Claims {
    own: SitePrefix,
    cloud: SitePrefix,
    best: BTreeMap<String, (Ground, bool, SitePrefix)>,
}

impl Claims {
    /// As `snapshot` shows them at the site `own` of `cloud`, `registered` being the sites that
    /// count.
    fn of(
        snapshot: &Snapshot,
        (own, cloud): (SitePrefix, SitePrefix),
        registered: &BTreeMap<SitePrefix, Arc<Stored<Admission>>>,
    ) -> Self {
        let ground = |site: SitePrefix, key: &str| match registered.get(&site) {
            _ if site == own => Ground::Own,
            None => Ground::Past,
            Some(admission) if admission.node_key == key => Ground::Shown,
            Some(admission) if admission.label == Label::Trusted => Ground::Trusted,
            Some(_) => Ground::Said,
        };
        let told = snapshot.all::<NodeInfo>();
        let told = told.filter(|node| is_said(node, own, cloud));
        let told = told.map(|node| (node.key.clone(), node.site, node.revoked_at.is_some()));
        let admitted = registered.values();
        let admitted = admitted.map(|one| (one.node_key.clone(), one.site, false));
        let mut best = BTreeMap::new();
        for (key, site, revoked) in told.chain(admitted) {
            let claim = (ground(site, &key), revoked, site);
            let known = best.entry(key).or_insert(claim);
            *known = claim.max(*known);
        }
        Self { own, cloud, best }
    }

    /// Whether `node` is one of its site.
    fn believe(&self, node: &Stored<NodeInfo>) -> bool {
        is_said(node, self.own, self.cloud) && self.belongs(&node.key, node.site)
    }

    /// Whether `key` is a node of `site`.
    fn belongs(&self, key: &str, site: SitePrefix) -> bool {
        let best = self.best.get(key);
        best.is_none_or(|(_, _, owner)| *owner == site)
    }

    fn revoked(&self) -> BTreeSet<String> {
        let revoked = self.best.iter().filter(|(_, (_, revoked, _))| *revoked);
        revoked.map(|(key, _)| key.clone()).collect()
    }
}

/// Whether what a site says of a node may count: it speaks of its own, and the node's key agrees.
fn is_said(node: &Stored<NodeInfo>, own: SitePrefix, cloud: SitePrefix) -> bool {
    node.home() == node.site && (node.site == own || node.is_proven(cloud))
}

/// The nodes that sites call theirs although their keys belong to others, or do not say so.
pub fn contested(snapshot: &Snapshot, own: SitePrefix) -> Vec<(SitePrefix, String)> {
    let founder = snapshot.get::<SiteInfo>(site_id(own).as_str());
    let cloud = founder.map_or(own, |own| own.cloud);
    let admissions: Vec<_> = snapshot.all().collect();
    let registered = counted(&admissions, cloud);
    let claims = Claims::of(snapshot, (own, cloud), &registered);
    let told = snapshot.all::<NodeInfo>();
    let foreign = told.filter(|node| !claims.believe(node));
    foreign.map(|node| (node.site, node.key.clone())).collect()
}

fn member(snapshot: &Snapshot, claims: &Claims, admission: &Stored<Admission>) -> Member {
    let own = snapshot.get::<SiteInfo>(site_id(admission.site).as_str());
    let of_site = key(&[&admission.site.to_string()]);
    let known: Vec<_> = snapshot
        .find(&NodeInfo::BY_SITE, &of_site)
        .filter(|node| claims.believe(node))
        .collect();
    let mut nodes: Vec<MembershipNode> = known
        .iter()
        .filter(|node| node.revoked_at.is_none())
        .map(|node| MembershipNode {
            key: node.key.clone(),
            name: node.name.clone(),
            addresses: node.addresses.clone(),
            controller: node.is_controller(),
        })
        .collect();
    // Before the site has said anything itself, its first node is known from the admission.
    let said = known.iter().any(|node| node.key == admission.node_key);
    if !said && claims.belongs(&admission.node_key, admission.site) {
        nodes.push(MembershipNode {
            key: admission.node_key.clone(),
            name: admission.name.clone(),
            addresses: admission.addresses.clone(),
            controller: true,
        });
    }
    nodes.sort_by(|left, right| (&left.name, &left.key).cmp(&(&right.name, &right.key)));
    Member {
        site: admission.site,
        name: admission.name.clone(),
        label: admission.label,
        domains: admission.domains.clone(),
        admitted_by: admission.home(),
        api_url: own.and_then(|own| own.api_url.clone()),
        nodes,
    }
}

/// Runs a transaction and waits until it is durable.
pub(super) async fn transact<T>(
    services: &Services,
    body: impl FnMut(&mut Tx<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    match services.store.transact(body).await {
        Err(TransactError::Refused(refusal)) => Err(refusal),
        other => settled(other, Into::into).map_err(Refusal::Api),
    }
}
