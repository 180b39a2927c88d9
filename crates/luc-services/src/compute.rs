//! The compute service: servers and the hosts that run them, with Nova's semantics.
//!
//! Handlers write what is wanted into the store; each host's agent makes it so and reports back
//! through [`progress`]. The choice of a host is made by the pure [`scheduler`] and claimed in the
//! transaction that creates the server. Nothing here talks to a hypervisor: what only a host can
//! answer is asked through [`ports::Hosts`].

mod aggregates;
pub(crate) mod availability_zones;
mod bootstrap;
mod claim;
mod extensions;
mod flavors;
pub mod host;
pub mod hosts;
mod hypervisors;
mod keypairs;
mod limits;
pub mod model;
mod page;
pub mod ports;
pub mod progress;
mod projects;
pub mod quota;
mod quotas;
pub mod retention;
pub mod scheduler;
pub mod server;
mod server_groups;
mod services;
mod tenant_usage;
pub mod wanted;
mod wire_time;
mod write;

use std::sync::Arc;

use luc_api::compute::ComputeOp;
use luc_api::{ApiError, Service, discovery};

use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

use model::server::Task;
use server::action::Action;

pub use bootstrap::bootstrap;
pub use model::schema;

/// The compute service's own parts.
pub struct Compute {
    /// Which hosts have been heard from.
    pub liveness: host::Liveness,
    /// Which hosts have asked for their wishes.
    pub door: host::Door,
    /// What only a host can answer.
    pub hosts: Arc<dyn ports::Hosts>,
    /// The name of the site, which is the availability zone of its hosts.
    pub zone: String,
    /// Whose turn it is to ask other sites for quota.
    turns: quota::exchange::Turns,
}

impl Compute {
    /// The compute service of the site `zone`, whose hosts are asked through `hosts`.
    pub fn new(hosts: Arc<dyn ports::Hosts>, zone: String) -> Self {
        Self {
            liveness: host::Liveness::default(),
            door: host::Door::default(),
            hosts,
            zone,
            turns: quota::exchange::Turns::default(),
        }
    }
}

