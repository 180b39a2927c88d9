//! Request bodies of the identity service, and the checks they share.
//!
//! Keystone's bodies are open: what the service does not know it keeps and gives back. An open body
//! is declared with `open_object!`, which separates known members from the rest without losing the
//! path of a wrong one (serde's `flatten` loses it). The outer object, which only holds the named
//! one, is closed. Source: the JSON schemas of keystone 30 (shapes only) and its answers.

mod app_creds;
mod auth;
mod catalog;
mod people;
mod places;
mod roles;

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

pub use app_creds::{AccessRuleRequest, CreateAppCred, NewAppCred, RoleChoice};
pub use auth::{
    AppCredPayload, AuthRequest, DomainChoice, IdentityRequest, IssueToken, PasswordPayload,
    PasswordUser, ProjectChoice, ScopeChoices, ScopeRequest, SystemChoice, TokenPayload,
    UserChoice,
};
pub use catalog::{
    BASE_URL, CreateEndpoint, CreateRegion, CreateService, EndpointChange, NewEndpoint, NewRegion,
    NewService, RegionChange, ServiceChange, UpdateEndpoint, UpdateRegion, UpdateService,
};
pub use people::{
    ChangePassword, CreateGroup, CreateUser, GroupChange, NewGroup, NewUser, PasswordChange,
    UpdateGroup, UpdateUser, UserChange,
};
pub use places::{
    CreateDomain, CreateProject, DomainChange, NewDomain, NewProject, ProjectChange, ReplaceTags,
    UpdateDomain, UpdateProject,
};
pub use roles::{CreateRole, NewRole, RoleChange, UpdateRole};

use crate::body::InvalidField;

/// Members that are kept without being known.
pub type Extra = serde_json::Map<String, Value>;

/// The longest name of a user, group or role, in characters.
pub const NAME_LENGTH_MAX: usize = 255;

/// The longest name of a domain or project, in characters.
pub const PLACE_NAME_LENGTH_MAX: usize = 64;

/// The longest password, in bytes (keystone's `max_password_length`).
pub const PASSWORD_LENGTH_MAX: usize = 4096;

/// The longest id that a client may send, in characters.
const ID_LENGTH_MAX: usize = 64;

/// The longest tag, in characters, and the most tags of a project.
const TAG_LENGTH_MAX: usize = 255;
const TAGS_MAX: usize = 80;

/// Reads a member that may be missing but not `null`: use with
/// `#[serde(default, deserialize_with = "present")]` on an `Option<T>`.
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Reads a struct from an object and nothing else: serde would take an array of its members, too.
/// Use with `#[serde(deserialize_with = "object")]`.
pub(crate) fn object<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Members<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_map(Members(PhantomData))
}

