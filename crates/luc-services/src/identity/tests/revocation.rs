//! Whatever ends a token ends it for the very next request, also if it was used a moment ago.

use http::StatusCode;
use serde_json::{Value, json};

use super::cloud::{Cloud, PASSWORD, id, scope_of};
use crate::identity::model::Revocation;

/// A member's token that has just been used, and the ids of user and project.
async fn in_use(cloud: &Cloud) -> (String, String, String) {
    let (user, project) = cloud.user("ada", "member").await;
    let token = cloud.login("ada", PASSWORD, scope_of("ada")).await.unwrap();
    assert!(cloud.caller(&token).is_some());
    (token, user, project)
}

#[tokio::test]
async fn a_token_ends_with_its_last_second() {
    let cloud = Cloud::founded().await;
    let (token, ..) = in_use(&cloud).await;
    cloud.tick(3599);
    assert!(cloud.caller(&token).is_some());
    cloud.tick(1);
    assert!(cloud.caller(&token).is_none());
}

#[tokio::test]
async fn an_exchanged_token_ends_with_the_first() {
    let cloud = Cloud::founded().await;
    let (first, ..) = in_use(&cloud).await;
    cloud.tick(3000);
    let by_token = json!({"methods": ["token"], "token": {"id": first}});
    let second = cloud.token(by_token, json!("unscoped")).await.unwrap();
    cloud.tick(599);
    assert!(cloud.caller(&second).is_some());
    cloud.tick(1);
    assert!(cloud.caller(&second).is_none());
}

#[tokio::test]
async fn a_user_who_is_disabled_is_out_at_once_and_for_good() {
    let cloud = Cloud::founded().await;
    let (token, user, _) = in_use(&cloud).await;
    let admin = cloud.admin().await;
    let path = format!("/identity/v3/users/{user}");
    cloud
        .done(&admin, "PATCH", &path, json!({"user": {"enabled": false}}))
        .await;
    assert!(cloud.caller(&token).is_none());
    let refused = cloud.login("ada", PASSWORD, scope_of("ada")).await;
    assert_eq!(refused, Err(StatusCode::UNAUTHORIZED));
    cloud
        .done(&admin, "PATCH", &path, json!({"user": {"enabled": true}}))
        .await;
    assert!(cloud.caller(&token).is_none());
    assert!(cloud.login("ada", PASSWORD, scope_of("ada")).await.is_ok());
}

#[tokio::test]
async fn a_project_that_is_disabled_or_deleted_ends_tokens_for_it_only() {
    let cloud = Cloud::founded().await;
    let (token, _, project) = in_use(&cloud).await;
    let unscoped = cloud.login("ada", PASSWORD, Value::Null).await.unwrap();
    let admin = cloud.admin().await;
    let path = format!("/identity/v3/projects/{project}");
    cloud
        .done(
            &admin,
            "PATCH",
            &path,
            json!({"project": {"enabled": false}}),
        )
        .await;
    assert!(cloud.caller(&token).is_none());
    assert!(cloud.caller(&unscoped).is_some());
    cloud
        .done(
            &admin,
            "PATCH",
            &path,
            json!({"project": {"enabled": true}}),
        )
        .await;
    let token = cloud.login("ada", PASSWORD, scope_of("ada")).await.unwrap();
    cloud.done(&admin, "DELETE", &path, Value::Null).await;
    assert!(cloud.caller(&token).is_none());
    assert!(cloud.caller(&unscoped).is_some());
}

#[tokio::test]
async fn a_domain_that_is_disabled_ends_the_tokens_of_its_users() {
    let cloud = Cloud::founded().await;
    let admin = cloud.admin().await;
    let body = json!({"domain": {"name": "north"}});
    let domain = id(&cloud
        .done(&admin, "POST", "/identity/v3/domains", body)
        .await["domain"]);
    let body = json!({"user": {"name": "eve", "domain_id": domain, "password": PASSWORD}});
    let eve = id(&cloud.done(&admin, "POST", "/identity/v3/users", body).await["user"]);
    let payload = json!({"user": {"id": eve, "password": PASSWORD}});
    let by_password = json!({"methods": ["password"], "password": payload});
    let token = cloud.token(by_password.clone(), Value::Null).await.unwrap();
    assert!(cloud.caller(&token).is_some());
    let path = format!("/identity/v3/domains/{domain}");
    cloud
        .done(
            &admin,
            "PATCH",
            &path,
            json!({"domain": {"enabled": false}}),
        )
        .await;
    assert!(cloud.caller(&token).is_none());
    let refused = cloud.token(by_password, Value::Null).await;
    assert_eq!(refused, Err(StatusCode::UNAUTHORIZED));
}

