//! Quotas over HTTP: what projects, their users and classes of projects may use.
//!
//! The class `default` holds the limits of all projects that have none of their own. How limits
//! are kept when servers are made stands in [`super::quota`].

mod view;

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::compute::quota::{UpdateQuotaClass, UpdateQuotaSet};
use luc_api::policy::Attributes;
use luc_api::value::LooseBool;
use luc_core::SitePrefix;
use luc_core::id::{ProjectId, UserId};
use luc_state::{Snapshot, Stored, Tx, key};

use super::model::quota::{Limits, QuotaClass, QuotaSet, QuotaUsage, Resource, UNLIMITED, Used};
use super::model::server::Server;
use super::model::server_group::ServerGroup;
use super::page::check_parameters;
use super::projects;
use super::quota::{Allowance, Held, count_closed, count_closed_class, settle, settle_all};
use super::write::{WriteError, transact};
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

/// The longest name of a class, in characters.
const CLASS_NAME_LENGTH_MAX: usize = 255;

fn authorize(request: &Request) -> Result<(), ApiError> {
    request.authorize(&Attributes::new().with("project_id", request.param("project_id")))
}

/// The user inside the project whose quotas are meant.
fn user_of(request: &Request) -> Result<Option<UserId>, ApiError> {
    let named = request.query.get("user_id").filter(|id| !id.is_empty());
    named
        .map(|id| {
            UserId::parse(id).map_err(|error| ApiError::invalid("user_id", error.to_string()))
        })
        .transpose()
}

/// Shows the quotas of a project, or of a user inside it.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    authorize(request)?;
    check_parameters(request, &["user_id"])?;
    let snapshot = services.store.snapshot();
    let project = projects::find(&snapshot, request.param("project_id"))?;
    let user = user_of(request)?;
    let held = Held::of(&snapshot, project.id.as_str());
    let allowance = held.allowance(user.as_ref());
    Reply::json(&view::set(request, Some(project.id.as_str()), &allowance))
}

/// Shows the quotas of a project that has none of its own.
pub(super) fn defaults(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    authorize(request)?;
    let snapshot = services.store.snapshot();
    let project = projects::find(&snapshot, request.param("project_id"))?;
    let class = snapshot.get::<QuotaClass>(QuotaClass::DEFAULT);
    let allowance = Allowance::of(class.as_deref().map(Stored::value), None, None);
    Reply::json(&view::set(request, Some(project.id.as_str()), &allowance))
}

/// Shows the quotas of a project, or of a user inside it, and what is used of them.
pub(super) fn detail(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    authorize(request)?;
    check_parameters(request, &["user_id"])?;
    let snapshot = services.store.snapshot();
    let project = projects::find(&snapshot, request.param("project_id"))?;
    let user = user_of(request)?;
    let held = Held::of(&snapshot, project.id.as_str());
    let usage = Usage::of(services, &snapshot, &project.id, user.as_ref());
    let allowance = held.allowance(user.as_ref());
    Reply::json(&view::detail(
        request,
        project.id.as_str(),
        &allowance,
        &usage,
    ))
}

/// Sets quotas of a project, or of a user inside it.
pub(super) async fn update(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    authorize(request)?;
    check_parameters(request, &["user_id"])?;
    let change = request.body::<UpdateQuotaSet>()?.quota_set;
    let user = user_of(request)?;
    let project = projects::find(&services.store.snapshot(), request.param("project_id"))?;
    let forced = change.force == Some(LooseBool(true));
    let limits = named(change.limits());
    transact(&services.store, |tx| {
        if !forced {
            check_settable(tx, services.site, (&project.id, user.as_ref()), &limits)?;
        }
        let stored = tx.get::<QuotaSet>(&project.id);
        let mut set = stored.map_or_else(
            || QuotaSet {
                project: project.id.clone(),
                domain: project.domain_id.clone(),
                limits: Limits::new(),
                users: std::collections::BTreeMap::new(),
                closed: std::collections::BTreeMap::new(),
            },
            |stored| stored.value().clone(),
        );
        let before = set.clone();
        let target = match &user {
            Some(user) => set.users.entry(user.clone()).or_default(),
            None => &mut set.limits,
        };
        target.extend(limits.clone());
        count_closed(tx, &before, &mut set);
        tx.put(set)?;
        Ok(())
    })
    .await?;
    // What other sites hold beyond a limit that was lowered is asked for at once; it is not for
    // the caller to wait for those that are silent.
    settle(services, &project.id).await?;
    let held = Held::of(&services.store.snapshot(), project.id.as_str());
    Reply::json(&view::set(request, None, &held.allowance(user.as_ref())))
}

