//! Exactly once: a write that is handed on happens at its home, once, whatever gets lost.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use luc_core::id::OpId;
use luc_services::Services;
use luc_services::identity::model::User;
use luc_services::operations::{self, Operation};
use luc_services::ports::sites::{Forwarded, ForwardedBody, OperationSeed};
use luc_services::{http as api, routing};
use luc_state::key;
use serde_json::{Value, json};

use crate::world::{Answer, Fault, World, read};

const USERS: &str = "/identity/v3/users";

fn ada() -> Value {
    json!({"user": {"name": "ada"}})
}

/// The users called `ada` at a site.
fn adas(services: &Services) -> Vec<Arc<luc_state::Stored<User>>> {
    let snapshot = services.store.snapshot();
    let by_name = key(&["default", "ada"]);
    snapshot.find(&User::BY_NAME, &by_name).collect()
}

/// The operations that a site has carried out.
fn operations_of(services: &Services) -> Vec<Arc<luc_state::Stored<Operation>>> {
    services.store.snapshot().all::<Operation>().collect()
}

/// The operation id that an answer names.
fn named_operation(answer: &Answer) -> String {
    let message = answer.body["error"]["message"].as_str().unwrap_or_default();
    let (_, rest) = message.split_once("`luc op show ").expect("an id is named");
    rest.split('`').next().unwrap_or_default().to_owned()
}

/// Hands `body` to the founder under an operation, as the second site would.
async fn hand_on(world: &World, services: &Arc<Services>, id: &str, body: Value) -> Answer {
    let (parts, _) = world.request("POST", USERS, &body).into_parts();
    let forwarded = Forwarded {
        parts,
        body: ForwardedBody::Whole(body.to_string().into()),
        operation: Some(OperationSeed {
            id: OpId::parse(id).expect("it is there"),
            seed: [7; 32],
        }),
        patience: Duration::from_secs(5),
    };
    let from = world.services(1).site;
    let request =
        routing::wire::received(from, routing::wire::request(forwarded)).expect("it is there");
    read(api::respond(services, request).await.expect("it is there")).await
}

