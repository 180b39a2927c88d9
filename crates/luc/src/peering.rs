//! A controller's end of the cloud between sites: fabric, membership, signs of life and feeds,
//! plugged together and kept up to date with the records.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Context as _;
use axum::Router;
use futures::StreamExt as _;
use luc_core::SitePrefix;
use luc_runtime::NodeSecret;
use luc_runtime::fabric::{Channel, Ends};
use luc_runtime::feeds::{Feeds, Pacing};
use luc_services::Services;
use luc_services::ports::Randomness as _;
use luc_services::sites::{self, Inviter, Members, NodeWish, Refusal};
use luc_state::{Kind, WatchEvent};
use tokio_util::sync::CancellationToken;

use crate::cloud::Site;
use crate::config::{Config, Role};
use crate::fabrics::{Fabrics, Started, node_proof, node_secret};
use crate::host::SystemRandomness;
use crate::join::Welcomed;
use crate::sites::assembly::Assembly;
use crate::sites::doorman::Doorman;
use crate::sites::feeding::{Feeding, SiteDirectory};
use crate::sites::forwards::Forwards;
use crate::sites::permits;
use crate::sites::{CloudSites, Membership, Pulse, Switchboard, pulse};

/// How many claims to keys of others are logged.
const CONTESTED_MAX: usize = 256;

/// Why nobody can be told where to call.
const NOWHERE: &str = "the fabric listens everywhere and fabric.advertise is empty";

/// One controller's end.
pub struct Peering {
    /// The node's end of the fabric.
    pub started: Started,
    /// Who is of the cloud.
    pub membership: Arc<Membership>,
    /// The port of the services.
    pub sites: Arc<CloudSites>,
    /// Where further channels are plugged in.
    pub switchboard: Arc<Switchboard>,
    forwards: Arc<Forwards>,
    feeds: OnceLock<Feeds>,
    pulse: Arc<Pulse>,
    secret: NodeSecret,
    site: Site,
    prefix: SitePrefix,
    name: String,
    roles: Vec<Role>,
}

impl Peering {
    /// Starts the fabric; nobody is answered before [`Self::attach`].
    pub fn start(config: &Config, site: &Site, fabrics: &Fabrics) -> anyhow::Result<Self> {
        let directory = &config.node.data_dir;
        let prefix = site.prefix()?;
        let secret = node_secret(directory)?;
        let told = Welcomed::read(directory)?.map(|welcomed| welcomed.members);
        let membership = Arc::new(Membership::new(prefix, told, true));
        let switchboard = Arc::new(Switchboard::default());
        let ends = Ends {
            admission: Arc::clone(&membership) as _,
            handler: Arc::clone(&switchboard) as _,
        };
        let started = fabrics
            .start(&config.fabric, Some(directory), (&secret, prefix), ends)
            .context("starting the fabric")?;
        if started.is_nowhere() {
            tracing::warn!("{NOWHERE}: other sites cannot call");
        }
        let pulse = Arc::new(Pulse::default());
        let sites = CloudSites::new(
            prefix,
            &site.name,
            Arc::clone(&started.fabric),
            Arc::clone(&membership),
            Arc::clone(&pulse),
        );
        Ok(Self {
            forwards: Arc::new(Forwards::new(prefix, Arc::clone(&membership))),
            started,
            membership,
            sites: Arc::new(sites),
            switchboard,
            feeds: OnceLock::new(),
            pulse,
            secret,
            site: site.clone(),
            prefix,
            name: config.node.name.clone(),
            roles: config.node.roles.clone(),
        })
    }

    /// The name of this site.
    pub fn site_name(&self) -> &str {
        &self.site.name
    }

    /// Who makes this node's tickets.
    pub fn inviter(&self) -> Inviter {
        Inviter {
            cloud: self.site.cloud.unwrap_or(self.prefix),
            site_name: self.site.name.clone(),
            key: self.secret.key().to_string(),
            addresses: self.started.addresses.clone(),
        }
    }

    /// Whether somebody with a ticket of this node would find it.
    pub fn check_inviter(&self) -> Result<(), Refusal> {
        if !self.started.is_nowhere() {
            return Ok(());
        }
        let reason = format!(
            "nobody could use a ticket of this node: {NOWHERE}. Set it to where others reach this \
             node, as [\"192.0.2.1:7000\"], and start the node again"
        );
        Err(Refusal::Impossible { reason })
    }

    /// Writes what this site says of itself, opens the doors, and keeps the membership up to date
    /// until `stopping`.
    pub async fn attach(
        &self,
        services: &Arc<Services>,
        api_url: Option<&str>,
        stopping: &CancellationToken,
    ) -> anyhow::Result<Arc<Assembly>> {
        self.started.keep_port()?;
        self.introduce(services, api_url).await?;
        let members = Members::of(&services.store.snapshot(), self.prefix);
        self.membership.learn(members);
        self.membership.apply(&*self.started.fabric);
        let assembly = Arc::new(Assembly::new(
            services,
            Arc::clone(&self.started.fabric),
            Arc::clone(&self.membership),
            Arc::clone(&self.pulse),
        ));
        let doorman = Arc::new(Doorman::new(services, Arc::clone(&assembly)));
        self.switchboard.plug(Channel::JOIN, doorman);
        self.switchboard
            .plug(Channel::SITES, Arc::clone(&assembly) as _);
        self.switchboard
            .plug(Channel::FORWARD, Arc::clone(&self.forwards) as _);
        tokio::spawn(pulse::beat(Arc::clone(&assembly), stopping.clone()));
        self.feed(services, stopping);
        Ok(assembly)
    }

