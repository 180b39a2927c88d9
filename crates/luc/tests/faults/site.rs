//! One site: a disk that stays, and a controller that comes and goes.
//!
//! The controller is the real thing but for its surroundings: no file, no port, no hosts.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use luc::sites::assembly::Assembly;
use luc::sites::doorman::Doorman;
use luc::sites::feeding::{Feeding, SiteDirectory};
use luc::sites::forwards::Forwards;
use luc::sites::{CloudSites, Membership, Pulse, Switchboard, permits, pulse};
use luc_api::policy::Policy;
use luc_api::value::Secret;
use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;
use luc_engines::TokioPause;
use luc_runtime::NodeSecret;
use luc_runtime::fabric::memory::Network;
use luc_runtime::fabric::{Channel, Ends, Fabric, Handler};
use luc_runtime::feeds::{Directory, Feeds, Pacing};
use luc_services::Services;
use luc_services::compute::{self, Compute};
use luc_services::identity::{self, Founding, HashCost, Identity, SigningKey};
use luc_services::image::Images;
use luc_services::image::blob::DiskBlobs;
use luc_services::ports::sites::{SingleSite, Sites};
use luc_services::sites::Members;
use luc_services::testing::{Deaf, NoHosts};
use luc_state::{Faults, LossyLink, Store, StoreOptions};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::broken::Rule;
use crate::disk::{Disk, Fatal, Incarnation};
use crate::doors::{self, Careless, Doors};
use crate::draw::{Bits, Draw, lock};
use crate::host;
use crate::membership::{self, Records};
use crate::ports::{Listings, Skewed, Watched};

/// The admin's password.
pub(crate) const PASSWORD: &str = "open sesame";

/// A link to an engine elsewhere that is not very good.
const POOR: Faults = Faults {
    refused: 5,
    request_lost: 5,
    request_late: 5,
    answer_lost: 10,
    watch_broken: 20,
};

/// A site.
pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) prefix: SitePrefix,
    pub(crate) secret: NodeSecret,
    /// Its founding key.
    pub(crate) founding: NodeSecret,
    /// Who it was told is of the cloud when it joined, as a file would keep it.
    pub(crate) told: Mutex<Option<Members>>,
    pub(crate) clock: Arc<Skewed>,
    pub(crate) doors: Arc<Doors>,
    /// How often it waited in vain for a copy.
    pub(crate) in_vain: Arc<AtomicU64>,
    /// Whether its engine is behind a poor link.
    pub(crate) lossy: bool,
    /// Whether it has a host.
    pub(crate) host: bool,
    pub(crate) broken: Option<Rule>,
    /// When its controller ends by a commit.
    pub(crate) fatal: Arc<Fatal>,
    disk: Arc<Disk>,
    seed: u64,
    starts: AtomicU64,
    running: Mutex<Option<Arc<Running>>>,
}

/// A controller at work.
pub(crate) struct Running {
    pub(crate) services: Arc<Services>,
    pub(crate) feeds: Feeds,
    pub(crate) membership: Arc<Membership>,
    pub(crate) assembly: Arc<Assembly>,
    /// Who the others are for its feeds.
    pub(crate) directory: Arc<dyn Directory>,
    /// Cancelled when it is crashed.
    pub(crate) gone: CancellationToken,
    alive: Arc<AtomicBool>,
    driver: AbortHandle,
    switchboard: Arc<Switchboard>,
    fabric: Arc<dyn Fabric>,
}

/// A controller that serves nobody, on the disk of a site that is of no cloud but its own.
pub(crate) struct Alone {
    pub(crate) services: Arc<Services>,
    alive: Arc<AtomicBool>,
    driver: AbortHandle,
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.alive.store(false, Ordering::Relaxed);
        self.driver.abort();
    }
}

/// What a site is made of.
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) secret: NodeSecret,
    pub(crate) founding: NodeSecret,
    pub(crate) seed: u64,
    pub(crate) lossy: bool,
    pub(crate) host: bool,
    pub(crate) broken: Option<Rule>,
}

impl Site {
    /// A site that does not run yet.
    pub(crate) fn new(plan: Plan, disk: Disk, draw: &mut Draw) -> Self {
        let doors = Doors {
            broken: plan.broken,
            ..Doors::default()
        };
        Self {
            prefix: prefix_of(&plan.founding),
            name: plan.name,
            secret: plan.secret,
            founding: plan.founding,
            told: Mutex::default(),
            clock: Arc::new(Skewed::drawn(draw)),
            doors: Arc::new(doors),
            in_vain: Arc::default(),
            lossy: plan.lossy,
            host: plan.host,
            broken: plan.broken,
            fatal: Arc::default(),
            disk: Arc::new(disk),
            seed: plan.seed,
            starts: AtomicU64::default(),
            running: Mutex::default(),
        }
    }

