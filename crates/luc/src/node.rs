//! One running node: store, services, API and agents, plugged together from a configuration.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use luc_agent::agent::{Agent, AgentConfig};
use luc_api::policy::Policy;
use luc_api::value::Secret;
use luc_core::time::Timestamp;
use luc_engines::{EmbeddedEngine, EmbeddedOptions, TokioPause};
use luc_services::Services;
use luc_services::compute::Compute;
use luc_services::compute::hosts::Keeper;
use luc_services::compute::{quota, retention};
use luc_services::identity::{Founding, HashCost, Identity};
use luc_services::image::Images;
use luc_services::operations;
use luc_services::ports::sites::Sites;
use luc_state::{Schema, Store, StoreOptions};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::agents::{AgentHosts, LocalController, Ratios};
use crate::brains::{Brains, seats};
use crate::cloud::Site;
use crate::config::{Config, Role};
use crate::drivers::Drivers;
use crate::fabrics::Fabrics;
use crate::host::{KernelEntropy, SystemClock, SystemRandomness};
use crate::metrics::Metrics;
use crate::outpost::Outpost;
use crate::peering::Peering;
use crate::reached;
use crate::readiness::Readiness;
use crate::remote::{
    ControllerSide, Link, NodeSide, RemoteController, RemoteHosts, controller_router, node_router,
};
use crate::server::{self, Bound, Front};
use crate::sites::api::{self, Operators};
use crate::sites::refusals;

/// How often what is long gone is forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);

/// A controller's parts: the store with its engine, and the services over it.
pub struct Parts {
    /// The services.
    pub services: Arc<Services>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The agents of this process, by host name.
    pub hosts: Arc<AgentHosts>,
    /// Compute nodes elsewhere in the site.
    pub remote: Arc<RemoteHosts>,
    secret: Secret,
    driver: JoinHandle<()>,
}

impl Parts {
    /// Opens the store and builds the services.
    pub async fn open(config: &Config, site: &Site, sites: Arc<dyn Sites>) -> anyhow::Result<Self> {
        let directory = &config.node.data_dir;
        let prefix = site.prefix()?;
        let path = directory.join("store.redb");
        let engine = EmbeddedEngine::open(&path, EmbeddedOptions::default())
            .with_context(|| format!("opening the store {}", path.display()))?;
        let options = StoreOptions::new(prefix, KernelEntropy).pause(TokioPause);
        let (store, driver) = Store::open(Arc::new(engine), schema(), options)
            .await
            .with_context(|| format!("loading the store {}", path.display()))?;
        let driver = tokio::spawn(driver);
        let secret = read_secret(&directory.join("join.secret"))?;
        let remote = Arc::new(RemoteHosts::new(secret.clone())?);
        let hosts = Arc::new(AgentHosts::new(Arc::clone(&remote)));
        let metrics = Arc::new(Metrics::new());
        let policy = policy(config.identity.policy_file.as_deref())?;
        let lifetime = Duration::from_secs(config.identity.token_lifetime_secs);
        let key = crate::identity::signing_key(directory, prefix)?;
        let identity = Identity::new(key, lifetime, HashCost::OWASP, &SystemRandomness)
            .context("preparing the identity service")?;
        let services = Services {
            site: prefix,
            policy: Arc::new(policy),
            routes: Arc::new(luc_services::http::Routes::from_table()),
            operations: Arc::default(),
            sites,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandomness),
            observer: Arc::clone(&metrics) as _,
            identity: Arc::new(identity),
            image: Arc::new(crate::image::open(directory)?),
            compute: Arc::new(Compute::new(Arc::clone(&hosts) as _, site.name.clone())),
            store,
        };
        Ok(Self {
            services: Arc::new(services),
            metrics,
            hosts,
            remote,
            secret,
            driver,
        })
    }

    /// Makes the records of a new cloud; doing it twice changes nothing.
    pub async fn bootstrap(&self, founding: &Founding) -> anyhow::Result<()> {
        luc_services::identity::bootstrap(&self.services, founding)
            .await
            .context("making the default domain and its admin")?;
        luc_services::compute::bootstrap(&self.services)
            .await
            .context("making the flavors")?;
        Ok(())
    }

    /// What every start does before the first request: the token key is known, and image data that
    /// no record names is gone.
    async fn tidy_up(&self) -> anyhow::Result<()> {
        let services = &self.services;
        luc_services::identity::enlist_key(services)
            .await
            .context("publishing the token key")?;
        let snapshot = services.store.snapshot();
        let collected = services.image.collect_garbage(&snapshot).await;
        let collected = collected.context("collecting image data that nothing refers to")?;
        if collected > 0 {
            tracing::info!(blobs = collected, "image data without a record was removed");
        }
        Ok(())
    }

    /// Closes the store: what was acknowledged is on disk already.
    pub async fn close(self) {
        self.services.store.close();
        if let Err(error) = self.driver.await {
            tracing::error!(%error, "the store's driver ended badly");
        }
    }
}

