//! What a follower wants copies of. What a filter does not name never leaves its home.

use std::collections::BTreeSet;

use luc_core::id::{DomainId, ProjectId};
use serde::{Deserialize, Serialize};

use crate::kinds::{Kind, ScopeRule};
use crate::scope::Scope;

/// What a follower wants copies of, beside what every site has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Given by the follower, growing with each change. Zero is the filter of somebody who has
    /// not asked for anything yet.
    pub number: u32,
    /// Everything of these projects.
    #[serde(default)]
    pub projects: BTreeSet<ProjectId>,
    /// What these domains own; the records of all domains, with their names, go everywhere.
    #[serde(default)]
    pub domains: BTreeSet<DomainId>,
}

impl Filter {
    /// Whether a record of `kind` with this scope is wanted.
    pub fn admits(&self, kind: Kind, scope: &Scope) -> bool {
        match scope {
            Scope::Site => false,
            Scope::Cloud => true,
            Scope::Project(project) => self.projects.contains(project),
            Scope::Domain(domain) => {
                kind.spec().scope == ScopeRule::DomainWithNameInCloud
                    || self.domains.contains(domain)
            }
        }
    }

    /// Whether both admit the same.
    pub fn same(&self, other: &Self) -> bool {
        self.projects == other.projects && self.domains == other.domains
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_go_everywhere_and_what_they_own_where_it_is_asked_for() {
        let domain = DomainId::parse("default").expect("an id");
        let scope = Scope::Domain(domain.clone());
        let mut filter = Filter::default();
        assert!(filter.admits(Kind::Domain, &scope));
        assert!(!filter.admits(Kind::User, &scope));
        filter.domains.insert(domain);
        assert!(filter.admits(Kind::User, &scope));
    }

    #[test]
    fn what_belongs_to_a_site_is_never_admitted() {
        assert!(!Filter::default().admits(Kind::Host, &Scope::Site));
        assert!(Filter::default().admits(Kind::Flavor, &Scope::Cloud));
    }
}
