//! `luc up`: a development cloud in one process, ready to be used.

pub(crate) mod held;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use luc_api::Service;
use luc_api::value::Secret;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cli::UpArgs;
use crate::cloud::{self, Kept, Site};
use crate::clouds::{Access, write_private};
use crate::config::{ComputeConfig, Config, DriverKind, NodeConfig, SiteConfig};
use crate::host::{SystemRandomness, generated_password};
use crate::node::Node;
use crate::steps::{print, say};
use crate::{control, many};

use held::Held;

/// What a development cloud is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The name of the site.
    pub site: String,
    /// How many compute nodes.
    pub nodes: u16,
    /// What runs the machines.
    pub driver: DriverKind,
    /// The accelerator of QEMU.
    pub accel: String,
    /// Where the API listens.
    pub listen: std::net::SocketAddr,
    /// Where everything is kept.
    pub data_dir: PathBuf,
}

/// A running development cloud.
pub struct Cloud {
    node: Node,
    access: Access,
    clouds_yaml: PathBuf,
}

impl Cloud {
    /// Founds the cloud if it is not there yet, and starts it.
    pub async fn start(plan: Plan) -> anyhow::Result<Self> {
        Held::read(&plan.data_dir)?.fits_one(&plan.data_dir, &plan.site)?;
        std::fs::create_dir_all(&plan.data_dir)
            .with_context(|| format!("creating {}", plan.data_dir.display()))?;
        let config = plan.config();
        let password = password(&plan.data_dir)?;
        if !Site::is_founded(&plan.data_dir) {
            cloud::create(&config, Some(password.clone())).await?;
        }
        let hosts: Vec<String> = (1..=plan.nodes).map(|n| format!("node-{n}")).collect();
        let node = Node::start(&config, &hosts).await?;
        let access = Access {
            auth_url: Service::Identity.url(&format!("http://{}", node.address)),
            user: "admin".to_owned(),
            password,
            project: "admin".to_owned(),
            region: config.site.region.clone(),
            domains: crate::clouds::Domains::default(),
        };
        let clouds_yaml = access.write(&plan.data_dir)?;
        Ok(Self {
            node,
            access,
            clouds_yaml,
        })
    }

    /// How to log in as the admin.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The ready `clouds.yaml`.
    pub fn clouds_yaml(&self) -> &Path {
        &self.clouds_yaml
    }

    /// The running node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// A fact of the first host's driver, such as `accelerator`.
    pub fn fact(&self, name: &str) -> Option<String> {
        let agent = self.node.agents().values().next()?;
        let facts = agent.driver().facts();
        facts
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// What a person needs to know to use it.
    pub fn welcome(&self) -> String {
        let file = self.clouds_yaml.display();
        format!(
            "The cloud is up at http://{}\n\n  export OS_CLIENT_CONFIG_FILE={file} OS_CLOUD=luc\n  \
             openstack server list\n\nUser admin, password {}, auth URL {}",
            self.node.address,
            self.access.password.reveal(),
            self.access.auth_url,
        )
    }

    /// The same for programs.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "url": format!("http://{}", self.node.address),
            "auth_url": self.access.auth_url,
            "user": self.access.user,
            "password": self.access.password.reveal(),
            "project": self.access.project,
            "clouds_yaml": self.clouds_yaml,
            "accelerator": self.fact("accelerator"),
            "pid": std::process::id(),
        })
    }

    /// Stops gracefully.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.node.stop().await
    }
}

impl Plan {
    fn config(&self) -> Config {
        Config {
            site: SiteConfig {
                name: self.site.clone(),
                ..SiteConfig::default()
            },
            node: NodeConfig {
                data_dir: self.data_dir.clone(),
                ..NodeConfig::default()
            },
            api: crate::config::ApiConfig {
                listen: self.listen,
                ..crate::config::ApiConfig::default()
            },
            compute: ComputeConfig {
                driver: self.driver,
                accel: self.accel.clone(),
                ..ComputeConfig::default()
            },
            ..Config::default()
        }
    }
}

/// The admin's password of a development cloud: kept beside its data, for its owner only.
pub(crate) fn password(data_dir: &Path) -> anyhow::Result<Secret> {
    let path = data_dir.join("admin.password");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Ok(Secret::new(text.trim()));
    }
    let password = generated_password(&SystemRandomness);
    write_private(&path, password.as_bytes())?;
    Ok(Secret::new(password))
}

/// Whether QEMU can be started here.
pub fn qemu_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join("qemu-system-x86_64").is_file())
}

/// Runs `luc up` until it is interrupted.
pub async fn run(args: UpArgs, json_wanted: bool) -> anyhow::Result<()> {
    let kept = Kept::at((!args.ephemeral).then_some(args.data_dir.as_path()))?;
    let driver = match args.driver {
        Some(DriverKind::Qemu) if !qemu_installed() => {
            bail!("QEMU is not installed: run scripts/install-deps, or use --driver fake")
        }
        Some(driver) => driver,
        None if qemu_installed() => DriverKind::Qemu,
        None => {
            say("QEMU is not installed: the fake driver is used, nothing really boots.");
            DriverKind::Fake
        }
    };
    if !args.sites.is_empty() {
        return run_many(args, driver, kept.path(), json_wanted).await;
    }
    let cloud = Cloud::start(Plan {
        site: args.site,
        nodes: args.nodes,
        driver,
        accel: args.accel,
        listen: args.listen,
        data_dir: kept.path().to_owned(),
    })
    .await?;
    if json_wanted {
        print(&cloud.to_json().to_string());
    } else {
        print(&cloud.welcome());
        say("Ctrl-C ends it; data and machines stay, and the next `luc up` takes them over.");
    }
    crate::signals::interrupted().await?;
    cloud.stop().await
}

/// Runs `luc up --sites` until it is interrupted.
async fn run_many(
    args: UpArgs,
    driver: DriverKind,
    data_dir: &Path,
    json_wanted: bool,
) -> anyhow::Result<()> {
    let round_trips_ms = match &args.rtt {
        Some(file) => many::read_round_trips(file)?,
        None => many::Plan::round_trips(&args.sites),
    };
    let plan = many::Plan {
        sites: args.sites,
        round_trips_ms,
        nodes: args.nodes,
        driver,
        accel: args.accel,
        listen: args.listen,
        data_dir: data_dir.to_owned(),
    };
    let cloud = Arc::new(many::Cloud::start(&plan).await?);
    let stopping = CancellationToken::new();
    let control = control::serve(data_dir, Arc::clone(&cloud), stopping.clone()).await?;
    if json_wanted {
        print(&cloud.to_json().to_string());
    } else {
        print(&cloud.welcome(data_dir));
        say("Ctrl-C ends it; data and machines stay, and the next `luc up` takes them over.");
    }
    crate::signals::interrupted().await?;
    stopping.cancel();
    control.await.context("ending the control port")?;
    match Arc::into_inner(cloud) {
        Some(cloud) => cloud.stop().await,
        None => bail!("somebody still uses the cloud; it ends at once"),
    }
}
