//! The filters: each says whether a host may have the server at all.

use super::specs;
use super::{Ask, Candidate};
use crate::compute::model::server_group::GroupPolicy;

/// A reason why a host may not have a server. The names are Nova's where Nova has the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// The host is not the one that was asked for.
    RequestedHost,
    /// The host has already failed to build it.
    Retry,
    /// The host is disabled, declared down or silent.
    Compute,
    /// The host is in another zone.
    AvailabilityZone,
    /// No aggregate of the host has what the flavor asks for.
    AggregateInstanceExtraSpecs,
    /// The host is not what the image is made for.
    ImageProperties,
    /// The host has a server that was to be avoided.
    DifferentHost,
    /// The host has none of the servers to be with.
    SameHost,
    /// The host has enough of the group.
    ServerGroupAntiAffinity,
    /// The group is elsewhere.
    ServerGroupAffinity,
    /// Memory is short.
    Ram,
    /// Processors are short.
    Core,
    /// Disk is short.
    Disk,
}

impl Filter {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Self; 13] = [
        Self::RequestedHost,
        Self::Retry,
        Self::Compute,
        Self::AvailabilityZone,
        Self::AggregateInstanceExtraSpecs,
        Self::ImageProperties,
        Self::DifferentHost,
        Self::SameHost,
        Self::ServerGroupAntiAffinity,
        Self::ServerGroupAffinity,
        Self::Ram,
        Self::Core,
        Self::Disk,
    ];

    /// As it stands in explanations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestedHost => "RequestedHostFilter",
            Self::Retry => "RetryFilter",
            Self::Compute => "ComputeFilter",
            Self::AvailabilityZone => "AvailabilityZoneFilter",
            Self::AggregateInstanceExtraSpecs => "AggregateInstanceExtraSpecsFilter",
            Self::ImageProperties => "ImagePropertiesFilter",
            Self::DifferentHost => "DifferentHostFilter",
            Self::SameHost => "SameHostFilter",
            Self::ServerGroupAntiAffinity => "ServerGroupAntiAffinityFilter",
            Self::ServerGroupAffinity => "ServerGroupAffinityFilter",
            Self::Ram => "RamFilter",
            Self::Core => "CoreFilter",
            Self::Disk => "DiskFilter",
        }
    }

    /// Whether a forced host has to pass it too.
    const fn holds_for_forced_hosts(self) -> bool {
        matches!(
            self,
            Self::RequestedHost | Self::Compute | Self::Ram | Self::Core | Self::Disk
        )
    }

    /// Whether `candidate` may have what is asked for, as far as this filter goes.
    pub(super) fn passes(self, candidate: &Candidate<'_>, ask: &Ask<'_>) -> bool {
        if ask.forced && !self.holds_for_forced_hosts() {
            return true;
        }
        let host = candidate.host;
        let free = candidate.free();
        match self {
            Self::RequestedHost => {
                ask.host.is_none_or(|name| name == host.name)
                    && ask
                        .hypervisor
                        .is_none_or(|name| name == host.hypervisor_hostname)
            }
            Self::Retry => !ask.tried.contains(&host.name),
            Self::Compute => candidate.up && !host.disabled,
            Self::AvailabilityZone => ask.zone.is_none_or(|zone| zone == candidate.zone),
            Self::AggregateInstanceExtraSpecs => ask
                .extra_specs
                .is_none_or(|wanted| specs::aggregates_have(&candidate.aggregates, wanted)),
            Self::ImageProperties => ask
                .properties
                .is_none_or(|properties| specs::image_fits(host, properties)),
            Self::DifferentHost => !ask.different.contains(&host.name),
            Self::SameHost => ask
                .same
                .as_ref()
                .is_none_or(|hosts| hosts.contains(&host.name)),
            Self::ServerGroupAntiAffinity => ask.group.as_ref().is_none_or(|group| {
                group.policy != GroupPolicy::AntiAffinity
                    || group.members_on(&host.name) < group.max_per_host
            }),
            Self::ServerGroupAffinity => ask.group.as_ref().is_none_or(|group| {
                group.policy != GroupPolicy::Affinity
                    || group.members.is_empty()
                    || group.members_on(&host.name) > 0
            }),
            Self::Ram => free.memory >= ask.size.memory,
            Self::Core => free.vcpus >= ask.size.vcpus,
            Self::Disk => free.disk >= ask.size.disk,
        }
    }
}
