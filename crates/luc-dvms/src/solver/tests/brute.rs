//! The judge: every assignment of every machine, no bound, no order of search.
//!
//! It shares the model (what a move costs, what fits) and the orderer with the solver, but neither
//! the branching nor any pruning.

use super::*;
use crate::solver::budget::Budget;
use crate::solver::model::{Load, Model, Move};
use crate::solver::order;

/// The least (remaining overload, price) of all configurations without a superfluous move.
pub(super) fn best(problem: &Problem<'_>) -> (u64, u64) {
    let mut model = Model::new(problem);
    let hosts = model.loads.len();
    for host in 0..hosts {
        model.items_of(host);
    }
    let start = model.loads.clone();
    let items = model.items.len();
    let mut best = None;
    for code in 0..hosts.pow(items as u32) {
        let moves = decode(&model, code, hosts);
        let Some(moves) = moves else { continue };
        let Some(left) = left_over(&mut model, &moves) else {
            continue;
        };
        if is_superfluous(&mut model, &moves, left) {
            continue;
        }
        let Some(ordered) = order::order(&model, &start, &moves, &mut Budget::new(AMPLE)) else {
            continue;
        };
        let price = ordered.extra + price(&mut model, &moves);
        if best.is_none_or(|best| (left, price) < best) {
            best = Some((left, price));
        }
    }
    best.expect("to move nothing is always possible")
}

fn decode(model: &Model<'_>, mut code: usize, hosts: usize) -> Option<Vec<Move>> {
    let mut moves = Vec::new();
    for (item, what) in model.items.iter().enumerate() {
        let target = code % hosts;
        code /= hosts;
        if target != what.host {
            let gives = model.loads[what.host].gives;
            if !gives || !model.allows(what, target) {
                return None;
            }
            moves.push(Move { item, target });
        }
    }
    Some(moves)
}

/// What overload the moves leave, or `None` if they break something.
fn left_over(model: &mut Model<'_>, moves: &[Move]) -> Option<u64> {
    apply(model, moves);
    let broken = |load: &&Load| load.arrivals > 0 && load.is_violated();
    let valid = model.loads.iter().find(broken).is_none();
    let left = model
        .loads
        .iter()
        .filter(|load| load.gives)
        .map(Load::over)
        .sum();
    revert(model, moves);
    valid.then_some(left)
}

fn is_superfluous(model: &mut Model<'_>, moves: &[Move], left: u64) -> bool {
    (0..(1_u32 << moves.len()) - 1).any(|kept| {
        let kept: Vec<Move> = moves
            .iter()
            .enumerate()
            .filter(|(index, _)| kept >> index & 1 == 1)
            .map(|(_, step)| *step)
            .collect();
        left_over(model, &kept).is_some_and(|other| other <= left)
    })
}

/// The price of moves and risk, as the solver counts it.
pub(super) fn price(model: &mut Model<'_>, moves: &[Move]) -> u64 {
    let each = moves
        .iter()
        .map(|step| model.price(&model.items[step.item], step.target));
    let way: u64 = each.sum();
    apply(model, moves);
    let touched = |host: &usize| {
        let sends = |step: &Move| model.items[step.item].host == *host;
        moves.iter().any(|step| step.target == *host || sends(step))
    };
    let hosts = 0..model.loads.len();
    let risk: u64 = hosts
        .filter(touched)
        .map(|host| model.risk_price(host))
        .sum();
    revert(model, moves);
    way + risk
}

fn apply(model: &mut Model<'_>, moves: &[Move]) {
    for step in moves {
        model.place(*step);
    }
}

fn revert(model: &mut Model<'_>, moves: &[Move]) {
    for step in moves.iter().rev() {
        model.undo(*step);
    }
}
