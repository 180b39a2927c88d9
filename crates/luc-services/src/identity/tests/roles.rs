//! Roles are those of the moment: assigned, by groups, implied, and never more than a credential's.

use std::collections::BTreeSet;

use luc_core::id::{DomainId, GroupId, ProjectId, RoleId, UserId};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::cloud::{Cloud, PASSWORD, id, scope_of};
use crate::identity::entitlement::effective_roles;
use crate::identity::model::{
    Actor, Assignment, Extra, Group, ImpliedRole, Membership, Place, Role,
};
use crate::identity::refusal::{Refusal, transact};
use crate::identity::trust::Trust;

fn names(cloud: &Cloud, token: &str) -> Vec<String> {
    let caller = cloud.caller(token);
    let mut names: Vec<_> = caller
        .iter()
        .flat_map(|caller| &caller.roles)
        .map(|role| role.name.clone())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_role_that_is_taken_away_is_gone_from_tokens_at_once() {
    let cloud = Cloud::founded().await;
    let (user, project) = cloud.user("ada", "manager").await;
    let token = cloud.login("ada", PASSWORD, scope_of("ada")).await.unwrap();
    assert_eq!(names(&cloud, &token), ["manager", "member", "reader"]);
    let admin = cloud.admin().await;
    let path = format!("/identity/v3/projects/{project}/users/{user}/roles/");
    let reader = format!("{path}{}", cloud.role("reader").await);
    cloud.done(&admin, "PUT", &reader, Value::Null).await;
    let manager = format!("{path}{}", cloud.role("manager").await);
    cloud.done(&admin, "DELETE", &manager, Value::Null).await;
    assert_eq!(names(&cloud, &token), ["reader"]);
    cloud.done(&admin, "DELETE", &reader, Value::Null).await;
    assert!(cloud.caller(&token).is_none());
    // Nothing was revoked: the role comes back, and the token with it.
    cloud.done(&admin, "PUT", &reader, Value::Null).await;
    assert_eq!(names(&cloud, &token), ["reader"]);
}

#[tokio::test]
async fn a_credential_has_never_more_roles_than_its_user() {
    let cloud = Cloud::founded().await;
    let (user, project) = cloud.user("ada", "manager").await;
    let token = cloud.login("ada", PASSWORD, scope_of("ada")).await.unwrap();
    let body = json!({"application_credential": {"name": "robot", "secret": "s3cret"}});
    let path = format!("/identity/v3/users/{user}/application_credentials");
    let made = cloud.done(&token, "POST", &path, body).await;
    let cred = id(&made["application_credential"]);
    let payload = json!({"id": cred, "secret": "s3cret"});
    let by_cred = json!({"methods": ["application_credential"], "application_credential": payload});
    let robot = cloud.token(by_cred.clone(), Value::Null).await.unwrap();
    assert_eq!(names(&cloud, &robot), ["manager", "member", "reader"]);

    let admin = cloud.admin().await;
    let path = format!("/identity/v3/projects/{project}/users/{user}/roles/");
    for (role, method) in [("member", "PUT"), ("manager", "DELETE")] {
        let path = format!("{path}{}", cloud.role(role).await);
        cloud.done(&admin, method, &path, Value::Null).await;
    }
    assert_eq!(names(&cloud, &robot), ["member", "reader"]);
    // What the user gains later is not the credential's.
    let path = format!("{path}{}", cloud.role("admin").await);
    cloud.done(&admin, "PUT", &path, Value::Null).await;
    assert_eq!(
        names(&cloud, &token),
        ["admin", "manager", "member", "reader"]
    );
    assert_eq!(names(&cloud, &robot), ["manager", "member", "reader"]);
    let again = cloud.token(by_cred, Value::Null).await.unwrap();
    assert_eq!(names(&cloud, &again), ["manager", "member", "reader"]);
}

#[tokio::test]
async fn a_credential_ends_with_its_user_and_project() {
    let cloud = Cloud::founded().await;
    let (user, project) = cloud.user("ada", "member").await;
    let token = cloud.login("ada", PASSWORD, scope_of("ada")).await.unwrap();
    let body = json!({"application_credential": {"name": "robot", "secret": "s3cret"}});
    let path = format!("/identity/v3/users/{user}/application_credentials");
    let made = cloud.done(&token, "POST", &path, body).await;
    let cred = id(&made["application_credential"]);
    let payload = json!({"id": cred, "secret": "s3cret"});
    let by_cred = json!({"methods": ["application_credential"], "application_credential": payload});
    let robot = cloud.token(by_cred.clone(), Value::Null).await.unwrap();
    let admin = cloud.admin().await;
    let path = format!("/identity/v3/projects/{project}");
    cloud.done(&admin, "DELETE", &path, Value::Null).await;
    assert!(cloud.caller(&robot).is_none());
    assert!(cloud.token(by_cred, Value::Null).await.is_err());
}

/// Who has what, by small numbers: which role implies which, which group has which role, which
/// role the user has, and which groups the user is in.
#[derive(Clone, Debug)]
struct Wiring {
    implied: Vec<(usize, usize)>,
    of_groups: Vec<(usize, usize)>,
    of_user: Vec<usize>,
    member_of: Vec<usize>,
    of_domain: Option<usize>,
}

const ROLES: usize = 6;
const GROUPS: usize = 3;

fn wiring() -> impl Strategy<Value = Wiring> {
    let implied = proptest::collection::vec((0..ROLES, 0..ROLES), 0..10);
    let of_groups = proptest::collection::vec((0..GROUPS, 0..ROLES), 0..4);
    let of_user = proptest::collection::vec(0..ROLES, 0..3);
    let member_of = proptest::collection::vec(0..GROUPS, 0..3);
    let of_domain = proptest::option::of(0..ROLES);
    (implied, of_groups, of_user, member_of, of_domain).prop_map(
        |(implied, of_groups, of_user, member_of, of_domain)| Wiring {
            implied,
            of_groups,
            of_user,
            member_of,
            of_domain,
        },
    )
}

/// The roles the user has by this wiring, in the simplest way to say it.
fn expected(wiring: &Wiring) -> BTreeSet<String> {
    let mut held: BTreeSet<usize> = wiring.of_user.iter().copied().collect();
    let groups = wiring
        .of_groups
        .iter()
        .filter(|(group, _)| wiring.member_of.contains(group));
    held.extend(groups.map(|(_, role)| role));
    loop {
        let more: Vec<_> = wiring
            .implied
            .iter()
            .filter(|(prior, implied)| held.contains(prior) && !held.contains(implied))
            .map(|(_, implied)| *implied)
            .collect();
        if more.is_empty() {
            let named = held.iter().filter(|role| wiring.of_domain != Some(**role));
            return named.map(|role| format!("role-{role}")).collect();
        }
        held.extend(more);
    }
}

async fn computed(wiring: &Wiring) -> BTreeSet<String> {
    let cloud = Cloud::founded().await;
    let domain = DomainId::parse("default").unwrap();
    let role_id = |role: usize| RoleId::parse(&format!("role-{role}")).unwrap();
    let user = UserId::parse("ada").unwrap();
    let place = Place::Project(ProjectId::parse("p").unwrap());
    transact(&cloud.services, |tx| {
        for role in 0..ROLES {
            tx.insert(Role {
                id: role_id(role),
                name: format!("role-{role}"),
                domain_id: (wiring.of_domain == Some(role)).then(|| domain.clone()),
                description: None,
                options: Extra::new(),
                extra: Extra::new(),
            })?;
        }
        for (prior, implied) in &wiring.implied {
            tx.put(ImpliedRole::new(&role_id(*prior), &role_id(*implied)))?;
        }
        let mut groups = Vec::new();
        for number in 0..GROUPS {
            let group = Group {
                id: GroupId::parse(&format!("group-{number}")).unwrap(),
                domain_id: domain.clone(),
                name: format!("group-{number}"),
                description: None,
                extra: Extra::new(),
            };
            tx.insert(group.clone())?;
            groups.push(group);
        }
        for group in &wiring.member_of {
            tx.put(Membership::new(&groups[*group], &user))?;
        }
        for (group, role) in &wiring.of_groups {
            let actor = Actor::Group(groups[*group].id.clone());
            tx.put(Assignment::new(
                actor,
                place.clone(),
                &role_id(*role),
                &domain,
            ))?;
        }
        for role in &wiring.of_user {
            let actor = Actor::User(user.clone());
            tx.put(Assignment::new(
                actor,
                place.clone(),
                &role_id(*role),
                &domain,
            ))?;
        }
        Ok::<_, Refusal>(())
    })
    .await
    .unwrap();
    let snapshot = cloud.services.store.snapshot();
    let elsewhere = Place::Project(ProjectId::parse("elsewhere").unwrap());
    let trust = Trust::alone(cloud.services.site);
    assert!(effective_roles(&snapshot, &trust, user.as_str(), &elsewhere).is_empty());
    let held = effective_roles(&snapshot, &trust, user.as_str(), &place);
    let names: BTreeSet<_> = held.iter().map(|role| role.name.clone()).collect();
    assert_eq!(names.len(), held.len(), "a role is there twice");
    names
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn who_holds_what_follows_from_assignments_groups_and_implications(wiring in wiring()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        prop_assert_eq!(runtime.block_on(computed(&wiring)), expected(&wiring));
    }
}
