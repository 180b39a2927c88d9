//! The checks themselves, in the order in which the suite runs them.
//!
//! Each is one sentence about a driver and starts from a server that is not there; whatever it
//! leaves is removed, and looked for, afterwards.

use super::{Bench, Outcome, said};
use crate::desired::{Build, Generation, RebootKind, RebootNonce, RebootRequest};
use crate::driver::{Actual, DriverError, Marks};
use crate::observed::PowerState;
use luc_core::time::Duration;
use luc_core::units::{DiskGib, MemoryMib};

macro_rules! ensure {
    ($condition:expr, $($found:tt)+) => {
        if !$condition {
            return Err(format!($($found)+));
        }
    };
}

/// Calls a step of the driver and names it in the error.
macro_rules! step {
    ($bench:expr, $step:ident) => {
        step!($bench, $step, &$bench.wish.id)
    };
    ($bench:expr, $step:ident, $($argument:expr),+) => {{
        let outcome = $bench.driver()?.$step($($argument),+).await;
        outcome.map_err(|error| said(stringify!($step), &error))
    }};
}

pub(super) async fn a_server_is_absent_until_it_is_built_and_then_off(
    bench: &mut Bench<'_>,
) -> Outcome {
    let before = bench.actual().await?;
    ensure!(before == Actual::Absent, "before: {before:?}");
    bench.build().await?;
    let built = bench.built().await?;
    ensure!(
        built.power == PowerState::Shutdown,
        "it is {:?}",
        built.power
    );
    ensure!(
        built.shape == bench.wish.shape,
        "its shape is {:?}",
        built.shape
    );
    ensure!(
        built.build == bench.wish.build,
        "its build is {}",
        built.build
    );
    ensure!(
        built.launched_at.is_none(),
        "it was launched at {:?}",
        built.launched_at
    );
    let listed = bench
        .driver()?
        .list()
        .await
        .map_err(|error| said("list", &error))?;
    ensure!(
        listed.contains(&bench.wish.id),
        "it is not listed: {listed:?}"
    );
    Ok(())
}

pub(super) async fn a_started_guest_comes_up_and_says_so_on_its_console(
    bench: &mut Bench<'_>,
) -> Outcome {
    bench.boot().await?;
    let built = bench.built().await?;
    ensure!(
        built.power == PowerState::Running,
        "it is {:?}",
        built.power
    );
    ensure!(built.launched_at.is_some(), "no launch time");
    let stats = step!(bench, stats)?;
    ensure!(stats.memory_resident.get() > 0, "it occupies no memory");
    let last = bench.driver()?.console(&bench.wish.id, Some(1)).await;
    let last = last.map_err(|error| said("console", &error))?;
    ensure!(
        last.lines().count() <= 1,
        "asked for one line of console, got {last:?}"
    );
    Ok(())
}

pub(super) async fn every_step_may_be_repeated(bench: &mut Bench<'_>) -> Outcome {
    bench.build().await?;
    bench.build().await?;
    bench.start().await?;
    bench.start().await?;
    bench.wait_for_boots(1).await?;
    step!(bench, pause)?;
    step!(bench, pause)?;
    bench.expect_power(PowerState::Paused).await?;
    step!(bench, unpause)?;
    step!(bench, unpause)?;
    bench.expect_power(PowerState::Running).await?;
    step!(bench, power_off)?;
    step!(bench, power_off)?;
    bench.expect_power(PowerState::Shutdown).await?;
    let boots = bench.boots().await?;
    ensure!(boots == 1, "the guest booted {boots} times");
    step!(bench, confirm_resize)?;
    step!(bench, destroy)?;
    step!(bench, destroy)
}

pub(super) async fn a_frozen_guest_goes_on_where_it_was(bench: &mut Bench<'_>) -> Outcome {
    bench.boot().await?;
    step!(bench, pause)?;
    bench.expect_power(PowerState::Paused).await?;
    let frozen = bench.console().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ensure!(
        bench.console().await? == frozen,
        "a frozen guest wrote to its console"
    );
    step!(bench, unpause)?;
    bench.expect_power(PowerState::Running).await?;
    let boots = bench.boots().await?;
    ensure!(boots == 1, "the guest booted {boots} times");
    Ok(())
}