    /// The controller, if it runs.
    pub(crate) fn running(&self) -> Option<Arc<Running>> {
        lock(&self.running).clone()
    }

    /// Starts the controller. The first start of the founder makes the cloud.
    pub(crate) async fn start(&self, network: &Network, cloud: SitePrefix, blobs: &Path) {
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let founds = start == 0 && cloud == self.prefix;
        let mut draw = Draw::new(self.seed, 100 + start);
        let alive = Arc::new(AtomicBool::new(true));
        let (store, driver) = self.open(&alive, &mut draw).await;
        let told = lock(&self.told).clone();
        let membership = Arc::new(Membership::new(self.prefix, told, true));
        let switchboard = Arc::new(Switchboard::default());
        let ends = Ends {
            admission: Arc::clone(&membership) as _,
            handler: Arc::clone(&switchboard) as _,
        };
        let fabric: Arc<dyn Fabric> = network.start(self.secret.key(), self.prefix, ends);
        let pulse = Arc::new(Pulse::default());
        let sites = Arc::new(CloudSites::new(
            self.prefix,
            &self.name,
            Arc::clone(&fabric),
            Arc::clone(&membership),
            Arc::clone(&pulse),
        ));
        let watched = self.watched(&sites);
        let services = Arc::new(self.services(store, watched, blobs, draw.seed()));
        if founds {
            found(&services).await;
        }
        let enlisted = identity::enlist_key(&services).await;
        assert!(enlisted.is_ok() || self.lossy, "{enlisted:?}");
        membership::introduce(self, &services, cloud).await;
        if self.host {
            host::join(&services, self.lossy).await;
        }
        let gone = CancellationToken::new();
        let assembly = Arc::new(Assembly::new(
            &services,
            Arc::clone(&fabric),
            Arc::clone(&membership),
            pulse,
        ));
        let directory: Arc<dyn Directory> = Arc::new(Listings {
            directory: SiteDirectory::new(Arc::clone(&membership), &services),
            broken: self.broken,
        });
        let parts = Parts {
            directory: Arc::clone(&directory),
            services: Arc::clone(&services),
            fabric: Arc::clone(&fabric),
            membership: Arc::clone(&membership),
            assembly: Arc::clone(&assembly),
            sites,
            switchboard: Arc::clone(&switchboard),
        };
        let feeds = parts.open_doors(self, &gone, draw.seed());
        *lock(&self.running) = Some(Arc::new(Running {
            services,
            feeds,
            membership,
            assembly,
            directory,
            gone,
            alive,
            driver,
            switchboard,
            fabric,
        }));
    }

    /// Opens the disk without a network, as `luc join` does; the first time it is to found a cloud.
    pub(crate) async fn open_alone(&self, blobs: &Path, founds: bool) -> Alone {
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let mut draw = Draw::new(self.seed, 100 + start);
        let alive = Arc::new(AtomicBool::new(true));
        let (store, driver) = self.open(&alive, &mut draw).await;
        let sites = Arc::new(SingleSite::new(self.prefix, &self.name));
        let services = Arc::new(self.services(store, sites, blobs, draw.seed()));
        if founds {
            found(&services).await;
            membership::introduce(self, &services, self.prefix).await;
        }
        Alone {
            services,
            alive,
            driver,
        }
    }

    async fn open(&self, alive: &Arc<AtomicBool>, draw: &mut Draw) -> (Store, AbortHandle) {
        self.disk.forget(self.prefix).await;
        let disk = Arc::clone(&self.disk) as Arc<dyn luc_state::Engine>;
        let engine = if self.lossy {
            Arc::new(LossyLink::new(disk, POOR, draw.seed())) as _
        } else {
            disk
        };
        let engine = Arc::new(Incarnation::new(
            engine,
            Arc::clone(alive),
            Arc::clone(&self.fatal),
        ));
        loop {
            let random = SplitMix64::new(draw.seed());
            let mut options = StoreOptions::new(self.prefix, random).pause(TokioPause);
            if let Some(broken) = self.broken.and_then(Rule::of_the_store) {
                options = options.broken(broken);
            }
            let schema = luc::node::schema();
            match Store::open(Arc::clone(&engine) as _, schema, options).await {
                Ok((store, driver)) => return (store, tokio::spawn(driver).abort_handle()),
                Err(error) => assert!(self.lossy, "the store does not open: {error:?}"),
            }
        }
    }

    fn watched(&self, sites: &Arc<CloudSites>) -> Arc<Watched> {
        Arc::new(Watched {
            sites: Arc::clone(sites),
            impatient: self.broken == Some(Rule::OwnWritesNotAwaited),
            in_vain: Arc::clone(&self.in_vain),
        })
    }