/// Carries out an operation of the compute service.
#[expect(
    clippy::too_many_lines,
    reason = "one line per endpoint, and no default arm"
)]
pub async fn handle(
    services: &Arc<Services>,
    op: ComputeOp,
    request: &mut Request,
) -> Result<Reply, ApiError> {
    match op {
        ComputeOp::ListVersions => {
            Reply::json(&discovery::root(Service::Compute, &request.base_url))
        }
        ComputeOp::ShowVersion => {
            Reply::json(&discovery::version(Service::Compute, &request.base_url))
        }

        ComputeOp::ListFlavors => flavors::list(services, request),
        ComputeOp::ListFlavorsDetail => flavors::detail(services, request),
        ComputeOp::CreateFlavor => flavors::create(services, request).await,
        ComputeOp::ShowFlavor => flavors::show(services, request),
        ComputeOp::UpdateFlavor => flavors::update(services, request).await,
        ComputeOp::DeleteFlavor => flavors::delete(services, request).await,
        ComputeOp::ListExtraSpecs => flavors::list_extra_specs(services, request),
        ComputeOp::CreateExtraSpecs => flavors::create_extra_specs(services, request).await,
        ComputeOp::ShowExtraSpec => flavors::show_extra_spec(services, request),
        ComputeOp::UpdateExtraSpec => flavors::update_extra_spec(services, request).await,
        ComputeOp::DeleteExtraSpec => flavors::delete_extra_spec(services, request).await,
        ComputeOp::ListFlavorAccess => flavors::list_access(services, request),
        ComputeOp::AddFlavorAccess => flavors::add_access(services, request).await,
        ComputeOp::RemoveFlavorAccess => flavors::remove_access(services, request).await,

        ComputeOp::ListKeypairs => keypairs::list(services, request),
        ComputeOp::CreateKeypair => keypairs::create(services, request).await,
        ComputeOp::ShowKeypair => keypairs::show(services, request),
        ComputeOp::DeleteKeypair => keypairs::delete(services, request).await,

        ComputeOp::ShowQuotaSet => quotas::show(services, request),
        ComputeOp::ShowQuotaDefaults => quotas::defaults(services, request),
        ComputeOp::ShowQuotaDetail => quotas::detail(services, request),
        ComputeOp::UpdateQuotaSet => quotas::update(services, request).await,
        ComputeOp::DeleteQuotaSet => quotas::delete(services, request).await,
        ComputeOp::ShowQuotaClass => quotas::show_class(services, request),
        ComputeOp::UpdateQuotaClass => quotas::update_class(services, request).await,
        ComputeOp::ShowLimits => limits::show(services, request),

        ComputeOp::ListServerGroups => server_groups::list(services, request),
        ComputeOp::CreateServerGroup => server_groups::create(services, request).await,
        ComputeOp::ShowServerGroup => server_groups::show(services, request),
        ComputeOp::DeleteServerGroup => server_groups::delete(services, request).await,

        ComputeOp::ListAggregates => aggregates::list(services, request),
        ComputeOp::CreateAggregate => aggregates::create(services, request).await,
        ComputeOp::ShowAggregate => aggregates::show(services, request),
        ComputeOp::UpdateAggregate => aggregates::update(services, request).await,
        ComputeOp::DeleteAggregate => aggregates::delete(services, request).await,
        ComputeOp::AddAggregateHost => aggregates::add_host(services, request).await,
        ComputeOp::RemoveAggregateHost => aggregates::remove_host(services, request).await,
        ComputeOp::SetAggregateMetadata => aggregates::set_metadata(services, request).await,
        ComputeOp::ListZones => availability_zones::list(services, request),
        ComputeOp::ListZonesDetail => availability_zones::detail(services, request),

        ComputeOp::ListHypervisors => hypervisors::list(services, request),
        ComputeOp::ListHypervisorsDetail => hypervisors::detail(services, request),
        ComputeOp::ShowHypervisorStatistics => hypervisors::statistics(services, request),
        ComputeOp::ShowHypervisor => hypervisors::show(services, request),
        ComputeOp::ShowHypervisorUptime => hypervisors::uptime(services, request),
        ComputeOp::SearchHypervisors => hypervisors::search(services, request),
        ComputeOp::ListHypervisorServers => hypervisors::servers(services, request),
        ComputeOp::ListServices => services::list(services, request),
        ComputeOp::ActOnService => services::act(services, request).await,
        ComputeOp::UpdateService => services::update(services, request).await,
        ComputeOp::DeleteService => services::delete(services, request).await,

        ComputeOp::ListUsage => tenant_usage::list(services, request),
        ComputeOp::ShowUsage => tenant_usage::show(services, request),
        ComputeOp::ListExtensions => extensions::list(request),
        ComputeOp::ShowExtension => extensions::show(request),

        ComputeOp::ListServers => server::list::list(services, request),
        ComputeOp::ListServersDetail => server::list::list_detail(services, request),
        ComputeOp::CreateServer => server::create::create(services, request).await,
        ComputeOp::ShowServer => server::show::show(services, request),
        ComputeOp::UpdateServer => server::show::update(services, request).await,
        ComputeOp::DeleteServer => server::show::delete(services, request).await,
        ComputeOp::ForceDeleteServer => server::show::force_delete(services, request).await,

        ComputeOp::StartServer => {
            server::power::order(services, request, Action::Start, Task::Start).await
        }
        ComputeOp::StopServer => {
            server::power::order(services, request, Action::Stop, Task::Stop).await
        }
        ComputeOp::RebootServer => server::power::reboot(services, request).await,
        ComputeOp::PauseServer => {
            server::power::order(services, request, Action::Pause, Task::Pause).await
        }
        ComputeOp::UnpauseServer => {
            server::power::order(services, request, Action::Unpause, Task::Unpause).await
        }
        ComputeOp::SuspendServer => {
            server::power::order(services, request, Action::Suspend, Task::Suspend).await
        }
        ComputeOp::ResumeServer => {
            server::power::order(services, request, Action::Resume, Task::Resume).await
        }
        ComputeOp::LockServer => server::power::lock(services, request).await,
        ComputeOp::UnlockServer => server::power::unlock(services, request).await,
        ComputeOp::ResetServerState => server::power::reset_state(services, request).await,
        ComputeOp::ResizeServer => server::resize::resize(services, request).await,
        ComputeOp::ConfirmResize => server::resize::confirm(services, request).await,
        ComputeOp::RevertResize => server::resize::revert(services, request).await,
        ComputeOp::RebuildServer => server::resize::rebuild(services, request).await,
        ComputeOp::GetConsoleOutput => server::console::output(services, request).await,
        ComputeOp::ShowServerDiagnostics => server::console::diagnostics(services, request).await,
        ComputeOp::ChangeServerPassword => server::console::change_password(services, request),
        ComputeOp::CreateServerImage => server::attachment::create_image(services, request),
        ComputeOp::MigrateServer => server::attachment::migrate(services, request),
        ComputeOp::LiveMigrateServer => server::attachment::migrate_live(services, request),
        ComputeOp::EvacuateServer => server::attachment::evacuate(services, request),
        ComputeOp::AddServerSecurityGroup | ComputeOp::RemoveServerSecurityGroup => {
            server::attachment::change_security_groups(services, request)
        }

        ComputeOp::ListServerMetadata => server::metadata::list(services, request),
        ComputeOp::AddServerMetadata => server::metadata::add(services, request).await,
        ComputeOp::ReplaceServerMetadata => server::metadata::replace(services, request).await,
        ComputeOp::ShowServerMetadataItem => server::metadata::show(services, request),
        ComputeOp::SetServerMetadataItem => server::metadata::set(services, request).await,
        ComputeOp::DeleteServerMetadataItem => server::metadata::remove(services, request).await,
        ComputeOp::ListServerTags => server::metadata::list_tags(services, request),
        ComputeOp::ReplaceServerTags => server::metadata::replace_tags(services, request).await,
        ComputeOp::ClearServerTags => server::metadata::clear_tags(services, request).await,
        ComputeOp::CheckServerTag => server::metadata::check_for_tag(services, request),
        ComputeOp::AddServerTag => server::metadata::add_tag(services, request).await,
        ComputeOp::RemoveServerTag => server::metadata::remove_tag(services, request).await,
        ComputeOp::ListServerAddresses => server::show::list_addresses(services, request),
        ComputeOp::ShowServerAddresses => server::show::show_addresses(services, request),
        ComputeOp::ListInstanceActions => server::instance_actions::list(services, request),
        ComputeOp::ShowInstanceAction => server::instance_actions::show(services, request),
        ComputeOp::ShowServerPassword => server::password::show(services, request),
        ComputeOp::ClearServerPassword => server::password::clear(services, request),
        ComputeOp::ListInterfaces => server::attachment::list_interfaces(services, request),
        ComputeOp::AttachInterface => server::attachment::attach_interface(services, request),
        ComputeOp::ShowInterface => server::attachment::show_interface(services, request),
        ComputeOp::DetachInterface => server::attachment::detach_interface(services, request),
        ComputeOp::ListServerSecurityGroups => {
            server::attachment::list_security_groups(services, request)
        }
        ComputeOp::ListVolumeAttachments => server::attachment::list_volumes(services, request),
        ComputeOp::AttachVolume => server::attachment::attach_volume(services, request),
        ComputeOp::ShowVolumeAttachment => server::attachment::show_volume(services, request),
        ComputeOp::SwapVolume => server::attachment::swap_volume(services, request),
        ComputeOp::DetachVolume => server::attachment::detach_volume(services, request),
    }
}
