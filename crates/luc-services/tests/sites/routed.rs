//! Which site carries out what, and what of it clients see.

use http::StatusCode;
use luc_api::ApiError;
use luc_services::image;
use luc_services::routing::FromSite;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn what_this_site_owns_is_done_here() {
    let world = World::new().await;
    let body = json!({"name": "disk", "disk_format": "raw", "container_format": "bare"});
    let made = world.ask(1, "POST", "/image/v2/images", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert!(world.sent().is_empty(), "nothing was handed on");
}

#[tokio::test]
async fn a_change_of_what_another_site_owns_is_handed_on() {
    let world = World::new().await;
    let body = json!({"name": "disk", "disk_format": "raw", "container_format": "bare"});
    let made = world.ask(1, "POST", "/image/v2/images", body).await;
    let id = made.body["id"].as_str().expect("it has an id").to_owned();
    world.settle().await;
    let path = format!("/image/v2/images/{id}");
    let deleted = world.ask(2, "DELETE", &path, json!(null)).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.body);
    assert_eq!(
        world.sent(),
        [("nancy".to_owned(), format!("DELETE {path}"))]
    );
    let shown = world.ask(1, "GET", &path, json!(null)).await;
    assert_eq!(shown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn clients_neither_see_nor_set_what_sites_tell_each_other() {
    let world = World::new().await;
    let body = json!({"project": {"name": "paper"}});
    let mut request = world.request("POST", "/identity/v3/projects", &body);
    for (name, value) in [
        ("luc-alone", "1"),
        ("luc-hops", "9"),
        ("luc-operation", "op"),
    ] {
        let value = http::HeaderValue::from_static(value);
        request.headers_mut().insert(name, value);
    }
    let made = world.send(1, request).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(world.sent().len(), 1, "it was handed on");
    let internal = |name: &str| name.starts_with("luc-");
    assert!(!made.headers.keys().any(|name| internal(name.as_str())));
}

#[tokio::test]
async fn a_site_is_told_where_and_when_its_write_was_made() {
    let world = World::new().await;
    let mut request = world.request("GET", "/identity/v3/projects", &json!(null));
    request.extensions_mut().insert(FromSite {
        site: world.services(1).site,
        operation: None,
    });
    let answer = world.send(0, request).await;
    let founder = world.services(0);
    assert_eq!(answer.headers["luc-home"], founder.site.to_string());
    let revision = founder.store.snapshot().revision().to_string();
    assert_eq!(answer.headers["luc-revision"], revision);
}

#[tokio::test]
async fn an_answer_that_may_be_old_names_the_silent_site_and_its_age() {
    let world = World::new().await;
    let fresh = world
        .ask(1, "GET", "/identity/v3/projects", json!(null))
        .await;
    assert!(!fresh.headers.contains_key("luc-stale"));
    world.cut(0);
    let old = world
        .ask(1, "GET", "/identity/v3/projects", json!(null))
        .await;
    assert_eq!(old.status, StatusCode::OK, "{}", old.body);
    assert_eq!(old.headers["luc-stale"], "site=grenoble; age=42");
    world.heal();
    world.cut(2);
    let other = world
        .ask(1, "GET", "/identity/v3/projects", json!(null))
        .await;
    assert!(
        !other.headers.contains_key("luc-stale"),
        "it owns no domain"
    );
}

#[tokio::test]
async fn what_is_not_held_here_is_asked_of_the_site_where_it_was_born() {
    let world = World::new().await;
    let body = json!({"name": "disk", "disk_format": "raw", "container_format": "bare"});
    let made = world.ask(1, "POST", "/image/v2/images", body).await;
    let id = made.body["id"].as_str().expect("it has an id").to_owned();
    let path = format!("/image/v2/images/{id}");
    let shown = world.ask(2, "GET", &path, json!(null)).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.body);
    assert_eq!(world.sent(), [("nancy".to_owned(), format!("GET {path}"))]);
    world.cut(1);
    let silent = world.ask(2, "GET", &path, json!(null)).await;
    assert_eq!(silent.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn the_data_of_an_image_goes_to_its_home_and_comes_from_there() {
    let world = World::new().await;
    let body = json!({"name": "disk", "disk_format": "raw", "container_format": "bare"});
    let made = world.ask(1, "POST", "/image/v2/images", body).await;
    let id = made.body["id"].as_str().expect("it has an id").to_owned();
    world.settle().await;
    let path = format!("/image/v2/images/{id}/file");
    let mut request = world.request("PUT", &path, &json!(null));
    let kind = http::HeaderValue::from_static("application/octet-stream");
    request.headers_mut().insert("content-type", kind);
    *request.body_mut() = "\"data\"".into();
    let uploaded = world.send(2, request).await;
    assert_eq!(uploaded.status, StatusCode::NO_CONTENT, "{}", uploaded.body);
    world.settle().await;
    let data = world.ask(0, "GET", &path, json!(null)).await;
    assert_eq!((data.status, data.body), (StatusCode::OK, json!("data")));
    let here = world.services(2);
    let path = image::fetch(&here, &id).await.expect("it is brought here");
    assert_eq!(std::fs::read(path).expect("it is there"), b"\"data\"");
    world.cut(1);
    assert!(image::fetch(&here, &id).await.is_ok(), "it is kept");
    let elsewhere = image::fetch(&world.services(0), &id).await;
    assert!(matches!(elsewhere, Err(ApiError::SiteUnreachable { .. })));
}

#[tokio::test]
async fn a_client_sees_its_own_write_at_once_where_it_made_it() {
    let world = World::new().await;
    let body = json!({"project": {"name": "paper"}});
    let made = world.ask(1, "POST", "/identity/v3/projects", body).await;
    let path = format!(
        "/identity/v3/projects/{}",
        made.body["project"]["id"].as_str().expect("it is there")
    );
    world.sent();
    let shown = world.ask(1, "GET", &path, json!(null)).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.body);
    assert!(world.sent().is_empty(), "from the copy");
}