    fn services(&self, store: Store, sites: Arc<dyn Sites>, blobs: &Path, seed: u64) -> Services {
        let random = Arc::new(Bits::new(seed));
        // The same in every run of the controller, as if it were read from a file.
        let key = SigningKey::generate(self.prefix, &Bits::new(self.seed));
        let lifetime = Duration::from_secs(86_400);
        let identity = Identity::new(key, lifetime, HashCost::LEAST, &*random);
        let disk = DiskBlobs::open(&blobs.join(self.prefix.to_string()))
            .expect("there is room for images");
        Services {
            store,
            site: self.prefix,
            policy: Arc::new(Policy::with_defaults()),
            routes: Arc::new(luc_services::http::Routes::from_table()),
            sites,
            operations: Arc::default(),
            clock: Arc::clone(&self.clock) as _,
            random,
            observer: Arc::new(Deaf),
            identity: Arc::new(identity.expect("a hash of nothing")),
            image: Arc::new(Images::new(Arc::new(disk))),
            compute: Arc::new(Compute::new(Arc::new(NoHosts), self.name.clone())),
        }
    }

    /// Ends the controller as a power cut would; what is on the disk stays.
    pub(crate) fn crash(&self, network: &Network) -> bool {
        let Some(running) = lock(&self.running).take() else {
            return false;
        };
        running.alive.store(false, Ordering::Relaxed);
        running.gone.cancel();
        network.crash(self.secret.key());
        running.end();
        true
    }
}

impl Running {
    fn end(&self) {
        self.driver.abort();
        self.feeds.shut_down();
        self.switchboard.clear();
    }

    /// Ends a run of the whole cloud.
    pub(crate) async fn shut_down(&self) {
        self.gone.cancel();
        self.end();
        self.fabric.shut_down().await;
    }
}

/// The prefix of the site with this founding key.
fn prefix_of(founding: &NodeSecret) -> SitePrefix {
    let key = hex::decode(founding.key().to_string());
    SitePrefix::of_key(&key.expect("a key is hexadecimal"))
}

async fn found(services: &Arc<Services>) {
    let founding = Founding {
        password: Secret::new(PASSWORD),
        region: "RegionOne".to_owned(),
    };
    let founded = identity::bootstrap(services, &founding).await;
    founded.expect("the cloud is founded");
    let made = compute::bootstrap(services).await;
    made.expect("there are flavors");
}

struct Parts {
    directory: Arc<dyn Directory>,
    services: Arc<Services>,
    fabric: Arc<dyn Fabric>,
    membership: Arc<Membership>,
    assembly: Arc<Assembly>,
    sites: Arc<CloudSites>,
    switchboard: Arc<Switchboard>,
}

impl Parts {
    /// Plugs in what serves other sites, as `luc::peering` does, and begins to follow them.
    fn open_doors(self, site: &Site, gone: &CancellationToken, seed: u64) -> Feeds {
        let members = Members::of(&self.services.store.snapshot(), self.services.site);
        self.membership.learn(members);
        self.membership.apply(&*self.fabric);
        let assembly = self.assembly;
        let forwards = Forwards::new(self.services.site, Arc::clone(&self.membership));
        let router = doors::router(Arc::clone(&self.services), Arc::clone(&site.doors));
        forwards.serve(router.clone(), router);
        let settles: Arc<dyn Handler> = match site.broken {
            Some(Rule::PromisesInWords) => Arc::new(Careless(Arc::clone(&assembly))),
            _ => Arc::clone(&assembly) as _,
        };
        self.switchboard.plug(Channel::SITES, settles);
        let doorman = Doorman::new(&self.services, Arc::clone(&assembly));
        self.switchboard.plug(Channel::JOIN, Arc::new(doorman));
        self.switchboard.plug(Channel::FORWARD, Arc::new(forwards));
        tokio::spawn(pulse::beat(assembly, gone.clone()));
        let feeds = Feeds::start(
            self.services.store.clone(),
            Arc::clone(&self.fabric),
            self.directory,
            Pacing::default(),
            seed,
        );
        let permits = permits::follow(Arc::clone(&self.services), feeds.clone(), gone.clone());
        if site.broken != Some(Rule::PermitsUnsettled) {
            tokio::spawn(permits);
        }
        let records = Records {
            membership: Arc::clone(&self.membership),
            fabric: self.fabric,
            store: self.services.store.clone(),
            site: self.services.site,
            deaf: site.broken == Some(Rule::RevocationsUnheard),
        };
        tokio::spawn(records.follow(feeds.clone(), gone.clone()));
        let feeding = Arc::new(Feeding::new(feeds.clone(), self.membership));
        self.sites.with_copies(Arc::clone(&feeding) as _);
        self.switchboard.plug(Channel::FEED, feeding);
        feeds
    }
}
