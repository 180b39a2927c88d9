//! What a site owns of the identity of a cloud, and how it brings its people into another one.
//!
//! A site joins a cloud empty. One that has people of its own is refused with their names
//! ([`identity_owned`]), or its `default` domain becomes an ordinary one with a new id and this
//! site as home ([`as_domain`]) in one transaction, before the first record of the cloud arrives.
//! What every cloud has once (roles, catalog, flavors, default limits) is then the cloud's, not
//! this site's. State contract, "Joining".

use std::collections::BTreeMap;

use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::id::{DomainId, RoleId};
use luc_state::{Record, Snapshot, Tx, key};

use super::domains::of_domain;
use super::model::{
    AccessRule, AppCred, Assignment, CatalogEndpoint, CatalogService, DEFAULT_DOMAIN, Domain,
    Group, ImpliedRole, Membership, Place, Project, Region, Role, User,
};
use super::refusal::{Refusal, conflict, transact};
use crate::Services;
use crate::compute::model::flavor::Flavor;
use crate::compute::model::keypair::Keypair;
use crate::compute::model::quota::{QuotaClass, QuotaSet};
use crate::image::model::{Image, Visibility};
use crate::ports::Drawn;

/// The names of the domains, projects, groups and users whose home `site` is.
pub fn identity_owned(snapshot: &Snapshot, site: SitePrefix) -> Vec<String> {
    let mut names = Vec::new();
    for domain in snapshot.all::<Domain>().filter(|it| it.home() == site) {
        names.push(format!("domain {}", domain.name));
    }
    for project in snapshot.all::<Project>().filter(|it| it.home() == site) {
        names.push(format!("project {}", project.name));
    }
    for group in snapshot.all::<Group>().filter(|it| it.home() == site) {
        names.push(format!("group {}", group.name));
    }
    for user in snapshot.all::<User>().filter(|it| it.home() == site) {
        names.push(format!("user {}", user.name));
    }
    names
}

/// What became of the `default` domain of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsDomain {
    /// Its new id.
    pub domain: DomainId,
    /// What did not come along, for whoever asked: the cloud that is joined has its own.
    pub left: Vec<String>,
}

/// Makes the `default` domain of this site an ordinary one called `name`, with this site as home.
/// `roles` are the roles of the cloud that the site joins, by name: assignments keep their role's
/// name. Roles on the system end, for who administers a cloud is its founder's to say. Public
/// images become private to the project that owns them.
pub async fn as_domain(
    services: &Services,
    name: &str,
    roles: &BTreeMap<String, RoleId>,
) -> Result<AsDomain, ApiError> {
    let domain = DomainId::born_at(services.site, &mut Drawn(&*services.random));
    transact(services, |tx| {
        let mut change = Change {
            site: services.site,
            new: domain.clone(),
            roles,
            left: Vec::new(),
        };
        change.domain(tx, name)?;
        change.people(tx)?;
        change.assignments(tx)?;
        change.credentials(tx)?;
        change.others(tx)?;
        change.images(tx)?;
        change.cloud(tx)?;
        Ok(AsDomain {
            domain: domain.clone(),
            left: change.left,
        })
    })
    .await
}

/// The change under way.
struct Change<'c> {
    site: SitePrefix,
    new: DomainId,
    roles: &'c BTreeMap<String, RoleId>,
    left: Vec<String>,
}