/// The limits of a body by resource.
fn named(limits: impl Iterator<Item = (&'static str, i64)>) -> Limits {
    limits
        .filter_map(|(name, limit)| Some((Resource::named(name)?, limit)))
        .collect()
}

/// Refuses limits below what is used or promised already, and a user's above the project's.
fn check_settable(
    tx: &Tx<'_>,
    site: SitePrefix,
    (project, user): (&ProjectId, Option<&UserId>),
    limits: &Limits,
) -> Result<(), WriteError> {
    let held = Held::within(tx, project.as_str());
    let whole = held.allowance(None);
    let usage = Usage::within(tx, site, project, user);
    let set = tx.get::<QuotaSet>(project);
    for (&resource, &limit) in limits {
        let promised = |limits: &Limits| limits.get(&resource).copied().unwrap_or_default();
        let least = match (user, &set) {
            // What users inside the project were promised together.
            (None, Some(set)) => set.users.values().map(promised).filter(|l| *l > 0).sum(),
            _ => 0,
        };
        let least = least.max(i64::try_from(usage.count(resource)).unwrap_or(i64::MAX));
        let most = if user.is_some() {
            whole.limit(resource)
        } else {
            UNLIMITED
        };
        let name = resource.name();
        if limit != UNLIMITED && limit < least {
            return Err(ApiError::bad_request(format!(
                "Quota limit {limit} for {name} must be greater than or equal to already used \
                 and reserved {least}."
            ))
            .into());
        }
        if most != UNLIMITED && (limit == UNLIMITED || limit > most) {
            return Err(ApiError::bad_request(format!(
                "Quota limit {limit} for {name} must be less than or equal to {most}."
            ))
            .into());
        }
    }
    Ok(())
}

/// Sets the quotas of a project, or of a user inside it, back to the defaults.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    authorize(request)?;
    check_parameters(request, &["user_id"])?;
    let user = user_of(request)?;
    let project = request.param("project_id");
    let snapshot = services.store.snapshot();
    transact(&services.store, |tx| -> Result<(), WriteError> {
        let Some(stored) = tx.get::<QuotaSet>(project) else {
            // The quotas of a project outlive it, so it is only asked for where there are none.
            return projects::find(&snapshot, project)
                .map(drop)
                .map_err(WriteError::from);
        };
        let mut set = stored.value().clone();
        if let Some(user) = &user {
            set.users.remove(user);
        } else {
            set.limits.clear();
            set.users.clear();
        }
        count_closed(tx, stored.value(), &mut set);
        if set.limits.is_empty() && set.users.is_empty() && set.closed.is_empty() {
            tx.delete::<QuotaSet>(project)?;
        } else if set != *stored.value() {
            tx.update(set)?;
        }
        Ok(())
    })
    .await?;
    if let Ok(project) = ProjectId::parse(project) {
        settle(services, &project).await?;
    }
    Ok(Reply::empty())
}

/// Shows the limits of a class; one that was never set has the defaults.
pub(super) fn show_class(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let name = class_of(request)?;
    let class = services.store.snapshot().get::<QuotaClass>(name);
    Reply::json(&view::class(
        request,
        Some(name),
        &allowance_of(class.as_ref()),
    ))
}

