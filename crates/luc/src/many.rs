//! A development cloud of several sites in one process: a network in memory carries the fabric, so
//! that latency and splits are at command. Each site has its own data directory, store and API
//! port; all but the first join by ticket, as sites elsewhere do.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use luc_api::Service;
use luc_api::value::Secret;
use luc_core::SitePrefix;
use luc_runtime::fabric::memory::{Network, Quality};
use luc_services::sites::{Invitation, Label, Purpose, invite};
use luc_sim::network::matrix::read;
use luc_sim::network::round_trips::RoundTrips;
use luc_sim::scenario::{GRID5000, GRID5000_SITES};

use crate::cloud::{self, Site};
use crate::clouds::{Access, write_private};
use crate::config::{ApiConfig, ComputeConfig, Config, DriverKind, NodeConfig, Role, SiteConfig};
use crate::fabrics::Fabrics;
use crate::join::join;
use crate::node::Node;
use crate::up::held::Held;

/// The names of the sites of the published experiment (Euro-Par'14).
pub const PUBLISHED: [&str; 4] = GRID5000_SITES;

/// How long a site may take to hold what it needs of the others.
const SETTLED: Duration = Duration::from_secs(30);

/// What a cloud of several sites is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The names of the sites; the first founds the cloud.
    pub sites: Vec<String>,
    /// Round trips between them in ms, a row for each site.
    pub round_trips_ms: Vec<Vec<f64>>,
    /// How many compute nodes each has.
    pub nodes: u16,
    /// What runs the machines.
    pub driver: DriverKind,
    /// The accelerator of QEMU.
    pub accel: String,
    /// Where the API of the first site listens; the others take the ports after it, or free ones.
    pub listen: SocketAddr,
    /// Where everything is kept, a directory for each site.
    pub data_dir: PathBuf,
}

impl Plan {
    /// Sites of these names with `nodes` fake compute nodes each, on ports that are free, at the
    /// distances of [`Self::round_trips`].
    pub fn fake(names: &[&str], nodes: u16, data_dir: &Path) -> Self {
        let sites: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            round_trips_ms: Self::round_trips(&sites),
            sites,
            nodes,
            driver: DriverKind::Fake,
            accel: "auto".to_owned(),
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: data_dir.to_owned(),
        }
    }

    /// The round trips of sites with these names: as published where all are of the published
    /// experiment, else 10 ms.
    pub fn round_trips(names: &[String]) -> Vec<Vec<f64>> {
        let place = |name: &String| PUBLISHED.iter().position(|known| known == name);
        let published: Option<Vec<usize>> = names.iter().map(place).collect();
        let between = |a: usize, b: usize| match &published {
            Some(places) => GRID5000[places[a]][places[b]] as f64 / 1e3,
            None if a == b => 0.1,
            None => 10.0,
        };
        (0..names.len())
            .map(|a| (0..names.len()).map(|b| between(a, b)).collect())
            .collect()
    }

    fn config(&self, number: usize) -> Config {
        let name = &self.sites[number];
        let port = match self.listen.port() {
            0 => 0,
            port => port.saturating_add(u16::try_from(number).unwrap_or(u16::MAX)),
        };
        Config {
            site: SiteConfig {
                name: name.clone(),
                ..SiteConfig::default()
            },
            node: NodeConfig {
                name: format!("{name}-c"),
                roles: vec![Role::Controller, Role::Compute],
                data_dir: self.data_dir.join(name),
                ..NodeConfig::default()
            },
            api: ApiConfig {
                listen: SocketAddr::new(self.listen.ip(), port),
                ..ApiConfig::default()
            },
            compute: ComputeConfig {
                driver: self.driver,
                accel: self.accel.clone(),
                ..ComputeConfig::default()
            },
            ..Config::default()
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        let count = self.sites.len();
        if count < 2 {
            bail!("name at least two sites, as in `--sites grenoble,nancy`");
        }
        let mut names = self.sites.clone();
        names.sort();
        names.dedup();
        if names.len() != count {
            bail!("each site needs a name of its own");
        }
        let square = self.round_trips_ms.iter().all(|row| row.len() == count);
        if self.round_trips_ms.len() != count || !square {
            bail!("the round trips must be {count} rows of {count} numbers, one for each site");
        }
        Ok(())
    }
}

/// One site of a running cloud.
pub struct Running {
    /// Its name.
    pub name: String,
    /// Its prefix.
    pub prefix: SitePrefix,
    /// Its controller, with its compute hosts.
    pub node: Node,
    /// How to log in there as the admin.
    pub access: Access,
}

