//! How many of the nodes that a search yields first are among the truly nearest, and what it costs:
//! through the product's membership and coordinates, from their first second on.
//!
//! At each checkpoint a number of random nodes search at once, a few nodes at a time, until each
//! has been given as many as are looked at; then they end their requests. A yielded node is a hit
//! if its true round trip is at most that of the wanted-th nearest (so nodes equally far all
//! count). *Cold* is before anybody has searched but for these probes; *learnt* is after every
//! node has searched some times. It draws everything from a seed and prints nothing.

use std::collections::{BTreeMap, BTreeSet};

use luc_core::entropy::SplitMix64;
use luc_core::time::Duration;
use luc_overlay::{Command, Event, Neighbour, RequestId};
use serde::Serialize;

use crate::experiment::overlays::{Blueprint, Overlays, Sent};
use crate::index::NodeIndex;
use crate::network::matrix::draw;

/// A search that has not got its nodes by then is taken as it is.
const PATIENCE: Duration = Duration::from_secs(8);

/// How often the answers are looked at; a request for more is late by half of it on average.
const LOOK: Duration = Duration::from_millis(2);

/// What is run.
#[derive(Clone, Debug)]
pub struct Recall {
    /// The cloud.
    pub cloud: Blueprint,
    /// After how long recall is measured, rising, from the start.
    pub checkpoints: Vec<Duration>,
    /// How many nodes search at a checkpoint.
    pub askers: usize,
    /// How many of the nearest are looked at.
    pub wanted: usize,
    /// How many are asked for at once.
    pub step: u16,
    /// How often every node searches before the last checkpoint; 0 leaves it out.
    pub learning: u32,
    /// How much time passes after each of these times, in which nodes of a site tell each other
    /// what they have learnt.
    pub pause: Duration,
}

/// What was found at one checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Checkpoint {
    /// Seconds since the start.
    pub seconds: f64,
    /// Whether every node has searched before.
    pub learnt: bool,
    /// The share of the yielded nodes that are among the truly nearest; a node that should have
    /// been yielded and was not counts as a miss.
    pub recall: f64,
    /// What the published order would give if every node knew every coordinate.
    pub known_to_all: f64,
    /// Search messages per yielded node.
    pub messages: f64,
    /// Bytes of search messages per yielded node.
    pub bytes: f64,
    /// Milliseconds until all were yielded: median over the askers.
    pub median_ms: f64,
    /// Bytes per node and second of all overlay traffic since the last checkpoint.
    pub traffic: f64,
}

impl Recall {
    /// Runs it. One entry per checkpoint, and one more after learning.
    pub fn run(&self) -> Vec<Checkpoint> {
        let mut run = Run {
            cloud: Overlays::new(self.cloud.clone()),
            entropy: SplitMix64::new(self.cloud.seed ^ 0x7265_6361_6C6C),
            next_request: 0,
        };
        let mut done = Vec::new();
        for checkpoint in &self.checkpoints {
            let before = (run.cloud.now(), run.cloud.sent());
            let ahead = checkpoint.saturating_sub(Duration::from_nanos(run.cloud.now().as_nanos()));
            run.cloud.run(ahead);
            let traffic = run.traffic_since(before);
            done.push(run.checkpoint(self, false, traffic));
        }
        if self.learning > 0 {
            let before = (run.cloud.now(), run.cloud.sent());
            for _ in 0..self.learning {
                let everybody = (0..run.cloud.len() as u32).map(NodeIndex).collect();
                run.search(self, everybody);
                run.cloud.run(self.pause);
            }
            let traffic = run.traffic_since(before);
            done.push(run.checkpoint(self, true, traffic));
        }
        done
    }
}

struct Run {
    cloud: Overlays,
    entropy: SplitMix64,
    next_request: u64,
}

/// One search under way.
struct Asked {
    request: RequestId,
    found: Vec<Neighbour>,
    /// When it had all it wanted, or could not get more.
    done: Option<Duration>,
}

impl Run {
    fn traffic_since(&self, (then, sent): (luc_core::time::Instant, Sent)) -> f64 {
        let seconds = (self.cloud.now() - then).as_secs_f64();
        let bytes = self.cloud.sent().bytes - sent.bytes;
        bytes as f64 / self.cloud.len() as f64 / seconds.max(f64::MIN_POSITIVE)
    }

