//! The ledger of quotas: what may be used, what is used, and the bookkeeping between.
//!
//! [`reserve`] and [`release`] run inside the transaction that creates or deletes servers, so a
//! limit holds at every revision and nothing has to be recounted. A limit is one for the whole
//! cloud: a site that is not its home uses only what it was lent ([`lease`] says whether that is
//! enough, [`exchange`] gets more). The HTTP face of quotas is [`super::quotas`]; records are in
//! [`super::model::quota`] and [`super::model::lease`].

mod closing;
pub(crate) mod exchange;
mod lease;
pub(crate) mod protocol;
mod report;
mod upkeep;

use std::sync::Arc;

use luc_api::ApiError;
use luc_core::id::{ProjectId, UserId};
use luc_core::units::{MemoryMib, Vcpus};
use luc_state::{Snapshot, Stored, Tx, TxError};

use super::model::lease::Item;
use super::model::quota::{Limits, QuotaClass, QuotaSet, QuotaUsage, Resource, UNLIMITED, Used};
pub(in crate::compute) use closing::{count_closed, count_closed_class};
pub(in crate::compute) use lease::check_group;
pub use lease::{Lent, Shortage};
pub use report::{LimitRow, Report, SiteShare, project_named, report, share_of};
pub use upkeep::{IDLE, free_departed, pending, set_reserve, settle, settle_all, tidy};

/// What is to be used more, or less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Servers.
    pub instances: u64,
    /// Virtual processors of them.
    pub cores: Vcpus,
    /// Memory of them.
    pub ram: MemoryMib,
}

/// A limit that a request would break.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Quota exceeded for {names}: Requested {requested}, but already used {used} of {limits} {names}"
)]
pub struct QuotaExceeded {
    /// The resources, as the wire names them.
    pub names: String,
    /// What was asked for, in the same order.
    pub requested: String,
    /// What is used.
    pub used: String,
    /// What may be used.
    pub limits: String,
}

impl From<QuotaExceeded> for ApiError {
    fn from(exceeded: QuotaExceeded) -> Self {
        Self::QuotaExceeded {
            message: exceeded.to_string(),
        }
    }
}

/// Why nothing was reserved.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReserveError {
    /// A limit stands against it.
    #[error(transparent)]
    Exceeded(#[from] QuotaExceeded),
    /// The site must be lent more first.
    #[error("the lease of this site is used up")]
    Lease(Box<Shortage>),
    /// The site was lent no more.
    #[error("{message}")]
    Refused {
        /// Why.
        message: String,
    },
    /// The record of usage could not be written.
    #[error(transparent)]
    Store(#[from] TxError),
}

/// The limits of a project or user, after defaults.
#[derive(Clone, Copy, Debug)]
pub struct Allowance<'a> {
    class: Option<&'a Limits>,
    project: Option<&'a Limits>,
    user: Option<&'a Limits>,
}

impl<'a> Allowance<'a> {
    /// The limits that `class`, that of all projects, and `set`, the project's own, give to the
    /// project, or to `user` inside it.
    pub fn of(
        class: Option<&'a QuotaClass>,
        set: Option<&'a QuotaSet>,
        user: Option<&UserId>,
    ) -> Self {
        Self {
            class: class.map(|class| &class.limits),
            project: set.map(|set| &set.limits),
            user: user.and_then(|user| set?.users.get(user)),
        }
    }

    /// The limit of `resource`, -1 for none.
    pub fn limit(&self, resource: Resource) -> i64 {
        let set = [self.user, self.project, self.class];
        set.into_iter()
            .flatten()
            .find_map(|limits| limits.get(&resource).copied())
            .unwrap_or_else(|| resource.default_limit())
    }

    /// Whether `count` of `resource` in all are within the limit.
    pub fn admits(&self, resource: Resource, count: u64) -> bool {
        let limit = self.limit(resource);
        limit == UNLIMITED || i64::try_from(count).is_ok_and(|count| count <= limit)
    }
}

/// Books `delta` for `user` in `project`, unless a limit of either stands against it, or what this
/// site was lent of it.
pub fn reserve(
    tx: &mut Tx<'_>,
    lent: &Lent,
    project: &ProjectId,
    user: &UserId,
    delta: Delta,
) -> Result<(), ReserveError> {
    let held = Held::within(tx, project.as_str());
    let mut usage = usage_of(tx, project);
    let of_user = usage.users.get(user).copied().unwrap_or_default();
    check(&held.allowance(None), usage.used, delta)?;
    check(&held.allowance(Some(user)), of_user, delta)?;
    let wish = lease::Wish {
        project,
        user,
        held: &held,
        usage: &usage,
        delta,
    };
    lease::check(tx, lent, &wish)?;
    usage.used = usage.used.plus(delta);
    usage.users.insert(user.clone(), of_user.plus(delta));
    tx.put(usage)?;
    Ok(())
}