pub(super) async fn a_guest_obeys_a_request_to_shut_down_and_the_driver_tells(
    bench: &mut Bench<'_>,
) -> Outcome {
    bench.boot().await?;
    step!(bench, ask_shutdown)?;
    bench.wait_for_power(PowerState::Shutdown).await?;
    // What the guest said is still there, and it can be started again.
    ensure!(
        bench.boots().await? == 1,
        "the console was lost with the shutdown"
    );
    bench.start().await?;
    bench.wait_for_boots(2).await
}

pub(super) async fn a_suspended_guest_frees_its_memory_and_comes_back_without_a_boot(
    bench: &mut Bench<'_>,
) -> Outcome {
    bench.boot().await?;
    step!(bench, suspend)?;
    bench.expect_power(PowerState::Suspended).await?;
    let stats = bench.driver()?.stats(&bench.wish.id).await;
    ensure!(stats.is_err(), "a suspended guest still uses {stats:?}");
    step!(bench, suspend)?;
    step!(bench, resume, &bench.wish)?;
    step!(bench, resume, &bench.wish)?;
    bench.expect_power(PowerState::Running).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let boots = bench.boots().await?;
    ensure!(boots == 1, "the guest booted {boots} times");
    step!(bench, ask_shutdown)?;
    bench.wait_for_power(PowerState::Shutdown).await
}

pub(super) async fn power_off_discards_a_suspended_guest(bench: &mut Bench<'_>) -> Outcome {
    bench.boot().await?;
    step!(bench, suspend)?;
    step!(bench, power_off)?;
    bench.expect_power(PowerState::Shutdown).await?;
    bench.start().await?;
    bench.wait_for_boots(2).await
}

pub(super) async fn a_resize_can_be_reverted_or_confirmed(bench: &mut Bench<'_>) -> Outcome {
    bench.build().await?;
    let before = bench.wish.shape;
    bench.wish.shape.root_disk = before.root_disk.plus(DiskGib(1));
    bench.wish.shape.memory = before.memory.plus(MemoryMib(16));
    bench.wish.keep_previous = true;
    step!(bench, resize, &bench.wish)?;
    step!(bench, resize, &bench.wish)?;
    let resized = bench.built().await?;
    ensure!(
        resized.shape == bench.wish.shape,
        "its shape is {:?}",
        resized.shape
    );
    ensure!(
        resized.previous == Some(before),
        "kept {:?}",
        resized.previous
    );
    step!(bench, revert_resize)?;
    step!(bench, revert_resize)?;
    let reverted = bench.built().await?;
    ensure!(reverted.shape == before, "reverted to {:?}", reverted.shape);
    ensure!(
        reverted.previous.is_none(),
        "kept {:?} after reverting",
        reverted.previous
    );
    step!(bench, resize, &bench.wish)?;
    step!(bench, confirm_resize)?;
    let confirmed = bench.built().await?;
    ensure!(
        confirmed.shape == bench.wish.shape,
        "its shape is {:?}",
        confirmed.shape
    );
    ensure!(
        confirmed.previous.is_none(),
        "kept {:?} after confirming",
        confirmed.previous
    );
    bench.start().await?;
    bench.wait_for_boots(1).await
}

pub(super) async fn a_root_disk_does_not_shrink(bench: &mut Bench<'_>) -> Outcome {
    bench.wish.shape.root_disk = DiskGib(2);
    bench.build().await?;
    let mut smaller = bench.wish.clone();
    smaller.shape.root_disk = DiskGib(1);
    let refused = bench.driver()?.resize(&smaller).await;
    let permanent = matches!(refused, Err(DriverError::Permanent { .. }));
    ensure!(permanent, "expected a permanent error, got {refused:?}");
    let found = bench.built().await?.shape;
    ensure!(found == bench.wish.shape, "its shape changed to {found:?}");
    Ok(())
}

