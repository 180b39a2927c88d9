//! The whole group at once: exact where the budget lasts.
//!
//! Branch and bound over repairs: while a host of the configuration looked at has too much, one of
//! its machines must leave it, to any host, even one that then has too much in turn (its machines
//! make way). A machine moves at most once. This reaches every valid configuration that has no
//! superfluous move: of such a configuration, whatever moves are made already, the host that still
//! has too much has a move left that leaves it.
//!
//! Where no valid configuration is found, an overloaded host may be left with what remains: the
//! least remaining overload comes first, then the least price.

use super::budget::Budget;
use super::model::{CPU, Load, Model, Move};
use super::order::{self, Ordered};
use crate::plan::Plan;

/// Up to this many moves, every set of them is checked for being superfluous; beyond, each alone.
const SETS_MOVES: usize = 6;

/// So many hosts are looked over in the time of one step.
const SURVEY_HOSTS: usize = 8;

/// Which part of the budget a group gets that has not enough room for all it carries.
const HOPELESS_SHARE: u64 = 16;

/// The best plan known.
pub(super) struct Best {
    /// Overload that remains on hosts that may give.
    pub remaining: u64,
    /// What the plan costs and risks.
    pub price: u64,
    /// The plan.
    pub plan: Plan,
}

/// The search; its `best` starts from what [`super::shed`] found.
pub(super) struct Repair<'m, 'a> {
    model: &'m mut Model<'a>,
    start: Vec<Load>,
    /// Items of each host, the cheapest first.
    items: Vec<Vec<usize>>,
    /// The items that may not move any more below this point of the search.
    settled: Vec<bool>,
    /// Hosts left with an overload.
    accepted: Vec<bool>,
    remaining: u64,
    /// No configuration can leave less than this.
    floor: u64,
    price: u64,
    path: Vec<Move>,
    best: Option<Best>,
    budget: Budget,
    cut: bool,
}

impl<'m, 'a> Repair<'m, 'a> {
    /// Starts from the configuration of `model`, in which nothing has moved.
    pub(super) fn new(model: &'m mut Model<'a>, mut budget: Budget) -> Self {
        model.items.clear();
        let hosts = model.loads.len();
        let items: Vec<Vec<usize>> = (0..hosts)
            .map(|host| {
                if model.loads[host].gives {
                    model.items_of(host)
                } else {
                    Vec::new()
                }
            })
            .collect();
        let gives = model.loads.iter().filter(|load| load.gives);
        let over: u64 = gives.map(Load::over).sum();
        let receives = model.loads.iter().filter(|load| load.receives);
        let room: u64 = receives
            .map(|load| load.capacity[CPU].saturating_sub(load.used[CPU]))
            .sum();
        let floor = over.saturating_sub(room);
        if floor > 0 {
            // No group this full has a solution: better to ask more hosts than to polish.
            budget = budget.part(budget.left() / HOPELESS_SHARE);
        }
        Self {
            start: model.loads.clone(),
            settled: vec![false; model.items.len()],
            accepted: vec![false; hosts],
            items,
            remaining: 0,
            floor,
            price: 0,
            path: Vec::new(),
            best: None,
            budget,
            cut: false,
            model,
        }
    }

    /// Takes moves found elsewhere for the best so far. Their items are those of this search only
    /// by host and machine.
    pub(super) fn seed(&mut self, found: &[(usize, Vec<usize>, usize)]) {
        let moves: Vec<Move> = found
            .iter()
            .filter_map(|(host, vms, target)| {
                let items = &self.model.items;
                let item = items
                    .iter()
                    .position(|item| item.host == *host && item.vms == *vms)?;
                Some(Move {
                    item,
                    target: *target,
                })
            })
            .collect();
        for step in &moves {
            self.price += self.model.price(&self.model.items[step.item], step.target);
            self.model.place(*step);
        }
        let gives = self.model.loads.iter().filter(|load| load.gives);
        self.remaining = gives.map(Load::over).sum();
        self.path.clone_from(&moves);
        self.keep();
        for step in moves.iter().rev() {
            self.model.undo(*step);
        }
        self.path.clear();
        self.price = 0;
        self.remaining = 0;
    }

    /// Searches; returns the best plan, whether the search was complete, and the budget used.
    pub(super) fn run(mut self) -> (Option<Best>, bool, Budget) {
        self.descend();
        (self.best, !self.cut, self.budget)
    }

    fn descend(&mut self) {
        // Looking over many hosts takes as long as looking at several moves.
        for _ in 0..self.model.loads.len() / SURVEY_HOSTS {
            self.cut |= !self.budget.spend();
        }
        if self.cut {
            return;
        }
        let (host, least) = match self.survey() {
            Survey::Valid => {
                self.keep();
                return;
            }
            Survey::Hopeless => return,
            Survey::Violated { host, least } => (host, least),
        };
        if self.beaten(self.price + least) {
            return;
        }
        // Where processor time is short, whatever is missing needs the move of a machine that asks
        // for some; the others may still make way for memory.
        let short = self.model.loads[host].over() > 0;
        let useful = |item: &usize| !short || self.model.items[*item].needs[CPU] > 0;
        let items = self.items[host].iter().copied();
        let free: Vec<usize> = items
            .filter(|item| !self.settled[*item] && useful(item))
            .collect();
        for item in &free {
            // From here on it moves, and in all later branches it stays.
            self.settled[*item] = true;
            self.branch(*item);
        }
        self.accept(host);
        for item in free {
            self.settled[item] = false;
        }
    }

