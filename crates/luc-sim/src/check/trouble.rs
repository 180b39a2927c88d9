//! The faults of a case: at least three kinds, each with its beginning and its end.

use luc_core::time::{Duration, Instant};

use super::case::{Dice, times};
use crate::fault::Fault;

/// Every kind of fault, and how many of them a case has at the least.
const KINDS: u64 = 8;
const KINDS_MIN: usize = 3;

/// A fault with its beginning and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// When it begins.
    pub at: Instant,
    /// How long it lasts.
    pub length: Duration,
    /// Its beginning.
    pub begin: Fault,
    /// Its end; absent if it needs none.
    pub end: Option<Fault>,
}

/// At least three kinds of fault, each once or more.
pub(super) fn troubles(dice: &mut Dice, nodes: u32, storm: bool) -> Vec<Trouble> {
    let mut kinds: Vec<u64> = Vec::new();
    let wanted = KINDS_MIN + usize::from(storm) + dice.between(0, 2) as usize;
    if storm {
        kinds.extend([1, 2, 3]);
    } else if dice.chance(40) {
        kinds.extend([2, 3]);
    }
    while kinds.len() < wanted {
        let kind = dice.between(0, KINDS - 1);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let mut troubles: Vec<Trouble> = Vec::new();
    for kind in kinds {
        for _ in 0..dice.between(1, 4) {
            let one = trouble(dice, kind, nodes);
            // Two faults of one kind at one node, or of one kind in the network, do not overlap:
            // the end of the first would end the second.
            let overlaps = troubles.iter().any(|other| {
                let same = other.begin.kind() == one.begin.kind()
                    && other.begin.node() == one.begin.node();
                same && other.at <= one.at + one.length && one.at <= other.at + other.length
            });
            if !overlaps {
                troubles.push(one);
            }
        }
    }
    if dice.chance(20) {
        let node = dice.node(nodes);
        let (at, length) = times(dice, 5_000, 60_000);
        troubles.push(Trouble {
            at,
            length,
            begin: Fault::Maintenance { node, on: true },
            end: Some(Fault::Maintenance { node, on: false }),
        });
    }
    troubles
}

fn trouble(dice: &mut Dice, kind: u64, nodes: u32) -> Trouble {
    let (at, length) = match kind {
        // A pause or a split of about the length of a lease is the most interesting.
        4 | 6 => times(dice, 500, 15_000),
        5 => times(dice, 1_000, 30_000),
        // Late and doubled messages are the more telling the longer they go on.
        1..=3 => times(dice, 20_000, 110_000),
        _ => times(dice, 2_000, 60_000),
    };
    let node = dice.node(nodes);
    let (begin, end) = match kind {
        0 => {
            let ppm = dice.between(10_000, 400_000) as u32;
            (Fault::Loss { ppm }, Some(Fault::Loss { ppm: 0 }))
        }
        1 => {
            let micros = dice.between(1_000, 500_000);
            (Fault::Delay { micros }, Some(Fault::Delay { micros: 0 }))
        }
        2 => {
            let ppm = dice.between(50_000, 600_000) as u32;
            let micros = dice.between(1_000, 8_000_000);
            let over = Fault::Reorder { ppm: 0, micros: 0 };
            (Fault::Reorder { ppm, micros }, Some(over))
        }
        3 => {
            let ppm = dice.between(300_000, 900_000) as u32;
            (Fault::Duplicate { ppm }, Some(Fault::Duplicate { ppm: 0 }))
        }
        4 => (Fault::Pause(node), Some(Fault::Resume(node))),
        5 => (Fault::Crash(node), Some(Fault::Restart(node))),
        6 => {
            let sides = (0..nodes).map(|_| dice.between(0, 1) as u8).collect();
            (Fault::Split { sides }, Some(Fault::Heal))
        }
        _ => {
            let fast_ppm = dice.between(0, 40_000) as i32 - 20_000;
            let ahead_micros = if dice.chance(30) {
                dice.between(0, 10_000_000)
            } else {
                0
            };
            let skew = Fault::Skew {
                node,
                ahead_micros,
                fast_ppm,
            };
            (skew, None)
        }
    };
    Trouble {
        at,
        length,
        begin,
        end,
    }
}
