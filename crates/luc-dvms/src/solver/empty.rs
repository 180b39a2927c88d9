//! Emptying one host: to let it sleep (completely or not at all) or for maintenance (as far as
//! possible).
//!
//! The largest machine first, each tried on its best target first: the first descent is the greedy
//! packing, and what is left of the budget backtracks from its end.

use super::Goal;
use super::budget::Budget;
use super::index::Reach;
use super::model::{CPU, Model, Move};

/// How many times all pairs of machine and target may be looked at.
const ROUNDS: u64 = 16;

/// The search.
pub(super) struct Empty {
    items: Vec<usize>,
    targets: Vec<usize>,
    /// Machines that stay, in the configuration looked at.
    left: u64,
    path: Vec<Move>,
    best: Option<(u64, u64, Vec<Move>)>,
    wholly: bool,
    budget: Budget,
    cut: bool,
}

/// Empties the goal's host. Returns the moves, whether it ends up empty, and whether the search was
/// complete.
pub(super) fn empty(model: &mut Model<'_>, budget: &mut Budget) -> (Vec<Move>, bool, bool) {
    let (peer, wholly) = match model.goal {
        Goal::Consolidate { host } => (host, true),
        Goal::Evacuate { host } => (host, false),
        Goal::Relieve => return (Vec::new(), false, true),
    };
    let Some(host) = model.hosts.iter().position(|host| host.peer == peer) else {
        return (Vec::new(), false, true);
    };
    let machines = model.hosts[host].vms.len();
    let mut items = if model.loads[host].gives {
        model.items_of(host)
    } else {
        Vec::new()
    };
    let movable: usize = items.iter().map(|item| model.items[*item].vms.len()).sum();
    if wholly && movable < machines {
        return (Vec::new(), false, true);
    }
    items.sort_by_key(|item| std::cmp::Reverse(model.items[*item].needs));
    let least = items
        .iter()
        .map(|item| model.items[*item].needs[CPU])
        .min()
        .unwrap_or(0);
    let mut targets = Reach::new(model, budget).targets(model, host, least);
    // Filling a host that has nothing to do empties one to fill another.
    targets.retain(|target| !wholly || !model.hosts[*target].vms.is_empty());
    let pairs = (items.len() * targets.len()) as u64;
    let mut search = Empty {
        items,
        targets,
        left: (machines - movable) as u64,
        path: Vec::new(),
        best: None,
        wholly,
        budget: budget.part(pairs * ROUNDS),
        cut: false,
    };
    search.descend(model, 0, 0);
    budget.absorb(search.budget);
    let (left, _, moves) = search.best.unwrap_or((machines as u64, 0, Vec::new()));
    for step in &moves {
        model.place(*step);
    }
    (moves, left == 0, !search.cut)
}

impl Empty {
    fn beaten(&self, price: u64) -> bool {
        self.best
            .as_ref()
            .is_some_and(|(left, best, _)| (self.left, price) >= (*left, *best))
    }

    fn descend(&mut self, model: &mut Model<'_>, position: usize, price: u64) {
        if self.cut || self.beaten(price) {
            return;
        }
        let Some(item) = self.items.get(position).copied() else {
            self.best = Some((self.left, price, self.path.clone()));
            return;
        };
        for (cost, target) in self.options(model, item) {
            let step = Move { item, target };
            model.place(step);
            self.path.push(step);
            self.descend(model, position + 1, price + cost);
            self.path.pop();
            model.undo(step);
        }
        if !self.wholly {
            let machines = model.items[item].vms.len() as u64;
            self.left += machines;
            self.descend(model, position + 1, price);
            self.left -= machines;
        }
    }

    /// Where an item may go now, the cheapest first, risk counted.
    fn options(&mut self, model: &mut Model<'_>, index: usize) -> Vec<(u64, usize)> {
        let mut options = Vec::with_capacity(self.targets.len());
        for target in &self.targets {
            if !self.budget.spend() {
                // The first descent is carried to its end, so that there is an answer.
                self.cut = self.best.is_some() || self.wholly;
            }
            let item = &model.items[index];
            if !model.fits(item, *target) || !model.allows(item, *target) {
                continue;
            }
            let price = model.price(item, *target);
            let before = model.risk_price(*target);
            let step = Move {
                item: index,
                target: *target,
            };
            model.place(step);
            let risk = model.risk_price(*target).saturating_sub(before);
            if !self.wholly || model.is_calm(*target) {
                options.push((price + risk, *target));
            }
            model.undo(step);
        }
        options.sort_by_key(|(price, _)| *price);
        options
    }
}
