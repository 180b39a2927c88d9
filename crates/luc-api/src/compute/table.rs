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
use super::server_action::{
    ChangePassword, ConfirmResize, CreateImage, Evacuate, ForceDelete, GetConsoleOutput, Lock,
    Migrate, MigrateLive, Pause, Reboot, ResetState, Resize, Resume, RevertResize,
    SecurityGroupAction, Start, Stop, Suspend, Unlock, Unpause,
};
use super::server_attachment::{AttachInterface, AttachVolume, SwapVolume};
use super::server_create::CreateServer;
use super::server_group::CreateServerGroup;
use super::server_update::{
    RebuildServer, ServerMetadata, ServerMetadataItem, ServerTags, UpdateServer,
};
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
        ActOnService = Put "/os-services/{service_id}"
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

        // Servers.
        /// Lists servers, by id and name.
        ListServers = Get "/servers" .rule("os_compute_api:servers:index"),
        /// Lists servers.
        ListServersDetail = Get "/servers/detail" .rule("os_compute_api:servers:detail"),
        /// Makes one or many servers.
        CreateServer = Post "/servers"
            .rule("os_compute_api:servers:create") .body::<CreateServer>() .answers(202),
        /// Shows a server.
        ShowServer = Get "/servers/{server_id}" .rule("os_compute_api:servers:show"),
        /// Changes what a server is called.
        UpdateServer = Put "/servers/{server_id}"
            .rule("os_compute_api:servers:update") .body::<UpdateServer>(),
        /// Deletes a server.
        DeleteServer = Delete "/servers/{server_id}"
            .rule("os_compute_api:servers:delete") .answers(204),

        // Actions on a server.
        /// Switches a server on.
        StartServer = Post "/servers/{server_id}/action" .action("os-start")
            .rule("os_compute_api:servers:start") .body::<Start>() .answers(202),
        /// Switches a server off.
        StopServer = Post "/servers/{server_id}/action" .action("os-stop")
            .rule("os_compute_api:servers:stop") .body::<Stop>() .answers(202),
        /// Reboots a server.
        RebootServer = Post "/servers/{server_id}/action" .action("reboot")
            .rule("os_compute_api:servers:reboot") .body::<Reboot>() .answers(202),
        /// Freezes a server.
        PauseServer = Post "/servers/{server_id}/action" .action("pause")
            .rule("os_compute_api:os-pause-server:pause") .body::<Pause>() .answers(202),
        /// Lets a frozen server go on.
        UnpauseServer = Post "/servers/{server_id}/action" .action("unpause")
            .rule("os_compute_api:os-pause-server:unpause") .body::<Unpause>() .answers(202),
        /// Writes a server's memory to disk and stops it.
        SuspendServer = Post "/servers/{server_id}/action" .action("suspend")
            .rule("os_compute_api:os-suspend-server:suspend") .body::<Suspend>() .answers(202),
        /// Lets a suspended server go on.
        ResumeServer = Post "/servers/{server_id}/action" .action("resume")
            .rule("os_compute_api:os-suspend-server:resume") .body::<Resume>() .answers(202),
        /// Keeps others from changing a server.
        LockServer = Post "/servers/{server_id}/action" .action("lock")
            .rule("os_compute_api:os-lock-server:lock") .body::<Lock>() .answers(202),
        /// Lets others change a server again.
        UnlockServer = Post "/servers/{server_id}/action" .action("unlock")
            .rule("os_compute_api:os-lock-server:unlock") .body::<Unlock>() .answers(202),
        /// Gives a server another size.
        ResizeServer = Post "/servers/{server_id}/action" .action("resize")
            .rule("os_compute_api:servers:resize") .body::<Resize>() .answers(202),
        /// Keeps a server's new size.
        ConfirmResize = Post "/servers/{server_id}/action" .action("confirmResize")
            .rule("os_compute_api:servers:confirm_resize")
            .body::<ConfirmResize>() .answers(204),
        /// Goes back to a server's old size.
        RevertResize = Post "/servers/{server_id}/action" .action("revertResize")
            .rule("os_compute_api:servers:revert_resize") .body::<RevertResize>() .answers(202),
        /// Makes a server's disk anew.
        RebuildServer = Post "/servers/{server_id}/action" .action("rebuild")
            .rule("os_compute_api:servers:rebuild") .body::<RebuildServer>() .answers(202),
        /// Makes an image of a server.
        CreateServerImage = Post "/servers/{server_id}/action" .action("createImage")
            .rule("os_compute_api:servers:create_image") .body::<CreateImage>() .answers(202)
            .not_there_yet(),
        /// Shows what a server wrote to its console.
        GetConsoleOutput = Post "/servers/{server_id}/action" .action("os-getConsoleOutput")
            .rule("os_compute_api:os-console-output") .body::<GetConsoleOutput>(),
        /// Sets the state that is shown for a server.
        ResetServerState = Post "/servers/{server_id}/action" .action("os-resetState")
            .rule("os_compute_api:os-admin-actions:reset_state")
            .body::<ResetState>() .answers(202),
        /// Deletes a server at once.
        ForceDeleteServer = Post "/servers/{server_id}/action" .action("forceDelete")
            .rule("os_compute_api:os-deferred-delete:force")
            .body::<ForceDelete>() .answers(202),
        /// Sets the password of a server's administrator.
        ChangeServerPassword = Post "/servers/{server_id}/action" .action("changePassword")
            .rule("os_compute_api:os-admin-password") .body::<ChangePassword>() .answers(202)
            .not_there_yet(),
        /// Moves a server to another host.
        MigrateServer = Post "/servers/{server_id}/action" .action("migrate")
            .rule("os_compute_api:os-migrate-server:migrate") .body::<Migrate>() .answers(202)
            .not_there_yet(),
        /// Moves a running server to another host.
        LiveMigrateServer = Post "/servers/{server_id}/action" .action("os-migrateLive")
            .rule("os_compute_api:os-migrate-server:migrate_live")
            .body::<MigrateLive>() .answers(202) .not_there_yet(),
        /// Starts a server of a lost host elsewhere.
        EvacuateServer = Post "/servers/{server_id}/action" .action("evacuate")
            .rule("os_compute_api:os-evacuate") .body::<Evacuate>() .not_there_yet(),
        /// Puts a server's ports into a security group.
        AddServerSecurityGroup = Post "/servers/{server_id}/action" .action("addSecurityGroup")
            .rule("os_compute_api:os-security-groups:add")
            .body::<SecurityGroupAction>() .answers(202) .not_there_yet(),
        /// Takes a server's ports out of a security group.
        RemoveServerSecurityGroup = Post "/servers/{server_id}/action"
            .action("removeSecurityGroup")
            .rule("os_compute_api:os-security-groups:remove")
            .body::<SecurityGroupAction>() .answers(202) .not_there_yet(),

        // What belongs to a server.
        /// Lists the metadata of a server.
        ListServerMetadata = Get "/servers/{server_id}/metadata"
            .rule("os_compute_api:server-metadata:index"),
        /// Adds metadata to a server.
        AddServerMetadata = Post "/servers/{server_id}/metadata"
            .rule("os_compute_api:server-metadata:create") .body::<ServerMetadata>(),
        /// Replaces the metadata of a server.
        ReplaceServerMetadata = Put "/servers/{server_id}/metadata"
            .rule("os_compute_api:server-metadata:update_all") .body::<ServerMetadata>(),
        /// Shows a metadata item of a server.
        ShowServerMetadataItem = Get "/servers/{server_id}/metadata/{key}"
            .rule("os_compute_api:server-metadata:show"),
        /// Sets a metadata item of a server.
        SetServerMetadataItem = Put "/servers/{server_id}/metadata/{key}"
            .rule("os_compute_api:server-metadata:update") .body::<ServerMetadataItem>(),
        /// Removes a metadata item from a server.
        DeleteServerMetadataItem = Delete "/servers/{server_id}/metadata/{key}"
            .rule("os_compute_api:server-metadata:delete") .answers(204),
        /// Lists the tags of a server.
        ListServerTags = Get "/servers/{server_id}/tags"
            .rule("os_compute_api:os-server-tags:index") .since(2, 26),
        /// Replaces the tags of a server.
        ReplaceServerTags = Put "/servers/{server_id}/tags"
            .rule("os_compute_api:os-server-tags:update_all")
            .body::<ServerTags>() .since(2, 26),
        /// Removes all tags from a server.
        ClearServerTags = Delete "/servers/{server_id}/tags"
            .rule("os_compute_api:os-server-tags:delete_all") .answers(204) .since(2, 26),
        /// Tells whether a server has a tag.
        CheckServerTag = Get "/servers/{server_id}/tags/{tag}"
            .rule("os_compute_api:os-server-tags:show") .answers(204) .since(2, 26),
        /// Adds a tag to a server.
        AddServerTag = Put "/servers/{server_id}/tags/{tag}"
            .rule("os_compute_api:os-server-tags:update") .answers(201) .since(2, 26),
        /// Removes a tag from a server.
        RemoveServerTag = Delete "/servers/{server_id}/tags/{tag}"
            .rule("os_compute_api:os-server-tags:delete") .answers(204) .since(2, 26),
        /// Lists the addresses of a server.
        ListServerAddresses = Get "/servers/{server_id}/ips" .rule("os_compute_api:ips:index"),
        /// Lists the addresses of a server on a network.
        ShowServerAddresses = Get "/servers/{server_id}/ips/{network}"
            .rule("os_compute_api:ips:show"),
        /// Shows measurements of a server.
        ShowServerDiagnostics = Get "/servers/{server_id}/diagnostics"
            .rule("os_compute_api:os-server-diagnostics"),
        /// Lists what was asked of a server.
        ListInstanceActions = Get "/servers/{server_id}/os-instance-actions"
            .rule("os_compute_api:os-instance-actions:list"),
        /// Shows what was asked of a server, and how it went.
        ShowInstanceAction = Get "/servers/{server_id}/os-instance-actions/{request_id}"
            .rule("os_compute_api:os-instance-actions:show"),
        /// Shows the password that a guest has left, encrypted.
        ShowServerPassword = Get "/servers/{server_id}/os-server-password"
            .rule("os_compute_api:os-server-password:show"),
        /// Forgets the password that a guest has left.
        ClearServerPassword = Delete "/servers/{server_id}/os-server-password"
            .rule("os_compute_api:os-server-password:clear") .answers(204),
        /// Lists the ports of a server.
        ListInterfaces = Get "/servers/{server_id}/os-interface"
            .rule("os_compute_api:os-attach-interfaces:list"),
        /// Gives a server a port.
        AttachInterface = Post "/servers/{server_id}/os-interface"
            .rule("os_compute_api:os-attach-interfaces:create") .body::<AttachInterface>()
            .not_there_yet(),
        /// Shows a port of a server.
        ShowInterface = Get "/servers/{server_id}/os-interface/{port_id}"
            .rule("os_compute_api:os-attach-interfaces:show") .not_there_yet(),
        /// Takes a port from a server.
        DetachInterface = Delete "/servers/{server_id}/os-interface/{port_id}"
            .rule("os_compute_api:os-attach-interfaces:delete") .answers(202) .not_there_yet(),
        /// Lists the security groups of a server.
        ListServerSecurityGroups = Get "/servers/{server_id}/os-security-groups"
            .rule("os_compute_api:os-security-groups:list"),
        /// Lists the volumes of a server.
        ListVolumeAttachments = Get "/servers/{server_id}/os-volume_attachments"
            .rule("os_compute_api:os-volumes-attachments:index"),
        /// Gives a server a volume.
        AttachVolume = Post "/servers/{server_id}/os-volume_attachments"
            .rule("os_compute_api:os-volumes-attachments:create") .body::<AttachVolume>()
            .not_there_yet(),
        /// Shows a volume of a server.
        ShowVolumeAttachment = Get "/servers/{server_id}/os-volume_attachments/{volume_id}"
            .rule("os_compute_api:os-volumes-attachments:show") .not_there_yet(),
        /// Gives a server one volume for another.
        SwapVolume = Put "/servers/{server_id}/os-volume_attachments/{volume_id}"
            .rule("os_compute_api:os-volumes-attachments:swap")
            .body::<SwapVolume>() .answers(202) .not_there_yet(),
        /// Takes a volume from a server.
        DetachVolume = Delete "/servers/{server_id}/os-volume_attachments/{volume_id}"
            .rule("os_compute_api:os-volumes-attachments:delete") .answers(202) .not_there_yet(),
    }
}
