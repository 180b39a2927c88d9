//! The inviting site's end of a join: the only thing that strangers may speak to. Among them are
//! those that were members and have not heard yet that they are none any more.
//!
//! One JSON request on [`Channel::JOIN`], with a secret from a ticket in it. A refusal says why,
//! and is logged once with the stranger's key. Strangers cost little: few are answered at a time,
//! and of those who are refused a bounded number is logged each hour.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use luc_core::SitePrefix;
use luc_runtime::NodeKey;
use luc_runtime::fabric::{Channel, Handler, Peer, RecvHalf, Refusal as NotTaken, SendHalf};
use luc_services::Services;
use luc_services::sites::{self, Admitted, Common, Members, NodeWish, Parting, Refusal, SiteWish};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::assembly::Assembly;

/// The longest request to join; nothing longer is read.
const BYTES_MAX: usize = 64 << 10;

/// How many strangers are answered at a time; the others are told to come again.
const AT_ONCE: usize = 8;

/// How many strangers that were refused are logged in an [`HOUR`].
const LOGGED_MAX: usize = 64;

/// After this time the same stranger is logged again.
const HOUR: Duration = Duration::from_secs(3600);

/// What a stranger asks.
#[derive(Serialize, Deserialize)]
pub struct Knock {
    /// The secret of the ticket; of no use to one that does not want to join.
    #[serde(default)]
    pub secret: String,
    /// Who knocks, and what for.
    pub who: Who,
}

/// Who knocks.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// A node that wants to join the inviting site.
    Node(NodeWish),
    /// A site that wants to join the cloud.
    Site(SiteWish),
    /// A node of a site that was of the cloud, and asks whether it is no longer.
    Former(SitePrefix),
}

/// What it is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opened {
    /// It is of the cloud now.
    Welcome(Welcome),
    /// Its site was of the cloud, and this is how that ended.
    Parted(Parting),
    /// It is not, in words for people.
    Refused(String),
}

/// What a new member must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The site that it is, or is a node of.
    pub site: SitePrefix,
    /// The name of that site.
    pub site_name: String,
    /// The cloud as the inviting site sees it.
    pub members: Members,
    /// What the cloud has once, for a site that brings people along.
    #[serde(default)]
    pub common: Common,
}

/// Answers strangers.
pub struct Doorman {
    services: Weak<Services>,
    assembly: Arc<Assembly>,
    places: Semaphore,
    logged: Mutex<Logged>,
}

/// Who was refused lately, so that each is logged once.
#[derive(Default)]
struct Logged {
    since: Option<Instant>,
    keys: BTreeSet<NodeKey>,
}

impl Logged {
    /// Whether the refusal of `key` is to be logged.
    fn is_news(&mut self, key: NodeKey) -> bool {
        let now = Instant::now();
        let begun = self.since.get_or_insert(now);
        if now.duration_since(*begun) >= HOUR {
            *begun = now;
            self.keys.clear();
        }
        self.keys.len() < LOGGED_MAX && self.keys.insert(key)
    }
}

impl Doorman {
    /// For the controller with `services`, which it does not keep alive.
    pub fn new(services: &Arc<Services>, assembly: Arc<Assembly>) -> Self {
        Self {
            services: Arc::downgrade(services),
            assembly,
            places: Semaphore::new(AT_ONCE),
            logged: Mutex::default(),
        }
    }

    async fn open(
        &self,
        services: &Services,
        peer: Peer,
        knock: &Knock,
    ) -> Result<Opened, Refusal> {
        let key = peer.key.to_string();
        let (secret, members) = (&knock.secret, || {
            Members::of(&services.store.snapshot(), services.site)
        });
        match &knock.who {
            Who::Node(wish) => {
                let node = sites::register_node(services, &key, secret, wish).await?;
                let members = members();
                let own = members.site(node.site).map(|own| own.name.clone());
                Ok(Opened::Welcome(Welcome {
                    site: node.site,
                    site_name: own.unwrap_or_default(),
                    members,
                    common: Common::default(),
                }))
            }
            Who::Site(wish) => {
                let assembly = &*self.assembly;
                let admitted = sites::admit_site(services, assembly, &key, secret, wish).await;
                let Admitted { site, members } = admitted?;
                Ok(Opened::Welcome(Welcome {
                    site,
                    site_name: wish.name.clone(),
                    members,
                    common: sites::common(services),
                }))
            }
            Who::Former(site) => match sites::parting(services, *site, &key) {
                Some(parting) => Ok(Opened::Parted(parting)),
                None => Err(Refusal::Unknown {
                    what: "former site",
                    id: site.to_string(),
                }),
            },
        }
    }
}

#[async_trait]
impl Handler for Doorman {
    async fn request(&self, from: Peer, _: Channel, body: Bytes) -> Result<Bytes, NotTaken> {
        let services = self.services.upgrade().ok_or(NotTaken::Busy)?;
        let _place = self.places.try_acquire().map_err(|_| NotTaken::Busy)?;
        if body.len() > BYTES_MAX {
            return Err(NotTaken::Malformed("too long".to_owned()));
        }
        let knock: Knock = serde_json::from_slice(&body)
            .map_err(|error| NotTaken::Malformed(error.to_string()))?;
        let opened = match self.open(&services, from, &knock).await {
            Ok(opened) => {
                if let Opened::Welcome(welcome) = &opened {
                    tracing::info!(key = %from.key, site = %welcome.site_name, "a new member");
                }
                opened
            }
            Err(refusal) => {
                let logged = self.logged.lock();
                if logged
                    .unwrap_or_else(PoisonError::into_inner)
                    .is_news(from.key)
                {
                    tracing::warn!(key = %from.key, reason = %refusal, "a knock was refused");
                }
                Opened::Refused(refusal.to_string())
            }
        };
        serde_json::to_vec(&opened)
            .map(Bytes::from)
            .map_err(|error| NotTaken::Other(error.to_string()))
    }

    fn datagram(&self, _: Peer, _: Channel, _: Bytes) {}

    async fn stream(&self, _: Peer, _: Channel, _: SendHalf, _: RecvHalf) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stranger_is_logged_once_an_hour_and_not_every_stranger() {
        let key = |number: u8| luc_runtime::NodeSecret::from_seed(&[number; 32]).key();
        let mut logged = Logged::default();
        assert!(logged.is_news(key(0)) && !logged.is_news(key(0)));
        let news = (1..=200).filter(|number| logged.is_news(key(*number)));
        assert_eq!(news.count(), LOGGED_MAX - 1);
        tokio::time::advance(HOUR).await;
        assert!(logged.is_news(key(0)));
    }
}