impl Change<'_> {
    fn domain(&self, tx: &mut Tx<'_>, name: &str) -> Result<(), Refusal> {
        let old = tx.get::<Domain>(DEFAULT_DOMAIN);
        let old = old.filter(|domain| domain.home() == self.site);
        let old =
            old.ok_or_else(|| ApiError::conflict("This site has no default domain of its own."))?;
        if name.trim().is_empty() {
            return Err(ApiError::invalid("name", "is empty").into());
        }
        let mut domain = old.value().clone();
        domain.id = self.new.clone();
        name.trim().clone_into(&mut domain.name);
        domain.token_epoch += 1;
        tx.delete::<Domain>(DEFAULT_DOMAIN)?;
        tx.insert(domain).map_err(|_| {
            conflict(
                "domain",
                &format!("there is already a domain called {name}."),
            )
        })?;
        Ok(())
    }

    /// The new id in place of the old one.
    fn renamed(&self, domain: &DomainId) -> DomainId {
        if domain.as_str() == DEFAULT_DOMAIN {
            self.new.clone()
        } else {
            domain.clone()
        }
    }

    fn people(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Ok(default) = DomainId::parse(DEFAULT_DOMAIN) else {
            return Ok(());
        };
        let of_default = of_domain(&default);
        for found in tx.find(&User::BY_DOMAIN, &of_default) {
            let mut user = found.value().clone();
            user.domain_id = self.new.clone();
            tx.update(user)?;
        }
        for found in tx.find(&Project::BY_DOMAIN, &of_default) {
            let mut project = found.value().clone();
            project.domain_id = self.new.clone();
            tx.update(project)?;
        }
        for found in tx.find(&Group::BY_DOMAIN, &of_default) {
            let mut group = found.value().clone();
            group.domain_id = self.new.clone();
            tx.update(group)?;
        }
        for found in tx.all::<Membership>() {
            let mut membership = found.value().clone();
            membership.domain_id = self.renamed(&membership.domain_id);
            tx.update(membership)?;
        }
        Ok(())
    }

    fn assignments(&mut self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        for found in tx.all::<Assignment>() {
            let old = found.value().clone();
            tx.delete::<Assignment>(old.id())?;
            let place = match old.place {
                Place::System => {
                    let (kind, id) = old.actor.parts();
                    self.left.push(format!("role on the system of {kind} {id}"));
                    continue;
                }
                Place::Domain(domain) => Place::Domain(self.renamed(&domain)),
                place @ Place::Project(_) => place,
            };
            let role = self.role(tx, &old.role_id)?;
            let domain = self.renamed(&old.domain_id);
            tx.put(Assignment::new(old.actor, place, &role, &domain))?;
        }
        Ok(())
    }

    /// The role of the cloud that has the name of this one.
    fn role(&self, tx: &Tx<'_>, old: &RoleId) -> Result<RoleId, Refusal> {
        let found = tx.get::<Role>(old);
        let name = found
            .as_ref()
            .map_or(old.as_str(), |role| role.name.as_str());
        let role = self.roles.get(name).cloned().ok_or_else(|| {
            ApiError::conflict(format!(
                "The cloud has no role {name}, which is assigned here; make it there, or take it \
                 from everybody here."
            ))
        })?;
        Ok(role)
    }

    fn credentials(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        for found in tx.all::<AppCred>() {
            let mut cred = found.value().clone();
            cred.domain_id = self.renamed(&cred.domain_id);
            let roles = cred.roles.iter().map(|role| self.role(tx, role));
            cred.roles = roles.collect::<Result<_, _>>()?;
            tx.update(cred)?;
        }
        for found in tx.all::<AccessRule>() {
            let mut rule = found.value().clone();
            rule.domain_id = self.renamed(&rule.domain_id);
            tx.update(rule)?;
        }
        Ok(())
    }

    /// What other services keep of the domain.
    fn others(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        for found in tx.all::<Keypair>() {
            let mut pair = found.value().clone();
            pair.domain = self.renamed(&pair.domain);
            tx.update(pair)?;
        }
        for found in tx.all::<QuotaSet>() {
            let mut set = found.value().clone();
            set.domain = self.renamed(&set.domain);
            tx.update(set)?;
        }
        Ok(())
    }

    fn images(&mut self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let of_admin = key(&[self.new.as_str(), "admin"]);
        let admin = tx.one(&Project::BY_NAME, &of_admin);
        for found in tx.all::<Image>() {
            if found.scope() != &luc_state::Scope::Cloud {
                continue;
            }
            let mut image = found.value().clone();
            let admin = admin.as_ref().map(|project| project.id.clone());
            let Some(owner) = image.owner.clone().or(admin) else {
                continue;
            };
            image.owner = Some(owner);
            image.visibility = Visibility::Private;
            let name = image.name.as_deref().unwrap_or(image.id.as_str());
            self.left.push(format!("public visibility of image {name}"));
            tx.update(image)?;
        }
        Ok(())
    }

    /// Removes what every cloud has once.
    fn cloud(&mut self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        for role in self.all::<Role>(tx) {
            if !self.roles.contains_key(&role.name) {
                self.left.push(format!("role {}", role.name));
            }
        }
        for flavor in self.all::<Flavor>(tx) {
            self.left.push(format!("flavor {}", flavor.name));
        }
        self.remove::<Role>(tx)?;
        self.remove::<ImpliedRole>(tx)?;
        self.remove::<CatalogEndpoint>(tx)?;
        self.remove::<CatalogService>(tx)?;
        self.remove::<Region>(tx)?;
        self.remove::<Flavor>(tx)?;
        if self.remove::<QuotaClass>(tx)? > 0 {
            self.left.push("default limits of projects".to_owned());
        }
        Ok(())
    }

    fn all<R: Record>(&self, tx: &Tx<'_>) -> Vec<std::sync::Arc<luc_state::Stored<R>>> {
        let mut own = tx.all::<R>();
        own.retain(|record| record.home() == self.site);
        own
    }

    fn remove<R: Record>(&self, tx: &mut Tx<'_>) -> Result<usize, Refusal> {
        let own = self.all::<R>(tx);
        for record in &own {
            tx.delete::<R>(record.value().id())?;
        }
        Ok(own.len())
    }
}
