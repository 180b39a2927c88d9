//! The stored form of each record, as it stands in engines: once released it must be read for ever.

use luc_state::Record;

use super::*;

/// Reads a record that is written like this, and writes it again as it was.
fn keeps<R: Record + PartialEq + std::fmt::Debug>(written: &str, id: &str) -> R {
    let record: R = serde_json::from_str(written).unwrap();
    let value: serde_json::Value = serde_json::from_str(written).unwrap();
    assert_eq!(serde_json::to_value(&record).unwrap(), value);
    assert_eq!(record.id(), id);
    record
}

/// Reads a record without the members that earlier or other writers leave out.
fn reads<R: Record + PartialEq + std::fmt::Debug>(short: &str, full: &R) {
    assert_eq!(&serde_json::from_str::<R>(short).unwrap(), full);
}

#[test]
fn users_groups_and_memberships_keep_their_form() {
    let user: User = keeps(
        r#"{"id": "u1", "domain_id": "default", "name": "ada", "enabled": true,
            "default_project_id": "p1", "password": "$argon2id$v=19$x", "token_epoch": 2,
            "options": {"lock_password": true}, "extra": {"email": "ada@example.org"},
            "created_at": 1767225600000000}"#,
        "u1",
    );
    assert!(user.has_option("lock_password"));
    assert!(
        !format!("{user:?}").contains("argon2id"),
        "the hash is printed"
    );
    let bare: User = keeps(
        r#"{"id": "u1", "domain_id": "default", "name": "ada", "enabled": true, "token_epoch": 0,
            "options": {}, "extra": {}, "created_at": 1767225600000000}"#,
        "u1",
    );
    reads(
        r#"{"id": "u1", "domain_id": "default", "name": "ada", "enabled": true,
            "created_at": 1767225600000000}"#,
        &bare,
    );
    let group: Group = keeps(
        r#"{"id": "g1", "domain_id": "default", "name": "crew", "description": "us",
            "extra": {"floor": 3}}"#,
        "g1",
    );
    let kept = serde_json::to_string(&Membership::new(&group, &user.id)).unwrap();
    let read: Membership = keeps(&kept, &Membership::id_of("g1", "u1"));
    assert_eq!(read, Membership::new(&group, &user.id));
}

#[test]
fn domains_and_projects_keep_their_form() {
    let domain: Domain = keeps(
        r#"{"id": "d1", "name": "north", "description": null, "enabled": true, "token_epoch": 0,
            "tags": [], "options": {}, "extra": {}}"#,
        "d1",
    );
    reads(r#"{"id": "d1", "name": "north", "enabled": true}"#, &domain);
    let project: Project = keeps(
        r#"{"id": "p2", "domain_id": "d1", "parent": "p1", "name": "demo", "description": "x",
            "enabled": false, "token_epoch": 1, "tags": ["a"], "options": {"immutable": true},
            "extra": {"floor": 3}}"#,
        "p2",
    );
    assert_eq!(project.parent_id(), "p1");
    let top: Project = keeps(
        r#"{"id": "p1", "domain_id": "d1", "name": "demo", "description": null, "enabled": true,
            "token_epoch": 0, "tags": [], "options": {}, "extra": {}}"#,
        "p1",
    );
    assert_eq!(top.parent_id(), "d1");
}

#[test]
fn roles_and_assignments_keep_their_form() {
    let role: Role = keeps(
        r#"{"id": "r1", "name": "member", "domain_id": "d1", "description": null,
            "options": {"immutable": true}, "extra": {}}"#,
        "r1",
    );
    assert!(is_immutable(&role.options));
    let other: Role = keeps(
        r#"{"id": "r2", "name": "reader", "description": "x", "options": {}, "extra": {}}"#,
        "r2",
    );
    let implied = ImpliedRole::new(&role.id, &other.id);
    let kept = serde_json::to_string(&implied).unwrap();
    assert_eq!(
        keeps::<ImpliedRole>(&kept, &ImpliedRole::id_of("r1", "r2")),
        implied
    );
    for (actor, place) in [
        (r#"{"user": "u1"}"#, r#"{"project": "p1"}"#),
        (r#"{"group": "g1"}"#, r#"{"domain": "d1"}"#),
        (r#"{"user": "u1"}"#, r#""system""#),
    ] {
        let actor: Actor = serde_json::from_str(actor).unwrap();
        let place: Place = serde_json::from_str(place).unwrap();
        let domain = luc_core::id::DomainId::parse("d1").unwrap();
        let made = Assignment::new(actor.clone(), place.clone(), &role.id, &domain);
        let id = Assignment::id_of(actor.parts(), place.parts(), "r1");
        let kept = serde_json::to_string(&made).unwrap();
        assert_eq!(keeps::<Assignment>(&kept, &id), made);
    }
}

#[test]
fn no_two_assignments_share_an_id() {
    let ids = [
        Assignment::id_of(("user", "a"), ("project", "b"), "c"),
        Assignment::id_of(("group", "a"), ("project", "b"), "c"),
        Assignment::id_of(("user", "a"), ("domain", "b"), "c"),
        Assignment::id_of(("user", "ab"), ("project", ""), "c"),
        Assignment::id_of(("user", "a"), ("project", "bc"), ""),
    ];
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
}

#[test]
fn the_catalog_keeps_its_form() {
    let _: CatalogService = keeps(
        r#"{"id": "s1", "type": "compute", "name": "nova", "enabled": true, "extra": {}}"#,
        "s1",
    );
    let _: CatalogEndpoint = keeps(
        r#"{"id": "e1", "service_id": "s1", "interface": "public", "url": "$(base_url)s/compute",
            "region_id": "RegionOne", "enabled": true, "extra": {"name": "x"}}"#,
        "e1",
    );
    let _: Region = keeps(
        r#"{"id": "north", "description": "cold", "parent": "RegionOne", "extra": {}}"#,
        "north",
    );
}

#[test]
fn credentials_and_keys_keep_their_form() {
    let cred: AppCred = keeps(
        r#"{"id": "c1", "name": "robot", "user_id": "u1", "domain_id": "default",
            "project_id": "p1", "description": null, "secret": "$argon2id$v=19$x",
            "expires_at": 1767225600000000, "unrestricted": null, "roles": ["r1"],
            "access_rules": ["a1"]}"#,
        "c1",
    );
    assert!(
        !format!("{cred:?}").contains("argon2id"),
        "the hash is printed"
    );
    let _: AccessRule = keeps(
        r#"{"id": "a1", "user_id": "u1", "domain_id": "default", "service": "compute",
            "path": "/v2.1/servers", "method": "GET"}"#,
        "a1",
    );
    let _: PublicKey = keeps(
        r#"{"id": "k1", "site": "010203040506", "algorithm": "EdDSA", "public_key": "AAAA"}"#,
        "k1",
    );
    let _: Revocation = keeps(
        r#"{"id": "v1", "audit_id": "x", "chain": true, "expires_at": 1767225600000000}"#,
        "v1",
    );
}
