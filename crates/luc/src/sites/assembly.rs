//! What the controllers of registered sites settle among themselves: signs of life, promises for
//! joining sites, removals, where a silent site is. JSON requests on [`Channel::SITES`], each with
//! its answer.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use luc_core::SitePrefix;
use luc_runtime::fabric::{Channel, Fabric, Handler, Peer, RecvHalf, Request, SendHalf};
use luc_runtime::fabric::{Refusal as NotTaken, RequestError};
use luc_services::Services;
use luc_services::sites::{self, Electorate, Going, Known, Parting, PromiseWish, Refusal, Silent};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::doorman::{Knock, Opened, Who};
use super::membership::{Membership, Whereabouts};
use super::pulse::{Pulse, Sign};

/// How long a site may take to promise.
const PROMISE: Duration = Duration::from_secs(3);
/// How soon it is asked again for a promise that it has not given.
const PROMISE_AGAIN: Duration = Duration::from_millis(100);

/// What one site asks of another.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Question {
    /// Are you there?
    Greeting,
    /// Promise this name and prefix.
    Promise(PromiseWish),
    /// The promise is not needed any more.
    Release(PromiseWish),
    /// The asking site leaves: write that down.
    Farewell,
    /// The asking site does not hear from this one: where are its controllers?
    Whereabouts(SitePrefix),
}

/// What it answers.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    /// I am, and this is how I am.
    Sign(Sign),
    /// It is done.
    Done,
    /// It is promised, and these are the sites that the one who promises knows of.
    Promised(Vec<Known>),
    /// The name belongs to somebody.
    NameTaken(String),
    /// The prefix is known.
    PrefixKnown(SitePrefix),
    /// It is not done.
    Refused(String),
    /// They are there, as the records say here; empty if there is no such site.
    Whereabouts(Vec<Whereabouts>),
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unanswered {
    /// Nobody said anything, or nothing that can be read.
    Silent,
    /// To the one who was asked, this site is a stranger.
    Stranger,
}

impl From<Unanswered> for Silent {
    fn from(_: Unanswered) -> Self {
        Self
    }
}

/// The conversation, from both ends.
pub struct Assembly {
    services: Weak<Services>,
    fabric: Arc<dyn Fabric>,
    membership: Arc<Membership>,
    pulse: Arc<Pulse>,
}

impl Assembly {
    /// For the controller with `services`, which it does not keep alive.
    pub fn new(
        services: &Arc<Services>,
        fabric: Arc<dyn Fabric>,
        membership: Arc<Membership>,
        pulse: Arc<Pulse>,
    ) -> Self {
        Self {
            services: Arc::downgrade(services),
            fabric,
            membership,
            pulse,
        }
    }

    /// Who is of the cloud.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Asks `site` for a sign of life and remembers what it says.
    pub async fn greet(&self, site: SitePrefix, patience: Duration) {
        let (asked, known) = (Instant::now(), self.pulse.is_reachable(site));
        let answer = self.ask(site, &Question::Greeting, patience).await;
        if answer == Err(Unanswered::Stranger) && self.pulse.parting().is_none() {
            self.ask_at_the_door(site, patience).await;
        }
        if let Ok(Reply::Sign(sign)) = answer {
            if let (Some(theirs), Some(services)) = (sign.now_micros, self.services.upgrade()) {
                let ours = services.clock.now().unix_micros();
                self.pulse.compared(site, theirs, (ours, asked.elapsed()));
            }
            // The fabric measures connections; this is for the first moments of one, and not for
            // the very first answer, which waited for the handshake.
            if known && self.pulse.rtt(site).is_none() {
                self.pulse.measured(site, asked.elapsed());
            }
            self.pulse.told(site, &sign);
        }
    }

