//! `luc join TICKET`: the joining side.
//!
//! The node makes its key (and a site its founding key) first, talks to the inviting node over the
//! fabric as a stranger, and writes what it was told into its data directory. Everything is kept
//! until the end, so a join that was interrupted is simply run again with the same ticket.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use luc_core::SitePrefix;
use luc_runtime::NodeSecret;
use luc_runtime::fabric::{Channel, Ends, Members as Listed, Request};
use luc_services::Services;
use luc_services::identity::model::{DEFAULT_DOMAIN, Domain, Project, User};
use luc_services::ports::sites::SingleSite;
use luc_services::sites::{
    Label, NodeWish, Purpose, SiteWish, TicketText, bring_people, join_message, may_bring,
};
use luc_state::feed::may_name;
use tokio::time::Instant;

use crate::cloud::{self, Site};
use crate::clouds::write_private;
use crate::config::{Config, FabricConfig, Role};
use crate::fabrics::{Fabrics, Started, node_proof, node_secret};
use crate::sites::Switchboard;
use crate::sites::doorman::{Knock, Opened, Who};
use crate::sites::membership::resolved;

pub use crate::sites::doorman::Welcome as Welcomed;

/// How long the inviting side may take; it asks other sites meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest name of a domain, as the identity API has it.
const DOMAIN_NAME_MAX: usize = 64;

/// Names of domains that every cloud has, or that mean something else in the identity API.
const RESERVED: [&str; 2] = ["default", "federated"];

/// The file with what a join was told.
const FILE: &str = "peers.json";

impl Welcomed {
    /// What a join left in `directory`, if there was one.
    pub fn read(directory: &Path) -> anyhow::Result<Option<Self>> {
        let path = directory.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))
    }

    fn write(&self, directory: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self).context("rendering what the join said")?;
        write_private(&directory.join(FILE), text.as_bytes())
    }
}

/// Joins with `ticket` as `config` says.
pub async fn join(config: &Config, ticket: &str, fabrics: &Fabrics) -> anyhow::Result<Welcomed> {
    Ok(join_as(config, ticket, None, fabrics).await?.welcomed)
}

/// What came of a join.
#[derive(Debug)]
pub struct Joined {
    /// What the inviting site said.
    pub welcomed: Welcomed,
    /// What did not come along of a cloud that joined another.
    pub left: Vec<String>,
}

/// Joins with `ticket`; a site that has people of its own brings them along as those of the
/// domain `as_domain`.
pub async fn join_as(
    config: &Config,
    ticket: &str,
    as_domain: Option<&str>,
    fabrics: &Fabrics,
) -> anyhow::Result<Joined> {
    let ticket = TicketText::decode(ticket)?;
    let directory = &config.node.data_dir;
    check_roles(config, &ticket)?;
    std::fs::create_dir_all(directory)
        .with_context(|| format!("creating the directory {}", directory.display()))?;
    let known = Welcomed::read(directory)?;
    let people = Site::is_founded(directory) && known.is_none();
    if people && (as_domain.is_none() || ticket.purpose == Purpose::Node) {
        bail!(
            "{} holds a cloud of its own with {}; a site joins empty: choose another directory, or \
             make its people those of a domain of their own with --as-domain NAME",
            directory.display(),
            names(config).await?
        );
    }
    let secret = node_secret(directory)?;
    let node = NodeWish {
        key: secret.key().to_string(),
        name: config.node.name.clone(),
        roles: config
            .node
            .roles
            .iter()
            .map(|r| r.name().to_owned())
            .collect(),
        addresses: announced(&config.fabric),
        proof: String::new(),
    };
    match (ticket.purpose, as_domain.filter(|_| people)) {
        (Purpose::Node, _) => {
            let proof = node_proof(&secret, ticket.cloud, ticket.site);
            let node = NodeWish { proof, ..node };
            let welcomed = knock(&ticket, Who::Node(node), &secret, ticket.site, fabrics).await?;
            welcomed.write(directory)?;
            let left = Vec::new();
            Ok(Joined { welcomed, left })
        }
        (Purpose::Site, None) => {
            let (site, welcomed) = ask(config, &ticket, node, &secret, fabrics).await?;
            settle(directory, site, &welcomed)?;
            let left = Vec::new();
            Ok(Joined { welcomed, left })
        }
        (Purpose::Site, Some(domain)) => {
            // Opened first: nobody is asked while a node still runs on it.
            let site = Site::read(directory)?;
            let alone = Arc::new(SingleSite::new(site.prefix()?, &site.name));
            let parts = crate::node::Parts::open(config, &site, alone).await?;
            let services = &parts.services;
            let joined = async {
                may_bring(services)?;
                check_wish(services, &site.name, domain, ticket.label)?;
                let (site, welcomed) = ask(config, &ticket, node, &secret, fabrics).await?;
                check_domain(&welcomed, site.prefix()?, domain)?;
                let brought = bring_people(services, domain, &welcomed.common).await;
                let left = brought.context(
                    "the site is admitted, but its people are not brought along yet: run this \
                     again with the same ticket once that is settled",
                )?;
                settle(directory, site, &welcomed)?;
                anyhow::Ok(Joined { welcomed, left })
            };
            let joined = joined.await;
            parts.close().await;
            joined
        }
    }
}