    /// Lets these nodes search, all at once.
    fn search(
        &mut self,
        recall: &Recall,
        askers: BTreeSet<NodeIndex>,
    ) -> BTreeMap<NodeIndex, Asked> {
        let start = self.cloud.now();
        self.cloud.told();
        let mut open = BTreeMap::new();
        for asker in askers {
            self.next_request += 1;
            let request = RequestId(self.next_request);
            let asked = Asked {
                request,
                found: Vec::new(),
                done: None,
            };
            open.insert(asker, asked);
            let search = Command::Search {
                request,
                outside: BTreeSet::new(),
                count: recall.step,
            };
            self.cloud.command(asker, search);
        }
        let mut left = open.len();
        while left > 0 && self.cloud.now() - start < PATIENCE {
            for (at, node, event) in self.cloud.told() {
                let Some(asked) = open.get_mut(&node).filter(|asked| asked.done.is_none()) else {
                    continue;
                };
                let request = asked.request;
                match event {
                    Event::Neighbours { request: of, found } if of == request => {
                        asked.found.extend(found);
                        if asked.found.len() >= recall.wanted {
                            asked.done = Some(at - start);
                            left -= 1;
                            self.cloud.command(node, Command::End { request });
                        } else {
                            let count = recall.step;
                            self.cloud.command(node, Command::More { request, count });
                        }
                    }
                    Event::Exhausted { request: of } if of == request => {
                        asked.done = Some(at - start);
                        left -= 1;
                    }
                    _ => {}
                }
            }
            self.cloud.run(LOOK);
        }
        for (node, asked) in open.iter().filter(|(_, asked)| asked.done.is_none()) {
            let request = asked.request;
            self.cloud.command(*node, Command::End { request });
        }
        open
    }

    fn checkpoint(&mut self, recall: &Recall, learnt: bool, traffic: f64) -> Checkpoint {
        let seconds = self.cloud.now().as_secs_f64();
        let mut askers = BTreeSet::new();
        while askers.len() < recall.askers.min(self.cloud.len()) {
            let drawn = draw::below(&mut self.entropy, self.cloud.len());
            askers.insert(NodeIndex(drawn as u32));
        }
        let before = self.cloud.sent();
        let asked = self.search(recall, askers);
        let sent = self.cloud.sent();
        let (mut hits, mut ceiling, mut yielded) = (0, 0, 0);
        let mut times = Vec::new();
        for (asker, asked) in &asked {
            let farthest = self.farthest(*asker, recall.wanted);
            let near = |node: &NodeIndex| self.cloud.rtt(*asker, *node) <= farthest;
            let first = asked.found.iter().take(recall.wanted);
            let first = first.map(|one| NodeIndex::of_peer(one.peer));
            hits += first.filter(near).count();
            let predicted = self.predicted(*asker, recall.wanted);
            ceiling += predicted.iter().filter(|node| near(node)).count();
            yielded += asked.found.len();
            times.push(asked.done.unwrap_or(PATIENCE));
        }
        times.sort();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let all = (asked.len() * recall.wanted).max(1) as f64;
        let per_node = |count: u64| count as f64 / yielded.max(1) as f64;
        Checkpoint {
            seconds,
            learnt,
            recall: hits as f64 / all,
            known_to_all: ceiling as f64 / all,
            messages: per_node(sent.search_messages - before.search_messages),
            bytes: per_node(sent.search_bytes - before.search_bytes),
            median_ms: median.as_secs_f64() * 1e3,
            traffic,
        }
    }

    /// The round trip to the `wanted`-th nearest node.
    fn farthest(&self, asker: NodeIndex, wanted: usize) -> Duration {
        let others = self.others(asker);
        let mut times: Vec<Duration> = others.map(|other| self.cloud.rtt(asker, other)).collect();
        times.sort_unstable();
        times
            .get(wanted - 1)
            .or(times.last())
            .copied()
            .unwrap_or_default()
    }

    /// The nodes that all coordinates together say are nearest.
    fn predicted(&self, asker: NodeIndex, wanted: usize) -> Vec<NodeIndex> {
        let own = self.cloud.overlay(asker).coordinate();
        let place = |node: NodeIndex| own.seconds(self.cloud.overlay(node).coordinate());
        let others = self.others(asker);
        let mut all: Vec<(f64, NodeIndex)> = others.map(|other| (place(other), other)).collect();
        all.sort_unstable_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
        all.into_iter().take(wanted).map(|(_, node)| node).collect()
    }

    fn others(&self, asker: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        let all = (0..self.cloud.len() as u32).map(NodeIndex);
        all.filter(move |other| *other != asker)
    }
}

#[cfg(test)]
mod tests;
