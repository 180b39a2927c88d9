//! Two sites, each over its own store's view of the same records: how far the word of one counts
//! at the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use http::StatusCode;
use luc_core::SitePrefix;
use luc_core::id::{DomainId, ProjectId, UserId};
use luc_state::{MemoryEngine, key};
use serde_json::{Value, json};

use super::cloud::{Cloud, PASSWORD, founding, id, scope_of};
use crate::identity::model::{Actor, Assignment, DomainPresence, Place, Role};
use crate::identity::refusal::{Refusal, transact};
use crate::identity::{
    admit_follower, allow_site, authenticate, bootstrap, disallow_site, enlist_key, welcome,
};
use crate::ports::sites::{ForwardError, Forwarded, Interest, SiteView, Sites};
use crate::sites::{Admission, Label};

/// What a site knows of the others, as a test says.
pub(super) struct Known {
    views: Mutex<Vec<SiteView>>,
    follows: AtomicBool,
    asked: Mutex<Vec<Interest>>,
}

#[async_trait]
impl Sites for Known {
    fn all(&self) -> Vec<SiteView> {
        self.views.lock().unwrap().clone()
    }

    fn nearest(&self, _: SitePrefix) -> Vec<(SitePrefix, Option<Duration>)> {
        Vec::new()
    }

    async fn forward(
        &self,
        _: SitePrefix,
        _: Forwarded,
    ) -> Result<http::Response<Body>, ForwardError> {
        let reason = "the test has no network".to_owned();
        Err(ForwardError::NotSent { reason })
    }

    async fn caught_up(&self, _: SitePrefix, _: u64, _: Duration) -> bool {
        false
    }

    async fn follow(&self, interest: Interest, _: Duration) -> bool {
        self.asked.lock().unwrap().push(interest);
        self.follows.load(Ordering::Relaxed)
    }
}

/// The founder site and another one.
pub(super) struct Pair {
    pub(super) founder: Cloud,
    pub(super) other: Cloud,
    known: Arc<Known>,
}

fn view(name: &str, site: SitePrefix, trusted: bool) -> SiteView {
    SiteView {
        site,
        name: name.to_owned(),
        age: Duration::ZERO,
        reachable: true,
        trusted,
        room: None,
    }
}

impl Pair {
    /// A founder and a site that is `trusted`, or an edge site.
    pub(super) async fn new(trusted: bool) -> Self {
        let (one, two) = (SitePrefix::of_key(b"founder"), SitePrefix::of_key(b"other"));
        let views = vec![view("paris", one, true), view("lyon", two, trusted)];
        let known = Arc::new(Known {
            views: Mutex::new(views),
            follows: AtomicBool::new(true),
            asked: Mutex::default(),
        });
        let engine = MemoryEngine::new();
        let founder = Cloud::of_engine(one, engine.clone(), Arc::clone(&known) as _).await;
        let other = Cloud::of_engine(two, engine, Arc::clone(&known) as _).await;
        bootstrap(&founder.services, &founding(PASSWORD))
            .await
            .unwrap();
        let pair = Self {
            founder,
            other,
            known,
        };
        pair.level().await;
        enlist_key(&pair.other.services).await.unwrap();
        pair.level().await;
        pair
    }