/// A running cloud of several sites.
pub struct Cloud {
    /// The sites, in the order of the plan.
    pub sites: Vec<Running>,
    network: Arc<Network>,
    clouds_yaml: PathBuf,
    password: Secret,
}

impl Cloud {
    /// Founds what is not there yet, and starts everything.
    pub async fn start(plan: &Plan) -> anyhow::Result<Self> {
        plan.check()?;
        Held::read(&plan.data_dir)?.fits_several(&plan.data_dir, &plan.sites)?;
        std::fs::create_dir_all(&plan.data_dir)
            .with_context(|| format!("creating {}", plan.data_dir.display()))?;
        let password = crate::up::password(&plan.data_dir)?;
        let mut cloud = Self {
            sites: Vec::new(),
            network: Arc::new(Network::new(1)),
            clouds_yaml: plan.data_dir.join("clouds.yaml"),
            password,
        };
        cloud.grow(plan, Label::Trusted).await?;
        cloud.settle().await?;
        Ok(cloud)
    }

    /// Starts the sites of `plan` that come after those that run, with `label` where they join.
    pub async fn grow(&mut self, plan: &Plan, label: Label) -> anyhow::Result<()> {
        for number in self.sites.len()..plan.sites.len() {
            self.add(plan, number, label).await?;
        }
        write_clouds(&self.clouds_yaml, &self.sites)
    }

    async fn add(&mut self, plan: &Plan, number: usize, label: Label) -> anyhow::Result<()> {
        let (network, sites) = (&self.network, &self.sites);
        let fabrics = Fabrics::Memory(Arc::clone(network));
        let config = plan.config(number);
        let directory = &config.node.data_dir;
        let site = match sites.first() {
            _ if Site::is_founded(directory) => Site::read(directory)?,
            None => {
                let password = Some(self.password.clone());
                cloud::create(&config, password).await?.site
            }
            Some(founder) => {
                connect(network, plan, sites, number, own_prefix(&config)?);
                let ticket = ticket(&founder.node, label).await?;
                let joined = join(&config, &ticket, &fabrics).await;
                joined.with_context(|| format!("site {} joins", config.site.name))?;
                Site::read(directory)?
            }
        };
        let prefix = site.prefix()?;
        connect(network, plan, sites, number, prefix);
        let hosts: Vec<String> = (1..=plan.nodes)
            .map(|n| format!("{}-{n}", site.name))
            .collect();
        let node = Node::start_on(&config, &hosts, &fabrics).await?;
        let access = access(&config, &node, &self.password);
        self.sites.push(Running {
            name: site.name,
            prefix,
            node,
            access,
        });
        Ok(())
    }

    /// The ready `clouds.yaml`, with an entry for each site.
    pub fn clouds_yaml(&self) -> &Path {
        &self.clouds_yaml
    }

    /// The site called `name`.
    pub fn site(&self, name: &str) -> anyhow::Result<&Running> {
        let found = self.sites.iter().find(|site| site.name == name);
        found.with_context(|| {
            let names: Vec<&str> = self.sites.iter().map(|site| site.name.as_str()).collect();
            format!("there is no site '{name}'; there are {}", names.join(", "))
        })
    }

    /// What a person needs to know to use it.
    pub fn welcome(&self, data_dir: &Path) -> String {
        let width = self.sites.iter().map(|site| site.name.len()).max();
        let width = width.unwrap_or_default();
        let lines = self.sites.iter().map(|site| {
            let (name, address) = (&site.name, site.node.address);
            format!("  {name:width$}  http://{address}")
        });
        let sites = lines.collect::<Vec<_>>().join("\n");
        let first = self.sites.first().map_or("", |site| site.name.as_str());
        let last = self.sites.last().map_or("", |site| site.name.as_str());
        let (file, data_dir) = (self.clouds_yaml.display(), data_dir.display());
        format!(
            "One cloud of {} sites is up:\n{sites}\n\n  export OS_CLIENT_CONFIG_FILE={file} \
             OS_CLOUD={first}\n  openstack server list          # the same at every site\n  \
             luc site list\n\n  luc split {last} --data-dir {data_dir}   # cut it off\n  \
             luc heal --data-dir {data_dir}",
            self.sites.len()
        )
    }

    /// The same for programs.
    pub fn to_json(&self) -> serde_json::Value {
        let sites = self.sites.iter().map(|site| {
            serde_json::json!({
                "name": site.name,
                "prefix": site.prefix.to_string(),
                "url": format!("http://{}", site.node.address),
                "auth_url": site.access.auth_url,
            })
        });
        let password = self.sites.first().map(|site| site.access.password.reveal());
        serde_json::json!({
            "sites": sites.collect::<Vec<_>>(),
            "user": "admin",
            "password": password,
            "clouds_yaml": self.clouds_yaml,
            "pid": std::process::id(),
        })
    }

