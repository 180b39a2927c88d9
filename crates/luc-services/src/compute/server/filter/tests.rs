//! Which parameters a list takes from whom, and what they mean.

use super::*;
use crate::compute::model::server::{Address, Lock, Server};
use crate::compute::server::fixture::{NOON, active};

const OLD: Microversion = Microversion::new(2, 1);
const NEW: Microversion = Microversion::new(2, 79);
const MEMBER: Rights = Rights {
    all_filters: false,
    is_admin: false,
};
const ADMIN: Rights = Rights {
    all_filters: true,
    is_admin: true,
};

fn filter(text: &str, version: Microversion, rights: Rights) -> Result<Filter, ApiError> {
    Filter::of(&Query::parse(text)?, version, rights)
}

fn refused(text: &str, version: Microversion, rights: Rights) -> u16 {
    filter(text, version, rights).unwrap_err().status().as_u16()
}

fn admits(text: &str, server: &Server) -> bool {
    filter(text, NEW, ADMIN)
        .unwrap()
        .admits(&Shown::live(server), "paris")
}

fn rich() -> Server {
    let mut server = active(7);
    server.name = "web-1".to_owned();
    server.tags = ["blue", "green"].map(str::to_owned).into();
    server.lock = Some(Lock {
        by_admin: true,
        reason: None,
    });
    server.addresses = vec![Address {
        network: "user".to_owned(),
        address: "10.0.2.15".parse().unwrap(),
        mac: "52:54:00:12:34:56".to_owned(),
    }];
    server
}

#[test]
fn each_filter_means_what_it_says() {
    let server = rich();
    let cases = [
        ("name=web", true),
        ("name=WEB-.$", true),
        ("name=db", false),
        ("status=ACTIVE", true),
        ("status=active&status=ERROR", true),
        ("status=SHUTOFF", false),
        ("status=MIGRATING", false),
        ("host=n1", true),
        ("host=n", false),
        ("node=n1", true),
        ("flavor=1", true),
        ("image=e2855334-f19e-461d-a1eb-a318686aa4c2", true),
        ("image=e285", false),
        ("ip=10.0", true),
        ("ip=0.2", false),
        ("ip6=10", false),
        ("tags=blue,green", true),
        ("tags=blue,red", false),
        ("tags-any=blue,red", true),
        ("not-tags=blue,red", true),
        ("not-tags=blue,green", false),
        ("not-tags-any=red", true),
        ("not-tags-any=red,blue", false),
        ("locked=true", true),
        ("locked=false", false),
        ("locked_by=admin", true),
        ("vm_state=active", true),
        ("task_state=None", true),
        ("power_state=1", true),
        ("availability_zone=paris", true),
        ("reservation_id=r-0kf8odm1", true),
        ("project_id=p1&user_id=u1", true),
        ("tenant_id=p2", false),
        ("config_drive=True", false),
        ("changes-since=2026-11-22T12:00:00Z", true),
        ("changes-since=2026-11-22T12:00:01Z", false),
        ("changes-before=2026-11-22T12:00:00Z", true),
        ("changes-before=2026-11-22T11:59:59Z", false),
    ];
    assert_eq!(NOON, wire_time::parse("t", "2026-11-22T12:00:00Z").unwrap());
    for (text, expected) in cases {
        assert_eq!(admits(text, &server), expected, "{text}");
    }
}

#[test]
fn a_status_that_is_the_default_of_a_state_counts_during_any_task() {
    let rebooting = Server {
        task_state: Some(TaskState::Rebooting),
        ..active(1)
    };
    assert!(admits("status=REBOOT", &rebooting));
    assert!(admits("status=ACTIVE", &rebooting), "as in Nova");
    assert!(!admits("status=REBOOT", &active(1)));
}

#[test]
fn callers_without_the_right_have_a_short_list_of_filters() {
    let server = rich();
    let mine = |text: &str, minor: u16| {
        let filter = filter(text, Microversion::new(2, minor), MEMBER).unwrap();
        filter.admits(&Shown::live(&server), "paris")
    };
    assert!(mine("host=elsewhere", 1), "dropped, as in Nova");
    assert!(!mine("name=db", 1));
    assert!(mine("tags=red", 25), "no filter before 2.26");
    assert!(!mine("tags=red", 26));
    assert!(mine("locked=false", 72), "no filter before 2.73");
    assert!(!mine("locked=false", 73));
}

#[test]
fn deleted_servers_are_for_administrators_and_for_those_who_ask_for_changes() {
    let deleted = |text: &str, rights: Rights| filter(text, NEW, rights).unwrap().deleted;
    assert_eq!(deleted("", ADMIN), Deleted::Without);
    assert_eq!(deleted("deleted=True", ADMIN), Deleted::Only);
    assert_eq!(deleted("deleted=perhaps", ADMIN), Deleted::Without);
    assert_eq!(deleted("deleted=True", MEMBER), Deleted::Without, "dropped");
    assert_eq!(deleted("changes-since=2026-01-01", MEMBER), Deleted::Both);
    assert_eq!(deleted("status=DELETED", ADMIN), Deleted::Only);
    assert_eq!(refused("status=DELETED", NEW, MEMBER), 403);
}

#[test]
fn what_is_malformed_is_refused_whoever_sends_it() {
    for bad in [
        "name=*",
        "name=",
        "ip=(",
        "changes-since=yesterday",
        "changes-since=2026-01-02&changes-before=2026-01-01",
        "all_tenants=maybe",
        "locked=maybe",
        "status=SLEEPING",
        "colour=red",
        "_private=1",
        "services=x",
    ] {
        let rights = if bad.starts_with(['_', 's']) {
            ADMIN
        } else {
            MEMBER
        };
        assert_eq!(refused(bad, NEW, rights), 400, "{bad}");
    }
    assert!(
        filter("colour=red", OLD, MEMBER).is_ok(),
        "passed over until 2.74"
    );
    let unknown = filter("status=SLEEPING", OLD, MEMBER).unwrap();
    assert!(
        !unknown.admits(&Shown::live(&active(1)), ""),
        "matches nothing until 2.37"
    );
}

#[test]
fn all_projects_are_asked_for_with_or_without_a_value() {
    let all = |text: &str| filter(text, OLD, MEMBER).unwrap().all_projects;
    assert!(all("all_tenants=1"));
    assert!(all("all_tenants"));
    assert!(!all("all_tenants=0"));
    assert!(!all(""));
}