    /// Waits until both stores show the same revision.
    pub(super) async fn level(&self) {
        for _ in 0..10_000 {
            let one = self.founder.services.store.snapshot().revision();
            if one == self.other.services.store.snapshot().revision() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("the stores do not show the same");
    }

    pub(super) fn other_site(&self) -> SitePrefix {
        self.other.services.site
    }

    /// Lets the default domain live at the other site.
    pub(super) async fn allow(&self) {
        allow_site(&self.founder.services, self.other_site(), "default")
            .await
            .unwrap();
        self.level().await;
    }

    /// Writes that the other site was admitted as an edge site that may hold `domains`.
    pub(super) async fn admit(&self, domains: Option<Vec<DomainId>>) {
        let founder = &self.founder.services;
        let admission = Admission {
            id: "a1".to_owned(),
            site: self.other_site(),
            name: "lyon".to_owned(),
            founding_key: String::new(),
            label: Label::Edge,
            domains,
            node_key: String::new(),
            addresses: Vec::new(),
            admitted_at: founder.clock.now(),
            ticket: None,
        };
        let admitted = transact(founder, |tx| {
            tx.put(admission.clone())?;
            Ok::<_, Refusal>(())
        });
        admitted.await.unwrap();
        self.level().await;
    }

    /// A domain of the other site with the user eve, who has a project there; their ids.
    async fn domain_of_other(&self) -> (DomainId, UserId, ProjectId) {
        let admin = self.founder.admin().await;
        let other = &self.other;
        let body = json!({"domain": {"name": "lyon"}});
        let domain = other
            .done(&admin, "POST", "/identity/v3/domains", body)
            .await;
        let domain = id(&domain["domain"]);
        let body = json!({"user": {"name": "eve", "domain_id": domain, "password": PASSWORD}});
        let user = other.done(&admin, "POST", "/identity/v3/users", body).await;
        let user = id(&user["user"]);
        let body = json!({"project": {"name": "quay", "domain_id": domain}});
        let project = other
            .done(&admin, "POST", "/identity/v3/projects", body)
            .await;
        let project = id(&project["project"]);
        self.level().await;
        (
            DomainId::parse(&domain).unwrap(),
            UserId::parse(&user).unwrap(),
            ProjectId::parse(&project).unwrap(),
        )
    }

    /// The other site writes that `user` is an administrator of `place`.
    async fn claim_admin(&self, domain: &DomainId, user: &UserId, place: Place) {
        let snapshot = self.founder.services.store.snapshot();
        let admin = snapshot.one(&Role::BY_NAME, &key(&["", "admin"])).unwrap();
        let actor = Actor::User(user.clone());
        let claimed = Assignment::new(actor, place, &admin.id, domain);
        transact(&self.other.services, |tx| {
            tx.put(claimed.clone())?;
            Ok::<_, Refusal>(())
        })
        .await
        .unwrap();
        self.level().await;
    }
}

pub(super) fn names(cloud: &Cloud, token: &str) -> Option<Vec<String>> {
    let caller = cloud.caller(token)?;
    Some(caller.roles.iter().map(|role| role.name.clone()).collect())
}

fn password_of(user: &UserId) -> Value {
    let user = json!({"id": user.as_str(), "password": PASSWORD});
    json!({"methods": ["password"], "password": {"user": user}})
}

pub(super) fn project_scope(project: &ProjectId) -> Value {
    json!({"project": {"id": project.as_str()}})
}

#[tokio::test]
async fn a_token_counts_at_every_site_without_asking_the_one_that_issued_it() {
    let pair = Pair::new(true).await;
    let token = pair.founder.admin().await;
    let roles = names(&pair.other, &token).expect("the token counts");
    assert!(roles.contains(&"admin".to_owned()), "{roles:?}");
}

#[tokio::test]
async fn a_trusted_sites_key_counts_for_a_domain_from_when_it_was_let_in() {
    let pair = Pair::new(true).await;
    let token = pair.other.admin().await;
    assert!(
        pair.other.caller(&token).is_some(),
        "a site believes itself"
    );
    assert!(pair.founder.caller(&token).is_none());
    let wanted = [DomainId::parse("default").unwrap()];
    let follower = pair.other_site();
    let admitted = admit_follower(&pair.founder.services, follower, &wanted).await;
    assert_eq!(admitted.unwrap(), wanted);
    let roles = names(&pair.founder, &token).expect("the token counts");
    assert!(roles.contains(&"admin".to_owned()), "{roles:?}");
}

#[tokio::test]
async fn an_edge_site_is_let_into_a_domain_only_where_somebody_allowed_it() {
    let pair = Pair::new(false).await;
    let wanted = [DomainId::parse("default").unwrap()];
    let follower = pair.other_site();
    let ask = || admit_follower(&pair.founder.services, follower, &wanted);
    assert_eq!(ask().await.unwrap(), []);
    pair.allow().await;
    assert_eq!(ask().await.unwrap(), wanted);
    disallow_site(&pair.founder.services, follower, "default")
        .await
        .unwrap();
    assert_eq!(ask().await.unwrap(), []);
}

#[tokio::test]
async fn a_ticket_names_domains_that_the_site_it_admitted_may_hold() {
    let pair = Pair::new(false).await;
    let default = DomainId::parse("default").unwrap();
    let founder = &pair.founder.services;
    pair.admit(Some(vec![default.clone()])).await;
    let wanted = [default];
    let admitted = admit_follower(founder, pair.other_site(), &wanted).await;
    assert_eq!(admitted.unwrap(), wanted);
    let token = pair.other.admin().await;
    assert!(pair.founder.caller(&token).is_some());
}

#[tokio::test]
async fn an_edge_sites_key_opens_neither_the_system_nor_the_whole_cloud() {
    let pair = Pair::new(false).await;
    pair.allow().await;
    let system = json!({"system": {"all": true}});
    let system = pair.other.login("admin", PASSWORD, system).await.unwrap();
    assert!(
        pair.other.caller(&system).is_some(),
        "a site believes itself"
    );
    assert!(pair.founder.caller(&system).is_none());
    let project = pair.other.admin().await;
    let roles = names(&pair.founder, &project).expect("as a member the token counts");
    assert!(roles.contains(&"member".to_owned()), "{roles:?}");
    assert!(!roles.contains(&"admin".to_owned()), "{roles:?}");
}

#[tokio::test]
async fn a_key_counts_for_nothing_once_its_site_is_out_of_the_domain_or_the_cloud() {
    let pair = Pair::new(false).await;
    pair.allow().await;
    let token = pair.other.admin().await;
    assert!(pair.founder.caller(&token).is_some());
    let (follower, founder) = (pair.other_site(), &pair.founder.services);
    disallow_site(founder, follower, "default").await.unwrap();
    assert!(pair.founder.caller(&token).is_none());
    pair.level().await;
    allow_site(founder, follower, "default").await.unwrap();
    assert!(pair.founder.caller(&token).is_some());
    pair.known.views.lock().unwrap().pop();
    pair.level().await;
    pair.founder.user("bob", "member").await;
    assert!(pair.founder.caller(&token).is_none());
}

#[tokio::test]
async fn presence_that_another_site_claims_for_itself_counts_for_nothing() {
    let pair = Pair::new(false).await;
    let default = DomainId::parse("default").unwrap();
    let claimed = DomainPresence::new(&default, pair.other_site(), true);
    let refused = transact(&pair.other.services, |tx| {
        tx.put(claimed.clone())?;
        Ok::<_, Refusal>(())
    });
    assert!(refused.await.is_err());
    let token = pair.other.admin().await;
    assert!(pair.founder.caller(&token).is_none());
}

#[tokio::test]
async fn an_edge_site_gives_its_people_roles_in_its_own_domain_alone() {
    let pair = Pair::new(false).await;
    let (domain, eve, own) = pair.domain_of_other().await;
    let founder = &pair.founder;
    let (_, theirs) = founder.user("ada", "member").await;
    let theirs = ProjectId::parse(&theirs).unwrap();
    pair.level().await;
    for place in [
        Place::Project(own.clone()),
        Place::Project(theirs.clone()),
        Place::System,
    ] {
        pair.claim_admin(&domain, &eve, place).await;
    }
    let scopes = [project_scope(&theirs), json!({"system": {"all": true}})];
    for scope in scopes {
        let refused = founder.token(password_of(&eve), scope).await;
        assert_eq!(refused, Err(StatusCode::UNAUTHORIZED));
    }
    let token = founder.token(password_of(&eve), project_scope(&own)).await;
    let roles = names(founder, &token.unwrap()).expect("as a member of the own project");
    assert!(roles.contains(&"manager".to_owned()), "{roles:?}");
    assert!(!roles.contains(&"admin".to_owned()), "{roles:?}");
}

#[tokio::test]
async fn a_token_ends_everywhere_wherever_it_was_revoked() {
    let pair = Pair::new(true).await;
    let (token, second) = (pair.founder.admin().await, pair.founder.admin().await);
    pair.level().await;
    let header = ("x-subject-token", token.as_str());
    let status = pair.other.delete_token(&second, header).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(pair.other.caller(&token).is_none());
    pair.level().await;
    assert!(pair.founder.caller(&token).is_none());
    assert!(pair.founder.caller(&second).is_some());
}

#[tokio::test]
async fn who_logs_in_where_the_domain_is_not_held_hears_which_site_is_silent() {
    let pair = Pair::new(true).await;
    pair.known.follows.store(false, Ordering::Relaxed);
    let scope = scope_of("admin");
    let refused = pair.other.login("admin", PASSWORD, scope.clone()).await;
    assert_eq!(refused, Err(StatusCode::SERVICE_UNAVAILABLE));
    let wanted = Interest::Domain(DomainId::parse("default").unwrap());
    assert_eq!(pair.known.asked.lock().unwrap().last(), Some(&wanted));
    pair.allow().await;
    // Now the domain is here, and nobody is asked any more.
    assert!(pair.other.login("admin", PASSWORD, scope).await.is_ok());
    let refused = pair.other.login("nobody", PASSWORD, Value::Null).await;
    assert_eq!(refused, Err(StatusCode::UNAUTHORIZED));
    let asked = pair.known.asked.lock().unwrap();
    let domains = asked.iter().filter(|interest| **interest == wanted);
    assert_eq!(domains.count(), 1);
}

#[tokio::test]
async fn the_feeds_are_told_once_an_hour_which_projects_are_used() {
    let pair = Pair::new(true).await;
    let token = pair.founder.admin().await;
    let told = || {
        let asked = pair.known.asked.lock().unwrap();
        let projects = asked
            .iter()
            .filter(|one| matches!(one, Interest::Project(_)));
        projects.count()
    };
    for (seconds, expected) in [(0, 1), (10, 1), (3600, 1)] {
        pair.founder.tick(seconds);
        let token = if seconds == 3600 {
            pair.founder.admin().await
        } else {
            token.clone()
        };
        for _ in 0..3 {
            authenticate(&pair.founder.services, &token).unwrap();
            tokio::task::yield_now().await;
        }
        let expected = if seconds == 3600 { 2 } else { expected };
        assert_eq!(told(), expected, "after {seconds} s");
    }
}

#[tokio::test]
async fn a_valid_token_of_a_domain_that_is_not_held_makes_the_site_follow_it() {
    let pair = Pair::new(true).await;
    let token = pair.founder.admin().await;
    assert!(welcome(&pair.other.services, &token).await.is_ok());
    let forged = format!("{token}x");
    assert!(welcome(&pair.other.services, &forged).await.is_err());
    assert!(
        pair.known
            .asked
            .lock()
            .unwrap()
            .iter()
            .all(|interest| matches!(interest, Interest::Project(_))),
        "what is here, and what is forged, makes nobody follow a domain"
    );
}
