//! Where the table of kinds puts a record: what a site may say, and what is believed of it.
//!
//! Both ends ask: a source leaves out what no follower would take (a record of a domain that this
//! site has lost, say), a follower refuses it.

use luc_core::{SitePrefix, Uuid};
use serde::Deserialize;

use crate::envelope::Erased;
use crate::kinds::{DEFAULT_DOMAIN, HomeRule, IdForm, Kind};
use crate::record::Envelope;
use crate::scope::Scope;

/// Why a record cannot have the home it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// Its kind does not leave its site, or its scope does not fit its kind.
    #[error("a record of this kind and scope is never sent")]
    Scope,
    /// Another site made it, and it has never moved.
    #[error("it was made at site {0}")]
    Birth(SitePrefix),
    /// What describes a site has an id of that site.
    #[error("its id is not one of that site")]
    NotItself,
    /// The domain that decides lives elsewhere.
    #[error("the home of the domain '{domain}' is site {home}")]
    Domain {
        /// The domain.
        domain: String,
        /// Its home.
        home: SitePrefix,
    },
    /// Only a trusted site makes something public.
    #[error("it is for every site, and its home is not trusted")]
    Public,
    /// A domain of a site that is not trusted has a name that is not that site's to give.
    #[error("the name '{0}' is not one that its site may give")]
    Name(String),
    /// The domain that decides is not known.
    #[error("the domain '{0}' is not known")]
    NoDomain(String),
}

/// Whether the table of kinds allows a record with this envelope to live where it says. `domains`
/// tells the home of a domain.
pub(super) fn check(
    kind: Kind,
    id: &str,
    envelope: &Envelope,
    domains: impl Fn(&str) -> Option<SitePrefix>,
) -> Result<(), Misplaced> {
    let (spec, home) = (kind.spec(), envelope.home);
    if envelope.scope == Scope::Site || !spec.scope.allows(&envelope.scope) {
        return Err(Misplaced::Scope);
    }
    let birth = || Uuid::parse(id).ok().and_then(|uuid| uuid.birth_site());
    let domain = match (spec.home, &envelope.scope) {
        (HomeRule::OfDomain, Scope::Domain(domain)) => domain.as_str(),
        (HomeRule::OfDefaultDomain, _) => DEFAULT_DOMAIN,
        (HomeRule::Itself, _) => {
            return match birth() {
                Some(birth) if birth == home => Ok(()),
                _ => Err(Misplaced::NotItself),
            };
        }
        (HomeRule::Birth | HomeRule::BirthThenMoves, _) if matches!(spec.id, IdForm::Uuid(_)) => {
            return match birth() {
                Some(birth) if birth != home && envelope.epoch == 0 => Err(Misplaced::Birth(birth)),
                _ => Ok(()),
            };
        }
        _ => return Ok(()),
    };
    match domains(domain) {
        Some(found) if found == home => Ok(()),
        Some(found) => Err(Misplaced::Domain {
            domain: domain.to_owned(),
            home: found,
        }),
        None => Err(Misplaced::NoDomain(domain.to_owned())),
    }
}

/// Whether a domain of the site called `site`, which is not trusted, may be called `name`: as the
/// site itself, or that, a dot and more. The names of sites are promised by a majority, so such a
/// site takes the name of nobody's domain.
pub fn may_name(site: &str, name: &str) -> bool {
    let rest = name.strip_prefix(site);
    rest.is_some_and(|rest| rest.is_empty() || (rest.len() > 1 && rest.starts_with('.')))
}

/// Refuses a domain under a name that the site called `site`, which is not trusted, may not give.
pub(super) fn check_name(site: &str, record: &Erased) -> Result<(), Misplaced> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    #[derive(Deserialize)]
    struct Written {
        value: Named,
    }
    let stored = record.encode().unwrap_or_default();
    let name = serde_json::from_str::<Written>(stored.get()).map(|written| written.value.name);
    let name = name.unwrap_or_default();
    if may_name(site, &name) {
        return Ok(());
    }
    Err(Misplaced::Name(name))
}

/// What is believed of no site that is not trusted, whatever the table says: that something born
/// elsewhere has moved there (until the old home says so, it could be anybody's), and what every
/// site would show as its own.
pub(super) fn check_untrusted(kind: Kind, id: &str, envelope: &Envelope) -> Result<(), Misplaced> {
    let spec = kind.spec();
    let born = matches!(spec.home, HomeRule::Birth | HomeRule::BirthThenMoves);
    if born && matches!(spec.id, IdForm::Uuid(_)) {
        let birth = Uuid::parse(id).ok().and_then(|uuid| uuid.birth_site());
        if let Some(birth) = birth.filter(|birth| *birth != envelope.home) {
            return Err(Misplaced::Birth(birth));
        }
    }
    if spec.home == HomeRule::ByVisibility && envelope.scope == Scope::Cloud {
        return Err(Misplaced::Public);
    }
    Ok(())
}