    /// The first host that still has too much, and the least that the moves still needed cost.
    fn survey(&self) -> Survey {
        let mut first = None;
        let mut least = 0;
        let allowed = self.best.as_ref().map_or(u64::MAX, |best| best.remaining);
        for (host, load) in self.model.loads.iter().enumerate() {
            if self.accepted[host] || !load.is_violated() {
                continue;
            }
            let cheapest = self.items[host].iter().find(|item| !self.settled[**item]);
            match cheapest {
                // It may also be left as it is, for nothing, where that is no worse.
                _ if self.may_accept(host) && self.remaining + load.over() <= allowed => {}
                Some(item) => least += self.model.items[*item].base,
                None if !self.may_accept(host) => return Survey::Hopeless,
                None => {}
            }
            first = first.or(Some(host));
        }
        match first {
            Some(host) => Survey::Violated { host, least },
            None => Survey::Valid,
        }
    }

    fn branch(&mut self, item: usize) {
        if self.beaten(self.price + self.model.items[item].base) {
            return;
        }
        for target in 0..self.model.loads.len() {
            if self.cut || !self.budget.spend() {
                self.cut = true;
                return;
            }
            let what = &self.model.items[item];
            if self.accepted[target] || !self.model.allows(what, target) {
                continue;
            }
            let price = self.model.price(what, target);
            if self.beaten(self.price + price) {
                continue;
            }
            let step = Move { item, target };
            self.model.place(step);
            self.path.push(step);
            self.price += price;
            self.descend();
            self.price -= price;
            self.path.pop();
            self.model.undo(step);
        }
    }

    /// An overload may remain where nothing came; it is the least of evils.
    fn may_accept(&self, host: usize) -> bool {
        let load = &self.model.loads[host];
        load.arrivals == 0 && load.over_before > 0
    }

    fn accept(&mut self, host: usize) {
        if self.cut || !self.may_accept(host) {
            return;
        }
        let over = self.model.loads[host].over();
        self.accepted[host] = true;
        self.remaining += over;
        if !self.beaten(self.price) {
            self.descend();
        }
        self.remaining -= over;
        self.accepted[host] = false;
    }

    /// Whether no configuration below, costing at least `price`, can be better than the best.
    fn beaten(&self, price: u64) -> bool {
        self.best.as_ref().is_some_and(|best| {
            let certain = self.remaining.max(self.floor);
            certain > best.remaining || (certain == best.remaining && price >= best.price)
        })
    }

    /// Whether each set of its moves is needed.
    fn is_minimal(&mut self) -> bool {
        let moves = self.path.clone();
        if moves.len() > SETS_MOVES {
            return moves.iter().all(|step| !self.is_as_good_without(&[*step]));
        }
        (1_u32..1 << moves.len()).all(|set| {
            let chosen = moves
                .iter()
                .enumerate()
                .filter(|(index, _)| set >> index & 1 == 1);
            let chosen: Vec<Move> = chosen.map(|(_, step)| *step).collect();
            !self.is_as_good_without(&chosen)
        })
    }

    fn is_as_good_without(&mut self, moves: &[Move]) -> bool {
        for step in moves {
            self.model.undo(*step);
        }
        let as_good = self.is_as_good();
        for step in moves {
            self.model.place(*step);
        }
        as_good
    }

    fn is_as_good(&self) -> bool {
        let mut remaining = 0;
        for (host, load) in self.model.loads.iter().enumerate() {
            if load.is_violated() {
                if !self.may_accept(host) {
                    return false;
                }
                remaining += load.over();
            }
        }
        remaining <= self.remaining
    }

    fn is_better(&self, price: u64) -> bool {
        self.best
            .as_ref()
            .is_none_or(|best| (self.remaining, price) < (best.remaining, best.price))
    }

    /// Takes the configuration looked at for the best if it is better and can be carried out.
    fn keep(&mut self) {
        if !self.is_better(self.price) {
            return;
        }
        let mut touched: Vec<usize> = self
            .path
            .iter()
            .flat_map(|step| [self.model.items[step.item].host, step.target])
            .collect();
        touched.sort_unstable();
        touched.dedup();
        let risk: u64 = touched
            .iter()
            .map(|host| self.model.risk_price(*host))
            .sum();
        let price = self.price + risk;
        if !self.is_better(price) || !self.is_minimal() {
            return;
        }
        let Some(Ordered { plan, extra }) =
            order::order(self.model, &self.start, &self.path, &mut self.budget)
        else {
            return;
        };
        if self.is_better(price + extra) {
            self.best = Some(Best {
                remaining: self.remaining,
                price: price + extra,
                plan,
            });
        }
    }
}

/// What stands in the way of a configuration.
enum Survey {
    /// Nothing.
    Valid,
    /// A host has too much that cannot leave.
    Hopeless,
    /// Something has to leave.
    Violated {
        /// The first such host.
        host: usize,
        /// What the moves still needed cost at the least.
        least: u64,
    },
}
