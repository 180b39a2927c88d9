//! The cloud of a story and its three hosts, which do what is wanted when they are told to.
//!
//! `settle`: every host fulfils its wishes and reports, until nothing changes any more.
//! `host NAME fail SERVER WORDS`: the host cannot fulfil its wish for a server.
//! `host NAME crash SERVER`: the guest dies. `host NAME halt SERVER`: it shuts down by itself.
//! `host NAME silent`: the host's node says goodbye. `host NAME back`: it is heard again.
//! `host NAME missed`: it says goodbye, and the keeper of hosts looks what waits for it. `host NAME
//! revoked`: the key of its node is.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use luc_api::policy::Policy;
use luc_api::value::Secret;
use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;
use luc_core::id::{NodeId, ServerId};
use luc_services::Services;
use luc_services::compute::host::{AllocationRatios, CpuInfo, Heartbeat};
use luc_services::compute::hosts::{self, HostFacts, Keeper};
use luc_services::compute::model::server::{Connection, Goal, Server};
use luc_services::compute::ports::{AskError, Hosts as Port};
use luc_services::compute::progress::{Phase, Received, Report, observed};
use luc_services::compute::server::state::PowerState;
use luc_services::compute::wanted::{self, Wanted};
use luc_services::compute::{self, Compute};
use luc_services::identity::{self, Founding, HashCost, Identity, SigningKey};
use luc_services::image::Images;
use luc_services::image::blob::DiskBlobs;
use luc_services::ports::sites::SingleSite;
use luc_services::ports::{Clock, Observer, Randomness};
use luc_services::sites::{NodeInfo, node_id};
use luc_services::testing::host_facts;
use luc_state::{MemoryEngine, Store, StoreOptions};
use serde_json::{Value, json};

/// The hosts' names.
const NAMES: [&str; 3] = ["host-1", "host-2", "host-3"];

/// The hosts of a story.
pub(crate) struct Hosts {
    keeper: Keeper,
}

struct Answering;

#[async_trait]
impl Port for Answering {
    async fn console_output(
        &self,
        host: &str,
        server: &ServerId,
        lines: Option<u64>,
    ) -> Result<String, AskError> {
        let whole = ["booting", "user space is up", "login:"];
        let kept = lines.map_or(whole.len(), |lines| whole.len().min(lines as usize));
        let _ = (host, server);
        Ok(whole[whole.len() - kept..].join("\n"))
    }

    async fn diagnostics(&self, _host: &str, _server: &ServerId) -> Result<Value, AskError> {
        Ok(
            json!({"num_cpus": 1, "cpu_details": [{"id": 0, "time": 17, "utilisation": null}],
            "memory_details": {"maximum": 128, "used": 64}}),
        )
    }
}

/// Founds the cloud: bootstrapped, with three hosts that have room for a few servers each.
pub(crate) async fn found(
    directory: &Path,
    password: &str,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
    observer: Arc<dyn Observer>,
) -> (Arc<Services>, Hosts) {
    let site = SitePrefix::of_key(b"the site of the stories");
    let schema = identity::schema()
        .and(Images::tables())
        .and(compute::schema())
        .and(luc_services::operations::schema())
        .and(luc_services::sites::schema());
    let options = StoreOptions::new(site, SplitMix64::new(3));
    let (store, driver) = Store::open(Arc::new(MemoryEngine::sole()), schema, options)
        .await
        .expect("it opens");
    tokio::spawn(driver);
    let key = SigningKey::generate(site, &*random);
    let lifetime = std::time::Duration::from_secs(3600);
    let identity = Identity::new(key, lifetime, HashCost::LEAST, &*random).expect("it is made");
    let services = Arc::new(Services {
        store,
        site,
        policy: Arc::new(Policy::with_defaults()),
        routes: Arc::new(luc_services::http::Routes::from_table()),
        operations: Arc::default(),
        sites: Arc::new(SingleSite::new(site, "site-1")),
        clock,
        random,
        observer,
        identity: Arc::new(identity),
        image: Arc::new(Images::new(Arc::new(
            DiskBlobs::open(directory).expect("blobs open"),
        ))),
        compute: Arc::new(Compute::new(Arc::new(Answering), "site-1".to_owned())),
    });
    let founding = Founding {
        password: Secret::new(password),
        region: "RegionOne".to_owned(),
    };
    identity::bootstrap(&services, &founding)
        .await
        .expect("the cloud is founded");
    compute::bootstrap(&services)
        .await
        .expect("the flavors are made");
    for name in NAMES {
        hosts::register(&services, &facts(name))
            .await
            .expect("the host is registered");
    }
    let keeper = Keeper::begin(&services);
    (services, Hosts { keeper })
}

