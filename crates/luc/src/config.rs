//! `luc.toml`: what one node is, where it keeps its data, what it listens on.
//!
//! Every field has a default, so an empty file is a valid one-node site. Unknown fields are
//! refused with their line, because a misspelt field that is silently ignored is how clouds lose
//! data. `luc config show` prints the configuration in force, defaults included.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

/// How many addresses a node may be reached at; its record takes no more.
const ADVERTISED_MAX: usize = 16;

/// The configuration of one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The site this node belongs to.
    pub site: SiteConfig,
    /// The node itself.
    pub node: NodeConfig,
    /// The OpenStack API.
    pub api: ApiConfig,
    /// The way to other nodes and sites.
    pub fabric: FabricConfig,
    /// Tokens and passwords.
    pub identity: IdentityConfig,
    /// The host's virtual machines; used if the node has the role `compute`.
    pub compute: ComputeConfig,
    /// Logs.
    pub log: LogConfig,
}

/// The site this node belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SiteConfig {
    /// The site's name, which is also that of its availability zone.
    pub name: String,
    /// The region in the service catalog; one for the whole cloud.
    pub region: String,
}

/// What a node does for its site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Keeps the site's store and serves the API.
    Controller,
    /// Runs virtual machines.
    Compute,
}

impl Role {
    /// As it stands in the configuration and in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Compute => "compute",
        }
    }
}

/// The node itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// The node's name: the host name in OpenStack's answers.
    pub name: String,
    /// What it does.
    pub roles: Vec<Role>,
    /// Where it keeps everything.
    pub data_dir: PathBuf,
    /// For a node without the role `controller` that has not joined with a ticket: the URL of a
    /// controller of its site, over a network that the operator trusts.
    pub controller_url: Option<String>,
    /// For the same: the file with the site's join secret, made by `luc cloud create`.
    pub join_secret_file: Option<PathBuf>,
}

/// The OpenStack API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The URL that other sites and their operators are told, as `https://cloud.example.org`. If
    /// nothing is said, it is made of the address it listens on, or, where that is every address,
    /// of the one that the fabric advertises.
    pub advertise: Option<String>,
}

/// The way to other nodes and sites.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FabricConfig {
    /// Address and UDP port to listen on. Port 0 takes a free one at the first start and keeps it:
    /// the number is in `fabric.port` in `node.data_dir` and bound again at the next start. If it
    /// is taken then, a warning says so and another is drawn.
    pub listen: SocketAddr,
    /// Where others reach this node, as `address:port` or `name:port`; what it listens on, if
    /// nothing is said. A node that listens on every address makes no tickets without it.
    pub advertise: Vec<String>,
    /// Holds packets to other sites back by this many milliseconds, to show a WAN on one machine.
    pub delay_ms: u64,
}

/// Tokens and passwords.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityConfig {
    /// How long a token counts, in seconds.
    pub token_lifetime_secs: u64,
    /// An operator's policy rules over the upstream defaults, by service; see `docs/policy.md`.
    pub policy_file: Option<PathBuf>,
}

/// How virtual machines are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DriverKind {
    /// QEMU, as processes that outlive `luc`.
    Qemu,
    /// Nothing runs; for development, tests and measurements of the control plane.
    Fake,
}

/// The host's virtual machines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComputeConfig {
    /// What runs them.
    pub driver: DriverKind,
    /// `auto` (proved by booting something tiny), `kvm` or `tcg`.
    pub accel: String,
    /// Virtual processors per real one that may be given out.
    pub cpu_allocation_ratio: f64,
    /// The same for memory.
    pub ram_allocation_ratio: f64,
    /// The same for disk.
    pub disk_allocation_ratio: f64,
    /// How many machines are started at once.
    pub concurrent_boots_max: usize,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// A filter in the form of `tracing`: `info`, `warn,luc_agent=debug`.
    pub filter: String,
    /// One JSON object per line instead of text.
    pub json: bool,
}

impl Default for SiteConfig {
    fn default() -> Self {
        Self {
            name: "site-1".to_owned(),
            region: "RegionOne".to_owned(),
        }
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            name: "node-1".to_owned(),
            roles: vec![Role::Controller, Role::Compute],
            data_dir: PathBuf::from("/var/lib/luc"),
            controller_url: None,
            join_secret_file: None,
        }
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9000)),
            advertise: None,
        }
    }
}

impl Default for FabricConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: Vec::new(),
            delay_ms: 0,
        }
    }
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            token_lifetime_secs: 3600,
            policy_file: None,
        }
    }
}

impl Default for ComputeConfig {
    fn default() -> Self {
        Self {
            driver: DriverKind::Qemu,
            accel: "auto".to_owned(),
            cpu_allocation_ratio: 4.0,
            ram_allocation_ratio: 1.0,
            disk_allocation_ratio: 1.0,
            concurrent_boots_max: 2,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            json: false,
        }
    }
}

