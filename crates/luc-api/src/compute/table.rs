//! The compute service's rows of the endpoint table.

use super::aggregate::{
    AddAggregateHost, CreateAggregate, RemoveAggregateHost, SetAggregateMetadata, UpdateAggregate,
};
use super::flavor::{
    AddFlavorAccess, CreateExtraSpecs, CreateFlavor, RemoveFlavorAccess, UpdateExtraSpec,
    UpdateFlavor,
};
use super::keypair::CreateKeypair;
use super::quota::{UpdateQuotaClass, UpdateQuotaSet};
use super::server_group::CreateServerGroup;
use super::service::{ActOnService, UpdateService};
use crate::endpoint::endpoints;

endpoints! {
    /// What the compute service can be asked.
    pub enum ComputeOp in Compute {
        /// Which API versions are there (unversioned root).
        ListVersions = Get "" .unversioned() .public(),
        /// What the API version offers.
        ShowVersion = Get "" .public(),

        // Flavors. Nova guards their reading by no rule.
        /// Lists flavors, by id and name.
        ListFlavors = Get "/flavors" .any_token(),
        /// Lists flavors.
        ListFlavorsDetail = Get "/flavors/detail" .any_token(),
        /// Makes a flavor.
        CreateFlavor = Post "/flavors"
            .rule("os_compute_api:os-flavor-manage:create") .body::<CreateFlavor>(),
        /// Shows a flavor.
        ShowFlavor = Get "/flavors/{flavor_id}" .any_token(),
        /// Changes the description of a flavor.
        UpdateFlavor = Put "/flavors/{flavor_id}"
            .rule("os_compute_api:os-flavor-manage:update")
            .body::<UpdateFlavor>() .since(2, 55),
        /// Deletes a flavor; servers keep their copy.
        DeleteFlavor = Delete "/flavors/{flavor_id}"
            .rule("os_compute_api:os-flavor-manage:delete") .answers(202),
        /// Lists the extra specs of a flavor.
        ListExtraSpecs = Get "/flavors/{flavor_id}/os-extra_specs"
            .rule("os_compute_api:os-flavor-extra-specs:index"),
        /// Adds extra specs to a flavor.
        CreateExtraSpecs = Post "/flavors/{flavor_id}/os-extra_specs"
            .rule("os_compute_api:os-flavor-extra-specs:create") .body::<CreateExtraSpecs>(),
        /// Shows an extra spec of a flavor.
        ShowExtraSpec = Get "/flavors/{flavor_id}/os-extra_specs/{key}"
            .rule("os_compute_api:os-flavor-extra-specs:show"),
        /// Sets an extra spec of a flavor.
        UpdateExtraSpec = Put "/flavors/{flavor_id}/os-extra_specs/{key}"
            .rule("os_compute_api:os-flavor-extra-specs:update") .body::<UpdateExtraSpec>(),
        /// Removes an extra spec from a flavor.
        DeleteExtraSpec = Delete "/flavors/{flavor_id}/os-extra_specs/{key}"
            .rule("os_compute_api:os-flavor-extra-specs:delete"),
        /// Lists the projects that may use a private flavor.
        ListFlavorAccess = Get "/flavors/{flavor_id}/os-flavor-access"
            .rule("os_compute_api:os-flavor-access"),
        /// Lets a project use a private flavor.
        AddFlavorAccess = Post "/flavors/{flavor_id}/action"
            .action("addTenantAccess")
            .rule("os_compute_api:os-flavor-access:add_tenant_access")
            .body::<AddFlavorAccess>(),
        /// No longer lets a project use a private flavor.
        RemoveFlavorAccess = Post "/flavors/{flavor_id}/action"
            .action("removeTenantAccess")
            .rule("os_compute_api:os-flavor-access:remove_tenant_access")
            .body::<RemoveFlavorAccess>(),

        // Key pairs.
        /// Lists the key pairs of a user.
        ListKeypairs = Get "/os-keypairs" .rule("os_compute_api:os-keypairs:index"),
        /// Makes or takes over a key pair.
        CreateKeypair = Post "/os-keypairs"
            .rule("os_compute_api:os-keypairs:create") .body::<CreateKeypair>() .answers(201),
        /// Shows a key pair.
        ShowKeypair = Get "/os-keypairs/{name}" .rule("os_compute_api:os-keypairs:show"),
        /// Deletes a key pair.
        DeleteKeypair = Delete "/os-keypairs/{name}"
            .rule("os_compute_api:os-keypairs:delete") .answers(204),

        // Quotas and limits.
        /// Shows the quotas of a project.
        ShowQuotaSet = Get "/os-quota-sets/{project_id}"
            .rule("os_compute_api:os-quota-sets:show"),
        /// Shows the quotas of a project that has none of its own.
        ShowQuotaDefaults = Get "/os-quota-sets/{project_id}/defaults"
            .rule("os_compute_api:os-quota-sets:defaults"),
        /// Shows the quotas of a project and what is used of them.
        ShowQuotaDetail = Get "/os-quota-sets/{project_id}/detail"
            .rule("os_compute_api:os-quota-sets:detail"),
        /// Sets quotas of a project.
        UpdateQuotaSet = Put "/os-quota-sets/{project_id}"
            .rule("os_compute_api:os-quota-sets:update") .body::<UpdateQuotaSet>(),
        /// Sets the quotas of a project back to the defaults.
        DeleteQuotaSet = Delete "/os-quota-sets/{project_id}"
            .rule("os_compute_api:os-quota-sets:delete") .answers(202),
        /// Shows the quotas of a class of projects; `default` counts for all.
        ShowQuotaClass = Get "/os-quota-class-sets/{class}"
            .rule("os_compute_api:os-quota-class-sets:show"),
        /// Sets quotas of a class of projects.
        UpdateQuotaClass = Put "/os-quota-class-sets/{class}"
            .rule("os_compute_api:os-quota-class-sets:update") .body::<UpdateQuotaClass>(),
        /// Shows the caller's limits and what is used of them.
        ShowLimits = Get "/limits" .rule("os_compute_api:limits"),

        // Server groups.
        /// Lists server groups.
        ListServerGroups = Get "/os-server-groups" .rule("os_compute_api:os-server-groups:index"),
        /// Makes a server group.
        CreateServerGroup = Post "/os-server-groups"
            .rule("os_compute_api:os-server-groups:create") .body::<CreateServerGroup>(),
        /// Shows a server group.
        ShowServerGroup = Get "/os-server-groups/{server_group_id}"
            .rule("os_compute_api:os-server-groups:show"),
        /// Deletes a server group; its members stay.
        DeleteServerGroup = Delete "/os-server-groups/{server_group_id}"
            .rule("os_compute_api:os-server-groups:delete") .answers(204),

        // Host aggregates and availability zones.
        /// Lists host aggregates.
        ListAggregates = Get "/os-aggregates" .rule("os_compute_api:os-aggregates:index"),
        /// Makes a host aggregate.
        CreateAggregate = Post "/os-aggregates"
            .rule("os_compute_api:os-aggregates:create") .body::<CreateAggregate>(),
        /// Shows a host aggregate.
        ShowAggregate = Get "/os-aggregates/{aggregate_id}"
            .rule("os_compute_api:os-aggregates:show"),
        /// Changes the name or the availability zone of a host aggregate.
        UpdateAggregate = Put "/os-aggregates/{aggregate_id}"
            .rule("os_compute_api:os-aggregates:update") .body::<UpdateAggregate>(),
        /// Deletes a host aggregate without hosts.
        DeleteAggregate = Delete "/os-aggregates/{aggregate_id}"
            .rule("os_compute_api:os-aggregates:delete"),
        /// Puts a host into a host aggregate.
        AddAggregateHost = Post "/os-aggregates/{aggregate_id}/action"
            .action("add_host")
            .rule("os_compute_api:os-aggregates:add_host") .body::<AddAggregateHost>(),
        /// Takes a host out of a host aggregate.
        RemoveAggregateHost = Post "/os-aggregates/{aggregate_id}/action"
            .action("remove_host")
            .rule("os_compute_api:os-aggregates:remove_host") .body::<RemoveAggregateHost>(),
        /// Sets and removes metadata of a host aggregate.
        SetAggregateMetadata = Post "/os-aggregates/{aggregate_id}/action"
            .action("set_metadata")
            .rule("os_compute_api:os-aggregates:set_metadata") .body::<SetAggregateMetadata>(),
        /// Lists availability zones.
        ListZones = Get "/os-availability-zone" .rule("os_compute_api:os-availability-zone:list"),
        /// Lists availability zones with their hosts.
        ListZonesDetail = Get "/os-availability-zone/detail"
            .rule("os_compute_api:os-availability-zone:detail"),

        // Hypervisors and compute services.
        /// Lists hypervisors, by id and name.
        ListHypervisors = Get "/os-hypervisors" .rule("os_compute_api:os-hypervisors:list"),
        /// Lists hypervisors.
        ListHypervisorsDetail = Get "/os-hypervisors/detail"
            .rule("os_compute_api:os-hypervisors:list-detail"),
        /// Shows what all hypervisors have and use.
        ShowHypervisorStatistics = Get "/os-hypervisors/statistics"
            .rule("os_compute_api:os-hypervisors:statistics"),
        /// Shows a hypervisor.
        ShowHypervisor = Get "/os-hypervisors/{hypervisor_id}"
            .rule("os_compute_api:os-hypervisors:show"),
        /// Shows how long the host of a hypervisor has been up.
        ShowHypervisorUptime = Get "/os-hypervisors/{hypervisor_id}/uptime"
            .rule("os_compute_api:os-hypervisors:uptime"),
        /// Finds hypervisors by a part of their name.
        SearchHypervisors = Get "/os-hypervisors/{pattern}/search"
            .rule("os_compute_api:os-hypervisors:search") .until(2, 52),
        /// Lists the servers of hypervisors, found by a part of their name.
        ListHypervisorServers = Get "/os-hypervisors/{pattern}/servers"
            .rule("os_compute_api:os-hypervisors:servers") .until(2, 52),
        /// Lists compute services.
        ListServices = Get "/os-services" .rule("os_compute_api:os-services:list"),
        /// Enables, disables or forces down a compute service by host.
        ActOnService = Put "/os-services/{action}"
            .rule("os_compute_api:os-services:update")
            .body::<ActOnService>() .until(2, 52),
        /// Enables, disables or forces down a compute service by id.
        UpdateService = Put "/os-services/{service_id}"
            .rule("os_compute_api:os-services:update")
            .body::<UpdateService>() .since(2, 53),
        /// Forgets the compute service of a host without servers.
        DeleteService = Delete "/os-services/{service_id}"
            .rule("os_compute_api:os-services:delete") .answers(204),

        // Usage and extensions.
        /// Shows what every project has used.
        ListUsage = Get "/os-simple-tenant-usage"
            .rule("os_compute_api:os-simple-tenant-usage:list"),
        /// Shows what a project has used.
        ShowUsage = Get "/os-simple-tenant-usage/{project_id}"
            .rule("os_compute_api:os-simple-tenant-usage:show"),
        /// Lists the extensions that are part of this API.
        ListExtensions = Get "/extensions" .rule("os_compute_api:extensions"),
        /// Shows an extension.
        ShowExtension = Get "/extensions/{alias}" .rule("os_compute_api:extensions"),
    }
}
