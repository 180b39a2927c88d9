//! The body that makes a server group.
//!
//! Source: Nova 30 `schemas/server_groups.py` (shapes only).

use serde::Deserialize;

use super::flavor::check_range;
use super::parameter::check_name;
use super::reference::given;
use crate::body::{InvalidField, Member, RequestBody};
use crate::value::LooseInt;
use crate::version::Microversion;

/// `POST /os-server-groups`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateServerGroup {
    /// The group.
    pub server_group: NewServerGroup,
}

/// A server group to be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewServerGroup {
    /// Its name.
    pub name: String,
    /// Its one policy (until 2.63).
    #[serde(default, deserialize_with = "given")]
    pub policies: Option<Vec<PolicyName>>,
    /// Its policy (from 2.64).
    #[serde(default, deserialize_with = "given")]
    pub policy: Option<PolicyName>,
    /// What the policy leaves open (from 2.64).
    #[serde(default, deserialize_with = "given")]
    pub rules: Option<GroupRules>,
}

/// What the scheduler does with the members of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "the variants are the policies by their names on the wire"
)]
pub enum PolicyName {
    Affinity,
    AntiAffinity,
    SoftAffinity,
    SoftAntiAffinity,
}

/// What a policy leaves open.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRules {
    /// How many members one host may have under `anti-affinity`.
    #[serde(default, deserialize_with = "given")]
    pub max_server_per_host: Option<LooseInt>,
}

impl NewServerGroup {
    /// The policy, in whichever member it stands.
    pub fn chosen_policy(&self) -> Option<PolicyName> {
        self.policy
            .or_else(|| self.policies.as_deref()?.first().copied())
    }
}

impl RequestBody for CreateServerGroup {
    const MEMBERS: &'static [Member] = &[
        Member::until("server_group.policies", 2, 63).required(),
        Member::since("server_group.policy", 2, 64).required(),
        Member::since("server_group.rules", 2, 64),
    ];

    fn validate(&self, version: Microversion) -> Result<(), InvalidField> {
        let group = &self.server_group;
        check_name("server_group.name", &group.name)?;
        if let Some(policies) = &group.policies {
            if policies.len() != 1 {
                let reason = format!("has {} elements; exactly one is accepted", policies.len());
                return Err(InvalidField::new("server_group.policies", reason));
            }
            let soft = [PolicyName::SoftAffinity, PolicyName::SoftAntiAffinity];
            if soft.contains(&policies[0]) && !version.at_least(2, 15) {
                let reason = "is not one of ['anti-affinity', 'affinity']";
                return Err(InvalidField::new("server_group.policies.0", reason));
            }
        }
        let most = group.rules.and_then(|rules| rules.max_server_per_host);
        match most {
            Some(most) => {
                let field = "server_group.rules.max_server_per_host";
                check_range(field, most, 1, i64::from(u32::MAX))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    fn policy(body: &str, minor: u16) -> Result<Option<PolicyName>, String> {
        parse::<CreateServerGroup>(body.as_bytes(), Microversion::new(2, minor))
            .map(|body| body.server_group.chosen_policy())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_policy_is_a_list_of_one_until_2_63() {
        let list = r#"{"server_group": {"name": "g", "policies": ["affinity"]}}"#;
        assert_eq!(policy(list, 1).unwrap(), Some(PolicyName::Affinity));
        assert!(policy(list, 64).is_err());
        let soft = r#"{"server_group": {"name": "g", "policies": ["soft-affinity"]}}"#;
        assert!(policy(soft, 14).unwrap_err().contains("policies.0"));
        assert_eq!(policy(soft, 15).unwrap(), Some(PolicyName::SoftAffinity));
        for bad in [
            "[]",
            "[\"affinity\", \"anti-affinity\"]",
            "\"affinity\"",
            "[\"x\"]",
        ] {
            let body = format!(r#"{{"server_group": {{"name": "g", "policies": {bad}}}}}"#);
            assert!(policy(&body, 1).is_err(), "{bad}");
        }
    }

    #[test]
    fn rules_came_with_the_policy_object() {
        let group =
            r#"{"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 3}}"#;
        let body = format!(r#"{{"server_group": {group}}}"#);
        assert_eq!(policy(&body, 64).unwrap(), Some(PolicyName::AntiAffinity));
        assert!(policy(&body, 63).is_err());
        let zero = body.replace('3', "0");
        assert!(
            policy(&zero, 64)
                .unwrap_err()
                .contains("max_server_per_host")
        );
    }
}