    /// Starts to follow the other sites and to feed them, and keeps the membership up to date.
    fn feed(&self, services: &Arc<Services>, stopping: &CancellationToken) {
        let directory = SiteDirectory::new(Arc::clone(&self.membership), services);
        let feeds = Feeds::start(
            services.store.clone(),
            Arc::clone(&self.started.fabric),
            Arc::new(directory),
            Pacing::default(),
            SystemRandomness.next_u64(),
        );
        let feeding = Arc::new(Feeding::new(feeds.clone(), Arc::clone(&self.membership)));
        self.sites.with_copies(Arc::clone(&feeding) as _);
        self.switchboard.plug(Channel::FEED, feeding);
        let _ = self.feeds.set(feeds.clone());
        let permits = permits::follow(Arc::clone(services), feeds.clone(), stopping.clone());
        tokio::spawn(permits);
        let records = follow_records(
            Records {
                membership: Arc::clone(&self.membership),
                started: self.started.clone(),
                services: Arc::clone(services),
                site: self.prefix,
                contested: Mutex::default(),
            },
            stopping.clone(),
            feeds,
        );
        tokio::spawn(records);
    }

    /// The feeds, once they have started.
    pub fn feeds(&self) -> Option<&Feeds> {
        self.feeds.get()
    }

    /// Answers what nodes of this site hand on with `own`, what other sites do with `others`.
    pub fn serve(&self, own: Router, others: Router) {
        self.forwards.serve(own, others);
    }

    /// The cloud and the site that this is of.
    pub fn place(&self) -> (SitePrefix, SitePrefix) {
        (self.site.cloud.unwrap_or(self.prefix), self.prefix)
    }

    /// Registers a compute host of this process that has a key of its own on the fabric.
    pub async fn introduce_host(
        &self,
        services: &Services,
        api_url: Option<&str>,
        node: &NodeWish,
    ) -> anyhow::Result<()> {
        let (cloud, _) = self.place();
        sites::introduce(services, (&self.site.name, cloud, api_url), node)
            .await
            .with_context(|| format!("introducing the host {} to the cloud", node.name))
    }

    async fn introduce(&self, services: &Services, api_url: Option<&str>) -> anyhow::Result<()> {
        let (cloud, _) = self.place();
        let roles = self.roles.iter().map(|role| role.name().to_owned());
        let node = NodeWish {
            key: self.secret.key().to_string(),
            name: self.name.clone(),
            roles: roles.collect(),
            addresses: self.started.addresses.clone(),
            proof: node_proof(&self.secret, cloud, self.prefix),
        };
        if cloud == self.prefix {
            let key = self.site.founding_key_hex()?;
            sites::found(services, &self.site.name, &key, &node)
                .await
                .context("writing down who founded the cloud")?;
        }
        sites::introduce(services, (&self.site.name, cloud, api_url), &node)
            .await
            .context("introducing this node to the cloud")
    }

    /// Leaves the fabric.
    pub async fn shut_down(&self) {
        if let Some(feeds) = self.feeds.get() {
            feeds.shut_down();
        }
        self.switchboard.clear();
        self.forwards.close();
        self.started.fabric.shut_down().await;
    }
}

/// Keeps the membership as the records are.
struct Records {
    membership: Arc<Membership>,
    started: Started,
    services: Arc<Services>,
    site: SitePrefix,
    /// Claims that have been logged.
    contested: Mutex<BTreeSet<(SitePrefix, String)>>,
}

impl Records {
    /// Takes over what the records say now; whether anything was new.
    fn refresh(&self) -> bool {
        let snapshot = self.services.store.snapshot();
        self.complain(sites::contested(&snapshot, self.site));
        let members = Members::of(&snapshot, self.site);
        let gone = members.removed.contains(&self.site);
        let new = self.membership.learn(members);
        if gone && new {
            tracing::error!("this site is no longer of the cloud: others refuse it");
        }
        self.place();
        new
    }

    /// Logs each claim to the key of somebody else once.
    fn complain(&self, contested: Vec<(SitePrefix, String)>) {
        let mut known = self
            .contested
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (site, key) in contested {
            if known.len() < CONTESTED_MAX && known.insert((site, key.clone())) {
                let text = "a site claims a key that is not its own; it is not believed";
                tracing::warn!(%site, key, "{text}");
            }
        }
    }

    /// Tells the fabric where the others are by now, and how late they get what is sent.
    fn place(&self) {
        self.membership.apply(&*self.started.fabric);
        let foreign = self.membership.addresses(|site, _| site.site != self.site);
        self.started.delay(&foreign);
    }

    /// Looks up the names among the addresses, beside everything else.
    fn look_up(self: &Arc<Self>) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if this.membership.look_up().await {
                this.place();
            }
        });
    }
}

/// Follows the records of sites and nodes until `stopping`, and tells the feeds of each change.
async fn follow_records(records: Records, stopping: CancellationToken, feeds: Feeds) {
    let records = Arc::new(records);
    let store = records.services.store.clone();
    let mut watch = store.watch(store.snapshot().revision());
    records.refresh();
    records.look_up();
    feeds.sites_changed();
    loop {
        let event = tokio::select! {
            event = watch.next() => event,
            () = stopping.cancelled() => return,
        };
        let about_us = match event {
            None => return,
            Some(WatchEvent::Gap(_)) => {
                watch = store.watch(store.snapshot().revision());
                true
            }
            Some(WatchEvent::Commit(commit)) => commit.changes.iter().any(|change| {
                matches!(
                    change.kind,
                    Kind::Site | Kind::Node | Kind::Admission | Kind::Removal
                )
            }),
        };
        if about_us && records.refresh() {
            records.look_up();
            feeds.sites_changed();
        }
    }
}
