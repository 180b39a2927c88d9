//! What domains and projects have in common: attributes, and how they change.

use luc_api::ApiError;
use luc_api::value::LooseBool;

use super::model::{Domain, Extra, IMMUTABLE, Project, is_immutable, merge_options};
use super::refusal::immutable;

/// A description, or that there is none.
pub(super) type Description = Option<String>;

/// What is to change about a domain or project; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct PlaceChange {
    pub(super) name: Option<String>,
    pub(super) description: Option<Description>,
    pub(super) enabled: Option<bool>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) options: Option<Extra>,
    pub(super) extra: Extra,
}

/// The attributes that a change may touch, borrowed from the record.
pub(super) struct PlaceParts<'a> {
    name: &'a mut String,
    description: &'a mut Option<String>,
    enabled: &'a mut bool,
    token_epoch: &'a mut u32,
    tags: &'a mut Vec<String>,
    options: &'a mut Extra,
    extra: &'a mut Extra,
}

impl<'a> From<&'a mut Domain> for PlaceParts<'a> {
    fn from(domain: &'a mut Domain) -> Self {
        Self {
            name: &mut domain.name,
            description: &mut domain.description,
            enabled: &mut domain.enabled,
            token_epoch: &mut domain.token_epoch,
            tags: &mut domain.tags,
            options: &mut domain.options,
            extra: &mut domain.extra,
        }
    }
}

impl<'a> From<&'a mut Project> for PlaceParts<'a> {
    fn from(project: &'a mut Project) -> Self {
        Self {
            name: &mut project.name,
            description: &mut project.description,
            enabled: &mut project.enabled,
            token_epoch: &mut project.token_epoch,
            tags: &mut project.tags,
            options: &mut project.options,
            extra: &mut project.extra,
        }
    }
}

impl PlaceChange {
    /// Makes the change. What is disabled by it ends all tokens for it.
    pub(super) fn apply<'a>(&self, parts: impl Into<PlaceParts<'a>>) {
        let parts = parts.into();
        if let Some(name) = &self.name {
            name.trim().clone_into(parts.name);
        }
        if let Some(description) = &self.description {
            parts.description.clone_from(description);
        }
        if let Some(enabled) = self.enabled {
            if *parts.enabled && !enabled {
                *parts.token_epoch += 1;
            }
            *parts.enabled = enabled;
        }
        if let Some(tags) = &self.tags {
            *parts.tags = sorted(tags);
        }
        if let Some(options) = &self.options {
            merge_options(parts.options, options.clone());
        }
        parts.extra.extend(self.extra.clone());
    }

    /// Whether nothing but the protection is changed, and that is taken off.
    fn only_unprotects(&self) -> bool {
        let nothing_else = self.name.is_none()
            && self.description.is_none()
            && self.enabled.is_none()
            && self.tags.is_none()
            && self.extra.is_empty();
        let unprotects = self
            .options
            .as_ref()
            .and_then(|options| options.get(IMMUTABLE));
        nothing_else && unprotects.is_some_and(|value| !value.as_bool().unwrap_or(false))
    }

    /// Refuses the change of something protected, unless it takes the protection off.
    pub(super) fn check_allowed(
        &self,
        options: &Extra,
        kind: &str,
        id: &str,
    ) -> Result<(), ApiError> {
        if is_immutable(options) && !self.only_unprotects() {
            return Err(immutable("update", kind, id));
        }
        Ok(())
    }
}

/// Tags in order.
pub(super) fn sorted(tags: &[String]) -> Vec<String> {
    let mut tags = tags.to_vec();
    tags.sort_unstable();
    tags
}

/// The flag of a request, if it is there.
pub(super) fn flag(flag: Option<LooseBool>) -> Option<bool> {
    flag.map(|LooseBool(flag)| flag)
}

/// Unknown attributes of a new object: the id is chosen by the service, and names are written as
/// Keystone writes them on creation.
pub(super) fn new_extra(extra: Extra) -> Extra {
    let named = extra
        .into_iter()
        .map(|(name, value)| (name.replace([':', '-'], "_"), value));
    named.filter(|(name, _)| name != "id").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use luc_core::id::DomainId;
    use serde_json::json;

    fn domain() -> Domain {
        Domain {
            id: DomainId::parse("d").unwrap(),
            name: "d".to_owned(),
            description: None,
            enabled: true,
            token_epoch: 3,
            tags: Vec::new(),
            options: Extra::new(),
            extra: Extra::new(),
        }
    }

    #[test]
    fn being_disabled_ends_an_epoch_being_enabled_does_not() {
        let mut domain = domain();
        let enabled = |enabled| PlaceChange {
            enabled: Some(enabled),
            ..PlaceChange::default()
        };
        for (flag, epoch) in [(true, 3), (false, 4), (false, 4), (true, 4), (false, 5)] {
            enabled(flag).apply(&mut domain);
            assert_eq!(domain.token_epoch, epoch, "{flag}");
        }
    }

    #[test]
    fn what_is_protected_is_changed_only_by_taking_the_protection_off() {
        let options = |value| json!({"immutable": value}).as_object().cloned();
        let protected = options(true).unwrap();
        let off = PlaceChange {
            options: options(false),
            ..PlaceChange::default()
        };
        assert!(off.check_allowed(&protected, "domain", "d").is_ok());
        let more = PlaceChange {
            name: Some("x".to_owned()),
            ..off
        };
        assert!(more.check_allowed(&protected, "domain", "d").is_err());
        assert!(
            PlaceChange::default()
                .check_allowed(&protected, "domain", "d")
                .is_err()
        );
        assert!(more.check_allowed(&Extra::new(), "domain", "d").is_ok());
    }

    #[test]
    fn an_option_of_null_is_removed() {
        let mut domain = domain();
        let set = |value| {
            let options = json!({"immutable": value}).as_object().cloned();
            PlaceChange {
                options,
                ..PlaceChange::default()
            }
        };
        set(json!(true)).apply(&mut domain);
        assert!(is_immutable(&domain.options));
        set(json!(null)).apply(&mut domain);
        assert!(domain.options.is_empty());
    }
}