/// Whether the ticket is for a node with the roles of `config`.
fn check_roles(config: &Config, ticket: &TicketText) -> anyhow::Result<()> {
    let controller = config.has(Role::Controller);
    match (ticket.purpose, controller) {
        (Purpose::Site, true) | (Purpose::Node, false) => {}
        (Purpose::Site, false) => bail!(
            "this ticket is for a site; its first node needs the role \"controller\" (node.roles)"
        ),
        (Purpose::Node, true) => bail!(
            "this ticket is for a node of the site {}; set node.roles to [\"compute\"]",
            ticket.site_name
        ),
    }
    Ok(())
}

/// Whom a cloud of its own has, by name.
async fn names(config: &Config) -> anyhow::Result<String> {
    let site = Site::read(&config.node.data_dir)?;
    let alone = Arc::new(SingleSite::new(site.prefix()?, &site.name));
    let parts = crate::node::Parts::open(config, &site, alone).await?;
    let snapshot = parts.services.store.snapshot();
    let users: Vec<String> = snapshot.all::<User>().map(|u| u.name.clone()).collect();
    let projects: Vec<String> = snapshot.all::<Project>().map(|p| p.name.clone()).collect();
    drop(snapshot);
    parts.close().await;
    Ok(format!(
        "the users {} and the projects {}",
        users.join(", "),
        projects.join(", ")
    ))
}

/// Asks to be admitted as a site.
async fn ask(
    config: &Config,
    ticket: &TicketText,
    node: NodeWish,
    secret: &NodeSecret,
    fabrics: &Fabrics,
) -> anyhow::Result<(Site, Welcomed)> {
    let directory = &config.node.data_dir;
    let (site, founding) = cloud::found_key(directory, &config.site.name)?;
    let prefix = site.prefix()?;
    let message = join_message(ticket.cloud, &ticket.secret, &site.name, &node.key);
    let node = NodeWish {
        proof: node_proof(secret, ticket.cloud, prefix),
        ..node
    };
    let wish = SiteWish {
        name: site.name.clone(),
        founding_key: site.founding_key_hex()?,
        proof: cloud::signed(&founding, &message),
        node,
    };
    let welcomed = knock(ticket, Who::Site(wish), secret, prefix, fabrics).await?;
    if welcomed.site != prefix {
        bail!("the inviting site admitted another prefix than this site's");
    }
    Ok((site, welcomed))
}

/// Whether the site may call the domain of its people `domain` in the cloud that it joins.
fn check_domain(welcomed: &Welcomed, site: SitePrefix, domain: &str) -> anyhow::Result<()> {
    let own = welcomed.members.site(site);
    match own.filter(|own| own.label == Label::Edge) {
        Some(edge) => check_edge_name(&edge.name, domain),
        None => Ok(()),
    }
}

/// Whether the people of an edge site called `site` may be those of the domain `domain`.
fn check_edge_name(site: &str, domain: &str) -> anyhow::Result<()> {
    if !may_name(site, domain.trim()) {
        bail!(
            "the site joins as an edge site, whose domains are called '{site}' or '{site}.' and \
             more: run this again with the same ticket and such a name"
        );
    }
    Ok(())
}

/// What of the wish to be called `domain` can be known before anybody is asked.
fn check_wish(services: &Services, site: &str, domain: &str, label: Label) -> anyhow::Result<()> {
    let snapshot = services.store.snapshot();
    // Once the people have been brought along the name is theirs.
    let brought = snapshot.get::<Domain>(DEFAULT_DOMAIN).is_none();
    let domains = snapshot.all::<Domain>();
    let own = domains.filter(|own| own.id.as_str() != DEFAULT_DOMAIN && !brought);
    let own: Vec<String> = own.map(|own| own.name.clone()).collect();
    check_name(domain, &own)?;
    match label {
        Label::Edge => check_edge_name(site, domain),
        Label::Trusted => Ok(()),
    }
}

