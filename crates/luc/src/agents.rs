//! Joins the agent's port to the compute service: wishes out of the store, reports back into it.
//!
//! [`LocalController`] is the port for one host in this process; [`AgentHosts`] answers the compute
//! service's questions about machines, from an agent here or on another node. What the two sides
//! call things is put together in [`translate`], where servers may run in [`rules`].

mod rules;
mod translate;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use luc_agent::agent::Agent;
use luc_agent::controller::{
    Change as WishChange, Controller, ControllerError, ImageData, Images, Wishes,
};
use luc_agent::desired::{DesiredServer, Generation, HostPlace};
use luc_agent::driver::DriverError;
use luc_agent::host::Heartbeat;
use luc_agent::observed::Observed;
use luc_core::id::{ImageId, ServerId};
use luc_services::Services;
use luc_services::compute::host::Build;
use luc_services::compute::ports::{AskError, Hosts};
use luc_services::compute::wanted::{self, WantedChange};
use luc_services::compute::{hosts, progress};
use luc_state::{Change, Revision, Snapshot, WatchEvent};
use serde_json::Value;

pub use translate::{Ratios, diagnostics};

use crate::remote::RemoteHosts;

/// What is wanted of a server after a change; `None` if nothing is known of it any more.
type Want = (ServerId, Option<Arc<DesiredServer>>);

/// What followers of a host's wishes are told.
pub enum Followed {
    /// One commit, with what it means for the host; often nothing.
    Commit {
        /// Its revision.
        revision: u64,
        /// What is wanted now.
        wants: Vec<Want>,
    },
    /// Commits were missed: ask for everything again.
    Lost,
}

/// The controller of one host, in this process.
#[derive(Clone)]
pub struct LocalController {
    services: Arc<Services>,
    host: String,
    address: IpAddr,
    ratios: Ratios,
}

impl LocalController {
    /// The controller's port for `host`, which is reached over loopback.
    pub fn new(services: Arc<Services>, host: &str) -> Self {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            services,
            host: host.to_owned(),
            address,
            ratios: Ratios::default(),
        }
    }

    /// The same for a host at another address.
    #[must_use]
    pub fn reached_at(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// The same with other allocation ratios.
    #[must_use]
    pub fn with_ratios(mut self, ratios: Ratios) -> Self {
        self.ratios = ratios;
        self
    }

    /// Whether the host, which begins what it reads, may be told its wishes now; to be asked before
    /// they are read.
    pub fn admitted(&self) -> Result<(), ControllerError> {
        if self.services.compute.door.admit(&self.host) {
            return Ok(());
        }
        Err(shut(wanted::Shut))
    }

    /// Lets the host begin these new servers; returns those that are not wanted of it any more.
    pub fn begin(
        &self,
        builds: &[(ServerId, Generation)],
    ) -> Result<BTreeSet<ServerId>, ControllerError> {
        let numbered = builds.iter().map(|(id, number)| (id.clone(), number.0));
        let builds: Vec<Build> = numbered.collect();
        let services = &self.services;
        let door = &services.compute.door;
        let asked = (self.host.as_str(), builds.as_slice());
        wanted::begin(door, &services.store, services.site, asked).map_err(shut)
    }

    /// Everything that is wanted, and the revision for which that is true.
    pub fn wanted(&self) -> (u64, Vec<Arc<DesiredServer>>) {
        let snapshot = self.services.store.snapshot();
        let wants = self.wanted_in(&snapshot);
        (snapshot.revision().number(), wants)
    }

    fn wanted_in(&self, snapshot: &Snapshot) -> Vec<Arc<DesiredServer>> {
        let holders = wanted::of_host(snapshot, self.services.site, &self.host);
        let wish = |holder: &wanted::Holder| Arc::new(self.wish(snapshot, holder));
        holders.iter().map(wish).collect()
    }

    fn wish(&self, snapshot: &Snapshot, holder: &wanted::Holder) -> DesiredServer {
        let wanted = holder.wanted();
        let rules = rules::of_server(&self.services, snapshot, wanted.server);
        translate::wish(snapshot, &wanted, &self.services.compute.zone, rules)
    }

    /// What changes after `revision`.
    pub fn follow(&self, revision: u64) -> BoxStream<'static, Followed> {
        let this = self.clone();
        let watch = self.services.store.watch(Revision::new(revision));
        watch
            .map(move |event| match event {
                WatchEvent::Gap(_) => Followed::Lost,
                WatchEvent::Commit(commit) => {
                    let wants = this.wants_after(commit.changes.iter());
                    Followed::Commit {
                        revision: commit.revision.number(),
                        wants,
                    }
                }
            })
            .boxed()
    }

    /// What is wanted after these changes of those servers that they concern.
    fn wants_after<'a>(&self, changes: impl Iterator<Item = &'a Change> + Clone) -> Vec<Want> {
        let snapshot = self.services.store.snapshot();
        let site = self.services.site;
        let mut wants: Vec<Want> = changes
            .clone()
            .filter_map(|change| wanted::of_change(change, site, &self.host))
            .map(|change| self.want(&snapshot, change))
            .collect();
        let touched = rules::Touched::by(changes, &snapshot);
        if !touched.is_empty() {
            let others = wanted::of_host(&snapshot, site, &self.host).into_iter();
            let others = others.filter(|holder| touched.concerns(holder.wanted().server));
            for holder in others {
                let wish = self.wish(&snapshot, &holder);
                if wants.iter().all(|(id, _)| *id != wish.id) {
                    wants.push((wish.id.clone(), Some(Arc::new(wish))));
                }
            }
        }
        wants
    }

    fn want(&self, snapshot: &Snapshot, change: WantedChange) -> Want {
        match change {
            WantedChange::Forget(id) => (id, None),
            WantedChange::Want(holder) => {
                let wish = self.wish(snapshot, &holder);
                (wish.id.clone(), Some(Arc::new(wish)))
            }
        }
    }
}

