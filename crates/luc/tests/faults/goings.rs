//! Nodes that join a site and are revoked, sites that leave and sites that are removed, while there
//! is trouble. Who goes has nothing that would be lost.

use std::sync::Arc;
use std::time::Duration;

use luc_core::SitePrefix;
use luc_runtime::NodeSecret;
use luc_runtime::fabric::{Admission as _, Standing};
use luc_services::sites::{self, Going, NodeWish, Purpose, Refusal, node_id, node_message};
use tokio::time::{Instant, sleep};

use crate::draw::{Draw, lock};
use crate::invariant::{joins_are_whole, members_are_agreed};
use crate::joins::{self, Told};
use crate::site::Running;
use crate::world::World;

/// How long after the heal everybody knows who is of the cloud.
const AGREED: Duration = Duration::from_secs(30);

/// What is known of a node that joined, or tried to.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) secret: NodeSecret,
    pub(crate) site: usize,
    /// Whether it was told that it is of the cloud.
    pub(crate) joined: bool,
    /// Whether somebody tried to revoke its key, and was told that it is.
    pub(crate) revoked: Option<bool>,
}

/// Nodes join sites, some are revoked, and strangers try their tickets.
pub(crate) async fn nodes(world: Arc<World>, seed: u64, end: Instant) {
    let mut draw = Draw::new(seed, 7);
    for number in 0..draw.below(4) {
        sleep(draw.millis(200, 4_000)).await;
        if Instant::now() >= end {
            return;
        }
        let at = draw.place(world.founded);
        let secret = NodeSecret::from_seed(&[201 + number as u8; 32]);
        visit(&world, at, &secret, &mut draw, end).await;
    }
}

async fn visit(world: &World, at: usize, secret: &NodeSecret, draw: &mut Draw, end: Instant) {
    let Some(ticket) = joins::ticket(world, at, Purpose::Node).await else {
        return;
    };
    let mut guest = Guest {
        secret: secret.clone(),
        site: at,
        joined: false,
        revoked: None,
    };
    while Instant::now() < end && !guest.joined {
        let told = joins::knock_node(world, secret, "guest", &ticket).await;
        guest.joined = matches!(told, Told::Welcome(_));
        sleep(draw.millis(100, 1_500)).await;
    }
    let stranger = NodeSecret::from_seed(&[250; 32]);
    if guest.joined && draw.chance(500) {
        let told = joins::knock_node(world, &stranger, "stranger", &ticket).await;
        if matches!(told, Told::Welcome(_)) {
            let seen = format!("a ticket of {} was good twice", world.sites[at].name);
            lock(&world.ledger).accuse(joins_are_whole::JOINS_ARE_WHOLE, seen);
        }
    }
    if guest.joined && draw.chance(500) {
        sleep(draw.millis(0, 2_000)).await;
        guest.revoked = Some(revoke(world, &guest).await);
    }
    lock(&world.guests).push(guest);
}

/// Whether the site says that the key of the guest counts no longer.
async fn revoke(world: &World, guest: &Guest) -> bool {
    let site = &world.sites[guest.site];
    let Some(running) = site.running() else {
        return false;
    };
    let id = node_id(site.prefix, &guest.secret.key().to_string());
    let revoked = tokio::select! {
        biased;
        () = running.gone.cancelled() => false,
        revoked = sites::revoke(&running.services, &id, false) => revoked.is_ok(),
    };
    world.say(|| format!("a node of {} is revoked: {revoked}", site.name));
    revoked
}

/// What a node says of itself, which is of a site of a cloud.
pub(crate) fn wish(
    (cloud, site): (SitePrefix, SitePrefix),
    secret: &NodeSecret,
    (name, role): (&str, &str),
) -> NodeWish {
    let key = secret.key().to_string();
    let message = node_message(cloud, site, &key);
    NodeWish {
        key,
        name: name.to_owned(),
        roles: vec![role.to_owned()],
        addresses: Vec::new(),
        proof: hex::encode(secret.sign(&message)),
    }
}

