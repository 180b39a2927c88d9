//! A link to an engine that loses things: for the suite and the simulator.
//!
//! Requests get lost before they arrive, arrive late (after the caller was told that the outcome
//! is unknown, and even after it asked), or are carried out while the answer gets lost; watches
//! break. Everything follows from a seed. What the engine behind it keeps is never touched.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures::stream::{Stream, StreamExt};
use luc_core::Entropy;
use luc_core::entropy::SplitMix64;

use crate::engine::{
    CommitError, Engine, EngineError, EngineTraits, Feed, FeedEvent, Loaded, Operation, Proposal,
};
use crate::revision::Revision;

/// How often things go wrong, each per thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// A request does not arrive, and the caller knows it.
    pub refused: u64,
    /// A request does not arrive, and the caller does not know.
    pub request_lost: u64,
    /// A commit arrives after the caller gave up on it.
    pub request_late: u64,
    /// A commit is done, but its answer is lost.
    pub answer_lost: u64,
    /// A watch breaks before its next event.
    pub watch_broken: u64,
}

impl Faults {
    /// A link that hardly works.
    pub const MANY: Self = Self {
        refused: 30,
        request_lost: 50,
        request_late: 50,
        answer_lost: 100,
        watch_broken: 100,
    };
}

/// An engine behind a link that loses things.
pub struct LossyLink {
    engine: Arc<dyn Engine>,
    faults: Faults,
    dice: Arc<Mutex<SplitMix64>>,
    late: Mutex<Vec<Proposal>>,
}

enum Fate {
    Arrives,
    Refused,
    RequestLost,
    RequestLate,
    AnswerLost,
}

impl LossyLink {
    /// A link to `engine` whose faults follow from `seed`.
    pub fn new(engine: Arc<dyn Engine>, faults: Faults, seed: u64) -> Self {
        let dice = Arc::new(Mutex::new(SplitMix64::new(seed)));
        Self {
            engine,
            faults,
            dice,
            late: Mutex::default(),
        }
    }

    fn fate(&self) -> Fate {
        let mut roll = roll(&self.dice);
        for (chance, fate) in [
            (self.faults.refused, Fate::Refused),
            (self.faults.request_lost, Fate::RequestLost),
            (self.faults.request_late, Fate::RequestLate),
            (self.faults.answer_lost, Fate::AnswerLost),
        ] {
            if roll < chance {
                return fate;
            }
            roll -= chance;
        }
        Fate::Arrives
    }

    /// Lets some of the late commits arrive now.
    async fn deliver_late(&self) {
        let due = {
            let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
            let keep = late.len().min((roll(&self.dice) % 3) as usize);
            late.split_off(keep)
        };
        for proposal in due {
            // Nobody waits for the answer any more.
            let _ = self.engine.commit(proposal).await;
        }
    }

    fn lost(what: &str) -> String {
        format!("the link lost the {what}")
    }
}

fn roll(dice: &Mutex<SplitMix64>) -> u64 {
    dice.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .next_u64()
        % 1000
}

#[async_trait]
impl Engine for LossyLink {
    fn traits(&self) -> EngineTraits {
        self.engine.traits()
    }

    async fn load(&self, prefix: &str) -> Result<Loaded, EngineError> {
        match self.fate() {
            Fate::Arrives => self.engine.load(prefix).await,
            _ => Err(EngineError::Unavailable {
                reason: Self::lost("answer"),
            }),
        }
    }

    async fn commit(&self, proposal: Proposal) -> Result<Revision, CommitError> {
        let unknown = |what| {
            Err(CommitError::Unknown {
                reason: Self::lost(what),
            })
        };
        let fate = self.fate();
        let answer = match fate {
            Fate::Arrives => self.engine.commit(proposal).await,
            Fate::Refused => Err(CommitError::Unavailable {
                reason: Self::lost("connection"),
            }),
            Fate::RequestLost => unknown("request"),
            Fate::RequestLate => {
                self.late
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(proposal);
                unknown("request")
            }
            Fate::AnswerLost => {
                let _ = self.engine.commit(proposal).await;
                unknown("answer")
            }
        };
        self.deliver_late().await;
        answer
    }

    async fn outcome(&self, operation: &Operation) -> Result<Option<Revision>, EngineError> {
        let answer = match self.fate() {
            Fate::Arrives => self.engine.outcome(operation).await,
            Fate::AnswerLost => {
                let _ = self.engine.outcome(operation).await;
                Err(EngineError::Unavailable {
                    reason: Self::lost("answer"),
                })
            }
            _ => Err(EngineError::Unavailable {
                reason: Self::lost("request"),
            }),
        };
        self.deliver_late().await;
        answer
    }

    async fn watch(&self, from: Revision) -> Result<Feed, EngineError> {
        match self.fate() {
            Fate::Arrives => {
                let feed = self.engine.watch(from).await?;
                let (dice, chance) = (Arc::clone(&self.dice), self.faults.watch_broken);
                Ok(Breaking {
                    feed,
                    dice,
                    chance,
                    broken: false,
                }
                .boxed())
            }
            _ => Err(EngineError::Unavailable {
                reason: Self::lost("request"),
            }),
        }
    }

    async fn compact(&self, until: Revision) -> Result<(), EngineError> {
        match self.fate() {
            Fate::Arrives => self.engine.compact(until).await,
            _ => Err(EngineError::Unavailable {
                reason: Self::lost("request"),
            }),
        }
    }
}

struct Breaking {
    feed: Feed,
    dice: Arc<Mutex<SplitMix64>>,
    chance: u64,
    broken: bool,
}

impl Stream for Breaking {
    type Item = FeedEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<FeedEvent>> {
        if self.broken {
            return Poll::Ready(None);
        }
        let next = self.feed.poll_next_unpin(cx);
        if next.is_ready() && roll(&self.dice) < self.chance {
            self.broken = true;
            return Poll::Ready(None);
        }
        next
    }
}
