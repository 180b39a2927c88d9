//! What a brain shows of itself: whom it knows and how far they are, and the stories of the
//! partitions it has led lately, with every move that its plans asked for and why.

use std::collections::VecDeque;
use std::time::Duration;

use luc_core::PeerId;
use luc_dvms::ballot::Ballot;
use luc_dvms::event::{Cause, PartitionEnd};
use luc_dvms::plan::{Plan, Reason, Step};
use luc_dvms::{Bar, Barred, Cpu};
use luc_overlay::{Coordinate, Standing};
use serde::{Deserialize, Serialize};

use super::sights::Gone;

/// How many stories are remembered.
const STORIES_MAX: usize = 64;

/// What a brain knows and has thought lately. Times are seconds on the node's monotonic clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The node.
    pub me: PeerId,
    /// Where it is in the network.
    pub coordinate: Coordinate,
    /// How many round trips its place rests on.
    pub samples: u64,
    /// Whether it is a delegate of its site.
    pub is_delegate: bool,
    /// Whether it takes part in no partition.
    pub is_free: bool,
    /// Whom it keeps: its site, and delegates of others if it is one.
    pub members: Vec<Member>,
    /// Who is not there any more, the newest last.
    #[serde(default)]
    pub gone: Vec<Gone>,
    /// What its host asks for and has, in hundredths of a core; `None` before the first sample.
    pub load: Option<Size>,
    /// Now.
    pub now: f64,
    /// The partitions it has led, the newest last.
    pub stories: Vec<Story>,
    /// Datagrams that were no messages, or came from nobody known.
    pub dropped: u64,
}

/// What is asked for, and what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// What machines ask for.
    pub demand: u32,
    /// What the host has.
    pub capacity: u32,
}

/// A node as its neighbour sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub peer: PeerId,
    /// The expected round trip in seconds, if its place is known.
    pub distance: Option<f64>,
    /// Its place, as it last said.
    #[serde(default)]
    pub coordinate: Option<Coordinate>,
    /// Whether it serves.
    pub standing: Standing,
    /// Its room in per cent of its processors, as it last said.
    pub room: i8,
    /// When a message of it came in last; `None` if it is known from others.
    #[serde(default)]
    pub heard: Option<f64>,
}

/// One partition, from its leader's side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Story {
    /// Which.
    pub ballot: Ballot,
    /// When it began.
    pub began: f64,
    /// Why.
    pub cause: Cause,
    /// Who was in it at its greatest.
    pub members: Vec<PeerId>,
    /// How often the solver was asked.
    pub questions: u32,
    /// The search steps it took in all.
    pub steps: u64,
    /// The moves of its plan.
    pub moves: Vec<Move>,
    /// Hosts that had room and were passed by because of rules, when the solver was asked last.
    #[serde(default)]
    pub passed: Vec<PassedBy>,
    /// When it ended.
    pub ended: Option<f64>,
    /// How.
    pub end: Option<PartitionEnd>,
}

/// One move of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Move {
    /// The machine.
    pub vm: String,
    /// From where.
    pub source: PeerId,
    /// To where.
    pub target: PeerId,
    /// Its memory in MiB.
    pub memory_mib: u64,
    /// Why, in words.
    pub why: String,
    /// Whether the source was told to begin. In a dry run it then did nothing.
    pub ordered: bool,
}

/// A host that had room for a machine and was passed by because of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedBy {
    /// The machine.
    pub vm: String,
    /// The host.
    pub host: PeerId,
    /// The machine that its group keeps it apart from, or with.
    #[serde(default)]
    pub mate: Option<String>,
    /// The label that the host lacks, as schedulers write it.
    #[serde(default)]
    pub label: Option<String>,
    /// Why, in words; mate and label stand in them as above.
    pub why: String,
}

impl From<&Barred> for PassedBy {
    fn from(barred: &Barred) -> Self {
        let (mate, label) = match barred.bar {
            Bar::Apart { mate, .. }
            | Bar::Together { mate, .. }
            | Bar::HintApart { mate }
            | Bar::HintTogether { mate } => (Some(mate), None),
            Bar::Label(label) => (None, Some(label)),
            Bar::Hosts | Bar::Sites => (None, None),
        };
        Self {
            vm: barred.vm.to_string(),
            host: barred.host,
            mate: mate.map(|mate| mate.to_string()),
            label: label.map(|label| label.to_string()),
            why: ruled_out(&barred.bar),
        }
    }
}