/// Gives `delta` of `user` in `project` back.
pub fn release(
    tx: &mut Tx<'_>,
    project: &ProjectId,
    user: &UserId,
    delta: Delta,
) -> Result<(), TxError> {
    let mut usage = usage_of(tx, project);
    usage.used = usage.used.minus(delta);
    let of_user = usage
        .users
        .get(user)
        .copied()
        .unwrap_or_default()
        .minus(delta);
    if of_user == Used::default() {
        usage.users.remove(user);
    } else {
        usage.users.insert(user.clone(), of_user);
    }
    tx.put(usage).map(drop)
}

fn usage_of(tx: &Tx<'_>, project: &ProjectId) -> QuotaUsage {
    tx.get::<QuotaUsage>(project.as_str()).map_or_else(
        || QuotaUsage::none(project.clone()),
        |stored| stored.value().clone(),
    )
}

/// A resource, how much more of it is asked for, what is used, and what would be.
type Growth = (Resource, u64, u64, u64);

/// Checks every resource that grows; one that does not is never refused.
fn check(allowance: &Allowance<'_>, used: Used, delta: Delta) -> Result<(), QuotaExceeded> {
    let after = used.plus(delta);
    let rows = [
        (Resource::Cores, delta.cores.get(), used.cores, after.cores),
        (
            Resource::Instances,
            delta.instances,
            used.instances,
            after.instances,
        ),
        (Resource::Ram, delta.ram.get(), used.ram, after.ram),
    ];
    let over: Vec<_> = rows
        .into_iter()
        .filter(|(resource, more, _, after)| *more > 0 && !allowance.admits(*resource, *after))
        .collect();
    if over.is_empty() {
        return Ok(());
    }
    let joined =
        |text: &dyn Fn(&Growth) -> String| over.iter().map(text).collect::<Vec<_>>().join(", ");
    Err(QuotaExceeded {
        names: joined(&|row| row.0.name().to_owned()),
        requested: joined(&|row| row.1.to_string()),
        used: joined(&|row| row.2.to_string()),
        limits: joined(&|row| allowance.limit(row.0).to_string()),
    })
}

impl Used {
    fn plus(self, delta: Delta) -> Self {
        Self {
            instances: self.instances.saturating_add(delta.instances),
            cores: self.cores.saturating_add(delta.cores.get()),
            ram: self.ram.saturating_add(delta.ram.get()),
        }
    }

    fn minus(self, delta: Delta) -> Self {
        Self {
            instances: self.instances.saturating_sub(delta.instances),
            cores: self.cores.saturating_sub(delta.cores.get()),
            ram: self.ram.saturating_sub(delta.ram.get()),
        }
    }
}

/// The limits of a project as they are stored.
pub struct Held {
    class: Option<Arc<Stored<QuotaClass>>>,
    set: Option<Arc<Stored<QuotaSet>>>,
}

impl Held {
    /// The limits of `project` in `snapshot`.
    pub fn of(snapshot: &Snapshot, project: &str) -> Self {
        Self {
            class: snapshot.get::<QuotaClass>(QuotaClass::DEFAULT),
            set: snapshot.get::<QuotaSet>(project),
        }
    }

    /// The limits of `project` as a transaction sees them.
    pub fn within(tx: &Tx<'_>, project: &str) -> Self {
        Self {
            class: tx.get::<QuotaClass>(QuotaClass::DEFAULT),
            set: tx.get::<QuotaSet>(project),
        }
    }

    /// Whether `user` has a limit of `resource` apart from the project's.
    fn sets_apart(&self, user: &UserId, resource: Resource) -> bool {
        let limits = self.set.as_ref().and_then(|set| set.users.get(user));
        limits.is_some_and(|limits| limits.contains_key(&resource))
    }

    /// The limit of `item`; none if there is none.
    fn limit(&self, item: &Item) -> Option<u64> {
        u64::try_from(self.allowance(item.user.as_ref()).limit(item.resource)).ok()
    }

    /// The allowance of the project, or of `user` inside it.
    pub fn allowance(&self, user: Option<&UserId>) -> Allowance<'_> {
        Allowance::of(
            self.class.as_deref().map(Stored::value),
            self.set.as_deref().map(Stored::value),
            user,
        )
    }
}

#[cfg(test)]
mod tests;
