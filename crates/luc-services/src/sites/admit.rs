//! The inviting site's side of a join.
//!
//! A node is registered in one transaction that also uses up the ticket. A site needs promises
//! first; its admission is then written in the transaction that uses up the ticket, so a crash at
//! any point leaves either a good ticket or a member. A join that is sent again by the same key is
//! answered as it was the first time.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use ed25519_dalek::{Signature, VerifyingKey};
use futures::stream::{FuturesUnordered, StreamExt as _};
use luc_core::{SitePrefix, Uuid};
use luc_state::{Tx, key};
use serde::{Deserialize, Serialize};

use super::members::{Members, removed, transact};
use super::model::{Admission, NodeInfo, Purpose, Ticket, node_id};
use super::promise::{Known, PromiseWish, free, promise, release};
use super::proof::proves;
use super::refusal::Refusal;
use super::ticket::hash;
use crate::Services;
use crate::ports::Drawn;

/// A site did not answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent;

/// The other registered sites, asked for promises. `luc` plugs its fabric.
#[async_trait]
pub trait Electorate: Send + Sync {
    /// Asks `site` to promise; waits a few seconds at most. The answer is what [`promise`] says
    /// there.
    async fn promise(
        &self,
        site: SitePrefix,
        wish: &PromiseWish,
    ) -> Result<Result<Vec<Known>, Refusal>, Silent>;

    /// Gives a promise back, as far as that works.
    async fn release(&self, site: SitePrefix, wish: &PromiseWish);
}

/// A node that wants to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeWish {
    /// Its key on the fabric, 64 hexadecimal digits.
    pub key: String,
    /// Its name.
    pub name: String,
    /// What it does: `controller`, `compute`.
    pub roles: Vec<String>,
    /// Where it is reached.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Its key's signature over [`node_message`](super::node_message), 128 hexadecimal digits.
    #[serde(default)]
    pub proof: String,
}

/// A site that wants to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteWish {
    /// The name it wants.
    pub name: String,
    /// Its founding public key, 64 hexadecimal digits.
    pub founding_key: String,
    /// Its founding key's signature over [`join_message`], 128 hexadecimal digits.
    pub proof: String,
    /// Its first node.
    pub node: NodeWish,
}

/// What a site is told that was admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admitted {
    /// Its prefix.
    pub site: SitePrefix,
    /// The cloud as the inviting site sees it, the new site in it.
    pub members: Members,
}

/// What the founding key of a joining site signs: everything that must not be exchanged.
pub fn join_message(cloud: SitePrefix, secret: &str, name: &str, node_key: &str) -> Vec<u8> {
    let parts = [
        "luc join site",
        &cloud.to_string(),
        &hash(secret),
        name,
        node_key,
    ];
    parts.join("\0").into_bytes()
}

/// Registers the node that showed `secret` over a connection authenticated as `peer`.
pub async fn register_node(
    services: &Services,
    peer: &str,
    secret: &str,
    wish: &NodeWish,
) -> Result<NodeInfo, Refusal> {
    check_node(peer, wish)?;
    if wish.roles.iter().any(|role| role == "controller") {
        // A controller speaks for its site and keeps its records: no ticket gives that away.
        return Err(Refusal::Invalid {
            field: "roles",
            reason: "a ticket for a node is for the role \"compute\"".to_owned(),
        });
    }
    let (site, now) = (services.site, services.clock.now());
    let cloud = Members::of(&services.store.snapshot(), site).cloud;
    let id = node_id(site, &wish.key);
    let hash = hash(secret);
    transact(services, |tx| {
        if let Some(node) = tx.get::<NodeInfo>(id.as_str()) {
            if node.revoked_at.is_some() {
                return Err(Refusal::Revoked);
            }
            if node.ticket.as_ref() == Some(&hash) {
                return Ok(node.value().clone());
            }
        }
        use_up(tx, &hash, Purpose::Node, now)?;
        if !proves(cloud, site, &wish.key, Some(&wish.proof)) {
            return Err(Refusal::Proof);
        }
        let same_name = |node: &NodeInfo| node.name == wish.name && node.key != wish.key;
        let nodes = tx.find(&NodeInfo::BY_SITE, &key(&[&site.to_string()]));
        if nodes
            .iter()
            .any(|node| same_name(node) && node.revoked_at.is_none())
        {
            let name = wish.name.clone();
            return Err(Refusal::NodeNameTaken { name });
        }
        let node = NodeInfo {
            id: id.clone(),
            site,
            name: wish.name.clone(),
            key: wish.key.clone(),
            roles: wish.roles.clone(),
            addresses: wish.addresses.clone(),
            joined_at: now,
            revoked_at: None,
            ticket: Some(hash.clone()),
            proof: Some(wish.proof.clone()),
        };
        Ok(tx.put(node)?.value().clone())
    })
    .await
}