    /// Cuts the site `name` off from all others.
    pub fn split(&self, name: &str) -> anyhow::Result<()> {
        let cut = self.site(name)?.prefix;
        for other in self.sites.iter().filter(|site| site.prefix != cut) {
            self.network.split(cut, other.prefix);
        }
        Ok(())
    }

    /// Takes back every cut.
    pub fn heal(&self) {
        self.network.heal_all();
    }

    /// Waits until every site reaches every other one and people can log in anywhere.
    async fn settle(&self) -> anyhow::Result<()> {
        let reached = async {
            for site in &self.sites {
                while crate::client::Client::login(&site.access).await.is_err()
                    || !self.sees_all(site)
                {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };
        let settled = tokio::time::timeout(SETTLED, reached).await;
        settled.context("the sites do not find each other")
    }

    /// Whether `site` reaches every other one.
    pub fn sees_all(&self, site: &Running) -> bool {
        use luc_services::ports::sites::Sites as _;
        let Some(peering) = site.node.peering() else {
            return false;
        };
        let views = peering.sites.all();
        views.len() == self.sites.len() && views.iter().all(|view| view.reachable)
    }

    /// Stops gracefully.
    pub async fn stop(self) -> anyhow::Result<()> {
        for site in self.sites {
            site.node.stop().await?;
        }
        Ok(())
    }
}

/// The round trips in a file, in ms, as the simulator reads them.
pub fn read_round_trips(file: &Path) -> anyhow::Result<Vec<Vec<f64>>> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("reading {}", file.display()))?;
    let read = if text.trim_start().starts_with('[') {
        read::json(&text)
    } else {
        read::csv(&text)
    };
    let read = read.with_context(|| format!("in {}", file.display()))?;
    let RoundTrips::Sites { sites, micros, .. } = read else {
        bail!(
            "{} is a matrix of nodes; one of sites is needed",
            file.display()
        );
    };
    let row = |row: &[u32]| row.iter().map(|micros| f64::from(*micros) / 1e3).collect();
    Ok(micros.chunks(usize::from(sites).max(1)).map(row).collect())
}

/// The prefix that the site of `config` has or will have.
fn own_prefix(config: &Config) -> anyhow::Result<SitePrefix> {
    let directory = &config.node.data_dir;
    std::fs::create_dir_all(directory)
        .with_context(|| format!("creating {}", directory.display()))?;
    cloud::found_key(directory, &config.site.name)?.0.prefix()
}

/// Lays the lines from the site `number` to those that are there.
fn connect(network: &Network, plan: &Plan, there: &[Running], number: usize, prefix: SitePrefix) {
    let rtt = |a: usize, b: usize| Duration::from_secs_f64(plan.round_trips_ms[a][b] / 1e3);
    network.set_quality(prefix, prefix, Quality::of_rtt(rtt(number, number)));
    for (other, site) in there.iter().enumerate() {
        network.set_rtt(prefix, site.prefix, rtt(number, other));
    }
}

async fn ticket(founder: &Node, label: Label) -> anyhow::Result<String> {
    let parts = founder.parts.as_ref().context("the founder has a store")?;
    let peering = founder.peering().context("the founder has a fabric")?;
    let invitation = Invitation {
        purpose: Purpose::Site,
        label,
        domains: None,
        lifetime: Duration::from_secs(600),
    };
    let made = invite(&parts.services, &peering.inviter(), &invitation).await;
    Ok(made.context("making a ticket")?.encode())
}

fn access(config: &Config, node: &Node, password: &Secret) -> Access {
    Access {
        auth_url: Service::Identity.url(&format!("http://{}", node.address)),
        user: "admin".to_owned(),
        password: password.clone(),
        project: "admin".to_owned(),
        region: config.site.region.clone(),
        domains: crate::clouds::Domains::default(),
    }
}

/// Writes one `clouds.yaml` with an entry for each site, named as the site.
fn write_clouds(file: &Path, sites: &[Running]) -> anyhow::Result<()> {
    let entries: BTreeMap<&str, &Access> = sites
        .iter()
        .map(|site| (site.name.as_str(), &site.access))
        .collect();
    let mut text = String::from("clouds:\n");
    for (name, access) in entries {
        text.push_str(&access.clouds_entry(name));
    }
    write_private(file, text.as_bytes())
}
