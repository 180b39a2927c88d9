//! What hosts are told.

use futures::StreamExt as _;
use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;
use luc_state::{MemoryEngine, Store, StoreOptions, Tx, TxError, WatchEvent};

use super::*;
use crate::compute::host::Resources;
use crate::compute::model;
use crate::compute::model::server::{RebootKind, Resizing};
use crate::compute::server::action::begin;
use crate::compute::server::fixture::{NOON, active, flavor};
use crate::compute::server::state::VmState;

#[test]
fn a_settled_server_is_to_stay_as_it_is() {
    let server = active(1);
    let wanted = Wanted::of(&server);
    assert_eq!((wanted.goal, wanted.generation), (Goal::Running, 0));
    assert_eq!((wanted.build, wanted.built), (0, Some(0)));
    let paused = Server {
        vm_state: VmState::Paused,
        ..active(1)
    };
    assert_eq!(Wanted::of(&paused).goal, Goal::Paused);
}

#[test]
fn a_reboot_stays_in_the_wish_after_it_was_done() {
    let mut server = active(1);
    begin(&mut server, Task::RebootSoft, None, NOON);
    let reboot = Wanted::of(&server).reboot.unwrap();
    assert_eq!((reboot.kind, reboot.number), (RebootKind::Soft, 1));
    server.order.task = None;
    assert_eq!(
        Wanted::of(&server).reboot,
        Some(reboot),
        "a restarted host must not forget it"
    );
}

#[test]
fn a_rebuild_asks_for_new_disks() {
    let mut server = active(1);
    begin(&mut server, Task::Rebuild, None, NOON);
    let wanted = Wanted::of(&server);
    assert_eq!((wanted.build, wanted.built), (1, Some(0)));
}

#[test]
fn the_size_before_is_kept_until_the_owner_decides() {
    let mut server = active(1);
    let small = server.flavor.clone();
    server.flavor = FlavorCopy {
        name: "m1.big".to_owned(),
        ..flavor()
    };
    server.resizing = Some(Resizing {
        old_flavor: small,
        old_claim: Resources::default(),
        was: VmState::Active,
    });
    begin(&mut server, Task::Resize, None, NOON);
    assert!(Wanted::of(&server).keep_previous);
    assert_eq!(Wanted::of(&server).flavor.name, "m1.big");
    server.order.task = None;
    server.vm_state = VmState::Resized;
    assert!(Wanted::of(&server).keep_previous);
    assert_eq!(Wanted::of(&server).goal, Goal::Running);
    begin(&mut server, Task::RevertResize, None, NOON);
    assert_eq!(Wanted::of(&server).flavor.name, "m1.tiny");
    assert!(!Wanted::of(&server).keep_previous);
    begin(&mut server, Task::ConfirmResize, None, NOON);
    assert_eq!(Wanted::of(&server).flavor.name, "m1.big");
    assert!(!Wanted::of(&server).keep_previous);
}

#[test]
fn what_a_lost_host_may_still_have_is_to_go() {
    let gone = DeletedServer {
        server: active(1),
        deleted_at: NOON,
        leftover: true,
    };
    assert_eq!(Wanted::of_deleted(&gone).goal, Goal::Absent);
}

/// What the last commit of a fresh store means for hosts `n1` and `n2`.
async fn told(
    before: impl Fn(&mut Tx<'_>) -> Result<(), TxError>,
    change: impl Fn(&mut Tx<'_>) -> Result<(), TxError>,
) -> [Vec<String>; 2] {
    let options = StoreOptions::new(SitePrefix::of_key(b"site"), SplitMix64::new(1));
    let engine = Arc::new(MemoryEngine::sole());
    let (store, driver) = Store::open(engine, model::schema(), options).await.unwrap();
    tokio::spawn(driver);
    let from = store.transact(before).await.unwrap().revision;
    let mut watch = store.watch(from);
    store.transact(change).await.unwrap();
    let Some(WatchEvent::Commit(commit)) = watch.next().await else {
        panic!("the change is not seen");
    };
    ["n1", "n2"].map(|host| {
        let changes = commit.changes.iter();
        let meant = changes.filter_map(|change| of_change(change, store.site(), host));
        meant
            .map(|change| match change {
                WantedChange::Want(holder) => format!("{:?}", holder.wanted().goal),
                WantedChange::Forget(_) => "forget".to_owned(),
            })
            .collect()
    })
}

fn on(host: &str) -> Server {
    let mut server = active(1);
    server.placement.as_mut().unwrap().host = host.to_owned();
    server
}

#[tokio::test]
async fn a_server_that_moves_is_forgotten_by_one_host_and_wanted_of_the_other() {
    let [first, second] = told(
        |tx| tx.insert(on("n1")).map(drop),
        |tx| tx.update(on("n2")).map(drop),
    )
    .await;
    assert_eq!(
        (first, second),
        (vec!["forget".to_owned()], vec!["Running".to_owned()])
    );
}

#[tokio::test]
async fn a_server_that_is_deleted_behind_its_hosts_back_is_to_go() {
    let gone = |leftover| DeletedServer {
        server: on("n1"),
        deleted_at: NOON,
        leftover,
    };
    let [first, second] = told(
        |tx| tx.insert(on("n1")).map(drop),
        |tx| {
            tx.delete::<Server>(on("n1").id)?;
            tx.insert(gone(true)).map(drop)
        },
    )
    .await;
    assert_eq!(first, ["forget", "Absent"], "in this order");
    assert!(second.is_empty());
    let [first, _] = told(
        |tx| tx.insert(gone(true)).map(drop),
        |tx| tx.update(gone(false)).map(drop),
    )
    .await;
    assert_eq!(first, ["forget"]);
}