fn facts(name: &str) -> HostFacts {
    let node = NodeId::parse(&format!("node-of-{name}")).expect("an id");
    let plain = host_facts(name, node);
    HostFacts {
        hypervisor_hostname: format!("{name}.example"),
        hypervisor_version: 1_000_000,
        cpu: CpuInfo {
            model: "story".to_owned(),
            vendor: "Example".to_owned(),
            features: vec!["fpu".to_owned()],
            ..plain.cpu
        },
        ratios: AllocationRatios {
            vcpus: 4.0,
            ..plain.ratios
        },
        ..plain
    }
}

impl Hosts {
    /// Every host fulfils its wishes, until nothing changes any more.
    pub(crate) async fn settle(&self, services: &Services) {
        for _ in 0..20 {
            let snapshot = services.store.snapshot();
            let reports: Vec<Report> = NAMES
                .iter()
                .flat_map(|host| {
                    let wanted = wanted::of_host(&snapshot, services.site, host);
                    wanted
                        .iter()
                        .map(|holder| fulfilled(host, &holder.wanted()))
                        .collect::<Vec<_>>()
                })
                .collect();
            let received = observed(services, &reports)
                .await
                .expect("reports are taken");
            if !received.contains(&Received::Applied) {
                return;
            }
        }
        panic!("the hosts do not come to rest");
    }

    /// Carries out a `host …` directive.
    pub(crate) async fn tell(&self, services: &Services, words: &str) {
        let mut parts = words.splitn(4, ' ');
        let host = parts.next().unwrap_or_default();
        let verb = parts.next().unwrap_or_default();
        match verb {
            "silent" => return hosts::lost(services, host),
            "missed" => {
                hosts::lost(services, host);
                return self.keeper.look(services).await;
            }
            "revoked" => return revoke(services, host).await,
            "back" => {
                let uptime = Some(std::time::Duration::from_secs(93_784));
                let load = Some([0.25, 0.5, 1.0]);
                let heartbeat = Heartbeat {
                    uptime,
                    load,
                    running_vms: 0,
                };
                return hosts::heartbeat(services, host, heartbeat);
            }
            _ => {}
        }
        let id = parts.next().expect("a server is named");
        let server = services
            .store
            .snapshot()
            .get::<Server>(id)
            .expect("the server is there");
        let wanted = Wanted::of(&server);
        let (phase, power) = match verb {
            "fail" => {
                let message = parts.next().unwrap_or("It cannot be done.").to_owned();
                (
                    Phase::Failed {
                        message,
                        details: None,
                    },
                    PowerState::NoState,
                )
            }
            "crash" => (Phase::Drifted, PowerState::Crashed),
            "halt" => (Phase::Drifted, PowerState::Shutdown),
            other => panic!("a host cannot {other:?}"),
        };
        let report = Report {
            phase,
            power,
            ..fulfilled(host, &wanted)
        };
        observed(services, &[report])
            .await
            .expect("the report is taken");
    }
}

/// The node of a host was one with a key, which is revoked.
async fn revoke(services: &Services, host: &str) {
    let (site, now) = (services.site, services.clock.now());
    let node = NodeInfo {
        id: node_id(site, host),
        site,
        name: host.to_owned(),
        key: "00".repeat(32),
        roles: vec!["compute".to_owned()],
        addresses: Vec::new(),
        joined_at: now,
        revoked_at: Some(now),
        ticket: None,
        proof: None,
    };
    let written = services
        .store
        .transact(|tx| tx.insert(node.clone()).map(drop));
    written.await.expect("it is written down");
    // As the next start finds it.
    Keeper::begin(services);
}

/// The report of a host that has fulfilled a wish.
fn fulfilled(host: &str, wanted: &Wanted<'_>) -> Report {
    let power = match wanted.goal {
        Goal::Running => PowerState::Running,
        Goal::Stopped => PowerState::Shutdown,
        Goal::Paused => PowerState::Paused,
        Goal::Suspended => PowerState::Suspended,
        Goal::Absent => PowerState::NoState,
        Goal::AsIs => wanted.server.power_state,
    };
    let connected = wanted.server.connection == Connection::Auto;
    Report {
        host: host.to_owned(),
        server: wanted.server.id.clone(),
        generation: wanted.generation,
        phase: if wanted.goal == Goal::Absent {
            Phase::Gone
        } else {
            Phase::Settled
        },
        power,
        addresses: connected
            .then_some(IpAddr::V4(Ipv4Addr::new(10, 0, 2, 15)))
            .into_iter()
            .collect(),
        mac: connected.then(|| "52:54:00:12:34:56".to_owned()),
    }
}