/// Admits the site that showed `secret` over a connection authenticated as `peer`.
pub async fn admit_site(
    services: &Services,
    electorate: &dyn Electorate,
    peer: &str,
    secret: &str,
    wish: &SiteWish,
) -> Result<Admitted, Refusal> {
    check_node(peer, &wish.node)?;
    check_site_name("name", &wish.name)?;
    let members = Members::of(&services.store.snapshot(), services.site);
    let site = prove(members.cloud, secret, wish)?;
    let hash = hash(secret);
    if members.removed.contains(&site) || !already(services, site, &hash, wish) {
        if !members.trusts(services.site) {
            return Err(Refusal::NotTrusted);
        }
        let now = services.clock.now();
        transact(services, |tx| good(tx, &hash, Purpose::Site, now).map(drop)).await?;
        let wanted = PromiseWish {
            site,
            name: wish.name.clone(),
            founding_key: wish.founding_key.clone(),
            attempt: Uuid::born_at(services.site, &mut Drawn(&*services.random)).simple(),
        };
        let majority = collect(services, electorate, &members, &wanted).await?;
        let written = write(services, &hash, &wanted, &majority, wish).await;
        if written.is_err() {
            give_back(services, electorate, &members, &wanted).await;
        }
        written?;
    }
    Ok(Admitted {
        site,
        members: Members::of(&services.store.snapshot(), services.site),
    })
}

/// Whether this very join was done before.
fn already(services: &Services, site: SitePrefix, hash: &str, wish: &SiteWish) -> bool {
    let snapshot = services.store.snapshot();
    snapshot
        .find(&Admission::BY_SITE, &key(&[&site.to_string()]))
        .any(|admission| {
            admission.ticket.as_deref() == Some(hash)
                && admission.name == wish.name
                && admission.node_key == wish.node.key
        })
}

/// The registered sites, and those of them that have promised.
struct Majority {
    registered: BTreeMap<SitePrefix, String>,
    promised: BTreeSet<SitePrefix>,
}

impl Majority {
    /// Fails if it is none, not counting the sites that `is_gone`.
    fn check(&self, is_gone: impl Fn(SitePrefix) -> bool) -> Result<(), Refusal> {
        let sites = { self.registered.iter() }.filter(|(site, _)| !is_gone(**site));
        let (promised, silent): (Vec<_>, Vec<_>) =
            sites.partition(|(site, _)| self.promised.contains(site));
        let registered = promised.len() + silent.len();
        let needed = registered / 2 + 1;
        if promised.len() >= needed {
            return Ok(());
        }
        let mut silent: Vec<String> = silent.into_iter().map(|(_, name)| name.clone()).collect();
        silent.sort();
        Err(Refusal::NoMajority {
            needed,
            registered,
            silent,
        })
    }
}

/// Writes the admission and uses the ticket up. Sites that were removed while promises were
/// gathered do not count any more.
async fn write(
    services: &Services,
    hash: &str,
    wanted: &PromiseWish,
    majority: &Majority,
    wish: &SiteWish,
) -> Result<(), Refusal> {
    let now = services.clock.now();
    let id = Uuid::born_at(services.site, &mut Drawn(&*services.random)).simple();
    let site = wanted.site;
    transact(services, |tx| {
        let gone = removed(tx, services.site);
        free(tx, &gone, wanted)?;
        majority.check(|site| gone.contains(&site))?;
        let ticket = use_up(tx, hash, Purpose::Site, now)?;
        tx.insert(Admission {
            id: id.clone(),
            site,
            name: wish.name.clone(),
            founding_key: wish.founding_key.clone(),
            label: ticket.label,
            domains: ticket.domains.clone(),
            node_key: wish.node.key.clone(),
            addresses: wish.node.addresses.clone(),
            admitted_at: now,
            ticket: Some(hash.to_owned()),
        })?;
        Ok(())
    })
    .await
}

/// Gathers promises of a majority of the registered sites, this one among them: of those it knows,
/// and of those that they who promise know.
async fn collect(
    services: &Services,
    electorate: &dyn Electorate,
    members: &Members,
    wish: &PromiseWish,
) -> Result<Majority, Refusal> {
    let mut known = promise(services, services.site, wish).await?;
    let asked: FuturesUnordered<_> = others(services, members)
        .map(async |member| (member.site, electorate.promise(member.site, wish).await))
        .collect();
    let answers: Vec<_> = asked.collect().await;
    let (mut promised, mut refused) = (BTreeSet::from([services.site]), None);
    for (site, answer) in answers {
        match answer {
            Ok(Ok(told)) => {
                promised.insert(site);
                known.extend(told);
            }
            Ok(Err(refusal)) => refused = Some(refusal),
            Err(Silent) => {}
        }
    }
    let mut registered: BTreeMap<SitePrefix, String> = members
        .sites
        .iter()
        .map(|member| (member.site, member.name.clone()))
        .collect();
    for Known { site, name } in known {
        if !members.removed.contains(&site) {
            registered.entry(site).or_insert(name);
        }
    }
    if refused.is_none() && registered.values().any(|name| same_name(name, &wish.name)) {
        let name = wish.name.clone();
        refused = Some(Refusal::NameTaken { name });
    }
    let majority = Majority {
        registered,
        promised,
    };
    let settled = refused.map_or_else(|| majority.check(|_| false), Err);
    if settled.is_err() {
        give_back(services, electorate, members, wish).await;
    }
    settled.map(|()| majority)
}

