//! A site that was founded alone and becomes a domain of a cloud.

use std::collections::BTreeMap;

use luc_core::id::RoleId;
use serde_json::{Value, json};

use super::cloud::{Cloud, PASSWORD};
use crate::identity::model::{
    AppCred, Assignment, CatalogEndpoint, Domain, Group, Membership, Place, Project, Role, User,
};
use crate::identity::{as_domain, identity_owned};

/// The roles of a cloud that was founded elsewhere.
fn foreign_roles() -> BTreeMap<String, RoleId> {
    ["admin", "manager", "member", "reader", "service"]
        .into_iter()
        .enumerate()
        .map(|(at, name)| {
            (
                name.to_owned(),
                RoleId::parse(&format!("role{at}")).unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_site_that_has_people_names_them() {
    let cloud = Cloud::bare().await;
    let services = &cloud.services;
    assert!(identity_owned(&services.store.snapshot(), services.site).is_empty());
    let cloud = Cloud::founded().await;
    let services = &cloud.services;
    let owned = identity_owned(&services.store.snapshot(), services.site);
    let expected = ["domain Default", "project admin", "user admin"];
    for name in expected {
        assert!(owned.iter().any(|owned| owned == name), "{name}: {owned:?}");
    }
    let elsewhere = luc_core::SitePrefix::of_key(b"elsewhere");
    assert!(identity_owned(&services.store.snapshot(), elsewhere).is_empty());
}

#[tokio::test]
async fn the_default_domain_becomes_an_ordinary_one_with_all_its_people() {
    let cloud = Cloud::founded().await;
    let (user, project) = cloud.user("ada", "member").await;
    let token = cloud.admin().await;
    let group = json!({"group": {"name": "crew"}});
    let group = cloud
        .done(&token, "POST", "/identity/v3/groups", group)
        .await;
    let group = super::cloud::id(&group["group"]);
    let path = format!("/identity/v3/groups/{group}/users/{user}");
    cloud.done(&token, "PUT", &path, Value::Null).await;
    let roles = foreign_roles();
    let made = as_domain(&cloud.services, "lyon", &roles).await.unwrap();
    let snapshot = cloud.services.store.snapshot();
    assert!(snapshot.get::<Domain>("default").is_none());
    let domain = snapshot.get::<Domain>(&made.domain).unwrap();
    assert_eq!(
        (domain.name.as_str(), domain.home()),
        ("lyon", cloud.services.site)
    );
    let (new, scope) = (&made.domain, luc_state::Scope::Domain(made.domain.clone()));
    assert!(
        snapshot
            .all::<User>()
            .all(|it| it.domain_id == *new && *it.scope() == scope)
    );
    assert!(snapshot.all::<Project>().all(|it| it.domain_id == *new));
    assert!(snapshot.all::<Group>().all(|it| it.domain_id == *new));
    assert!(snapshot.all::<Membership>().all(|it| it.domain_id == *new));
    let assignments: Vec<_> = snapshot.all::<Assignment>().collect();
    assert!(assignments.iter().all(|it| it.domain_id == *new));
    let places: Vec<_> = assignments.iter().map(|it| it.place.clone()).collect();
    let of_ada = places
        .iter()
        .filter(|place| matches!(place, Place::Project(id) if id.as_str() == project));
    assert_eq!(of_ada.count(), 1);
    assert!(!places.contains(&Place::System));
    assert!(
        assignments
            .iter()
            .all(|it| roles.values().any(|id| *id == it.role_id))
    );
    assert_eq!(
        snapshot.count::<Role>() + snapshot.count::<CatalogEndpoint>(),
        0
    );
    assert!(
        made.left
            .iter()
            .any(|left| left.starts_with("role on the system"))
    );
}

#[tokio::test]
async fn a_role_that_the_cloud_does_not_have_is_named_and_nothing_changes() {
    let cloud = Cloud::founded().await;
    let token = cloud.admin().await;
    let role = json!({"role": {"name": "pilot"}});
    cloud.done(&token, "POST", "/identity/v3/roles", role).await;
    cloud.user("ada", "pilot").await;
    let before = cloud.services.store.snapshot().revision();
    let refused = as_domain(&cloud.services, "lyon", &foreign_roles()).await;
    assert!(refused.unwrap_err().to_string().contains("pilot"));
    assert_eq!(cloud.services.store.snapshot().revision(), before);
    assert!(cloud.login("ada", PASSWORD, Value::Null).await.is_ok());
    assert_eq!(cloud.services.store.snapshot().count::<AppCred>(), 0);
}
