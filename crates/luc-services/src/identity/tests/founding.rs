//! What a new cloud has, and that founding it twice changes nothing.

use http::StatusCode;
use serde_json::{Value, json};

use super::cloud::{Cloud, PASSWORD, founding, scope_of};
use crate::identity::model::{
    Assignment, CatalogEndpoint, CatalogService, Domain, ImpliedRole, Project, PublicKey, Region,
    Role, User,
};
use crate::identity::{bootstrap, enlist_key};

/// How many records of each type there are.
fn counts(cloud: &Cloud) -> [usize; 10] {
    let snapshot = cloud.services.store.snapshot();
    [
        snapshot.count::<Assignment>(),
        snapshot.count::<CatalogEndpoint>(),
        snapshot.count::<CatalogService>(),
        snapshot.count::<Domain>(),
        snapshot.count::<ImpliedRole>(),
        snapshot.count::<Project>(),
        snapshot.count::<PublicKey>(),
        snapshot.count::<Region>(),
        snapshot.count::<Role>(),
        snapshot.count::<User>(),
    ]
}

#[tokio::test]
async fn a_founded_cloud_has_what_its_administrator_needs() {
    let cloud = Cloud::founded().await;
    assert_eq!(counts(&cloud), [2, 9, 3, 1, 3, 2, 1, 1, 5, 1]);
    let caller = cloud.caller(&cloud.admin().await).unwrap();
    let roles: Vec<_> = caller.roles.iter().map(|role| role.name.as_str()).collect();
    for role in ["admin", "manager", "member", "reader"] {
        assert!(roles.contains(&role), "{role} is not in {roles:?}");
    }
    let system = json!({"system": {"all": true}});
    assert!(cloud.login("admin", PASSWORD, system).await.is_ok());
}

#[tokio::test]
async fn founding_a_cloud_again_changes_nothing() {
    let cloud = Cloud::founded().await;
    let token = cloud.admin().await;
    let before = counts(&cloud);
    bootstrap(&cloud.services, &founding("another password"))
        .await
        .unwrap();
    enlist_key(&cloud.services).await.unwrap();
    assert_eq!(counts(&cloud), before);
    assert!(
        cloud.caller(&token).is_some(),
        "the administrator was logged out"
    );
    let refused = cloud.login("admin", "another password", Value::Null).await;
    assert_eq!(
        refused,
        Err(StatusCode::UNAUTHORIZED),
        "the password was replaced"
    );
}

#[tokio::test]
async fn founding_puts_back_what_is_missing() {
    let cloud = Cloud::founded().await;
    let admin = cloud.admin().await;
    let snapshot = cloud.services.store.snapshot();
    let image = snapshot
        .all::<CatalogService>()
        .find(|entry| entry.kind == "image")
        .unwrap();
    let path = format!("/identity/v3/services/{}", image.id.as_str());
    cloud.done(&admin, "DELETE", &path, Value::Null).await;
    assert_eq!(counts(&cloud)[1..3], [6, 2]);
    bootstrap(&cloud.services, &founding(PASSWORD))
        .await
        .unwrap();
    assert_eq!(counts(&cloud)[1..3], [9, 3]);
}

#[tokio::test]
async fn a_cloud_that_is_not_founded_lets_nobody_in() {
    let cloud = Cloud::bare().await;
    let refused = cloud.login("admin", PASSWORD, scope_of("admin")).await;
    assert_eq!(refused, Err(StatusCode::UNAUTHORIZED));
}

#[tokio::test]
async fn a_token_of_a_key_that_is_not_enlisted_is_not_believed() {
    let founded = Cloud::founded().await;
    let token = founded.admin().await;
    let other = Cloud::bare().await;
    assert!(other.caller(&token).is_none());
    // With the key there is still no such user.
    enlist_key(&other.services).await.unwrap();
    assert!(other.caller(&token).is_none());
}