    /// Has a silent `site` tried where a reachable one says it is, every now and then; each time
    /// another one is asked. Where two sites changed their address while they were cut off from
    /// each other, only a third that both have called knows both.
    pub async fn seek(&self, site: SitePrefix, patience: Duration) {
        if self.pulse.is_reachable(site) {
            // Its own feed says where it is from now on.
            if self.membership.forget_told(site) {
                self.membership.apply(&*self.fabric);
            }
            return;
        }
        let Some(search) = self.pulse.search(site) else {
            return;
        };
        let mut others = self.membership.others();
        others.retain(|other| *other != site && self.pulse.is_reachable(*other));
        if let Some(at) = others.get(search % others.len().max(1)) {
            let question = Question::Whereabouts(site);
            if let Ok(Reply::Whereabouts(told)) = self.ask(*at, &question, patience).await {
                self.membership.tell(site, told);
            }
        }
        // What its name means may have changed as well.
        self.membership.place(&*self.fabric).await;
    }

    /// Tells `site` that this one leaves; an error in words for people.
    pub async fn farewell(&self, site: SitePrefix) -> Result<(), String> {
        match self.ask(site, &Question::Farewell, PROMISE).await {
            Ok(Reply::Done) => Ok(()),
            Ok(Reply::Refused(reason)) => Err(reason),
            Ok(other) => Err(format!("an answer that is none: {other:?}")),
            Err(Unanswered::Silent) => Err("it does not answer".to_owned()),
            // An earlier farewell may have arrived although its answer did not.
            Err(Unanswered::Stranger) => match self.ask_at_the_door(site, PROMISE).await {
                Some(_) => Ok(()),
                None => Err("this site is a stranger to it".to_owned()),
            },
        }
    }

    /// Asks `site`, to which this one is a stranger, as any stranger may, whether that is because
    /// this one was removed; remembers and logs it if so.
    async fn ask_at_the_door(&self, site: SitePrefix, patience: Duration) -> Option<Parting> {
        let deadline = Instant::now() + patience;
        let services = self.services.upgrade()?;
        let knock = Knock {
            secret: String::new(),
            who: Who::Former(services.site),
        };
        let body = serde_json::to_vec(&knock).ok()?;
        for key in self.membership.controllers(site) {
            let request = Request::new(Channel::JOIN, body.clone());
            let Ok(answer) = self.fabric.request(key, request, deadline).await else {
                continue;
            };
            if let Ok(Opened::Parted(parting)) = serde_json::from_slice(&answer) {
                // Only a trusted site's word removes another.
                if self.membership.trusts(site) && self.pulse.part(&parting) {
                    let Parting { by, reason, .. } = &parting;
                    tracing::warn!(%by, %reason, "this site is not of the cloud any more");
                }
                return Some(parting);
            }
        }
        None
    }

    async fn ask(
        &self,
        site: SitePrefix,
        question: &Question,
        patience: Duration,
    ) -> Result<Reply, Unanswered> {
        let deadline = Instant::now() + patience;
        let body = serde_json::to_vec(question).map_err(|_| Unanswered::Silent)?;
        for key in self.membership.controllers(site) {
            let request = Request::new(Channel::SITES, body.clone());
            match self.fabric.request(key, request, deadline).await {
                Ok(answer) => {
                    return serde_json::from_slice(&answer).map_err(|_| Unanswered::Silent);
                }
                Err(RequestError::NotSent { .. }) => {}
                Err(RequestError::Refused {
                    why: NotTaken::NotAdmitted,
                    ..
                }) => return Err(Unanswered::Stranger),
                Err(error) => {
                    tracing::debug!(%site, %error, "a site did not answer");
                    return Err(Unanswered::Silent);
                }
            }
        }
        Err(Unanswered::Silent)
    }

