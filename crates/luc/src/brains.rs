//! The brains of this process: one for the node itself, and one for each further host that a
//! development cloud runs beside it.
//!
//! ```text
//!   Membership ── contacts ─▶ ┌───────┐ ◀─ sample ── Sampler ◀── a host's agent
//!   Fabric ══ OVERLAY ═ Port ▶│ brain │
//!                             └───────┘ ── latest ─▶ node list, nearest sites, failed hosts
//! ```
//!
//! Here brains are started, fed and stopped ([`Brains`]), asked by people ([`gather`], [`api`],
//! [`show`]) and used by the services ([`watch`]). What a brain thinks is in `luc_node`, how it
//! runs in `luc_runtime::brain`. Schedulers run dry: they plan and explain, and move nothing.

pub mod api;
pub mod args;
pub mod contacts;
pub mod explain;
pub mod gather;
pub mod port;
pub mod seats;
pub mod show;
pub mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use futures::future::join_all;
use luc_agent::agent::Agent;
use luc_core::{PeerId, SitePrefix};
use luc_node::Config;
use luc_runtime::brain::{self, BrainHandle, FileKeeper, Setup};
use luc_runtime::fabric::Fabric;
use luc_services::Services;
use luc_services::ports::Randomness as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::host::SystemRandomness;
use crate::sampler::{self, Sampler};
use crate::sites::{CloudSites, Membership};
use port::{Port, Report};
use watch::Latest;

/// How many hosts of one process have a brain of their own: each has its own end of the fabric,
/// and they all know each other.
pub const HOSTS_MAX: usize = 16;

/// How long a brain may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Where a brain sits.
pub struct Seat {
    /// The name of its node or host.
    pub name: String,
    /// Its end of the fabric.
    pub fabric: Arc<dyn Fabric>,
    /// What came in over the fabric goes through here.
    pub port: Arc<Port>,
    /// Where it keeps what it must find again.
    pub directory: PathBuf,
    /// The agent of its host, if it has one.
    pub agent: Option<Arc<Agent>>,
    /// Whether the host must never sleep.
    pub vigil: bool,
    /// Whether the end of the fabric is the brain's alone, and ends with it.
    pub own_fabric: bool,
}

/// One running brain.
struct Running {
    name: String,
    peer: PeerId,
    brain: BrainHandle,
    task: JoinHandle<()>,
    feeders: Vec<JoinHandle<()>>,
    own_fabric: Option<Arc<dyn Fabric>>,
}

/// The brains of this process.
pub struct Brains {
    site: SitePrefix,
    fabric: Arc<dyn Fabric>,
    membership: Arc<Membership>,
    running: Vec<Running>,
    latest: ArcSwap<Latest>,
}

impl Brains {
    /// Seats one brain in each of `seats`, the node's own first.
    pub fn start(
        site: SitePrefix,
        membership: Arc<Membership>,
        seats: Vec<Seat>,
    ) -> anyhow::Result<Arc<Self>> {
        let fabric = seats.first().context("a node has a brain")?.fabric.clone();
        let ports: Vec<Arc<Port>> = seats.iter().map(|seat| Arc::clone(&seat.port)).collect();
        let mut running = Vec::new();
        for seat in seats {
            running.push(seated(site, &membership, seat)?);
        }
        let brains = Arc::new(Self {
            site,
            fabric,
            membership,
            running,
            latest: ArcSwap::default(),
        });
        for port in ports {
            port.belongs_to(&brains);
        }
        Ok(brains)
    }

    /// Lets the services of a controller use what the brains know, until `stopping`.
    pub fn advise(
        self: &Arc<Self>,
        services: &Arc<Services>,
        sites: &CloudSites,
        stopping: &CancellationToken,
    ) {
        sites.with_places(Arc::clone(self) as _);
        tokio::spawn(Arc::clone(self).look_on(stopping.clone()));
        tokio::spawn(Arc::clone(self).mark_hosts(Arc::clone(services), stopping.clone()));
    }

    /// The node's own brain.
    pub fn own(&self) -> Option<&BrainHandle> {
        self.running.first().map(|running| &running.brain)
    }

    /// Whether `peer` is a brain of this process.
    pub fn is_here(&self, peer: PeerId) -> bool {
        self.running.iter().any(|running| running.peer == peer)
    }

    /// What the brains of this process know and think now.
    pub async fn reports(&self) -> Vec<Report> {
        let mut reports = Vec::new();
        for running in &self.running {
            let status = running.brain.status().await;
            reports.push(self.report(running.peer, &running.name, status.ok_or("it has ended")));
        }
        reports
    }

    /// Says goodbye and ends. The fabric of the node itself is left to its owner.
    pub async fn stop(&self) {
        for running in &self.running {
            for feeder in &running.feeders {
                feeder.abort();
            }
            running.brain.leave().await;
        }
        let ended = async {
            while !self.running.iter().all(Running::is_over) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(GOODBYE, ended).await.is_err() {
            tracing::warn!("a brain did not end in time");
        }
        let fabrics = self.running.iter().filter_map(|r| r.own_fabric.as_ref());
        join_all(fabrics.map(|fabric| fabric.shut_down())).await;
    }
}

impl Running {
    fn is_over(&self) -> bool {
        self.task.is_finished() && self.feeders.iter().all(JoinHandle::is_finished)
    }
}

/// Starts one brain and what feeds it.
fn seated(site: SitePrefix, membership: &Arc<Membership>, seat: Seat) -> anyhow::Result<Running> {
    let peer = seat.fabric.me().peer_id(site);
    let keeper = FileKeeper::new(seat.directory.join("brain.json"));
    let kept = keeper.read().context("reading what the brain promised")?;
    let (brain, task) = brain::start(Setup {
        config: config(peer),
        kept,
        fabric: Arc::clone(&seat.fabric),
        keys: Arc::clone(membership) as _,
        keeper: Arc::new(keeper),
        contacts: contacts::of(membership, peer),
    });
    seat.port.connect(brain.clone());
    let own_fabric = seat.own_fabric.then(|| Arc::clone(&seat.fabric));
    let meeting = contacts::keep(
        Arc::clone(membership),
        peer,
        own_fabric.clone(),
        brain.clone(),
    );
    let mut feeders = vec![tokio::spawn(meeting)];
    if let Some(agent) = seat.agent {
        let sampler = Sampler::new(peer, agent, Arc::clone(membership), seat.vigil);
        feeders.push(tokio::spawn(sampler.run(brain.clone())));
    } else {
        brain.sample(sampler::hostless(peer));
    }
    Ok(Running {
        name: seat.name,
        peer,
        brain,
        task,
        feeders,
        own_fabric,
    })
}

/// The parameters of the brain of `me`.
fn config(me: PeerId) -> Config {
    Config {
        overlay: luc_overlay::Config {
            me,
            seed: SystemRandomness.next_u64(),
            membership: luc_overlay::Membership::Swim(luc_overlay::SwimConfig::default()),
            search: luc_overlay::search::Config::default(),
            vivaldi: luc_overlay::vivaldi::Config::default(),
        },
        dvms: luc_dvms::Config::new(me, SystemRandomness.next_u64()),
    }
}
