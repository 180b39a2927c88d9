//! A value that changes, and those who wait for it: `tokio::sync::watch` with one more promise.
//!
//! They are woken in the order in which they began to wait, not in a random one, so that a cloud on
//! a paused clock goes the same way whenever it goes from the same seed.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::lock;

/// The newest of a value.
#[derive(Debug, Default)]
pub(super) struct Latest<T> {
    /// The value and how often it has changed.
    held: Mutex<(T, u64)>,
    changed: Notify,
}

impl<T> Latest<T> {
    /// Looks at it.
    pub(super) fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&lock(&self.held).0)
    }

    /// Changes it, and wakes those who wait if `change` says that something is different.
    pub(super) fn modify(&self, change: impl FnOnce(&mut T) -> bool) {
        {
            let mut held = lock(&self.held);
            if !change(&mut held.0) {
                return;
            }
            held.1 += 1;
        }
        self.changed.notify_waiters();
    }

    /// Somebody who has seen it as it is now.
    pub(super) fn seen(self: &Arc<Self>) -> Watcher<T> {
        Watcher {
            seen: lock(&self.held).1,
            latest: Arc::clone(self),
        }
    }
}

/// Somebody who waits for a value to change.
#[derive(Debug)]
pub(super) struct Watcher<T> {
    latest: Arc<Latest<T>>,
    seen: u64,
}

impl<T> Watcher<T> {
    /// Looks at it as it is now, and has seen that.
    pub(super) fn read<R>(&mut self, look: impl FnOnce(&T) -> R) -> R {
        let held = lock(&self.latest.held);
        self.seen = held.1;
        look(&held.0)
    }

    /// Waits until it has changed since it was seen.
    pub(super) async fn changed(&mut self) {
        loop {
            let changed = self.latest.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if lock(&self.latest.held).1 != self.seen {
                return;
            }
            changed.await;
        }
    }

    /// Waits until `there` is true of it; false if that is not so by the deadline.
    pub(super) async fn reaches(
        &mut self,
        deadline: Instant,
        mut there: impl FnMut(&T) -> bool,
    ) -> bool {
        loop {
            if self.read(&mut there) {
                return true;
            }
            if timeout_at(deadline, self.changed()).await.is_err() {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_woken_in_the_order_in_which_they_began() {
        let latest = Arc::new(Latest::<u32>::default());
        let order: Arc<Mutex<Vec<u32>>> = Arc::default();
        for number in 0..50 {
            let (mut watcher, order) = (latest.seen(), Arc::clone(&order));
            tokio::spawn(async move {
                watcher.changed().await;
                lock(&order).push(number);
            });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        latest.modify(|_| false);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(lock(&order).is_empty(), "nothing has changed");
        latest.modify(|held| {
            *held += 1;
            true
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(*lock(&order), (0..50).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_before_the_wait_is_not_missed_and_a_deadline_is_kept() {
        let latest = Arc::new(Latest::<u32>::default());
        let mut watcher = latest.seen();
        latest.modify(|held| {
            *held = 7;
            true
        });
        watcher.changed().await;
        assert_eq!(watcher.read(|held| *held), 7);
        let deadline = Instant::now() + Duration::from_secs(1);
        assert!(watcher.reaches(deadline, |held| *held == 7).await);
        assert!(!watcher.reaches(deadline, |held| *held == 8).await);
        assert_eq!(Instant::now(), deadline);
    }
}