/// The tables of all services.
pub fn schema() -> Schema {
    luc_services::identity::schema()
        .and(Images::tables())
        .and(luc_services::compute::schema())
        .and(luc_services::sites::schema())
        .and(luc_services::operations::schema())
        .and(luc_state::feed::schema())
}

fn policy(file: Option<&Path>) -> anyhow::Result<Policy> {
    let Some(file) = file else {
        return Ok(Policy::with_defaults());
    };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("reading the policy {}", file.display()))?;
    Policy::with_overrides(&text).with_context(|| format!("in the policy {}", file.display()))
}

fn read_secret(path: &Path) -> anyhow::Result<Secret> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading the join secret {}", path.display()))?;
    Ok(Secret::new(text.trim()))
}

/// A running node.
pub struct Node {
    /// The address of its port.
    pub address: SocketAddr,
    /// The controller's parts, if it is one.
    pub parts: Option<Parts>,
    agents: BTreeMap<String, Arc<Agent>>,
    peering: Option<Arc<Peering>>,
    outpost: Option<Arc<Outpost>>,
    brains: Option<Arc<Brains>>,
    stopping: CancellationToken,
    server: JoinHandle<anyhow::Result<()>>,
}

impl Node {
    /// Starts what the configuration's roles ask for. `hosts` are the names of the compute hosts in
    /// this process; a node proper has one, named as itself.
    pub async fn start(config: &Config, hosts: &[String]) -> anyhow::Result<Self> {
        Self::start_on(config, hosts, &Fabrics::Quic).await
    }

    /// The same with the fabric that is given.
    pub async fn start_on(
        config: &Config,
        hosts: &[String],
        fabrics: &Fabrics,
    ) -> anyhow::Result<Self> {
        let bound = server::bind(config.api.listen).await?;
        if config.has(Role::Controller) {
            Self::start_controller(config, hosts, bound, fabrics).await
        } else {
            Self::start_compute(config, hosts, bound, fabrics).await
        }
    }

    async fn start_controller(
        config: &Config,
        hosts: &[String],
        bound: Bound,
        fabrics: &Fabrics,
    ) -> anyhow::Result<Self> {
        let site = Site::read(&config.node.data_dir)?;
        let peering = Arc::new(Peering::start(config, &site, fabrics)?);
        let parts = Parts::open(config, &site, Arc::clone(&peering.sites) as _).await?;
        parts.tidy_up().await?;
        let keeper = Keeper::begin(&parts.services);
        let address = bound.address;
        let stopping = CancellationToken::new();
        let ways = &peering.started.addresses;
        let url = reached::api_url(&config.api, address, ways);
        let ip = reached::host_ip(address, ways);
        let assembly = peering
            .attach(&parts.services, url.as_deref(), &stopping)
            .await?;
        let agents = local_agents(config, &parts, hosts, ip).await?;
        let services = &parts.services;
        let brains =
            seats::of_controller(config, fabrics, &peering, services, url.as_deref(), &agents)
                .await?;
        brains.advise(services, &peering.sites, &stopping);
        tokio::spawn(keep_house(Arc::clone(&parts.services), stopping.clone()));
        tokio::spawn(keeper.keep(Arc::clone(&parts.services), stopping.clone()));
        let front = Front {
            services: Arc::clone(&parts.services),
            metrics: Arc::clone(&parts.metrics),
            readiness: Arc::new(Readiness::new(
                parts.services.store.clone(),
                &config.node.data_dir,
            )),
            stopping: stopping.clone(),
        };
        let inner = controller_router(ControllerSide {
            services: Arc::clone(&parts.services),
            hosts: Arc::clone(&parts.remote),
            secret: parts.secret.clone(),
            membership: Arc::clone(&peering.membership),
        });
        let fabric = &peering.started.fabric;
        parts.remote.with_fabric(Arc::clone(fabric));
        parts.metrics.with_fabric(Arc::clone(fabric));
        let operators = Operators {
            services: Arc::clone(&parts.services),
            peering: Arc::clone(&peering),
            assembly,
            data_dir: config.node.data_dir.clone(),
            brains: Arc::clone(&brains),
        };
        let shared = api::shared_router(operators.clone());
        let others = server::router(front.clone()).merge(shared);
        let others = refusals::noted(others, &parts.metrics);
        let router = server::router(front)
            .merge(inner)
            .merge(api::router(operators));
        peering.serve(router.clone(), others);
        let server = tokio::spawn(server::serve(bound, router, stopping.clone()));
        tracing::info!(%address, site = %site.name, hosts = agents.len(), "the node is up");
        Ok(Self {
            address,
            parts: Some(parts),
            agents,
            peering: Some(peering),
            outpost: None,
            brains: Some(brains),
            stopping,
            server,
        })
    }

