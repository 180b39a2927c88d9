//! The bodies that set quotas, of a project or of all.
//!
//! Source: Nova 30 `schemas/quota_sets.py` and `quota_classes.py` (shapes only).

use serde::Deserialize;

use super::flavor::check_range;
use super::reference::given;
use crate::body::{InvalidField, Member, RequestBody};
use crate::value::{LooseBool, LooseInt};
use crate::version::Microversion;

/// The greatest limit that Nova's database holds.
const LIMIT_MAX: i64 = 0x7fff_ffff;

/// `PUT /os-quota-sets/{project}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateQuotaSet {
    /// The limits that change.
    pub quota_set: QuotaChange,
}

/// `PUT /os-quota-class-sets/{class}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateQuotaClass {
    /// The limits that change.
    pub quota_class_set: QuotaChange,
}

/// Declares the limits once: the members of the body and their list.
macro_rules! limits {
    ($($name:ident,)+) => {
        /// Limits; what is absent stays. -1 stands for no limit.
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(missing_docs, reason = "the members are the resources by their names on the wire")]
        pub struct QuotaChange {
            /// Whether a limit may be set below what is used already.
            #[serde(default, deserialize_with = "given")]
            pub force: Option<LooseBool>,
            $(#[serde(default, deserialize_with = "given")] pub $name: Option<LooseInt>,)+
        }

        impl QuotaChange {
            /// The limits that are there, by the names of the resources.
            pub fn limits(&self) -> impl Iterator<Item = (&'static str, i64)> {
                [$((stringify!($name), self.$name),)+]
                    .into_iter()
                    .filter_map(|(name, limit)| Some((name, limit?.0)))
            }
        }
    };
}

limits! {
    cores,
    fixed_ips,
    floating_ips,
    injected_file_content_bytes,
    injected_file_path_bytes,
    injected_files,
    instances,
    key_pairs,
    metadata_items,
    networks,
    ram,
    security_group_rules,
    security_groups,
    server_group_members,
    server_groups,
}

impl QuotaChange {
    fn check(&self, parent: &str) -> Result<(), InvalidField> {
        for (name, limit) in self.limits() {
            check_range(&format!("{parent}.{name}"), LooseInt(limit), -1, LIMIT_MAX)?;
        }
        if self.networks.is_some() {
            let field = format!("{parent}.networks");
            return Err(InvalidField::new(
                field,
                "The networks quota has been removed",
            ));
        }
        Ok(())
    }
}

impl RequestBody for UpdateQuotaSet {
    const MEMBERS: &'static [Member] = &[
        Member::until("quota_set.fixed_ips", 2, 35),
        Member::until("quota_set.floating_ips", 2, 35),
        Member::until("quota_set.networks", 2, 35),
        Member::until("quota_set.security_group_rules", 2, 35),
        Member::until("quota_set.security_groups", 2, 35),
        Member::until("quota_set.injected_file_content_bytes", 2, 56),
        Member::until("quota_set.injected_file_path_bytes", 2, 56),
        Member::until("quota_set.injected_files", 2, 56),
    ];

    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        self.quota_set.check("quota_set")
    }
}

impl RequestBody for UpdateQuotaClass {
    const MEMBERS: &'static [Member] = &[
        Member::until("quota_class_set.fixed_ips", 2, 49),
        Member::until("quota_class_set.floating_ips", 2, 49),
        Member::until("quota_class_set.networks", 2, 49),
        Member::until("quota_class_set.security_group_rules", 2, 49),
        Member::until("quota_class_set.security_groups", 2, 49),
        Member::until("quota_class_set.injected_file_content_bytes", 2, 56),
        Member::until("quota_class_set.injected_file_path_bytes", 2, 56),
        Member::until("quota_class_set.injected_files", 2, 56),
        // The limits of a class are never compared with what is used.
        Member::until("quota_class_set.force", 0, 0),
    ];

    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        self.quota_class_set.check("quota_class_set")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    fn refusal(body: &str, minor: u16) -> Option<String> {
        let version = Microversion::new(2, minor);
        parse::<UpdateQuotaSet>(body.as_bytes(), version)
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn resources_leave_with_their_microversions() {
        let body = r#"{"quota_set": {"fixed_ips": 3}}"#;
        assert_eq!(refusal(body, 35), None);
        assert!(refusal(body, 36).unwrap().contains("fixed_ips"));
        let body = r#"{"quota_set": {"injected_files": 3}}"#;
        assert_eq!(refusal(body, 56), None);
        assert!(refusal(body, 57).unwrap().contains("injected_files"));
    }

    #[test]
    fn a_limit_is_minus_one_or_a_count() {
        assert_eq!(
            refusal(r#"{"quota_set": {"cores": "-1", "force": "true"}}"#, 1),
            None
        );
        for bad in ["-2", "2147483648", "null", "\"x\"", "1.5"] {
            let body = format!(r#"{{"quota_set": {{"cores": {bad}}}}}"#);
            assert!(
                refusal(&body, 1).unwrap().contains("quota_set.cores"),
                "{bad}"
            );
        }
        let networks = r#"{"quota_set": {"networks": 1}}"#;
        assert!(
            refusal(networks, 1)
                .unwrap()
                .contains("networks quota has been removed")
        );
    }

    #[test]
    fn the_limits_of_a_class_cannot_be_forced() {
        let body = br#"{"quota_class_set": {"cores": 1, "force": true}}"#;
        assert!(parse::<UpdateQuotaClass>(body, Microversion::new(2, 1)).is_err());
        let body = br#"{"quota_class_set": {"cores": 1}}"#;
        let class = parse::<UpdateQuotaClass>(body, Microversion::new(2, 1)).unwrap();
        assert_eq!(
            class.quota_class_set.limits().collect::<Vec<_>>(),
            [("cores", 1)]
        );
    }
}
