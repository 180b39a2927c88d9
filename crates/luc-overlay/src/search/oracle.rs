//! Searches that are answered at once from the [`Directory`], for experiments without membership
//! traffic: what the spiral, the ring or the draw would yield if every node knew every other.
//!
//! It sends no message. Nodes whose predicted distance differs by less than noise (those of one
//! site) come in an order drawn by the asker: two overloaded neighbours must not ask the same
//! third one at once.

use std::collections::{BTreeMap, BTreeSet};

use luc_core::PeerId;
use luc_core::entropy::{Entropy, SplitMix64};

use crate::directory::{Directory, Nearest};
use crate::neighbour::{Neighbour, RequestId, Room, Standing};
use crate::search::Kind;
use crate::search::context::Context;
use crate::search::view::shuffle;

/// The open requests of one node.
#[derive(Clone, Debug)]
pub struct Oracle {
    kind: Kind,
    open: BTreeMap<RequestId, Open>,
}

#[derive(Clone, Debug)]
struct Open {
    outside: BTreeSet<PeerId>,
    order: Order,
}

/// Where a request stands in its order.
#[derive(Clone, Debug)]
enum Order {
    Spiral {
        nearest: Nearest,
        /// What is left of the current site, in the asker's order.
        batch: Vec<PeerId>,
        /// The first node of the next site, if it was met.
        ahead: Option<PeerId>,
    },
    Ring {
        /// How many ring places after the asker the next node stands.
        step: usize,
    },
    Random {
        /// How many have been drawn.
        drawn: usize,
        /// Where a list shuffled so far differs from the sorted one (Durstenfeld's shuffle).
        moved: BTreeMap<usize, usize>,
    },
}

impl Oracle {
    pub(super) const fn new(kind: Kind) -> Self {
        Self {
            kind,
            open: BTreeMap::new(),
        }
    }

    pub(super) fn search(
        &mut self,
        ctx: &mut Context<'_>,
        request: RequestId,
        outside: BTreeSet<PeerId>,
        count: u16,
    ) {
        let Some(directory) = ctx.directory else {
            return ctx.ignore("a search without a directory");
        };
        if self.open.contains_key(&request) {
            return ctx.ignore("a search of this name is open");
        }
        let order = match self.kind {
            Kind::Spiral => Order::Spiral {
                nearest: directory.nearest(ctx.me),
                batch: Vec::new(),
                ahead: None,
            },
            Kind::Chord { .. } => Order::Ring { step: 1 },
            Kind::Random => Order::Random {
                drawn: 0,
                moved: BTreeMap::new(),
            },
        };
        self.open.insert(request, Open { outside, order });
        self.more(ctx, request, count);
    }

    pub(super) fn more(&mut self, ctx: &mut Context<'_>, request: RequestId, count: u16) {
        let Some(directory) = ctx.directory else {
            return ctx.ignore("a search without a directory");
        };
        let Some(open) = self.open.get_mut(&request) else {
            return ctx.ignore("no search of this name is open");
        };
        let own = directory.coordinate(ctx.me).unwrap_or(ctx.coordinate);
        let mut found = Vec::with_capacity(usize::from(count));
        while found.len() < usize::from(count.max(1)) {
            let next = open.order.next(self.kind, ctx.me, directory, ctx.entropy);
            let Some(peer) = next else {
                break;
            };
            if peer == ctx.me || open.outside.contains(&peer) {
                continue;
            }
            let place = directory.coordinate(peer);
            let distance = match self.kind {
                Kind::Spiral => place.map(|place| own.distance(place)).unwrap_or_default(),
                Kind::Chord { .. } | Kind::Random => luc_core::time::Duration::ZERO,
            };
            found.push(Neighbour {
                peer,
                distance,
                standing: Standing::default(),
                room: Room::default(),
            });
        }
        if found.is_empty() {
            self.open.remove(&request);
        }
        ctx.answer(request, found);
    }

    pub(super) fn end(&mut self, request: RequestId) {
        self.open.remove(&request);
    }

    pub(super) fn leave(&mut self) {
        self.open.clear();
    }

    /// How many requests are open.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }
}

impl Order {
    fn next(
        &mut self,
        kind: Kind,
        me: PeerId,
        directory: &Directory,
        entropy: &mut SplitMix64,
    ) -> Option<PeerId> {
        match self {
            Self::Spiral {
                nearest,
                batch,
                ahead,
            } => {
                if batch.is_empty() {
                    batch.extend(ahead.take().or_else(|| nearest.next(directory)));
                    let site = batch.first()?.site;
                    while let Some(peer) = nearest.next(directory) {
                        if peer.site != site {
                            *ahead = Some(peer);
                            break;
                        }
                        batch.push(peer);
                    }
                    shuffle(batch, entropy);
                }
                batch.pop()
            }
            Self::Ring { step } => {
                let ring = directory.ring(kind.assignment());
                let at = *step;
                *step += 1;
                (at < directory.len())
                    .then(|| ring.after(directory.index(me)?, at))
                    .flatten()
                    .and_then(|index| directory.peer(index))
            }
            Self::Random { drawn, moved } => {
                let left = directory.len().checked_sub(*drawn)?;
                let offset = entropy.next_u64().checked_rem(left as u64)?;
                let chosen = *drawn + offset as usize;
                let index = moved.get(&chosen).copied().unwrap_or(chosen);
                let first = moved.remove(drawn).unwrap_or(*drawn);
                moved.insert(chosen, first);
                *drawn += 1;
                directory.peer(index)
            }
        }
    }
}