    async fn start_compute(
        config: &Config,
        hosts: &[String],
        bound: Bound,
        fabrics: &Fabrics,
    ) -> anyhow::Result<Self> {
        let address = bound.address;
        let outpost = Outpost::start(config, fabrics)?.map(Arc::new);
        let link = match &outpost {
            Some(outpost) => outpost.link(),
            None => plain_link(config)?,
        };
        let host = hosts.first().context("a compute node has a host")?;
        let ways = outpost
            .as_ref()
            .map(|outpost| outpost.started.addresses.clone());
        let ip = reached::host_ip(address, &ways.unwrap_or_default());
        let reached_at = SocketAddr::new(ip.unwrap_or(address.ip()), address.port());
        let controller =
            RemoteController::new(link.clone(), host, reached_at).with_ratios(ratios(config));
        let drivers = Drivers::open(&config.compute, &config.node.data_dir)?;
        let agent = agent(config, &drivers, host, Arc::new(controller)).await?;
        let side = NodeSide {
            agent: Arc::clone(&agent),
            link,
        };
        let stopping = CancellationToken::new();
        let router = node_router(side);
        if let Some(outpost) = &outpost {
            outpost.serve(router.clone(), stopping.clone());
        }
        let brains = match &outpost {
            Some(outpost) => Some(seats::of_outpost(config, outpost, &agent)?),
            None => None,
        };
        let server = tokio::spawn(server::serve(bound, router, stopping.clone()));
        tracing::info!(%address, host, "the compute node is up");
        let agents = BTreeMap::from([(host.clone(), agent)]);
        Ok(Self {
            address,
            parts: None,
            agents,
            peering: None,
            outpost,
            brains,
            stopping,
            server,
        })
    }

    /// The agents of this process, by host name.
    pub fn agents(&self) -> &BTreeMap<String, Arc<Agent>> {
        &self.agents
    }

    /// The end of the cloud between sites, if it is a controller.
    pub fn peering(&self) -> Option<&Arc<Peering>> {
        self.peering.as_ref()
    }

    /// The node's end of the fabric, if it is a compute-only node that has joined.
    pub fn outpost(&self) -> Option<&Arc<Outpost>> {
        self.outpost.as_ref()
    }

    /// The brains of this process; none on a compute-only node that has joined nothing.
    pub fn brains(&self) -> Option<&Arc<Brains>> {
        self.brains.as_ref()
    }

    /// Stops gracefully: requests and steps under way are finished; machines run on.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stopping.cancel();
        if let Some(brains) = &self.brains {
            brains.stop().await;
        }
        if let Some(peering) = &self.peering {
            peering.shut_down().await;
        }
        if let Some(outpost) = &self.outpost {
            outpost.shut_down().await;
        }
        let finished = tokio::time::timeout(Duration::from_secs(30), self.server).await;
        if let Some(parts) = &self.parts {
            parts.hosts.clear();
        }
        for (host, agent) in self.agents {
            if let Ok(agent) = Arc::try_unwrap(agent) {
                agent.shut_down().await;
            } else {
                tracing::warn!(%host, "the agent is still asked; it stops at once");
            }
        }
        if let Some(parts) = self.parts {
            parts.close().await;
        }
        if let Ok(served) = finished {
            return served.context("the API's task ended badly")?;
        }
        tracing::warn!("requests were still open after 30 s; they are cut off");
        Ok(())
    }
}

