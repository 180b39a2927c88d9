//! Serving the open requests of the spiral: what is offered, and whom to ask for more.
//!
//! Called by the dispatcher in [`spiral`](super) whenever something changed for a request.

use luc_core::PeerId;
use luc_core::time::Duration;

use super::centre::Centre;
use super::request::{Ask, Request};
use super::{SOURCES_MAX, Spiral};
use crate::coordinate::Coordinate;
use crate::neighbour::{Neighbour, RequestId, Standing};
use crate::search::context::Context;
use crate::search::message::{Entry, Hearsay, Message};
use crate::search::timer::Timer;
use crate::search::view::{pick, shuffle};

impl Spiral {
    /// Answers what can be answered, and asks what has to be asked.
    pub(super) fn advance(&mut self, ctx: &mut Context<'_>, request: RequestId) {
        let Some(open) = self.open.get_mut(&request) else {
            return;
        };
        let wanted = usize::from(open.wanted);
        if wanted > 0 {
            // What is left of the own site is an answer of its own: nobody waits for other sites
            // who may find help at home.
            let mut found = own_site(ctx, open);
            let at_home = !found.is_empty();
            if !at_home {
                self.open_view(ctx, request);
                self.offer_others(ctx, request, &mut found, true);
            }
            if !at_home && found.len() < wanted {
                self.ask(ctx, request, wanted - found.len());
                let stuck = self.open.get(&request).is_some_and(|open| {
                    let spent = open.asked >= self.config.asks_max;
                    open.asks.is_empty() || spent || open.impatient
                });
                if !stuck {
                    return;
                }
                self.offer_others(ctx, request, &mut found, false);
                if found.is_empty() && self.is_asking(request) {
                    return;
                }
            }
            self.answer(ctx, request, found);
        }
        self.ask_ahead(ctx, request);
    }

    fn is_asking(&self, request: RequestId) -> bool {
        let asking = |open: &Request| !open.asks.is_empty();
        self.open.get(&request).is_some_and(asking)
    }

    fn answer(&mut self, ctx: &mut Context<'_>, request: RequestId, mut found: Vec<Neighbour>) {
        if found.is_empty() {
            self.open.remove(&request);
        } else if let Some(open) = self.open.get_mut(&request) {
            found.truncate(usize::from(open.wanted));
            open.taken.extend(found.iter().map(|one| one.peer));
            let others = found.iter().filter(|one| one.peer.site != ctx.me.site);
            let farthest = others.map(|one| one.distance.as_secs_f32());
            open.beyond = farthest.fold(open.beyond, f32::max);
            open.offered += found.len() as u32;
            open.wanted = 0;
            open.asked = 0;
            open.impatient = false;
            open.round += 1;
        }
        ctx.answer(request, found);
    }

    /// Takes the node's own view into a request that goes beyond the own site.
    fn open_view(&mut self, ctx: &mut Context<'_>, request: RequestId) {
        if let Some(open) = self.open.get_mut(&request).filter(|open| !open.opened) {
            open.opened = true;
            for entry in self.view.entries(ctx.now) {
                open.merge(&entry, self.measured.away(entry.peer.site));
            }
        }
    }

    /// Fills `found` up with nodes of other sites: certain ones, or whoever is known.
    fn offer_others(
        &mut self,
        ctx: &mut Context<'_>,
        request: RequestId,
        found: &mut Vec<Neighbour>,
        certain: bool,
    ) {
        let Some(open) = self.open.get_mut(&request) else {
            return;
        };
        let count = usize::from(open.wanted);
        found.retain(|one| one.peer.site == ctx.me.site);
        let left = count.saturating_sub(found.len());
        let ahead = certain.then(|| open.ahead(&self.config));
        for mut group in open.offer(left, ahead) {
            shuffle(&mut group.entries, ctx.entropy);
            let measured = group.measured.map(Duration::from_secs_f32);
            found.extend(group.entries.into_iter().map(|entry| Neighbour {
                peer: entry.peer,
                distance: measured.unwrap_or_else(|| ctx.coordinate.distance(&entry.place)),
                standing: entry.standing,
                room: entry.room,
            }));
        }
        found.truncate(count);
    }

    /// Asks whoever has to be asked so that `count` more nodes become certain.
    fn ask(&mut self, ctx: &mut Context<'_>, request: RequestId, count: usize) {
        let config = self.config;
        let Some(open) = self.open.get_mut(&request) else {
            return;
        };
        let free = usize::from(config.parallel).saturating_sub(open.asks.len());
        let budget = usize::from(config.asks_max.saturating_sub(open.asked));
        let earned = open.earned().max(usize::from(open.asks.is_empty()));
        let limit = free.min(budget).min(earned);
        let ahead = open.ahead(&config).or_one();
        let asked = open.frontier(count, ahead, limit, ctx.entropy);
        let nobody = asked.is_empty() && open.asks.is_empty();
        for entry in asked {
            self.send_view_wanted(ctx, request, entry.peer, Some(&entry));
        }
        if nobody && limit > 0 {
            for peer in self.sources(ctx, request) {
                self.send_view_wanted(ctx, request, peer, None);
            }
        }
    }