pub(super) async fn a_rebuild_makes_new_disks_and_keeps_the_marks(
    bench: &mut Bench<'_>,
) -> Outcome {
    bench.boot().await?;
    let marks = Marks {
        settled: Generation(7),
        rebooted: Some(RebootNonce(3)),
    };
    step!(bench, mark, &bench.wish.id, marks)?;
    let refused = bench.driver()?.build(&bench.wish).await;
    ensure!(
        refused.is_err(),
        "new disks were made under a running guest"
    );
    step!(bench, power_off)?;
    bench.wish.build = Build(1);
    bench.build().await?;
    let rebuilt = bench.built().await?;
    ensure!(rebuilt.build == Build(1), "its build is {}", rebuilt.build);
    ensure!(rebuilt.marks == marks, "its marks are {:?}", rebuilt.marks);
    ensure!(rebuilt.launched_at.is_none(), "it keeps its launch time");
    bench.start().await
}

pub(super) async fn a_restart_of_the_agent_leaves_guests_alone_and_finds_them(
    bench: &mut Bench<'_>,
) -> Outcome {
    bench.boot().await?;
    let marks = Marks {
        settled: Generation(9),
        rebooted: None,
    };
    step!(bench, mark, &bench.wish.id, marks)?;
    bench.restart().await?;
    let found = bench.built().await?;
    ensure!(
        found.power == PowerState::Running,
        "it is {:?}",
        found.power
    );
    ensure!(found.marks == marks, "its marks are {:?}", found.marks);
    let boots = bench.boots().await?;
    ensure!(boots == 1, "the console shows {boots} boots");
    step!(bench, ask_shutdown)?;
    bench.wait_for_power(PowerState::Shutdown).await
}

pub(super) async fn a_killed_machine_is_a_crash_and_can_be_started_again(
    bench: &mut Bench<'_>,
) -> Outcome {
    bench.boot().await?;
    bench.harness.kill(bench.driver()?, &bench.wish.id).await?;
    bench.wait_for_power(PowerState::Crashed).await?;
    step!(bench, power_off)?;
    bench.expect_power(PowerState::Shutdown).await?;
    bench.start().await?;
    bench.wait_for_boots(2).await
}

pub(super) async fn a_start_carries_out_the_reboot_that_was_asked_for(
    bench: &mut Bench<'_>,
) -> Outcome {
    let nonce = RebootNonce(4);
    bench.build().await?;
    bench.wish.reboot = Some(RebootRequest {
        kind: RebootKind::Hard,
        nonce,
    });
    bench.start().await?;
    let marks = bench.built().await?.marks;
    ensure!(marks.rebooted == Some(nonce), "its marks are {marks:?}");
    Ok(())
}

pub(super) async fn a_step_on_a_server_that_is_not_there_fails(bench: &mut Bench<'_>) -> Outcome {
    ensure!(
        bench.driver()?.start(&bench.wish).await.is_err(),
        "started without disks"
    );
    ensure!(
        bench.driver()?.pause(&bench.wish.id).await.is_err(),
        "paused without a guest"
    );
    ensure!(
        bench.driver()?.suspend(&bench.wish.id).await.is_err(),
        "suspended without a guest"
    );
    ensure!(
        bench.driver()?.console(&bench.wish.id, None).await.is_err(),
        "a console of nothing"
    );
    ensure!(
        bench.driver()?.stats(&bench.wish.id).await.is_err(),
        "stats of nothing"
    );
    let after = bench.actual().await?;
    ensure!(after == Actual::Absent, "left {after:?}");
    Ok(())
}

pub(super) async fn a_destroyed_server_leaves_nothing_whatever_state_it_was_in(
    bench: &mut Bench<'_>,
) -> Outcome {
    for state in [
        PowerState::Running,
        PowerState::Paused,
        PowerState::Suspended,
    ] {
        bench.build().await?;
        bench.start().await?;
        match state {
            PowerState::Paused => step!(bench, pause)?,
            PowerState::Suspended => step!(bench, suspend)?,
            _ => {}
        }
        step!(bench, destroy)?;
        let after = bench.actual().await?;
        ensure!(after == Actual::Absent, "{state:?} left {after:?}");
        let traces = bench.harness.traces(&bench.wish.id).await;
        ensure!(traces.is_empty(), "{state:?} left {traces:?}");
        let listed = bench
            .driver()?
            .list()
            .await
            .map_err(|error| said("list", &error))?;
        ensure!(
            !listed.contains(&bench.wish.id),
            "{state:?}: it is still listed"
        );
    }
    Ok(())
}