/// Forgets servers that were deleted long ago, now and then, until the node stops.
async fn keep_house(services: Arc<Services>, stopping: CancellationToken) {
    let kept = i64::try_from(retention::KEPT.as_micros()).unwrap_or(i64::MAX);
    loop {
        let before = services.clock.now().unix_micros().saturating_sub(kept);
        match retention::purge(&services, Timestamp::from_unix_micros(before)).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(forgotten, "servers deleted long ago are forgotten"),
            Err(error) => tracing::warn!(%error, "servers deleted long ago could not be forgotten"),
        }
        forget_operations(&services).await;
        forget(&services).await;
        tokio::select! {
            () = tokio::time::sleep(HOUSEKEEPING) => {}
            () = stopping.cancelled() => return,
        }
    }
}

/// Forgets what counts no longer: keys and revocations that no token can need, and gives back the
/// leases of limits that were not used.
async fn forget(services: &Services) {
    let ended = luc_services::identity::forget_ended(services).await;
    let tidied = quota::tidy(services, quota::IDLE).await;
    for error in [ended.err(), tidied.err()].into_iter().flatten() {
        tracing::warn!(%error, "what counts no longer could not be forgotten");
    }
}

/// Forgets writes of other sites that were carried out long ago.
async fn forget_operations(services: &Services) {
    let kept = i64::try_from(operations::KEPT.as_micros()).unwrap_or(i64::MAX);
    let before = services.clock.now().unix_micros().saturating_sub(kept);
    match operations::purge(services, Timestamp::from_unix_micros(before)).await {
        Ok(0) => {}
        Ok(forgotten) => tracing::info!(forgotten, "operations of long ago are forgotten"),
        Err(error) => tracing::warn!(%error, "operations of long ago could not be forgotten"),
    }
}

/// The way to a controller for a node that has not joined.
fn plain_link(config: &Config) -> anyhow::Result<Link> {
    let node = &config.node;
    let (Some(url), Some(file)) = (&node.controller_url, &node.join_secret_file) else {
        anyhow::bail!(
            "this node has joined nothing: run `luc join TICKET --config …` first (or set \
             node.controller_url and node.join_secret_file)"
        );
    };
    Link::plain(url, read_secret(file)?)
}

fn ratios(config: &Config) -> Ratios {
    let compute = &config.compute;
    Ratios {
        cpu: compute.cpu_allocation_ratio,
        ram: compute.ram_allocation_ratio,
        disk: compute.disk_allocation_ratio,
    }
}

/// The agents of the hosts of a controller's process, which others reach at `ip`.
async fn local_agents(
    config: &Config,
    parts: &Parts,
    hosts: &[String],
    ip: Option<IpAddr>,
) -> anyhow::Result<BTreeMap<String, Arc<Agent>>> {
    let mut agents = BTreeMap::new();
    let drivers = Drivers::open(&config.compute, &config.node.data_dir)?;
    for host in hosts {
        let controller =
            LocalController::new(Arc::clone(&parts.services), host).with_ratios(ratios(config));
        let controller = match ip {
            Some(ip) => controller.reached_at(ip),
            None => controller,
        };
        let agent = agent(config, &drivers, host, Arc::new(controller)).await?;
        parts.hosts.add(host, Arc::clone(&agent));
        agents.insert(host.clone(), agent);
    }
    Ok(agents)
}

async fn agent(
    config: &Config,
    drivers: &Drivers,
    host: &str,
    controller: Arc<dyn luc_agent::controller::Controller>,
) -> anyhow::Result<Arc<Agent>> {
    let directory = config.node.data_dir.join("hosts").join(host);
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("creating {}", directory.display()))?;
    let driver = drivers.of(host, &directory).await?;
    Ok(Arc::new(Agent::start(
        AgentConfig::default(),
        controller,
        driver,
    )))
}