async fn give_back(
    services: &Services,
    electorate: &dyn Electorate,
    members: &Members,
    wish: &PromiseWish,
) {
    if let Err(error) = release(services, wish).await {
        tracing::warn!(%error, "a promise stays until it is forgotten");
    }
    let given: FuturesUnordered<_> = others(services, members)
        .map(|member| electorate.release(member.site, wish))
        .collect();
    given.collect::<()>().await;
}

fn others<'m>(
    services: &Services,
    members: &'m Members,
) -> impl Iterator<Item = &'m super::members::Member> {
    let own = services.site;
    members
        .sites
        .iter()
        .filter(move |member| member.site != own)
}

/// The prefix of the joining site, if it proves that the founding key is its own.
fn prove(cloud: SitePrefix, secret: &str, wish: &SiteWish) -> Result<SitePrefix, Refusal> {
    let mut founding = [0u8; 32];
    let mut proof = [0u8; 64];
    hex::decode_to_slice(&wish.founding_key, &mut founding).map_err(|_| Refusal::Proof)?;
    hex::decode_to_slice(&wish.proof, &mut proof).map_err(|_| Refusal::Proof)?;
    let message = join_message(cloud, secret, &wish.name, &wish.node.key);
    let signature = Signature::from_bytes(&proof);
    VerifyingKey::from_bytes(&founding)
        .and_then(|key| key.verify_strict(&message, &signature))
        .map_err(|_| Refusal::Proof)?;
    let site = SitePrefix::of_key(&founding);
    if !proves(cloud, site, &wish.node.key, Some(&wish.node.proof)) {
        return Err(Refusal::Proof);
    }
    Ok(site)
}

/// The ticket, if it is there, not too old and for `purpose`.
fn good(
    tx: &Tx<'_>,
    hash: &str,
    purpose: Purpose,
    now: luc_core::time::Timestamp,
) -> Result<Ticket, Refusal> {
    let ticket = tx
        .one(&Ticket::BY_HASH, &key(&[hash]))
        .ok_or(Refusal::TicketUnknown)?;
    if ticket.expires_at <= now {
        let since = ticket.expires_at;
        return Err(Refusal::TicketExpired { since });
    }
    if ticket.purpose != purpose {
        let purpose = ticket.purpose;
        return Err(Refusal::TicketPurpose { purpose });
    }
    Ok(ticket.value().clone())
}

fn use_up(
    tx: &mut Tx<'_>,
    hash: &str,
    purpose: Purpose,
    now: luc_core::time::Timestamp,
) -> Result<Ticket, Refusal> {
    let ticket = good(tx, hash, purpose, now)?;
    tx.delete::<Ticket>(&ticket.id)?;
    Ok(ticket)
}

fn check_node(peer: &str, wish: &NodeWish) -> Result<(), Refusal> {
    if wish.key != peer {
        return Err(Refusal::Proof);
    }
    let known = |role: &String| ["controller", "compute"].contains(&role.as_str());
    if wish.roles.is_empty() || !wish.roles.iter().all(known) {
        return Err(Refusal::Invalid {
            field: "roles",
            reason: "use \"controller\", \"compute\" or both".to_owned(),
        });
    }
    check_addresses(&wish.addresses)?;
    check_name("node.name", &wish.name)
}

/// Whether a node may say that it is reached there.
pub(super) fn check_addresses(addresses: &[String]) -> Result<(), Refusal> {
    if addresses.len() > 16 || addresses.iter().any(|text| text.len() > 255) {
        return Err(Refusal::Invalid {
            field: "addresses",
            reason: "at most 16 of at most 255 characters".to_owned(),
        });
    }
    Ok(())
}

/// Whether a site may be called so: not like the prefix of one, which stands for it in commands.
pub(super) fn check_site_name(field: &'static str, name: &str) -> Result<(), Refusal> {
    check_name(field, name)?;
    if name.parse::<SitePrefix>().is_ok() {
        return Err(Refusal::Invalid {
            field,
            reason: format!("{name:?} is what the prefix of a site looks like: choose another"),
        });
    }
    Ok(())
}

/// Whether people would take the one for the other.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

pub(super) fn check_name(field: &'static str, name: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let begun = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    if !begun || name.len() > 63 || !name.bytes().all(allowed) {
        return Err(Refusal::Invalid {
            field,
            reason: format!(
                "{name:?}: use 1 to 63 letters, digits, '-' or '.', the first a letter or digit"
            ),
        });
    }
    Ok(())
}
