//! One overloaded host after the other, each relieved as cheaply as room elsewhere allows.
//!
//! For one host the search is a branch and bound over sets of its machines and their targets; only
//! hosts with room *now* are targets, so the plan needs no order. It is all there is for large
//! clouds, and the first incumbent of [`super::repair`] for groups.

use super::Style;
use super::budget::Budget;
use super::index::Reach;
use super::model::{CPU, Model, Move};

/// Up to so many moves are tried one more at a time, before any number of them.
const LEVELS: u64 = 3;

/// The least one host may look at, however many hosts share the budget.
const STEPS_MIN: u64 = 256;

/// Relieves all hosts it can, and leaves `model` in the configuration it found. The flag is false
/// when the budget cut a search short.
pub(super) fn relieve(
    model: &mut Model<'_>,
    style: Style,
    budget: &mut Budget,
) -> (Vec<Move>, bool) {
    let mut over: Vec<usize> = (0..model.loads.len())
        .filter(|host| model.loads[*host].gives && model.loads[*host].over() > 0)
        .collect();
    if style != Style::Published {
        over.sort_by_key(|host| std::cmp::Reverse(model.loads[*host].over()));
    }
    let mut moves = Vec::new();
    if over.is_empty() {
        return (moves, true);
    }
    let mut reach = Reach::new(model, budget);
    let mut complete = true;
    for (done, host) in over.iter().enumerate() {
        let share = (budget.left() / (over.len() - done) as u64).max(STEPS_MIN);
        let mut search = Shed::new(model, *host, &reach, budget.part(share));
        search.run(model);
        if search.best.is_none() && search.widen(model, &reach) {
            search.run(model);
        }
        budget.absorb(search.budget);
        complete &= !search.cut;
        let found = search.best.map(|(_, found)| found);
        for step in found.unwrap_or_else(|| partial(model, &search.items, &search.targets)) {
            model.place(step);
            reach.learn(model, step.target);
            moves.push(step);
        }
    }
    (moves, complete)
}

/// The search for one host.
struct Shed {
    host: usize,
    items: Vec<usize>,
    /// The greatest processor time of an item from each position on.
    most: Vec<u64>,
    targets: Vec<usize>,
    /// The risk price of each target at the start.
    risk: Vec<u64>,
    path: Vec<Move>,
    best: Option<(u64, Vec<Move>)>,
    budget: Budget,
    cut: bool,
}

impl Shed {
    fn new(model: &mut Model<'_>, host: usize, reach: &Reach, budget: Budget) -> Self {
        let mut items = model.items_of(host);
        items.retain(|item| model.items[*item].needs[CPU] > 0);
        let mut most: Vec<u64> = items
            .iter()
            .map(|item| model.items[*item].needs[CPU])
            .collect();
        for index in (1..most.len()).rev() {
            most[index - 1] = most[index - 1].max(most[index]);
        }
        let mut search = Self {
            host,
            items,
            most,
            targets: Vec::new(),
            risk: Vec::new(),
            path: Vec::new(),
            best: None,
            budget,
            cut: false,
        };
        // Hosts that can take a machine that suffices alone, or the largest.
        let over = model.loads[host].over();
        let suffices = search.needs(model).filter(|needs| *needs >= over).min();
        let least = suffices.or_else(|| search.needs(model).max()).unwrap_or(0);
        search.look_at(model, reach.targets(model, host, least));
        search
    }

    fn needs<'s>(&'s self, model: &'s Model<'_>) -> impl Iterator<Item = u64> + 's {
        self.items.iter().map(|item| model.items[*item].needs[CPU])
    }

    fn look_at(&mut self, model: &Model<'_>, targets: Vec<usize>) {
        self.risk = targets
            .iter()
            .map(|target| model.risk_price(*target))
            .collect();
        self.targets = targets;
    }

    /// Looks at hosts that have room for the smallest machine only; whether they are others.
    fn widen(&mut self, model: &Model<'_>, reach: &Reach) -> bool {
        let least = self.needs(model).min().unwrap_or(0);
        let targets = reach.targets(model, self.host, least);
        let others = targets != self.targets;
        self.look_at(model, targets);
        others
    }

    fn beaten(&self, price: u64) -> bool {
        self.best.as_ref().is_some_and(|(best, _)| price >= *best)
    }

    /// Few moves first: a machine that suffices alone bounds all that follows.
    fn run(&mut self, model: &mut Model<'_>) {
        for moves in 1..=LEVELS.min(self.items.len() as u64) {
            self.descend(model, 0, 0, moves);
            if self.best.is_some() {
                break;
            }
        }
        self.descend(model, 0, 0, self.items.len() as u64);
    }

    /// Looks at sets of up to `moves` more items, of those from a position on.
    fn descend(&mut self, model: &mut Model<'_>, from: usize, price: u64, moves: u64) {
        let over = model.loads[self.host].over();
        for position in from..self.items.len() {
            let index = self.items[position];
            if self.cut
                || over > self.most[position] * moves
                || self.beaten(price + model.items[index].base)
            {
                return;
            }
            if over > model.items[index].needs[CPU] + self.most[position] * (moves - 1) {
                continue;
            }
            for at in 0..self.targets.len() {
                if !self.budget.spend() {
                    self.cut = true;
                    return;
                }
                let step = Move {
                    item: index,
                    target: self.targets[at],
                };
                let item = &model.items[index];
                if !model.fits(item, step.target) || !model.allows(item, step.target) {
                    continue;
                }
                let price = price + model.price(item, step.target);
                if self.beaten(price) {
                    continue;
                }
                model.place(step);
                self.path.push(step);
                if model.loads[self.host].over() == 0 {
                    self.leaf(model, price);
                } else {
                    self.descend(model, position + 1, price, moves - 1);
                }
                self.path.pop();
                model.undo(step);
            }
        }
    }

    fn leaf(&mut self, model: &Model<'_>, price: u64) {
        let load = &model.loads[self.host];
        let superfluous =
            |step: &Move| load.used[CPU] + model.items[step.item].needs[CPU] <= load.capacity[CPU];
        if self.path.iter().any(superfluous) {
            return;
        }
        let risk: u64 = self
            .targets
            .iter()
            .zip(&self.risk)
            .filter(|(target, _)| self.path.iter().any(|step| step.target == **target))
            .map(|(target, before)| model.risk_price(*target).saturating_sub(*before))
            .sum();
        let price = price + risk + model.risk_price(self.host);
        if !self.beaten(price) {
            self.best = Some((price, self.path.clone()));
        }
    }
}

/// What takes most of an overload away that cannot be taken away wholly.
fn partial(model: &mut Model<'_>, items: &[usize], targets: &[usize]) -> Vec<Move> {
    let mut order = items.to_vec();
    order.sort_by_key(|item| std::cmp::Reverse(model.items[*item].needs[CPU]));
    let mut found: Vec<Move> = Vec::new();
    for index in order {
        let item = &model.items[index];
        if item.needs[CPU] == 0 {
            continue;
        }
        let target = targets
            .iter()
            .filter(|target| model.fits(item, **target) && model.allows(item, **target))
            .min_by_key(|target| model.price(item, **target));
        if let Some(target) = target {
            let step = Move {
                item: index,
                target: *target,
            };
            model.place(step);
            found.push(step);
        }
    }
    for step in &found {
        model.undo(*step);
    }
    found
}