    async fn answer(&self, from: SitePrefix, question: Question) -> Result<Reply, NotTaken> {
        let services = self.services.upgrade().ok_or(NotTaken::Busy)?;
        match question {
            Question::Greeting => Ok(Reply::Sign(self.sign(&services))),
            Question::Promise(wish) => {
                let promised = match sites::may_invite(&services, from) {
                    Ok(()) => sites::promise(&services, from, &wish).await,
                    Err(refusal) => Err(refusal),
                };
                Ok(promised.map_or_else(refused, Reply::Promised))
            }
            Question::Release(wish) => Ok(said(match sites::may_invite(&services, from) {
                Ok(()) => sites::release(&services, &wish).await,
                refused => refused,
            })),
            Question::Farewell => {
                let going = Going {
                    reason: "it left",
                    insist: false,
                    // It says itself that it has nothing left.
                    fenced: true,
                };
                Ok(said(sites::remove(&services, from, going).await))
            }
            Question::Whereabouts(site) => {
                Ok(Reply::Whereabouts(self.membership.whereabouts(site)))
            }
        }
    }

    fn sign(&self, services: &Services) -> Sign {
        let snapshot = services.store.snapshot();
        let room = sites::room(services, &snapshot);
        Sign {
            room: (room.vcpus, room.memory_mib, room.disk_gib),
            revision: snapshot.revision().number(),
            rtts: self.pulse.rtts(),
            now_micros: Some(services.clock.now().unix_micros()),
        }
    }
}

/// The outcome as it goes over the wire.
fn said(outcome: Result<(), Refusal>) -> Reply {
    outcome.map_or_else(refused, |()| Reply::Done)
}

/// A refusal as it goes over the wire.
fn refused(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::NameTaken { name } => Reply::NameTaken(name),
        Refusal::PrefixKnown { site } => Reply::PrefixKnown(site),
        refusal => Reply::Refused(refusal.to_string()),
    }
}

#[async_trait]
impl Electorate for Assembly {
    async fn promise(
        &self,
        site: SitePrefix,
        wish: &PromiseWish,
    ) -> Result<Result<Vec<Known>, Refusal>, Silent> {
        let question = Question::Promise(wish.clone());
        let end = Instant::now() + PROMISE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.ask(site, &question, left).await {
                Ok(Reply::Promised(known)) => return Ok(Ok(known)),
                Ok(Reply::NameTaken(name)) => return Ok(Err(Refusal::NameTaken { name })),
                Ok(Reply::PrefixKnown(site)) => return Ok(Err(Refusal::PrefixKnown { site })),
                // A site that has just joined may not have heard yet who may invite.
                Ok(_) | Err(_) => {}
            }
            if Instant::now() + PROMISE_AGAIN >= end {
                return Err(Silent);
            }
            tokio::time::sleep(PROMISE_AGAIN).await;
        }
    }

    async fn release(&self, site: SitePrefix, wish: &PromiseWish) {
        // What does not arrive is forgotten there after a day.
        let _ = self
            .ask(site, &Question::Release(wish.clone()), PROMISE)
            .await;
    }
}

#[async_trait]
impl Handler for Assembly {
    async fn request(&self, from: Peer, _: Channel, body: Bytes) -> Result<Bytes, NotTaken> {
        let peer = from.id().ok_or(NotTaken::NotAdmitted)?;
        let site = peer.site;
        // Nodes that are no controllers have no say.
        if !self.membership.controllers(site).contains(&from.key) {
            return Err(NotTaken::NotAdmitted);
        }
        let question = serde_json::from_slice(&body);
        let question = question.map_err(|error| NotTaken::Malformed(error.to_string()))?;
        self.pulse.alive(site);
        let reply = self.answer(site, question).await?;
        serde_json::to_vec(&reply)
            .map(Bytes::from)
            .map_err(|error| NotTaken::Other(error.to_string()))
    }

    fn datagram(&self, _: Peer, _: Channel, _: Bytes) {}

    async fn stream(&self, _: Peer, _: Channel, _: SendHalf, _: RecvHalf) {}

    fn rtt(&self, peer: Peer, sample: Duration) {
        if let Some(id) = peer.id() {
            self.pulse.measured(id.site, sample);
        }
    }
}