/// The site number `number` leaves, or is removed by another, as soon as somebody takes note.
pub(crate) async fn go(world: &World, number: usize, draw: &mut Draw, end: Instant) {
    let leaves = draw.chance(500);
    sleep(draw.millis(200, 3_000)).await;
    lock(&world.going).insert(number, leaves);
    while Instant::now() < end && !try_to_go(world, number, draw).await {
        sleep(draw.millis(200, 1_500)).await;
    }
}

/// After the heal: who wanted to go goes.
pub(crate) async fn settle(world: &World, seed: u64) {
    let mut draw = Draw::new(seed, 8);
    let going = lock(&world.going).clone();
    for number in going.into_keys() {
        for _ in 0..20 {
            if world.sites[number].running().is_none() {
                break;
            }
            if try_to_go(world, number, &mut draw).await {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        if world.sites[number].running().is_some() {
            let stays = format!("{} cannot go", world.sites[number].name);
            lock(&world.ledger).accuse(members_are_agreed::MEMBERS_ARE_AGREED, stays);
        }
    }
}

/// Whether the site has gone now; it does not run any more then.
async fn try_to_go(world: &World, number: usize, draw: &mut Draw) -> bool {
    let leaves = lock(&world.going)[&number];
    let by = draw.place(world.founded);
    let at = if leaves { number } else { by };
    let Some(running) = world.sites[at].running() else {
        return false;
    };
    let gone = tokio::select! {
        biased;
        () = running.gone.cancelled() => Err("the site went down".to_owned()),
        gone = async {
            if leaves {
                leave(&running).await
            } else {
                remove(world, &running, number).await.map_err(|refusal| refusal.to_string())
            }
        } => gone,
    };
    world.say(|| {
        let (name, by) = (&world.sites[number].name, &world.sites[at].name);
        format!("{name} goes, as {by} says: {gone:?}")
    });
    if gone.is_ok() {
        *lock(&world.sites[number].told) = None;
        lock(&world.ledger).leave(number);
        world.sites[number].crash(&world.network);
    }
    gone.is_ok()
}

/// As `POST /luc/v1/sites/leave`.
async fn leave(running: &Running) -> Result<(), String> {
    sites::leave(&running.services).map_err(|refusal| refusal.to_string())?;
    let mut reasons = Vec::new();
    for site in running.membership.others() {
        match running.assembly.farewell(site).await {
            Ok(()) => return Ok(()),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons.join("; "))
}

/// As `DELETE /luc/v1/sites/<name>?fenced=true`.
async fn remove(world: &World, running: &Running, number: usize) -> Result<(), Refusal> {
    let site = world.sites[number].prefix;
    let going = Going {
        reason: "test",
        insist: false,
        fenced: true,
    };
    sites::remove(&running.services, site, going).await
}

/// Waits until all sites know the same members, and judges whom they let in.
pub(crate) async fn judge(world: &World) {
    let healed = Instant::now();
    let mut seen = disagreement(world);
    while !seen.is_empty() && healed.elapsed() < AGREED {
        sleep(Duration::from_millis(200)).await;
        seen = disagreement(world);
    }
    for seen in seen {
        lock(&world.ledger).accuse(members_are_agreed::MEMBERS_ARE_AGREED, seen);
    }
}

fn disagreement(world: &World) -> Vec<String> {
    let up = world.up();
    let running: Vec<_> = up
        .iter()
        .filter_map(|site| world.sites[*site].running())
        .collect();
    let views: Vec<_> = running
        .iter()
        .map(|site| site.membership.members())
        .collect();
    let expected = up.iter().map(|site| world.sites[*site].prefix).collect();
    let mut seen = members_are_agreed::views(&views, &expected);
    for guest in lock(&world.guests).iter() {
        let key = guest.secret.key();
        for (site, running) in up.iter().zip(&running) {
            let standing = running.membership.standing(&key);
            let member = matches!(standing, Standing::Member(_));
            let refused = matches!(standing, Standing::Refused);
            let known = (guest.joined, guest.revoked);
            let wrong = members_are_agreed::guest(known, member, refused);
            let name = &world.sites[*site].name;
            seen.extend(wrong.map(|wrong| format!("at {name} {wrong}")));
        }
    }
    let ledger = lock(&world.ledger);
    seen.extend(members_are_agreed::left_over(ledger.books()));
    seen
}
