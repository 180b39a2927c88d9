//! How far the word of another site counts.
//!
//! A site's key counts only for users whose domain lives at that site, and for places of such
//! domains; what only the cloud's administrators may do counts only from sites that are labelled
//! trusted. The same holds for records: who may do what somewhere is said by the home of the place
//! alone. So a captured edge site can act as the users of the domains that were let in there, and
//! as nobody else. State contract, "Trust between sites".
//!
//! Not here: which sites are trusted (that is what [`Sites::all`] says of them), and how a domain
//! comes to live at a site ([`super::presence`]).
//!
//! [`Sites::all`]: crate::ports::sites::Sites::all

use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::id::UserId;
use luc_state::feed::may_name;
use luc_state::{Snapshot, Stored};

use super::entitlement::{effective_roles, places_of};
use super::model::{Assignment, Domain, DomainPresence, Place, Project, Role};
use crate::Services;
use crate::sites::{Label, Members};

/// The roles that open the whole cloud wherever they are held, as upstream's policies read them.
const CLOUD_ROLES: [&str; 2] = ["admin", "service"];

/// The registered sites and which of them are trusted.
pub(super) struct Trust {
    own: SitePrefix,
    others: Vec<(SitePrefix, bool)>,
}

impl Trust {
    /// As things stand now.
    pub(super) fn of(services: &Services) -> Self {
        let own = services.site;
        let others = services.sites.all().into_iter();
        let others = others.filter(|view| view.site != own);
        Self {
            own,
            others: others.map(|view| (view.site, view.trusted)).collect(),
        }
    }

    /// Only the own site is there.
    #[cfg(test)]
    pub(super) fn alone(own: SitePrefix) -> Self {
        let others = Vec::new();
        Self { own, others }
    }

    /// Whether `site` is a member of the cloud.
    fn is_registered(&self, site: SitePrefix) -> bool {
        site == self.own || self.others.iter().any(|(other, _)| *other == site)
    }

    /// Whether what `site` says counts for the whole cloud. What this site says does, here.
    pub(super) fn is_trusted(&self, site: SitePrefix) -> bool {
        site == self.own || self.others.contains(&(site, true))
    }

    /// Whether `domain` lives at `site`, so that the key of `site` counts for it.
    pub(super) fn lives_at(
        &self,
        snapshot: &Snapshot,
        domain: &Stored<Domain>,
        site: SitePrefix,
    ) -> bool {
        if site == self.own {
            return true;
        }
        if !self.is_registered(site) {
            return false;
        }
        if domain.home() == site {
            return true;
        }
        let presence = DomainPresence::id_of(domain.id.as_str(), site);
        snapshot
            .get::<DomainPresence>(presence)
            .filter(|presence| presence.home() == domain.home())
            .is_some_and(|presence| presence.allowed || self.is_trusted(site))
    }

    /// Whether the home of `assignment` may say who has which role there: on a project or domain
    /// only its own home, on the system only a trusted site.
    pub(super) fn counts(&self, snapshot: &Snapshot, assignment: &Stored<Assignment>) -> bool {
        let home = assignment.home();
        if home == self.own {
            return true;
        }
        let domain_of = |id: &str| snapshot.get::<Domain>(id).map(|domain| domain.home());
        match &assignment.place {
            Place::System => self.is_trusted(home),
            Place::Domain(id) => domain_of(id.as_str()) == Some(home),
            Place::Project(id) => snapshot
                .get::<Project>(id)
                .is_some_and(|project| domain_of(project.domain_id.as_str()) == Some(home)),
        }
    }

    /// Whether the word of `site` gives `role`.
    pub(super) fn grants(&self, site: SitePrefix, role: &Role) -> bool {
        !is_of_cloud(role) || self.is_trusted(site)
    }
}

/// A site that is not trusted: its domains must be called as it is ([`may_name`]).
pub(super) struct Confined {
    site: SitePrefix,
    name: String,
}

impl Confined {
    /// This site, if it is one.
    pub(super) fn own(services: &Services) -> Option<Self> {
        let members = Members::of(&services.store.snapshot(), services.site);
        let own = members.site(services.site)?;
        (own.label == Label::Edge).then(|| Self {
            site: own.site,
            name: own.name.clone(),
        })
    }

    /// Refuses a name for a domain of the site `home` that it may not give.
    pub(super) fn check(&self, home: SitePrefix, name: &str) -> Result<(), ApiError> {
        let site = &self.name;
        if home != self.site || may_name(site, name.trim()) {
            return Ok(());
        }
        Err(ApiError::forbidden(format!(
            "{site} is an edge site: its domains are called '{site}' or '{site}.' and more."
        )))
    }
}

/// Whether `role` opens the whole cloud.
fn is_of_cloud(role: &Role) -> bool {
    let mut names = CLOUD_ROLES.iter();
    names.any(|name| role.name.eq_ignore_ascii_case(name))
}

/// Whether `user` holds somewhere what only the word of a trusted site gives, as far as this site
/// knows: a role of the whole cloud, or any on the system.
pub(crate) fn opens_cloud(services: &Services, user: &UserId) -> bool {
    let (snapshot, trust) = (services.store.snapshot(), Trust::of(services));
    let roles = |place: &Place| effective_roles(&snapshot, &trust, user.as_str(), place);
    places_of(&snapshot, user.as_str())
        .iter()
        .any(|place| match place {
            Place::System => !roles(place).is_empty(),
            _ => roles(place).iter().any(|role| is_of_cloud(role.value())),
        })
}