impl Config {
    /// Reads and checks the file at `path`.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("reading the configuration {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in the configuration {}", path.display()))
    }

    /// Reads and checks a configuration.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// Whether the node has `role`.
    pub fn has(&self, role: Role) -> bool {
        self.node.roles.contains(&role)
    }

    fn check(&self) -> anyhow::Result<()> {
        for (field, name) in [
            ("site.name", &self.site.name),
            ("node.name", &self.node.name),
        ] {
            let good = !name.is_empty()
                && name.len() <= 63
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
            if !good {
                bail!("{field} = {name:?}: use 1 to 63 letters, digits, '-' or '.'");
            }
        }
        if self.node.roles.is_empty() {
            bail!("node.roles is empty: use \"controller\", \"compute\" or both");
        }
        if self.node.controller_url.is_some() != self.node.join_secret_file.is_some() {
            bail!(
                "node.controller_url and node.join_secret_file belong together; a node that has \
                 joined with a ticket needs neither"
            );
        }
        if let Some(url) = &self.api.advertise
            && !["http://", "https://"]
                .iter()
                .any(|begin| url.starts_with(begin))
        {
            bail!("api.advertise = {url:?}: use a URL, as \"http://192.0.2.1:9000\"");
        }
        self.fabric.check()?;
        if !["auto", "kvm", "tcg"].contains(&self.compute.accel.as_str()) {
            bail!(
                "compute.accel = {:?}: use \"auto\", \"kvm\" or \"tcg\"",
                self.compute.accel
            );
        }
        for (field, ratio) in [
            ("cpu_allocation_ratio", self.compute.cpu_allocation_ratio),
            ("ram_allocation_ratio", self.compute.ram_allocation_ratio),
            ("disk_allocation_ratio", self.compute.disk_allocation_ratio),
        ] {
            if !(ratio > 0.0 && ratio <= 1000.0) {
                bail!("compute.{field} = {ratio}: use a number above 0 and at most 1000");
            }
        }
        if !(60..=86_400 * 30).contains(&self.identity.token_lifetime_secs) {
            bail!(
                "identity.token_lifetime_secs = {}: use 60 to 2592000 (30 days)",
                self.identity.token_lifetime_secs
            );
        }
        Ok(())
    }
}

impl FabricConfig {
    fn check(&self) -> anyhow::Result<()> {
        if self.advertise.len() > ADVERTISED_MAX {
            bail!("fabric.advertise: use at most {ADVERTISED_MAX} entries");
        }
        for entry in &self.advertise {
            if !is_way(entry) {
                bail!(
                    "fabric.advertise: {entry:?} is no place that others reach: use \
                     \"address:port\" or \"name:port\", as \"192.0.2.1:7000\""
                );
            }
        }
        Ok(())
    }
}

/// Whether others can be told that a node is reached at `text`.
fn is_way(text: &str) -> bool {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return address.port() != 0 && !address.ip().is_unspecified();
    }
    let Some((name, port)) = text.rsplit_once(':') else {
        return false;
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let numeric = name
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(allowed)
        // What looks like an address and is none is no name either.
        && !numeric
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port != 0)
        && text.len() <= 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_a_site_of_one_node() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn what_is_shown_is_read_back() {
        let shown = toml::to_string(&Config::default()).unwrap();
        assert_eq!(Config::parse(&shown).unwrap(), Config::default());
    }

    #[test]
    fn a_misspelt_field_is_refused_with_its_name_and_line() {
        let error = Config::parse("[api]\nlisen = \"1.2.3.4:5\"\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("lisen") && error.contains("line 2"),
            "{error}"
        );
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_would() {
        for (text, part) in [
            ("[node]\nroles = []", "node.roles"),
            (
                "[node]\ncontroller_url = \"http://a:1\"",
                "join_secret_file",
            ),
            ("[node]\nname = \"a b\"", "node.name"),
            ("[compute]\naccel = \"xen\"", "\"tcg\""),
            (
                "[compute]\ncpu_allocation_ratio = -1.0",
                "cpu_allocation_ratio",
            ),
            ("[compute]\ndriver = \"vmware\"", "qemu"),
            ("[identity]\ntoken_lifetime_secs = 1", "token_lifetime_secs"),
            ("[api]\nlisten = \"nowhere\"", "listen"),
            ("[api]\nadvertise = \"192.0.2.1:9000\"", "api.advertise"),
        ] {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn only_places_with_a_port_are_advertised() {
        let read = |entry: &str| {
            Config::parse(&format!("[fabric]\nadvertise = [\"1.2.3.4:1\", {entry:?}]"))
        };
        for good in [
            "192.0.2.1:7000",
            "[2001:db8::1]:7000",
            "a-1.example.org:7000",
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
        for wrong in [
            "nohost",
            "a.example:",
            ":7000",
            "a.example:0",
            "a.example:65536",
            "a.example:+7",
            "2001:db8::1:7000",
            "1.2.3:7000",
            "300.1.1.1:7000",
            "0.0.0.0:7000",
            "http://a:7000",
            "a b:7000",
            "",
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains(&format!("{wrong:?}")), "{wrong:?}: {error}");
            assert!(error.contains("fabric.advertise"), "{error}");
        }
        let many = vec!["\"192.0.2.1:7000\""; ADVERTISED_MAX + 1].join(",");
        assert!(Config::parse(&format!("[fabric]\nadvertise = [{many}]")).is_err());
    }
}