/// Whether people can become those of a domain called `domain` in any cloud, at a site that has the
/// domains `own` beside them.
fn check_name(domain: &str, own: &[String]) -> anyhow::Result<()> {
    let name = domain.trim();
    let reason = if name.is_empty() {
        "a domain has a name"
    } else if name.chars().count() > DOMAIN_NAME_MAX {
        "that is longer than 64 characters"
    } else if RESERVED.contains(&name.to_lowercase().as_str()) {
        "every cloud has a domain of this name already"
    } else if own.iter().any(|own| own == name) {
        "this site has another domain of this name"
    } else {
        return Ok(());
    };
    bail!("--as-domain {domain:?}: {reason}; choose another name (nobody was asked yet)")
}

/// Writes down that the site is of the cloud now.
fn settle(directory: &Path, site: Site, welcomed: &Welcomed) -> anyhow::Result<()> {
    cloud::make_join_secret(directory)?;
    welcomed.write(directory)?;
    let site = Site {
        cloud: Some(welcomed.members.cloud),
        ..site
    };
    site.write(directory)
}

/// Asks the inviting node.
async fn knock(
    ticket: &TicketText,
    who: Who,
    secret: &NodeSecret,
    site: SitePrefix,
    fabrics: &Fabrics,
) -> anyhow::Result<Welcomed> {
    let inviter = ticket.key.parse().context("the ticket names no key")?;
    let addresses = resolved(&ticket.addresses).await;
    let Started { fabric, .. } = {
        // Everybody is a stranger to each other yet.
        let ends = Ends {
            admission: Arc::new(Listed::hospitable()),
            handler: Arc::new(Switchboard::default()),
        };
        let config = FabricConfig {
            listen: anywhere(addresses.first()),
            ..FabricConfig::default()
        };
        fabrics.start(&config, None, (secret, site), ends)?
    };
    if !addresses.is_empty() {
        fabric.set_address(inviter, addresses);
    }
    let knock = Knock {
        secret: ticket.secret.clone(),
        who,
    };
    let body = serde_json::to_vec(&knock).context("rendering the request to join")?;
    let request = Request::new(Channel::JOIN, body);
    let answer = fabric
        .request(inviter, request, Instant::now() + PATIENCE)
        .await;
    fabric.shut_down().await;
    let answer = answer.with_context(|| {
        format!(
            "asking {} at {}",
            ticket.site_name,
            ticket.addresses.join(", ")
        )
    })?;
    match serde_json::from_slice(&answer).context("reading the answer of the inviting node")? {
        Opened::Welcome(welcomed) => Ok(welcomed),
        Opened::Refused(reason) => bail!("{} refuses: {reason}", ticket.site_name),
        Opened::Parted(parting) => bail!(
            "{} says that this site was of the cloud: {}",
            ticket.site_name,
            parting.reason
        ),
    }
}

/// A free port of the family of `to`.
fn anywhere(to: Option<&SocketAddr>) -> SocketAddr {
    match to {
        Some(SocketAddr::V6(_)) => SocketAddr::from(([0u16; 8], 0)),
        _ => SocketAddr::from(([0u8; 4], 0)),
    }
}

/// Where the node will be reached once it runs, as far as its configuration says so.
fn announced(config: &FabricConfig) -> Vec<String> {
    if !config.advertise.is_empty() {
        return config.advertise.clone();
    }
    let listen = config.listen;
    let known = listen.port() != 0 && !listen.ip().is_unspecified();
    known.then(|| listen.to_string()).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_cloud_takes_are_refused_before_anybody_is_asked() {
        let own = ["lab".to_owned()];
        let long = "a".repeat(DOMAIN_NAME_MAX + 1);
        for wrong in [
            "",
            "  ",
            "Default",
            "default ",
            "Federated",
            "lab",
            long.as_str(),
        ] {
            let refused = check_name(wrong, &own).unwrap_err().to_string();
            assert!(
                refused.contains(&format!("--as-domain {wrong:?}")),
                "{refused}"
            );
        }
        check_name("beta", &own).unwrap();
        check_name("lab", &[]).unwrap();
        check_edge_name("beta", " beta.lab ").unwrap();
        assert!(check_edge_name("beta", "betting").is_err());
    }
}
