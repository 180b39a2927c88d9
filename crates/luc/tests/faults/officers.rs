//! An officer who sets limits of another sort while clients work: those of all projects, which are
//! a class's, those of one user inside a project, and what of a limit is kept for a site.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use luc_core::id::ProjectId;
use luc_services::Services;
use luc_services::compute::model::lease::{Item, QuotaLease, Share};
use luc_services::compute::model::quota::Resource;
use luc_services::compute::quota;
use luc_state::TxError;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::broken::Rule;
use crate::draw::Draw;
use crate::shares::Counted;
use crate::speech::Ask;
use crate::world::{World, text};

/// How often something is tried again after everything is healed.
const AGAIN: u32 = 30;

/// The officer of a cloud.
pub(crate) struct Officer {
    world: Arc<World>,
    /// Good at the founder.
    token: String,
    /// The user whose limits are set: the admin, as whom nearly everybody works.
    user: String,
    draw: Draw,
}

impl Officer {
    /// The officer, in half of all clouds.
    pub(crate) async fn hired(world: &Arc<World>, seed: u64) -> Option<Self> {
        let mut draw = Draw::new(seed, 500);
        if draw.chance(500) {
            return None;
        }
        let project = json!({"id": world.workplaces[0].project});
        let token = world.login(0, &project).await;
        let users = Ask::new(
            Method::GET,
            "/identity/v3/users?name=admin&domain_id=default",
            Value::Null,
        );
        let found = world.insist(0, &users, &token).await;
        Some(Self {
            world: Arc::clone(world),
            user: text(&found.body["users"][0]["id"]),
            token,
            draw,
        })
    }

    /// Works until `end`.
    pub(crate) async fn run(mut self, end: Instant) -> Self {
        while Instant::now() < end {
            match self.draw.below(3) {
                0 => self.limit_a_class().await,
                1 => self.limit_a_user().await,
                _ => self.reserve().await,
            }
            sleep(self.draw.millis(300, 2_500)).await;
        }
        self
    }

    async fn ask(&self, ask: &Ask) {
        let answer = self.world.ask(0, ask, &self.token).await;
        self.world.say(|| {
            let answer = answer.map(|answer| (answer.status, answer.message()));
            format!(
                "the officer: {} {} {} → {answer:?}",
                ask.method, ask.path, ask.body
            )
        });
    }

    /// A limit, or now and then -1 for none.
    fn or_none(&mut self, limit: u64) -> Value {
        if self.world.without_limits && self.draw.chance(300) {
            return json!(-1);
        }
        json!(limit)
    }

    async fn limit_a_class(&mut self) {
        let resource = Counted::ALL[self.draw.place(2)].resource();
        let limit = 4 + self.draw.below(9);
        let limit = self.or_none(limit);
        let body = json!({"quota_class_set": {resource: limit}});
        let path = "/compute/v2.1/os-quota-class-sets/default";
        self.ask(&Ask::new(Method::PUT, path, body)).await;
    }

    /// Where the limits of the user in a project are.
    fn path(&self, project: &str) -> String {
        format!(
            "/compute/v2.1/os-quota-sets/{project}?user_id={}",
            self.user
        )
    }

    async fn limit_a_user(&mut self) {
        let work = self.draw.place(self.world.workplaces.len());
        let path = self.path(&self.world.workplaces[work].project);
        if self.draw.chance(150) {
            return self.ask(&Ask::new(Method::DELETE, path, Value::Null)).await;
        }
        let resource = Counted::ALL[self.draw.place(2)].resource();
        let limit = 2 + self.draw.below(6);
        let mut set = json!({resource: self.or_none(limit)});
        if self.draw.chance(300) {
            set["force"] = json!(true);
        }
        let body = json!({"quota_set": set});
        self.ask(&Ask::new(Method::PUT, path, body)).await;
    }

    /// As `luc quota reserve` at the home of the limit.
    async fn reserve(&mut self) {
        let home = self.draw.place(self.world.workplaces.len());
        let at = self.draw.place(self.world.founded);
        let resource = Counted::ALL[self.draw.place(2)].resource();
        let count = self.draw.below(4);
        let Some(running) = self.world.sites[home].running() else {
            return;
        };
        let project = self.project(home);
        let site = &self.world.sites[at];
        let resource = Resource::named(resource).expect("a resource");
        let item = Item {
            resource,
            user: None,
        };
        let reserve = Share([(item, count)].into());
        let kept = tokio::select! {
            biased;
            () = running.gone.cancelled() => return,
            kept = async {
                if site.broken == Some(Rule::ReservesUnchecked) {
                    promise(&running.services, &project, site.prefix, &reserve).await
                } else {
                    let services = &running.services;
                    let kept = quota::set_reserve(services, &project, site.prefix, &reserve);
                    kept.await.map_err(|error| error.to_string())
                }
            } => kept,
        };
        self.world.say(|| {
            let name = &site.name;
            format!("the officer keeps {reserve:?} of {project} for {name}: {kept:?}")
        });
    }

    fn project(&self, work: usize) -> ProjectId {
        ProjectId::parse(&self.world.workplaces[work].project).expect("an id")
    }

    /// After the heal: nobody has limits apart any more, and nothing is kept for anybody.
    pub(crate) async fn rest(&self) {
        for (home, work) in self.world.workplaces.iter().enumerate() {
            let none = Ask::new(Method::DELETE, self.path(&work.project), Value::Null);
            self.world.insist(0, &none, &self.token).await;
            for _ in 0..AGAIN {
                if self.free(home).await {
                    break;
                }
                sleep(Duration::from_millis(500)).await;
            }
        }
    }

    /// Whether nothing of the project is kept for a site any more.
    async fn free(&self, home: usize) -> bool {
        let Some(running) = self.world.sites[home].running() else {
            return true;
        };
        let project = self.project(home);
        let snapshot = running.services.store.snapshot();
        let leases = snapshot.all::<QuotaLease>();
        let kept = leases.filter(|lease| lease.project == project && !lease.reserve.is_empty());
        let mut freed = true;
        for lease in kept {
            let nothing = Share::default();
            let done = quota::set_reserve(&running.services, &project, lease.site, &nothing).await;
            freed &= done.is_ok();
        }
        freed
    }
}

/// Keeps a part for a site without a look at what is free.
async fn promise(
    services: &Services,
    project: &ProjectId,
    site: luc_core::SitePrefix,
    reserve: &Share,
) -> Result<(), String> {
    let id = QuotaLease::id_of(project, site);
    let done = services.store.transact(|tx| {
        if let Some(lease) = tx.get::<QuotaLease>(&id) {
            let mut lease = lease.value().clone();
            let much = reserve.0.keys().map(|item| (item.clone(), 9));
            lease.reserve = Share(much.collect());
            lease.granted.share = lease.granted.share.clone().joined(&lease.reserve);
            tx.put(lease)?;
        }
        Ok::<_, TxError>(())
    });
    done.await.map(drop).map_err(|error| error.to_string())
}