    /// Nobody is left to ask by distance: a contact, and a node of the own site, may know more.
    fn sources(&mut self, ctx: &mut Context<'_>, request: RequestId) -> Vec<PeerId> {
        let Some(open) = self.open.get_mut(&request) else {
            return Vec::new();
        };
        if open.sources.len() >= SOURCES_MAX {
            return Vec::new();
        }
        let fresh = |peer: &PeerId| *peer != ctx.me && !open.sources.contains(peer);
        let contacts: Vec<PeerId> = self.contacts.iter().copied().filter(fresh).collect();
        let mates: Vec<PeerId> = ctx
            .members
            .iter_site(ctx.me.site)
            .filter(|known| known.standing == Standing::Awake)
            .map(|known| known.peer)
            .filter(fresh)
            .collect();
        let chosen = [pick(&contacts, ctx.entropy), pick(&mates, ctx.entropy)];
        let chosen: Vec<PeerId> = chosen.into_iter().flatten().collect();
        open.sources.extend(&chosen);
        chosen
    }

    fn send_view_wanted(
        &mut self,
        ctx: &mut Context<'_>,
        request: RequestId,
        peer: PeerId,
        entry: Option<&Entry>,
    ) {
        let Some(open) = self.open.get_mut(&request) else {
            return;
        };
        let number = self.next_ask;
        self.next_ask = self.next_ask.wrapping_add(1);
        let sent = ctx.now;
        open.asks.push(Ask { number, peer, sent });
        open.asked += 1;
        open.asked_ever += 1;
        let hearsay = entry.map_or_else(Vec::new, |entry| {
            let count = usize::from(self.config.hearsay);
            self.view
                .around(&entry.place, peer.site, count, (ctx.now, ctx.entropy))
        });
        let message = Message::ViewWanted {
            request,
            ask: number,
            around: open.root,
            room: ctx.room,
            beyond: open.beyond,
            hearsay: Hearsay(hearsay),
        };
        ctx.send(peer, message);
        let predicted = entry.map_or(Duration::ZERO, |entry| {
            ctx.coordinate.distance(&entry.place)
        });
        let wait = self
            .config
            .ask_wait
            .saturating_add(predicted.saturating_mul(3));
        let timer = Timer::Asked {
            request: Some(request),
            ask: number,
        };
        ctx.schedule(wait.min(self.config.ask_wait_max), timer);
    }

    /// Asks the next site before its nodes are needed, when few certain ones are left.
    fn ask_ahead(&mut self, ctx: &mut Context<'_>, request: RequestId) {
        let ahead = usize::from(self.config.ahead);
        let Some(open) = self.open.get(&request) else {
            return;
        };
        if open.wanted > 0 || ahead == 0 || !open.asks.is_empty() {
            return;
        }
        let left = own_site(ctx, open).len();
        if left >= ahead {
            return;
        }
        self.open_view(ctx, request);
        let Some(open) = self.open.get(&request) else {
            return;
        };
        let certain: usize = open
            .offer(ahead - left, Some(open.ahead(&self.config)))
            .iter()
            .map(|group| group.entries.len())
            .sum();
        if left + certain < ahead {
            self.ask(ctx, request, ahead - left - certain);
        }
    }
}

/// Where spirals of this node start: the middle of its site.
pub(super) fn root(ctx: &Context<'_>) -> Coordinate {
    let mut centre = Centre::new();
    centre.add(ctx.coordinate);
    for known in ctx.members.iter_site(ctx.me.site) {
        if let Some(place) = &known.coordinate {
            centre.add(place);
        }
    }
    centre.place().unwrap_or(*ctx.coordinate)
}

/// The nodes of the own site that may be offered, in an order of this node's own.
fn own_site(ctx: &mut Context<'_>, open: &Request) -> Vec<Neighbour> {
    let mut found: Vec<Neighbour> = ctx
        .members
        .iter_site(ctx.me.site)
        .filter(|known| known.peer != ctx.me && !open.taken.contains(&known.peer))
        .map(|known| Neighbour {
            peer: known.peer,
            distance: known
                .coordinate
                .map_or(Duration::ZERO, |place| ctx.coordinate.distance(&place)),
            standing: known.standing,
            room: known.room,
        })
        .collect();
    shuffle(&mut found, ctx.entropy);
    found
}
