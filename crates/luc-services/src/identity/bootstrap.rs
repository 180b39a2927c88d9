//! Founds the identity of a cloud: what must be there before anybody can ask for anything.
//!
//! As `keystone-manage bootstrap`: the domain `default`, the project and user `admin`, the roles
//! admin ⊃ manager ⊃ member ⊃ reader and `service`, a region, and catalog entries for the services
//! of this program. Each thing is made only if it is not there, so it can be run again; an admin's
//! password that was set since stays as it is.

use luc_api::identity::requests::BASE_URL;
use luc_api::value::Secret;
use luc_api::{ApiError, Service};
use luc_core::id::{DomainId, EndpointId, ProjectId, RegionId, RoleId, ServiceId, UserId};
use luc_core::time::Timestamp;
use luc_state::{Tx, key};
use serde_json::json;

use super::bits;
use super::model::{
    Actor, Assignment, CatalogEndpoint, CatalogService, DEFAULT_DOMAIN, Domain, Extra, Hashed,
    IMMUTABLE, ImpliedRole, Place, Project, PublicKey, Region, Role, User,
};
use super::refusal::{Refusal, transact};
use crate::Services;
use crate::ports::Drawn;

/// What the founder of a cloud decides.
#[derive(Clone, Debug)]
pub struct Founding {
    /// The password of the user `admin`.
    pub password: Secret,
    /// The region of the catalog entries; one for the whole cloud.
    pub region: String,
}

/// The roles that every cloud has, each implying the next; `service` stands apart.
const LADDER: [&str; 4] = ["admin", "manager", "member", "reader"];

/// Founds the identity of a cloud.
pub async fn bootstrap(services: &Services, founding: &Founding) -> Result<(), ApiError> {
    let salt = bits(&*services.random);
    let password = services
        .identity
        .passwords
        .hash(&founding.password, salt)
        .await?;
    let region = RegionId::parse(&founding.region)
        .map_err(|error| ApiError::invalid("region", error.to_string()))?;
    let public = services.identity.key().public();
    let now = services.clock.now();
    transact(services, |tx| {
        enlist(tx, &public)?;
        let found = Found { services };
        let domain = default_domain(tx)?;
        let roles = found.roles(tx)?;
        let admin_project = found.project(tx, &domain, "admin", ADMIN_PROJECT)?;
        found.project(tx, &domain, "service", SERVICE_PROJECT)?;
        let admin = found.admin(tx, &domain, &password, now)?;
        for place in [Place::Project(admin_project), Place::System] {
            let actor = Actor::User(admin.clone());
            tx.put(Assignment::new(actor, place, &roles[0], &domain))?;
        }
        found.catalog(tx, &region)
    })
    .await
}

/// What is said of the projects.
const ADMIN_PROJECT: &str = "Bootstrap project for initializing the cloud.";
const SERVICE_PROJECT: &str = "Project of the services.";

/// Makes sure that the public half of this node's signing key is in the store. To be called at
/// each start, so that a key that was exchanged is known.
pub async fn enlist_key(services: &Services) -> Result<(), ApiError> {
    let public = services.identity.key().public();
    if services
        .store
        .snapshot()
        .get::<PublicKey>(&public.id)
        .is_some()
    {
        return Ok(());
    }
    transact(services, |tx| enlist(tx, &public)).await
}

fn enlist(tx: &mut Tx<'_>, public: &PublicKey) -> Result<(), Refusal> {
    if tx.get::<PublicKey>(&public.id).is_none() {
        tx.insert(public.clone())?;
    }
    Ok(())
}

/// Makes what is not there yet.
struct Found<'s> {
    services: &'s Services,
}

fn default_domain(tx: &mut Tx<'_>) -> Result<DomainId, Refusal> {
    let id = DomainId::parse(DEFAULT_DOMAIN)
        .map_err(|error| ApiError::internal(format!("the default domain: {error}")))?;
    if tx.get::<Domain>(&id).is_none() {
        tx.insert(Domain {
            id: id.clone(),
            name: "Default".to_owned(),
            description: Some("The default domain".to_owned()),
            enabled: true,
            token_epoch: 0,
            tags: Vec::new(),
            options: Extra::new(),
            extra: Extra::new(),
        })?;
    }
    Ok(id)
}

