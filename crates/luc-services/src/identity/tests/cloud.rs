//! A cloud for tests of the identity service: nothing but its records, a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::StatusCode;
use luc_api::policy::Policy;
use luc_api::value::Secret;
use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;
use luc_state::{MemoryEngine, Store, StoreOptions};
use serde_json::{Value, json};

use crate::Services;
use crate::caller::Caller;
use crate::compute::{self, Compute};
use crate::identity::{self, Founding, HashCost, Identity, SigningKey};
use crate::image::Images;
use crate::image::blob::DiskBlobs;
use crate::ports::sites::{SingleSite, Sites};
use crate::testing::{Counted, Deaf, NoHosts, StoppedClock};

/// Everybody's password.
pub(crate) const PASSWORD: &str = "open sesame";

/// A cloud.
pub(crate) struct Cloud {
    pub(crate) services: Arc<Services>,
    clock: Arc<StoppedClock>,
    _blobs: tempfile::TempDir,
}

impl Cloud {
    /// One that is not founded yet.
    pub(crate) async fn bare() -> Self {
        let site = SitePrefix::of_key(b"the site of the tests");
        let sites = Arc::new(SingleSite::new(site, "site-1"));
        Self::of_engine(site, MemoryEngine::sole(), sites).await
    }

    /// The site `site` over `engine`, which may hold the records of other sites, too.
    pub(crate) async fn of_engine(
        site: SitePrefix,
        engine: MemoryEngine,
        sites: Arc<dyn Sites>,
    ) -> Self {
        let clock = Arc::new(StoppedClock::default());
        let start = site.as_bytes().iter().map(|byte| u64::from(*byte)).sum();
        let random = Arc::new(Counted::from(start));
        let blobs = tempfile::tempdir().unwrap();
        let schema = identity::schema()
            .and(Images::tables())
            .and(compute::schema())
            .and(crate::operations::schema())
            .and(crate::sites::schema());
        let options = StoreOptions::new(site, SplitMix64::new(3));
        let (store, driver) = Store::open(Arc::new(engine), schema, options)
            .await
            .unwrap();
        tokio::spawn(driver);
        let key = SigningKey::generate(site, &*random);
        let lifetime = Duration::from_secs(3600);
        let services = Arc::new(Services {
            store,
            site,
            policy: Arc::new(Policy::with_defaults()),
            routes: Arc::new(crate::http::Routes::from_table()),
            operations: Arc::default(),
            sites,
            clock: clock.clone(),
            identity: Arc::new(Identity::new(key, lifetime, HashCost::LEAST, &*random).unwrap()),
            random,
            observer: Arc::new(Deaf),
            image: Arc::new(Images::new(Arc::new(
                DiskBlobs::open(blobs.path()).unwrap(),
            ))),
            compute: Arc::new(Compute::new(Arc::new(NoHosts), "site-1".to_owned())),
        });
        Self {
            services,
            clock,
            _blobs: blobs,
        }
    }

    /// One with an administrator.
    pub(crate) async fn founded() -> Self {
        let cloud = Self::bare().await;
        identity::bootstrap(&cloud.services, &founding(PASSWORD))
            .await
            .unwrap();
        cloud
    }

    /// Lets time pass.
    pub(crate) fn tick(&self, seconds: i64) {
        self.clock.pass(seconds);
    }

    /// Asks; the status and the body of the answer.
    pub(crate) async fn ask(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let (status, _, body) = self.answer(token, method, path, body).await;
        (status, body)
    }

    /// Asks for what must succeed.
    pub(crate) async fn done(&self, token: &str, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(token, method, path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    /// A token of a user for a scope.
    pub(crate) async fn login(
        &self,
        user: &str,
        password: &str,
        scope: Value,
    ) -> Result<String, StatusCode> {
        let domain = json!({"id": "default"});
        let user = json!({"name": user, "domain": domain, "password": password});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        self.token(identity, scope).await
    }

    /// A token by any method; no scope if `scope` is null.
    pub(crate) async fn token(&self, identity: Value, scope: Value) -> Result<String, StatusCode> {
        let mut auth = json!({"identity": identity});
        if !scope.is_null() {
            auth["scope"] = scope;
        }
        let path = "/identity/v3/auth/tokens";
        let (status, token, _) = self.answer("", "POST", path, json!({"auth": auth})).await;
        token
            .filter(|_| status == StatusCode::CREATED)
            .ok_or(status)
    }

    /// The administrator's token.
    pub(crate) async fn admin(&self) -> String {
        self.login("admin", PASSWORD, scope_of("admin"))
            .await
            .unwrap()
    }

    /// Makes a user with a role on a new project of the same name; the ids of both.
    pub(crate) async fn user(&self, name: &str, role: &str) -> (String, String) {
        let admin = self.admin().await;
        let body = json!({"user": {"name": name, "password": PASSWORD}});
        let user = id(&self.done(&admin, "POST", "/identity/v3/users", body).await["user"]);
        let body = json!({"project": {"name": name}});
        let made = self
            .done(&admin, "POST", "/identity/v3/projects", body)
            .await;
        let project = id(&made["project"]);
        let role = self.role(role).await;
        let path = format!("/identity/v3/projects/{project}/users/{user}/roles/{role}");
        self.done(&admin, "PUT", &path, Value::Null).await;
        (user, project)
    }

    /// The id of the role of this name.
    pub(crate) async fn role(&self, name: &str) -> String {
        let path = format!("/identity/v3/roles?name={name}");
        let admin = self.admin().await;
        id(&self.done(&admin, "GET", &path, Value::Null).await["roles"][0])
    }

    /// Whom a token means at this moment, if it counts.
    pub(crate) fn caller(&self, token: &str) -> Option<Arc<Caller>> {
        identity::authenticate(&self.services, token).ok()
    }

    /// Ends the token that `header` names.
    pub(crate) async fn delete_token(&self, token: &str, header: (&str, &str)) -> StatusCode {
        let path = "/identity/v3/auth/tokens";
        let request = http::Request::builder().method("DELETE").uri(path);
        let request = request
            .header("x-auth-token", token)
            .header(header.0, header.1);
        let request = request.body(Body::empty()).unwrap();
        let answer = crate::http::respond(&self.services, request).await;
        answer.unwrap().status()
    }

    async fn answer(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> (StatusCode, Option<String>, Value) {
        let mut request = http::Request::builder().method(method).uri(path);
        request = request
            .header("host", "cloud.example")
            .header("content-type", "application/json");
        if !token.is_empty() {
            request = request.header("x-auth-token", token);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let request = request.body(body).unwrap();
        let answer = crate::http::respond(&self.services, request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let issued = parts.headers.get("x-subject-token");
        let issued = issued.map(|value| value.to_str().unwrap().to_owned());
        (
            parts.status,
            issued,
            serde_json::from_slice(&body).unwrap_or_default(),
        )
    }
}

/// What a founder decides.
pub(crate) fn founding(password: &str) -> Founding {
    Founding {
        password: Secret::new(password),
        region: "RegionOne".to_owned(),
    }
}

/// The scope of a project of the default domain.
pub(crate) fn scope_of(project: &str) -> Value {
    json!({"project": {"name": project, "domain": {"id": "default"}}})
}

/// The id of a thing.
pub(crate) fn id(thing: &Value) -> String {
    thing["id"].as_str().unwrap().to_owned()
}