/// Declares an object with known members (`required`, `optional` but not null, or `nullable`) that
/// keeps all others in `extra`. Members that the service itself writes (`links`, `extra`) are
/// passed over.
macro_rules! open_object {
    (@type required $ty:ty) => { $ty };
    (@type optional $ty:ty) => { Option<$ty> };
    (@type nullable $ty:ty) => { Option<Option<$ty>> };
    (@take required $wire:literal $field:ident) => {
        $field.ok_or_else(|| serde::de::Error::missing_field($wire))?
    };
    (@take $kind:ident $wire:literal $field:ident) => { $field };
    (
        $(#[$doc:meta])*
        pub struct $name:ident {
            $($(#[$field_doc:meta])* $kind:ident $wire:literal $field:ident: $ty:ty,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: open_object!(@type $kind $ty),)*
            /// The members that are not known here.
            pub extra: $crate::identity::requests::Extra,
            members: usize,
        }

        impl $name {
            /// Whether the object had no member at all.
            pub fn is_empty(&self) -> bool {
                self.members == 0
            }

            fn read<'de, A: serde::de::MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
                $(let mut $field = None;)*
                let mut extra = $crate::identity::requests::Extra::new();
                let mut members = 0;
                while let Some(key) = map.next_key::<String>()? {
                    members += 1;
                    match key.as_str() {
                        $($wire => $field = Some(map.next_value()?),)*
                        "links" | "extra" => {
                            map.next_value::<serde::de::IgnoredAny>()?;
                        }
                        _ => {
                            extra.insert(key, map.next_value()?);
                        }
                    }
                }
                Ok(Self {
                    $($field: open_object!(@take $kind $wire $field),)*
                    extra,
                    members,
                })
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members;
                impl<'de> serde::de::Visitor<'de> for Members {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A>(self, map: A) -> Result<$name, A::Error>
                    where
                        A: serde::de::MapAccess<'de>,
                    {
                        $name::read(map)
                    }
                }
                deserializer.deserialize_map(Members)
            }
        }
    };
}
pub(crate) use open_object;

/// Checks a name: 1 to `max` characters, not only blanks.
pub fn check_name(field: &str, name: &str, max: usize) -> Result<(), InvalidField> {
    if name.trim().is_empty() {
        return Err(InvalidField::new(
            field,
            format!("'{name}' should be non-empty"),
        ));
    }
    if name.chars().count() > max {
        return Err(InvalidField::new(
            field,
            format!("The name has more than {max} characters"),
        ));
    }
    Ok(())
}

/// Checks an id that a client sends: 1 to 64 letters, digits and dashes.
pub fn check_id(field: &str, id: &str) -> Result<(), InvalidField> {
    let fits = (1..=ID_LENGTH_MAX).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if fits {
        return Ok(());
    }
    let shown: String = id.chars().take(ID_LENGTH_MAX).collect();
    let reason = format!("'{shown}' does not match '^[a-zA-Z0-9-]+$' (1 to 64 characters)");
    Err(InvalidField::new(field, reason))
}

/// Checks the tags of a project or domain.
pub fn check_tags(field: &str, tags: &[String]) -> Result<(), InvalidField> {
    if tags.len() > TAGS_MAX {
        return Err(InvalidField::new(
            field,
            format!("There are more than {TAGS_MAX} tags"),
        ));
    }
    for (index, tag) in tags.iter().enumerate() {
        let at = format!("{field}.{index}");
        let length = tag.chars().count();
        if !(1..=TAG_LENGTH_MAX).contains(&length) || tag.contains(['/', ',']) {
            let reason = "A tag has 1 to 255 characters without '/' and ','";
            return Err(InvalidField::new(at, reason));
        }
        if tags[..index].contains(tag) {
            return Err(InvalidField::new(at, format!("'{tag}' is there twice")));
        }
    }
    Ok(())
}

/// How the value of a resource option is checked.
#[derive(Clone, Copy)]
enum OptionForm {
    Flag,
    MethodRules,
}

/// The options that domains, projects and roles have.
const PLACE_OPTIONS: &[(&str, OptionForm)] = &[("immutable", OptionForm::Flag)];

/// The options that users have.
const USER_OPTIONS: &[(&str, OptionForm)] = &[
    ("ignore_change_password_upon_first_use", OptionForm::Flag),
    ("ignore_password_expiry", OptionForm::Flag),
    ("ignore_lockout_failure_attempts", OptionForm::Flag),
    ("lock_password", OptionForm::Flag),
    ("ignore_user_inactivity", OptionForm::Flag),
    ("multi_factor_auth_rules", OptionForm::MethodRules),
    ("multi_factor_auth_enabled", OptionForm::Flag),
];

fn check_options(
    field: &str,
    options: Option<&Extra>,
    known: &[(&str, OptionForm)],
) -> Result<(), InvalidField> {
    for (name, value) in options.into_iter().flatten() {
        let Some((_, form)) = known.iter().find(|(known, _)| known == name) else {
            let reason = format!("Additional properties are not allowed ('{name}' was unexpected)");
            return Err(InvalidField::new(field, reason));
        };
        let (fits, expected) = match form {
            OptionForm::Flag => (value.is_boolean() || value.is_null(), "a boolean or null"),
            OptionForm::MethodRules => (
                value.is_null() || is_method_rules(value),
                "an array of arrays of method names",
            ),
        };
        if !fits {
            let at = format!("{field}.{name}");
            return Err(InvalidField::new(at, format!("expected {expected}")));
        }
    }
    Ok(())
}

fn is_method_rules(value: &Value) -> bool {
    value.as_array().is_some_and(|rules| {
        rules.iter().all(|rule| {
            rule.as_array()
                .is_some_and(|rule| !rule.is_empty() && rule.iter().all(Value::is_string))
        })
    })
}

fn check_password(field: &str, password: Option<&str>) -> Result<(), InvalidField> {
    if password.is_some_and(|text| text.len() > PASSWORD_LENGTH_MAX) {
        let reason =
            format!("The password length must be less than or equal to {PASSWORD_LENGTH_MAX}.");
        return Err(InvalidField::new(field, reason));
    }
    Ok(())
}

fn check_not_empty(field: &str, is_empty: bool) -> Result<(), InvalidField> {
    if is_empty {
        return Err(InvalidField::new(field, "{} should be non-empty"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