impl Found<'_> {
    fn admin(
        &self,
        tx: &mut Tx<'_>,
        domain: &DomainId,
        password: &Hashed,
        now: Timestamp,
    ) -> Result<UserId, Refusal> {
        if let Some(user) = tx.one(&User::BY_NAME, &key(&[domain.as_str(), "admin"])) {
            return Ok(user.id.clone());
        }
        let user = tx.insert(User {
            id: UserId::born_at(self.services.site, &mut Drawn(&*self.services.random)),
            domain_id: domain.clone(),
            name: "admin".to_owned(),
            enabled: true,
            default_project_id: None,
            password: Some(password.clone()),
            token_epoch: 0,
            options: Extra::new(),
            extra: Extra::new(),
            created_at: now,
        })?;
        Ok(user.id.clone())
    }

    /// The roles of the ladder, the highest first.
    fn roles(&self, tx: &mut Tx<'_>) -> Result<Vec<RoleId>, Refusal> {
        let roles = LADDER.map(|name| self.role(tx, name));
        let roles = roles.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.role(tx, "service")?;
        for pair in roles.windows(2) {
            if let [prior, implied] = pair {
                tx.put(ImpliedRole::new(prior, implied))?;
            }
        }
        Ok(roles)
    }

    fn role(&self, tx: &mut Tx<'_>, name: &str) -> Result<RoleId, Refusal> {
        if let Some(role) = tx.one(&Role::BY_NAME, &key(&["", name])) {
            return Ok(role.id.clone());
        }
        let mut options = Extra::new();
        options.insert(IMMUTABLE.to_owned(), json!(true));
        let role = tx.insert(Role {
            id: RoleId::born_at(self.services.site, &mut Drawn(&*self.services.random)),
            name: name.to_owned(),
            domain_id: None,
            description: None,
            options,
            extra: Extra::new(),
        })?;
        Ok(role.id.clone())
    }

    fn project(
        &self,
        tx: &mut Tx<'_>,
        domain: &DomainId,
        name: &str,
        description: &str,
    ) -> Result<ProjectId, Refusal> {
        if let Some(project) = tx.one(&Project::BY_NAME, &key(&[domain.as_str(), name])) {
            return Ok(project.id.clone());
        }
        let project = tx.insert(Project {
            id: ProjectId::born_at(self.services.site, &mut Drawn(&*self.services.random)),
            domain_id: domain.clone(),
            parent: None,
            name: name.to_owned(),
            description: Some(description.to_owned()),
            enabled: true,
            token_epoch: 0,
            tags: Vec::new(),
            options: Extra::new(),
            extra: Extra::new(),
        })?;
        Ok(project.id.clone())
    }

    /// The region, and for each service of this program an entry with its three interfaces.
    fn catalog(&self, tx: &mut Tx<'_>, region: &RegionId) -> Result<(), Refusal> {
        if tx.get::<Region>(region).is_none() {
            tx.insert(Region {
                id: region.clone(),
                description: String::new(),
                parent: None,
                extra: Extra::new(),
            })?;
        }
        for service in Service::ALL {
            let kind = service.facts().catalog_type;
            if !tx.find(&CatalogService::BY_TYPE, &key(&[kind])).is_empty() {
                continue;
            }
            let entry = tx.insert(CatalogService {
                id: ServiceId::born_at(self.services.site, &mut Drawn(&*self.services.random)),
                kind: kind.to_owned(),
                name: service.facts().catalog_name.to_owned(),
                enabled: true,
                extra: Extra::new(),
            })?;
            for interface in ["public", "internal", "admin"] {
                tx.insert(CatalogEndpoint {
                    id: EndpointId::born_at(self.services.site, &mut Drawn(&*self.services.random)),
                    service_id: entry.id.clone(),
                    interface: interface.to_owned(),
                    url: service.url(BASE_URL),
                    region_id: Some(region.clone()),
                    enabled: true,
                    extra: Extra::new(),
                })?;
            }
        }
        Ok(())
    }
}
