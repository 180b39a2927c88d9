//! Where a project may live: its residency rule, made of tags of the form `luc:site=NAME`, one for
//! each site. A project without one may live everywhere.
//!
//! Tags, because that is how stock clients say something of a project that only this cloud knows
//! (`openstack project set --tag luc:site=a PROJECT`); Keystone's tags have no commas, hence one
//! per site. Who may change the tags of a project may change the rule. A tag that names no site is
//! refused when it is set ([`Nameable`]); one of a site that has gone stays as it is.
//!
//! Nothing of the project is made at another site ([`check`], asked by the handlers that make
//! things), placement passes over other sites, and no feed carries its records there
//! (`super::presence`). A site outside answers reads by handing them on. The record of the project
//! itself belongs to its domain and goes where that lives. What is somewhere already when the rule
//! is made stays there. "Where a project lives" of the state contract.

use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_state::Snapshot;

use super::model::Project;
use crate::Services;
use crate::routing::forward::name_of;
/// What a tag begins with that names a site.
const TAG: &str = "luc:site=";

/// The sites where a project may live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residency {
    /// Their names as the tags say.
    pub sites: Vec<String>,
}

impl Residency {
    /// The rule of `project`, as far as it is known here; `None` if it may live everywhere.
    pub fn of(snapshot: &Snapshot, project: &str) -> Option<Self> {
        let project = snapshot.get::<Project>(project)?;
        let sites: Vec<_> = named(&project.tags).map(str::to_owned).collect();
        (!sites.is_empty()).then_some(Self { sites })
    }

    /// Whether the project may live at `site`.
    pub fn allows(&self, services: &Services, site: SitePrefix) -> bool {
        let (name, prefix) = (name_of(services, site), site.to_string());
        self.sites.iter().any(|one| *one == name || *one == prefix)
    }

    /// The allowed site that is nearest and can be reached.
    pub fn nearest(&self, services: &Services) -> Option<SitePrefix> {
        let views = services.sites.all();
        let reachable = |site: SitePrefix| {
            let view = views.iter().find(|view| view.site == site);
            view.is_some_and(|view| view.reachable)
        };
        let near = services.sites.nearest(services.site).into_iter();
        let mut near = near.map(|(site, _)| site);
        near.find(|site| reachable(*site) && self.allows(services, *site))
    }

    /// Why nothing of `project` is made at `site`.
    fn says(&self, services: &Services, project: &str, site: SitePrefix) -> String {
        let (allowed, site) = (self.sites.join(", "), name_of(services, site));
        format!(
            "Project {project} may live at these sites only: {allowed}. Site {site} is none of \
             them: ask one of these, or name its zone."
        )
    }
}

/// The names that a rule may use when it is made.
pub(super) struct Nameable {
    names: Vec<String>,
    prefixes: Vec<String>,
}

impl Nameable {
    /// Those of the sites that are known here.
    pub(super) fn of(services: &Services) -> Self {
        let all = services.sites.all();
        Self {
            names: all.iter().map(|view| view.name.clone()).collect(),
            prefixes: all.iter().map(|view| view.site.to_string()).collect(),
        }
    }

    /// Refuses those of `tags` that name no site, unless the project `had` them before: a rule
    /// may outlive its site, and what else is tagged can be changed nevertheless.
    pub(super) fn check(&self, had: &[String], tags: &[String]) -> Result<(), ApiError> {
        let known = |name: &str| {
            self.names
                .iter()
                .chain(&self.prefixes)
                .any(|one| one == name)
        };
        let names_none = |tag: &&String| {
            let name = tag.strip_prefix(TAG).map(str::trim);
            name.is_some_and(|name| !known(name)) && !had.contains(*tag)
        };
        let Some(wrong) = tags.iter().find(names_none) else {
            return Ok(());
        };
        let names = self.names.join(", ");
        Err(ApiError::bad_request(format!(
            "The tag '{wrong}' names no site of this cloud. Its sites are: {names}."
        )))
    }
}

fn named(tags: &[String]) -> impl Iterator<Item = &str> {
    tags.iter()
        .filter_map(|tag| tag.strip_prefix(TAG))
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

/// Whether records of `project` may be at `site`.
pub fn may_live_at(services: &Services, site: SitePrefix, project: &str) -> bool {
    let rule = Residency::of(&services.store.snapshot(), project);
    rule.is_none_or(|rule| rule.allows(services, site))
}

/// The rule of `project` if this site is outside of it.
pub fn outside(services: &Services, project: &str) -> Option<Residency> {
    let rule = Residency::of(&services.store.snapshot(), project)?;
    (!rule.allows(services, services.site)).then_some(rule)
}

/// Refuses to make something of `project` here if it may not live here.
pub fn check(services: &Services, project: &str) -> Result<(), ApiError> {
    match outside(services, project) {
        None => Ok(()),
        Some(rule) => Err(ApiError::Conflict {
            message: rule.says(services, project, services.site),
        }),
    }
}

/// Refuses a zone of `site` if `project` may not live there.
pub fn check_zone(services: &Services, project: &str, site: SitePrefix) -> Result<(), ApiError> {
    let rule = Residency::of(&services.store.snapshot(), project);
    match rule.filter(|rule| !rule.allows(services, site)) {
        None => Ok(()),
        Some(rule) => Err(ApiError::bad_request(rule.says(services, project, site))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_other_forms_say_nothing_of_sites() {
        let tags = ["luc:site=a", "blue", "luc:site= b ", "luc:site=", "site=c"];
        let tags = tags.map(str::to_owned);
        assert_eq!(named(&tags).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_tag_names_a_site_that_is_known_or_was_there_before() {
        let nameable = Nameable {
            names: vec!["a".to_owned(), "b".to_owned()],
            prefixes: vec!["0a0a0a0a0a0a".to_owned()],
        };
        let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        let right = [
            "luc:site=a",
            "luc:site= b",
            "luc:site=0a0a0a0a0a0a",
            "site=x",
            "blue",
        ];
        assert_eq!(nameable.check(&[], &tags(&right)), Ok(()));
        for wrong in ["luc:site=A", "luc:site=", "luc:site=a b", "luc:site=gone"] {
            let refused = nameable.check(&tags(&["blue"]), &tags(&["luc:site=a", wrong]));
            let expected =
                format!("The tag '{wrong}' names no site of this cloud. Its sites are: a, b.");
            assert_eq!(refused, Err(ApiError::bad_request(expected)));
            assert_eq!(
                nameable.check(&tags(&[wrong]), &tags(&["new", wrong])),
                Ok(())
            );
        }
    }
}