/// Sets limits of a class.
pub(super) async fn update_class(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    let name = class_of(request)?;
    let limits = named(request.body::<UpdateQuotaClass>()?.quota_class_set.limits());
    transact(&services.store, |tx| -> Result<(), WriteError> {
        let stored = tx.get::<QuotaClass>(name);
        let mut class = stored.map_or_else(
            || QuotaClass {
                name: name.to_owned(),
                limits: Limits::new(),
                closed: std::collections::BTreeMap::new(),
            },
            |stored| stored.value().clone(),
        );
        let before = class.clone();
        class.limits.extend(limits.clone());
        count_closed_class(&before, &mut class);
        tx.put(class)?;
        Ok(())
    })
    .await?;
    settle_all(services).await?;
    let class = services.store.snapshot().get::<QuotaClass>(name);
    Reply::json(&view::class(request, None, &allowance_of(class.as_ref())))
}

fn class_of(request: &Request) -> Result<&str, ApiError> {
    let name = request.param("class");
    if name.chars().count() <= CLASS_NAME_LENGTH_MAX {
        return Ok(name);
    }
    let reason = format!("has more than {CLASS_NAME_LENGTH_MAX} characters");
    Err(ApiError::invalid("quota_class_name", reason))
}

fn allowance_of(class: Option<&Arc<Stored<QuotaClass>>>) -> Allowance<'_> {
    Allowance::of(class.map(|class| class.value()), None, None)
}

/// What is used of the resources that have a counter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    used: Used,
    server_groups: u64,
}

impl Usage {
    /// What is used of `resource`. Nova counts nothing else per project.
    pub(super) fn count(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Cores => self.used.cores,
            Resource::Instances => self.used.instances,
            Resource::Ram => self.used.ram,
            Resource::ServerGroups => self.server_groups,
            _ => 0,
        }
    }

    /// What `project`, or `user` inside it, uses: here by the books, at other sites by the copies
    /// of their servers.
    pub(super) fn of(
        services: &Services,
        snapshot: &Snapshot,
        project: &ProjectId,
        user: Option<&UserId>,
    ) -> Self {
        let mut foreign = Used::default();
        if services.sites.all().len() > 1 {
            let servers = snapshot.find(&Server::BY_PROJECT, &key(&[project.as_str()]));
            let servers = servers.filter(|server| server.home() != services.site);
            foreign = sum(servers, user);
        }
        let groups = snapshot.find(&ServerGroup::BY_PROJECT, &key(&[project.as_str()]));
        let groups = groups
            .filter(|group| user.is_none_or(|user| group.user == *user))
            .count();
        let counted = snapshot.get::<QuotaUsage>(project);
        Self::new(counted.as_deref(), foreign, groups, user)
    }

    fn within(tx: &Tx<'_>, site: SitePrefix, project: &ProjectId, user: Option<&UserId>) -> Self {
        let servers = tx.find(&Server::BY_PROJECT, &key(&[project.as_str()]));
        let servers = servers.into_iter().filter(|server| server.home() != site);
        let foreign = sum(servers, user);
        let groups = tx.find(&ServerGroup::BY_PROJECT, &key(&[project.as_str()]));
        let of_user = |group: &&Arc<Stored<ServerGroup>>| user.is_none_or(|id| group.user == *id);
        let groups = groups.iter().filter(of_user).count();
        let counted = tx.get::<QuotaUsage>(project);
        Self::new(counted.as_deref(), foreign, groups, user)
    }

    fn new(
        counted: Option<&Stored<QuotaUsage>>,
        foreign: Used,
        groups: usize,
        user: Option<&UserId>,
    ) -> Self {
        let amounts = counted.map_or_else(Used::default, |counted| match user {
            Some(user) => counted.users.get(user).copied().unwrap_or_default(),
            None => counted.used,
        });
        Self {
            used: Used {
                instances: amounts.instances + foreign.instances,
                cores: amounts.cores + foreign.cores,
                ram: amounts.ram + foreign.ram,
            },
            server_groups: groups as u64,
        }
    }
}

/// What `servers` count for, or those of `user` among them.
fn sum(servers: impl Iterator<Item = Arc<Stored<Server>>>, user: Option<&UserId>) -> Used {
    let servers = servers.filter(|server| user.is_none_or(|user| server.user == *user));
    servers.fold(Used::default(), |used, server| {
        let size = server.charge();
        Used {
            instances: used.instances + 1,
            cores: used.cores + size.vcpus.get(),
            ram: used.ram + size.memory.get(),
        }
    })
}