#[tokio::test(start_paused = true)]
async fn a_user_made_at_another_site_is_made_once_although_the_first_answer_was_lost() {
    let world = World::new().await;
    world.plan(&[Fault::LostAfter]);
    let answer = world.ask(1, "POST", USERS, ada()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(world.sent().len(), 2, "it was sent again");
    let founder = world.services(0);
    let [user] = &adas(&founder)[..] else {
        panic!("ada is there once");
    };
    assert_eq!(user.home(), founder.site);
    assert_eq!(answer.body["user"]["id"], user.id.as_str());
    let [operation] = &operations_of(&founder)[..] else {
        panic!("one operation was carried out");
    };
    assert_eq!(operation.from, world.services(1).site);
    assert_eq!(operation.wrote[0].id, user.id.as_str());
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_on_its_way_is_sent_again_with_the_same_ids() {
    let world = World::new().await;
    world.plan(&[Fault::LostBefore, Fault::LostBefore]);
    let answer = world.ask(1, "POST", USERS, ada()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(world.sent().len(), 3);
    assert_eq!(adas(&world.services(0)).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_site_that_cannot_be_reached_is_named_and_nothing_is_changed() {
    let world = World::new().await;
    world.cut(0);
    let answer = world.ask(1, "POST", USERS, ada()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let message = answer.body["error"]["message"]
        .as_str()
        .expect("it is there");
    assert!(message.contains("grenoble"), "{message}");
    assert!(answer.headers.contains_key("retry-after"));
    world.heal();
    assert!(adas(&world.services(0)).is_empty());
    let again = world.ask(1, "POST", USERS, ada()).await;
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.body);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_stays_unknown_names_site_and_operation_and_is_resolved_later() {
    let world = World::new().await;
    world.break_all(Some(Fault::LostAfter));
    let answer = world.ask(1, "POST", USERS, ada()).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    let message = answer.body["error"]["message"]
        .as_str()
        .expect("it is there");
    assert!(message.contains("Site grenoble"), "{message}");
    let id = named_operation(&answer);
    let here = world.services(1);
    let shown = operations::show(&here, &id).await.expect("it is there");
    assert_eq!(shown["operation"]["outcome"], "unknown", "{shown}");
    world.break_all(None);
    let shown = operations::show(&world.services(2), &id)
        .await
        .expect("it is there");
    assert_eq!(shown["operation"]["outcome"], "done", "{shown}");
    assert_eq!(shown["operation"]["status"], 201);
    assert_eq!(shown["operation"]["site"], "grenoble");
    assert_eq!(adas(&world.services(0)).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_never_arrived_is_resolved_as_not_done_and_refused_when_it_comes_late() {
    let world = World::new().await;
    world.break_all(Some(Fault::LostBefore));
    let answer = world.ask(1, "POST", USERS, ada()).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    world.break_all(None);
    let id = named_operation(&answer);
    let shown = operations::show(&world.services(1), &id)
        .await
        .expect("it is there");
    assert_eq!(shown["operation"]["outcome"], "not done", "{shown}");
    let founder = world.services(0);
    let late = hand_on(&world, &founder, &id, ada()).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(adas(&founder).is_empty(), "it stays not done");
}

#[tokio::test(start_paused = true)]
async fn an_id_that_nobody_knows_is_not_said_to_be_not_done() {
    let world = World::new().await;
    world.break_all(Some(Fault::LostAfter));
    let answer = world.ask(1, "POST", USERS, ada()).await;
    world.break_all(None);
    let id = named_operation(&answer);
    // A digit of the random part, another site's prefix, and a prefix of nobody.
    let last = if id.ends_with('0') { '1' } else { '0' };
    let typo = format!("{}{last}", &id[..id.len() - 1]);
    let founder = world.services(0).site;
    let mut draws = luc_core::entropy::SplitMix64::new(1);
    let other = OpId::born_at(founder, &mut draws).to_string();
    let nobody = luc_core::SitePrefix::from_bytes([9; 6]);
    let nobody = OpId::born_at(nobody, &mut draws).to_string();
    for unknown in [&typo, &other, &nobody] {
        for site in [1, 0, 2, 1] {
            let shown = operations::show(&world.services(site), unknown).await;
            let shown = shown.expect("it is an id");
            let outcome = &shown["operation"]["outcome"];
            assert_eq!(outcome, operations::NO_RECORD, "{unknown} at {site}");
        }
    }
    for site in [0, 1, 2] {
        let shown = operations::show(&world.services(site), &id).await;
        let shown = shown.expect("it is there");
        assert_eq!(shown["operation"]["outcome"], "done", "{shown}");
        let began = shown["operation"]["began"].as_str();
        assert!(began.is_some_and(|text| text.ends_with('Z')), "{shown}");
    }
}

#[tokio::test]
async fn what_is_no_id_of_an_operation_is_a_bad_request() {
    let world = World::new().await;
    for wrong in ["op-1", "", "0c1d2e3f-0000-4000-8000-000000000000"] {
        let refused = operations::show(&world.services(0), wrong).await;
        let error = refused.expect_err("it is no id");
        assert!(
            matches!(error, luc_api::ApiError::BadRequest { .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn two_arrivals_at_once_get_one_answer() {
    let world = World::new().await;
    let founder = world.services(0);
    let (one, two) = tokio::join!(
        hand_on(&world, &founder, "op-1", ada()),
        hand_on(&world, &founder, "op-1", ada()),
    );
    assert_eq!(one.status, StatusCode::CREATED, "{}", one.body);
    assert_eq!(one.body, two.body);
    assert_eq!(adas(&founder).len(), 1);
}

#[tokio::test]
async fn a_second_arrival_after_a_restart_gets_the_stored_answer() {
    let world = World::new().await;
    let first = hand_on(&world, &world.services(0), "op-1", ada()).await;
    let mut restarted = Services::clone(&world.services(0));
    restarted.operations = Arc::default();
    let second = hand_on(&world, &Arc::new(restarted), "op-1", ada()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    assert_eq!((first.status, first.body), (second.status, second.body));
    assert_eq!(adas(&world.services(0)).len(), 1);
}

#[tokio::test]
async fn an_operation_that_comes_back_with_another_request_is_refused() {
    let world = World::new().await;
    let founder = world.services(0);
    let first = hand_on(&world, &founder, "op-1", ada()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    let other = hand_on(&world, &founder, "op-1", json!({"user": {"name": "eve"}})).await;
    assert_eq!(other.status, StatusCode::CONFLICT);
    let snapshot = founder.store.snapshot();
    assert!(
        snapshot
            .one(&User::BY_NAME, &key(&["default", "eve"]))
            .is_none()
    );
}

#[tokio::test]
async fn a_refused_write_leaves_no_operation() {
    let world = World::new().await;
    let founder = world.services(0);
    let refused = hand_on(&world, &founder, "op-1", json!({"user": {}})).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(operations_of(&founder).is_empty());
}

#[tokio::test]
async fn operations_are_forgotten_after_a_day() {
    let world = World::new().await;
    let founder = world.services(0);
    hand_on(&world, &founder, "op-1", ada()).await;
    world.tick(23 * 3600);
    let before = |world: &World| {
        let now = world.services(0).clock.now().unix_micros();
        let kept = i64::try_from(operations::KEPT.as_micros()).expect("it is there");
        luc_core::time::Timestamp::from_unix_micros(now - kept)
    };
    assert_eq!(operations::purge(&founder, before(&world)).await, Ok(0));
    world.tick(2 * 3600);
    assert_eq!(operations::purge(&founder, before(&world)).await, Ok(1));
    assert!(operations_of(&founder).is_empty());
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_by_a_crash_is_not_made_again() {
    let world = World::new().await;
    let founder = world.services(0);
    hand_on(&world, &founder, "op-1", ada()).await;
    let crashed = founder.store.transact(|tx| {
        let stored = tx.get::<Operation>("op-1").expect("it is noted");
        let mut operation = stored.value().clone();
        operation.answer = None;
        tx.update(operation).map(drop)
    });
    crashed.await.expect("it is written");
    let again = hand_on(&world, &founder, "op-1", ada()).await;
    assert_eq!(again.status, StatusCode::GATEWAY_TIMEOUT, "{}", again.body);
    assert_eq!(named_operation(&again), "op-1");
    assert_eq!(adas(&founder).len(), 1);
    let shown = operations::show(&founder, "op-1").await;
    let shown = shown.expect("it is known");
    assert_eq!(shown["operation"]["outcome"], "done", "{shown}");
}
