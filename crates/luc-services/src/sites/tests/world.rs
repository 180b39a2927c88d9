//! A site for these tests: a store in memory and a clock that stands still.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ed25519_dalek::{Signer as _, SigningKey as SecretKey};
use luc_api::policy::Policy;
use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;
use luc_state::{MemoryEngine, Store, StoreOptions};

use crate::Services;
use crate::compute::{self, Compute};
use crate::identity::{self, HashCost, Identity, SigningKey};
use crate::image::Images;
use crate::image::blob::DiskBlobs;
use crate::ports::sites::SingleSite;
use crate::sites::{
    Electorate, Invitation, Inviter, Known, Label, NodeWish, PromiseWish, Purpose, Refusal, Silent,
    SiteWish, TicketText, found, introduce, invite, join_message, node_message, promise, release,
};
use crate::testing::{Counted, Deaf, NoHosts, StoppedClock};

/// A site with its founding key and its first node.
pub(super) struct Site {
    pub(super) services: Services,
    pub(super) name: String,
    pub(super) founding: SecretKey,
    clock: Arc<StoppedClock>,
    _blobs: tempfile::TempDir,
}

impl Site {
    /// The site number `number`, called `name`, of no cloud yet.
    pub(super) async fn new(number: u8, name: &str) -> Self {
        let founding = SecretKey::from_bytes(&[number; 32]);
        let site = SitePrefix::of_key(founding.verifying_key().as_bytes());
        let clock = Arc::new(StoppedClock::default());
        let random = Arc::new(Counted::from(u64::from(number) << 32));
        let blobs = tempfile::tempdir().unwrap();
        let schema = identity::schema()
            .and(Images::tables())
            .and(compute::schema())
            .and(crate::sites::schema())
            .and(luc_state::feed::schema());
        let options = StoreOptions::new(site, SplitMix64::new(3));
        let (store, driver) = Store::open(Arc::new(MemoryEngine::sole()), schema, options)
            .await
            .unwrap();
        tokio::spawn(driver);
        let key = SigningKey::generate(site, &*random);
        let identity = Identity::new(key, Duration::from_secs(60), HashCost::LEAST, &*random);
        let services = Services {
            operations: Arc::default(),
            store,
            site,
            policy: Arc::new(Policy::with_defaults()),
            routes: Arc::new(crate::http::Routes::from_table()),
            sites: Arc::new(SingleSite::new(site, name)),
            clock: clock.clone(),
            identity: Arc::new(identity.unwrap()),
            random,
            observer: Arc::new(Deaf),
            image: Arc::new(Images::new(Arc::new(
                DiskBlobs::open(blobs.path()).unwrap(),
            ))),
            compute: Arc::new(Compute::new(Arc::new(NoHosts), name.to_owned())),
        };
        Self {
            services,
            name: name.to_owned(),
            founding,
            clock,
            _blobs: blobs,
        }
    }

    /// The founder of a cloud.
    pub(super) async fn founder() -> Self {
        let site = Self::new(1, "alpha").await;
        let node = site.node();
        found(&site.services, &site.name, &site.founding_key(), &node)
            .await
            .unwrap();
        introduce(
            &site.services,
            (&site.name, site.services.site, None),
            &node,
        )
        .await
        .unwrap();
        site
    }

    pub(super) fn founding_key(&self) -> String {
        hex::encode(self.founding.verifying_key().as_bytes())
    }

    pub(super) fn node_key(&self) -> String {
        self.node().key
    }

    /// Its first node.
    pub(super) fn node(&self) -> NodeWish {
        let secret = SecretKey::from_bytes(&self.founding.verifying_key().to_bytes());
        node(&secret, self.services.site)
    }

    pub(super) fn tick(&self, seconds: i64) {
        self.clock.pass(seconds);
    }

    /// A ticket of one hour.
    pub(super) async fn ticket(&self, purpose: Purpose, label: Label) -> TicketText {
        let inviter = Inviter {
            cloud: self.services.site,
            site_name: self.name.clone(),
            key: self.node_key(),
            addresses: vec!["10.0.0.1:7000".to_owned()],
        };
        let invitation = Invitation {
            purpose,
            label,
            domains: None,
            lifetime: Duration::from_secs(3600),
        };
        invite(&self.services, &inviter, &invitation).await.unwrap()
    }

    /// What this site sends to join with `ticket`.
    pub(super) fn wish(&self, ticket: &TicketText) -> SiteWish {
        let message = join_message(ticket.cloud, &ticket.secret, &self.name, &self.node_key());
        SiteWish {
            name: self.name.clone(),
            founding_key: self.founding_key(),
            proof: hex::encode(self.founding.sign(&message).to_bytes()),
            node: self.node(),
        }
    }
}

/// The founder of the cloud that these tests are about.
pub(super) fn cloud() -> SitePrefix {
    let founding = SecretKey::from_bytes(&[1; 32]);
    SitePrefix::of_key(founding.verifying_key().as_bytes())
}

/// The node with `secret` at `site`.
pub(super) fn node(secret: &SecretKey, site: SitePrefix) -> NodeWish {
    let key = hex::encode(secret.verifying_key().as_bytes());
    let message = node_message(cloud(), site, &key);
    NodeWish {
        proof: hex::encode(secret.sign(&message).to_bytes()),
        key,
        name: "node-1".to_owned(),
        roles: vec!["controller".to_owned()],
        addresses: Vec::new(),
    }
}

/// The compute-only node number `number` of the founder.
pub(super) fn compute(number: u8) -> NodeWish {
    NodeWish {
        name: "node-2".to_owned(),
        roles: vec!["compute".to_owned()],
        ..node(&SecretKey::from_bytes(&[number; 32]), cloud())
    }
}

/// The other sites, some of them silent.
#[derive(Default)]
pub(super) struct Others {
    pub(super) sites: BTreeMap<SitePrefix, Services>,
    pub(super) silent: Mutex<BTreeSet<SitePrefix>>,
}

#[async_trait]
impl Electorate for Others {
    async fn promise(
        &self,
        site: SitePrefix,
        wish: &PromiseWish,
    ) -> Result<Result<Vec<Known>, Refusal>, Silent> {
        if self.silent.lock().unwrap().contains(&site) {
            return Err(Silent);
        }
        let services = self.sites.get(&site).ok_or(Silent)?;
        Ok(promise(services, cloud(), wish).await)
    }

    async fn release(&self, site: SitePrefix, wish: &PromiseWish) {
        if let Some(services) = self.sites.get(&site) {
            let _ = release(services, wish).await;
        }
    }
}