/// A rule in words.
fn ruled_out(bar: &Bar) -> String {
    let keeps = |soft: bool| {
        if soft { "would rather keep" } else { "keeps" }
    };
    match bar {
        Bar::Apart { mate, soft } => {
            let keeps = keeps(*soft);
            format!("its server group {keeps} it apart from {mate}, which is there")
        }
        Bar::Together { mate, soft } => {
            let keeps = keeps(*soft);
            format!("its server group {keeps} it together with {mate}, which is not there")
        }
        Bar::HintApart { mate } => {
            format!("the hint different_host keeps it apart from {mate}, which is there")
        }
        Bar::HintTogether { mate } => {
            format!("the hint same_host keeps it together with {mate}, which is not there")
        }
        Bar::Hosts => "it is bound to other hosts".to_owned(),
        Bar::Sites => "its project is bound to other sites".to_owned(),
        Bar::Label(label) => format!("it asks for what the host has not got: {label}"),
    }
}

impl Story {
    fn begin(ballot: Ballot, began: Duration, cause: Cause) -> Self {
        Self {
            ballot,
            began: began.as_secs_f64(),
            cause,
            members: vec![ballot.leader],
            questions: 0,
            steps: 0,
            moves: Vec::new(),
            passed: Vec::new(),
            ended: None,
            end: None,
        }
    }
}

/// Writes the stories down as the events come.
#[derive(Debug, Default)]
pub(super) struct Chronicle {
    stories: VecDeque<Story>,
}

impl Chronicle {
    /// The stories so far.
    pub(super) fn stories(&self) -> Vec<Story> {
        self.stories.iter().cloned().collect()
    }

    fn of(&mut self, ballot: Ballot) -> Option<&mut Story> {
        self.stories
            .iter_mut()
            .rev()
            .find(|story| story.ballot == ballot)
    }

    /// Takes in one event of the scheduler.
    pub(super) fn note(&mut self, now: Duration, event: &luc_dvms::Event) {
        use luc_dvms::Event;
        match event {
            Event::Began { ballot, cause } => {
                if self.stories.len() == STORIES_MAX {
                    self.stories.pop_front();
                }
                self.stories.push_back(Story::begin(*ballot, now, *cause));
            }
            Event::Grew { ballot, members } => {
                if let Some(story) = self.of(*ballot)
                    && story.members.len() < members.len()
                {
                    story.members = members.iter().copied().collect();
                }
            }
            Event::Computed { ballot, steps, .. } => {
                if let Some(story) = self.of(*ballot) {
                    story.questions += 1;
                    story.steps += steps;
                    story.passed.clear();
                }
            }
            Event::Barred { ballot, barred } => {
                if let Some(story) = self.of(*ballot) {
                    story.passed = barred.iter().map(PassedBy::from).collect();
                }
            }
            Event::Planned { ballot, plan, .. } => {
                if let Some(story) = self.of(*ballot) {
                    story.moves = moves(plan);
                }
            }
            Event::Ended { ballot, end, .. } => {
                if let Some(story) = self.of(*ballot) {
                    story.ended = Some(now.as_secs_f64());
                    story.end = Some(*end);
                }
            }
            _ => {}
        }
    }

    /// Notes that the source was told to begin a move. Told at the source, which need not lead.
    pub(super) fn ordered(&mut self, vm: &str) {
        for story in self.stories.iter_mut().rev() {
            if let Some(one) = story.moves.iter_mut().find(|one| one.vm == vm) {
                one.ordered = true;
                return;
            }
        }
    }
}

fn moves(plan: &Plan) -> Vec<Move> {
    let steps = plan.steps.iter();
    steps
        .map(|step| Move {
            vm: step.vm.to_string(),
            source: step.source,
            target: step.target,
            memory_mib: step.memory.get(),
            why: explained(step, plan),
            ordered: false,
        })
        .collect()
}

/// The reason of a step in words that a person can act on.
fn explained(step: &Step, plan: &Plan) -> String {
    match step.reason {
        Reason::Overload { demand, capacity } => {
            let cores = |cpu: Cpu| f64::from(cpu.0) / 100.0;
            let (demand, capacity) = (cores(demand), cores(capacity));
            format!("its host is asked for {demand:.1} cores and has {capacity:.1}")
        }
        Reason::MakesWay { step } => format!("it makes way for move {}", step.0),
        Reason::Bypass { step } => format!("a stop on its way: move {} takes it on", step.0),
        Reason::Consolidation => "its host is emptied so that it can sleep".to_owned(),
        Reason::Maintenance => "its host is to be emptied for maintenance".to_owned(),
        Reason::Rule => {
            let comes =
                |other: &&Step| other.target == step.source && other.after.contains(&step.id);
            let other = plan.steps.iter().find(comes);
            let which = other.map_or_else(
                || "another server".to_owned(),
                |other| format!("the server of move {}", other.id.0),
            );
            format!("its server group, or a hint, keeps it apart from {which}, which comes there")
        }
    }
}

#[cfg(test)]
mod tests;