#[async_trait]
impl Images for LocalController {
    async fn image(&self, id: &ImageId) -> Result<ImageData, ControllerError> {
        let path = luc_services::image::fetch(&self.services, id.as_str()).await;
        let path = path.map_err(|error| ControllerError::Refused {
            reason: error.to_string(),
        })?;
        Ok(ImageData::File(path))
    }
}

#[async_trait]
impl Controller for LocalController {
    async fn wishes(&self) -> Result<Wishes, ControllerError> {
        self.admitted()?;
        let (revision, snapshot) = self.wanted();
        let changes = self
            .follow(revision)
            .flat_map(|followed| {
                let changes: VecDeque<WishChange> = match followed {
                    Followed::Lost => [WishChange::Reload].into(),
                    Followed::Commit { wants, .. } => wants
                        .into_iter()
                        .map(|(id, wish)| wish.map_or(WishChange::Forget(id), WishChange::Want))
                        .collect(),
                };
                futures::stream::iter(changes)
            })
            .boxed();
        Ok(Wishes { snapshot, changes })
    }

    async fn report(&self, reports: Vec<Observed>) -> Result<(), ControllerError> {
        let reports: Vec<progress::Report> = reports
            .iter()
            .filter_map(|seen| translate::report(&self.host, seen))
            .collect();
        let received = progress::observed(&self.services, &reports).await;
        received
            .map(drop)
            .map_err(|error| ControllerError::Unavailable {
                reason: error.to_string(),
            })
    }

    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HostPlace, ControllerError> {
        let facts = translate::host_facts(
            &self.host,
            self.services.site,
            self.address,
            &heartbeat,
            self.ratios,
        );
        hosts::register(&self.services, &facts)
            .await
            .map_err(|error| ControllerError::Unavailable {
                reason: error.to_string(),
            })?;
        hosts::heartbeat(
            &self.services,
            &self.host,
            translate::sign_of_life(&heartbeat),
        );
        let snapshot = self.services.store.snapshot();
        Ok(rules::of_host(&self.services, &snapshot, &self.host))
    }
}

/// The way to the machines of every host: an agent in this process, or another node.
pub struct AgentHosts {
    agents: Mutex<BTreeMap<String, Arc<Agent>>>,
    remote: Arc<RemoteHosts>,
}

impl AgentHosts {
    /// No agent here yet.
    pub fn new(remote: Arc<RemoteHosts>) -> Self {
        Self {
            agents: Mutex::default(),
            remote,
        }
    }

    /// An agent of this process.
    pub fn add(&self, host: &str, agent: Arc<Agent>) {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        agents.insert(host.to_owned(), agent);
    }

    /// Lets go of all agents, so that they can be stopped.
    pub fn clear(&self) {
        self.agents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn local(&self, host: &str) -> Option<Arc<Agent>> {
        self.agents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(host)
            .cloned()
    }
}

#[async_trait]
impl Hosts for AgentHosts {
    async fn console_output(
        &self,
        host: &str,
        server: &ServerId,
        lines: Option<u64>,
    ) -> Result<String, AskError> {
        match self.local(host) {
            Some(agent) => agent
                .console(server, lines.map(|lines| lines as usize))
                .await
                .map_err(|error| failed(host, &error)),
            None => self.remote.console(host, server, lines).await,
        }
    }

    async fn diagnostics(&self, host: &str, server: &ServerId) -> Result<Value, AskError> {
        match self.local(host) {
            Some(agent) => {
                let stats = agent
                    .stats(server)
                    .await
                    .map_err(|error| failed(host, &error))?;
                Ok(diagnostics(&stats))
            }
            None => self.remote.diagnostics(host, server).await,
        }
    }
}

fn shut(shut: wanted::Shut) -> ControllerError {
    ControllerError::Unavailable {
        reason: shut.to_string(),
    }
}

fn failed(host: &str, error: &DriverError) -> AskError {
    AskError::Failed {
        host: host.to_owned(),
        reason: error.to_string(),
    }
}