#[tokio::test]
async fn a_new_password_ends_the_tokens_of_the_old_one_in_the_same_second() {
    let cloud = Cloud::founded().await;
    let (token, user, _) = in_use(&cloud).await;
    let path = format!("/identity/v3/users/{user}/password");
    let body = json!({"user": {"original_password": PASSWORD, "password": "close sesame"}});
    cloud.done("", "POST", &path, body).await;
    assert!(cloud.caller(&token).is_none());
    let refused = cloud.login("ada", PASSWORD, Value::Null).await;
    assert_eq!(refused, Err(StatusCode::UNAUTHORIZED));
    let fresh = cloud
        .login("ada", "close sesame", Value::Null)
        .await
        .unwrap();
    assert!(cloud.caller(&fresh).is_some());
}

#[tokio::test]
async fn of_two_who_change_a_password_at_once_one_has_the_wrong_old_one() {
    let cloud = Cloud::founded().await;
    let (_, user, _) = in_use(&cloud).await;
    let path = format!("/identity/v3/users/{user}/password");
    let change = |password: &str| {
        let body = json!({"user": {"original_password": PASSWORD, "password": password}});
        cloud.ask("", "POST", &path, body)
    };
    let ((one, _), (other, _)) = tokio::join!(change("first one"), change("second one"));
    let mut outcomes = [one, other];
    outcomes.sort();
    assert_eq!(outcomes, [StatusCode::NO_CONTENT, StatusCode::UNAUTHORIZED]);
    let first = cloud.login("ada", "first one", Value::Null).await;
    let second = cloud.login("ada", "second one", Value::Null).await;
    assert_eq!(first.is_ok(), one == StatusCode::NO_CONTENT);
    assert_eq!(second.is_ok(), other == StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_revoked_token_takes_along_what_was_made_from_it_and_nothing_else() {
    let cloud = Cloud::founded().await;
    let (first, ..) = in_use(&cloud).await;
    let by_token = json!({"methods": ["token"], "token": {"id": first}});
    let second = cloud.token(by_token, scope_of("ada")).await.unwrap();
    let by_token = json!({"methods": ["token"], "token": {"id": second}});
    let third = cloud.token(by_token, scope_of("ada")).await.unwrap();
    let separate = cloud.login("ada", PASSWORD, scope_of("ada")).await.unwrap();
    for token in [&first, &second, &third, &separate] {
        assert!(cloud.caller(token).is_some());
    }
    revoke(&cloud, &first).await;
    for token in [&first, &second, &third] {
        assert!(cloud.caller(token).is_none());
    }
    assert!(cloud.caller(&separate).is_some());
}

#[tokio::test]
async fn revocations_that_can_mean_no_token_any_more_are_forgotten() {
    let cloud = Cloud::founded().await;
    cloud.user("ada", "member").await;
    for _ in 0..256 {
        let token = cloud.login("ada", PASSWORD, Value::Null).await.unwrap();
        revoke(&cloud, &token).await;
    }
    let count = || cloud.services.store.snapshot().count::<Revocation>();
    assert_eq!(count(), 256);
    // A token may be asked about for two days after its end.
    cloud.tick(3600 + 48 * 3600);
    let token = cloud.login("ada", PASSWORD, Value::Null).await.unwrap();
    revoke(&cloud, &token).await;
    assert_eq!(count(), 1);
    assert!(cloud.caller(&token).is_none());
}

#[tokio::test]
async fn a_token_that_was_never_used_counts_no_more_either() {
    let cloud = Cloud::founded().await;
    let (_, user, _) = in_use(&cloud).await;
    let token = cloud.login("ada", PASSWORD, scope_of("ada")).await.unwrap();
    let admin = cloud.admin().await;
    cloud
        .done(
            &admin,
            "DELETE",
            &format!("/identity/v3/users/{user}"),
            Value::Null,
        )
        .await;
    assert!(cloud.caller(&token).is_none());
}

#[tokio::test]
async fn what_is_no_token_is_nobody() {
    let cloud = Cloud::founded().await;
    let token = cloud.admin().await;
    for other in [
        "",
        "garbage",
        "a.b.c",
        &token[1..],
        &token[..token.len() - 1],
    ] {
        assert!(
            cloud.caller(other).is_none(),
            "{other:?} was taken for a token"
        );
    }
}

async fn revoke(cloud: &Cloud, token: &str) {
    let request = http::Request::builder()
        .method("DELETE")
        .uri("/identity/v3/auth/tokens?")
        .header("host", "cloud.example")
        .header("x-auth-token", token)
        .header("x-subject-token", token)
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = crate::http::respond(&cloud.services, request)
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
}
