//! The identity service's rows of the endpoint table.
//!
//! `HEAD` of a single resource is answered by its `GET` row; it has a row of its own only where
//! upstream has a rule of its own for it. Some operations have a second, finer rule that the
//! handler checks (roles of a domain, assignments of a tree).

use super::requests::{
    ChangePassword, CreateAppCred, CreateDomain, CreateEndpoint, CreateGroup, CreateProject,
    CreateRegion, CreateRole, CreateService, CreateUser, IssueToken, ReplaceTags, UpdateDomain,
    UpdateEndpoint, UpdateGroup, UpdateProject, UpdateRegion, UpdateRole, UpdateService,
    UpdateUser,
};
use crate::endpoint::endpoints;

endpoints! {
    /// What the identity service can be asked.
    pub enum IdentityOp in Identity {
        /// Which API versions are there (unversioned root).
        ListVersions = Get "" .unversioned() .public(),
        /// What the API version offers.
        ShowVersion = Get "" .public(),

        /// Authenticates and issues a token.
        IssueToken = Post "/auth/tokens" .public() .body::<IssueToken>() .answers(201),
        /// What a token says.
        ValidateToken = Get "/auth/tokens" .rule("identity:validate_token"),
        /// Whether a token counts.
        CheckToken = Head "/auth/tokens" .rule("identity:check_token"),
        /// Ends a token, and those made from it.
        RevokeToken = Delete "/auth/tokens" .rule("identity:revoke_token") .answers(204),
        /// The catalog for the caller's project.
        ShowCatalog = Get "/auth/catalog" .rule("identity:get_auth_catalog"),
        /// The projects that the caller may choose as a scope.
        ListOwnProjects = Get "/auth/projects" .rule("identity:get_auth_projects"),
        /// The domains that the caller may choose as a scope.
        ListOwnDomains = Get "/auth/domains" .rule("identity:get_auth_domains"),
        /// Whether the caller may choose the system as a scope.
        ShowOwnSystem = Get "/auth/system" .rule("identity:get_auth_system"),

        /// Lists domains.
        ListDomains = Get "/domains" .rule("identity:list_domains"),
        /// Makes a domain.
        CreateDomain = Post "/domains"
            .rule("identity:create_domain") .body::<CreateDomain>() .answers(201),
        /// Shows a domain.
        ShowDomain = Get "/domains/{domain_id}" .rule("identity:get_domain"),
        /// Changes a domain.
        UpdateDomain = Patch "/domains/{domain_id}"
            .rule("identity:update_domain") .body::<UpdateDomain>(),
        /// Deletes a disabled domain with all that is in it.
        DeleteDomain = Delete "/domains/{domain_id}"
            .rule("identity:delete_domain") .answers(204),

        /// Lists projects.
        ListProjects = Get "/projects" .rule("identity:list_projects"),
        /// Makes a project.
        CreateProject = Post "/projects"
            .rule("identity:create_project") .body::<CreateProject>() .answers(201),
        /// Shows a project.
        ShowProject = Get "/projects/{project_id}" .rule("identity:get_project"),
        /// Changes a project.
        UpdateProject = Patch "/projects/{project_id}"
            .rule("identity:update_project") .body::<UpdateProject>(),
        /// Deletes a project.
        DeleteProject = Delete "/projects/{project_id}"
            .rule("identity:delete_project") .answers(204),
        /// Lists the tags of a project.
        ListTags = Get "/projects/{project_id}/tags" .rule("identity:list_project_tags"),
        /// Replaces the tags of a project.
        ReplaceTags = Put "/projects/{project_id}/tags"
            .rule("identity:update_project_tags") .body::<ReplaceTags>(),
        /// Takes all tags off a project.
        DeleteTags = Delete "/projects/{project_id}/tags"
            .rule("identity:delete_project_tags") .answers(204),
        /// Whether a project has a tag.
        CheckTag = Get "/projects/{project_id}/tags/{tag}"
            .rule("identity:get_project_tag") .answers(204),
        /// Puts a tag on a project.
        AddTag = Put "/projects/{project_id}/tags/{tag}"
            .rule("identity:create_project_tag") .answers(201),
        /// Takes a tag off a project.
        RemoveTag = Delete "/projects/{project_id}/tags/{tag}"
            .rule("identity:delete_project_tag") .answers(204),

        /// Lists users.
        ListUsers = Get "/users" .rule("identity:list_users"),
        /// Makes a user.
        CreateUser = Post "/users"
            .rule("identity:create_user") .body::<CreateUser>() .answers(201),
        /// Shows a user.
        ShowUser = Get "/users/{user_id}" .rule("identity:get_user"),
        /// Changes a user.
        UpdateUser = Patch "/users/{user_id}"
            .rule("identity:update_user") .body::<UpdateUser>(),
        /// Deletes a user.
        DeleteUser = Delete "/users/{user_id}" .rule("identity:delete_user") .answers(204),
        /// Changes the password of whoever knows the old one.
        ChangePassword = Post "/users/{user_id}/password"
            .public() .body::<ChangePassword>() .answers(204),
        /// Lists the projects on which a user has a role.
        ListUserProjects = Get "/users/{user_id}/projects" .rule("identity:list_user_projects"),
        /// Lists the groups of a user.
        ListUserGroups = Get "/users/{user_id}/groups" .rule("identity:list_groups_for_user"),
        /// Ends all tokens of a user.
        RevokeUserTokens = Delete "/users/{user_id}/tokens"
            .rule("identity:revoke_tokens_for_user") .answers(204),

        /// Lists the application credentials of a user.
        ListAppCreds = Get "/users/{user_id}/application_credentials"
            .rule("identity:list_application_credentials"),
        /// Makes an application credential.
        CreateAppCred = Post "/users/{user_id}/application_credentials"
            .rule("identity:create_application_credential")
            .body::<CreateAppCred>() .answers(201),
        /// Shows an application credential.
        ShowAppCred = Get "/users/{user_id}/application_credentials/{application_credential_id}"
            .rule("identity:get_application_credential"),
        /// Deletes an application credential.
        DeleteAppCred =
            Delete "/users/{user_id}/application_credentials/{application_credential_id}"
            .rule("identity:delete_application_credential") .answers(204),
        /// Lists the access rules of a user's application credentials.
        ListAccessRules = Get "/users/{user_id}/access_rules" .rule("identity:list_access_rules"),
        /// Shows an access rule.
        ShowAccessRule = Get "/users/{user_id}/access_rules/{access_rule_id}"
            .rule("identity:get_access_rule"),
        /// Deletes an access rule that no application credential uses.
        DeleteAccessRule = Delete "/users/{user_id}/access_rules/{access_rule_id}"
            .rule("identity:delete_access_rule") .answers(204),

        /// Lists groups.
        ListGroups = Get "/groups" .rule("identity:list_groups"),
        /// Makes a group.
        CreateGroup = Post "/groups"
            .rule("identity:create_group") .body::<CreateGroup>() .answers(201),
        /// Shows a group.
        ShowGroup = Get "/groups/{group_id}" .rule("identity:get_group"),
        /// Changes a group.
        UpdateGroup = Patch "/groups/{group_id}"
            .rule("identity:update_group") .body::<UpdateGroup>(),
        /// Deletes a group.
        DeleteGroup = Delete "/groups/{group_id}" .rule("identity:delete_group") .answers(204),
        /// Lists the users of a group.
        ListGroupUsers = Get "/groups/{group_id}/users" .rule("identity:list_users_in_group"),
        /// Whether a user is in a group.
        CheckGroupUser = Get "/groups/{group_id}/users/{user_id}"
            .rule("identity:check_user_in_group") .answers(204),
        /// Puts a user into a group.
        AddGroupUser = Put "/groups/{group_id}/users/{user_id}"
            .rule("identity:add_user_to_group") .answers(204),
        /// Takes a user out of a group.
        RemoveGroupUser = Delete "/groups/{group_id}/users/{user_id}"
            .rule("identity:remove_user_from_group") .answers(204),

        /// Lists roles.
        ListRoles = Get "/roles" .rule("identity:list_roles"),
        /// Makes a role.
        CreateRole = Post "/roles"
            .rule("identity:create_role") .body::<CreateRole>() .answers(201),
        /// Shows a role.
        ShowRole = Get "/roles/{role_id}" .rule("identity:get_role"),
        /// Changes a role.
        UpdateRole = Patch "/roles/{role_id}"
            .rule("identity:update_role") .body::<UpdateRole>(),
        /// Deletes a role with its assignments.
        DeleteRole = Delete "/roles/{role_id}" .rule("identity:delete_role") .answers(204),
        /// Lists the roles that a role implies.
        ListImpliedRoles = Get "/roles/{role_id}/implies" .rule("identity:list_implied_roles"),
        /// Shows that a role implies another.
        ShowImpliedRole = Get "/roles/{role_id}/implies/{implied_role_id}"
            .rule("identity:get_implied_role"),
        /// Whether a role implies another.
        CheckImpliedRole = Head "/roles/{role_id}/implies/{implied_role_id}"
            .rule("identity:check_implied_role") .answers(204),
        /// Makes a role imply another.
        AddImpliedRole = Put "/roles/{role_id}/implies/{implied_role_id}"
            .rule("identity:create_implied_role") .answers(201),
        /// Makes a role no longer imply another.
        RemoveImpliedRole = Delete "/roles/{role_id}/implies/{implied_role_id}"
            .rule("identity:delete_implied_role") .answers(204),
        /// Lists which roles imply which.
        ListRoleInferences = Get "/role_inferences" .rule("identity:list_role_inference_rules"),

        /// Lists role assignments.
        ListAssignments = Get "/role_assignments" .rule("identity:list_role_assignments"),
        /// Lists the roles of a user on a project.
        ListProjectUserRoles = Get "/projects/{project_id}/users/{user_id}/roles"
            .rule("identity:list_grants"),
        /// Whether a user has a role on a project.
        CheckProjectUserRole = Get "/projects/{project_id}/users/{user_id}/roles/{role_id}"
            .rule("identity:check_grant") .answers(204),
        /// Gives a user a role on a project.
        AddProjectUserRole = Put "/projects/{project_id}/users/{user_id}/roles/{role_id}"
            .rule("identity:create_grant") .answers(204),
        /// Takes a role on a project from a user.
        RemoveProjectUserRole = Delete "/projects/{project_id}/users/{user_id}/roles/{role_id}"
            .rule("identity:revoke_grant") .answers(204),
        /// Lists the roles of a group on a project.
        ListProjectGroupRoles = Get "/projects/{project_id}/groups/{group_id}/roles"
            .rule("identity:list_grants"),
        /// Whether a group has a role on a project.
        CheckProjectGroupRole = Get "/projects/{project_id}/groups/{group_id}/roles/{role_id}"
            .rule("identity:check_grant") .answers(204),
        /// Gives a group a role on a project.
        AddProjectGroupRole = Put "/projects/{project_id}/groups/{group_id}/roles/{role_id}"
            .rule("identity:create_grant") .answers(204),
        /// Takes a role on a project from a group.
        RemoveProjectGroupRole = Delete "/projects/{project_id}/groups/{group_id}/roles/{role_id}"
            .rule("identity:revoke_grant") .answers(204),
        /// Lists the roles of a user on a domain.
        ListDomainUserRoles = Get "/domains/{domain_id}/users/{user_id}/roles"
            .rule("identity:list_grants"),
        /// Whether a user has a role on a domain.
        CheckDomainUserRole = Get "/domains/{domain_id}/users/{user_id}/roles/{role_id}"
            .rule("identity:check_grant") .answers(204),
        /// Gives a user a role on a domain.
        AddDomainUserRole = Put "/domains/{domain_id}/users/{user_id}/roles/{role_id}"
            .rule("identity:create_grant") .answers(204),
        /// Takes a role on a domain from a user.
        RemoveDomainUserRole = Delete "/domains/{domain_id}/users/{user_id}/roles/{role_id}"
            .rule("identity:revoke_grant") .answers(204),
        /// Lists the roles of a group on a domain.
        ListDomainGroupRoles = Get "/domains/{domain_id}/groups/{group_id}/roles"
            .rule("identity:list_grants"),
        /// Whether a group has a role on a domain.
        CheckDomainGroupRole = Get "/domains/{domain_id}/groups/{group_id}/roles/{role_id}"
            .rule("identity:check_grant") .answers(204),
        /// Gives a group a role on a domain.
        AddDomainGroupRole = Put "/domains/{domain_id}/groups/{group_id}/roles/{role_id}"
            .rule("identity:create_grant") .answers(204),
        /// Takes a role on a domain from a group.
        RemoveDomainGroupRole = Delete "/domains/{domain_id}/groups/{group_id}/roles/{role_id}"
            .rule("identity:revoke_grant") .answers(204),
        /// Lists the roles of a user on the system.
        ListSystemUserRoles = Get "/system/users/{user_id}/roles"
            .rule("identity:list_system_grants_for_user"),
        /// Whether a user has a role on the system.
        CheckSystemUserRole = Get "/system/users/{user_id}/roles/{role_id}"
            .rule("identity:check_system_grant_for_user") .answers(204),
        /// Gives a user a role on the system.
        AddSystemUserRole = Put "/system/users/{user_id}/roles/{role_id}"
            .rule("identity:create_system_grant_for_user") .answers(204),
        /// Takes a role on the system from a user.
        RemoveSystemUserRole = Delete "/system/users/{user_id}/roles/{role_id}"
            .rule("identity:revoke_system_grant_for_user") .answers(204),
        /// Lists the roles of a group on the system.
        ListSystemGroupRoles = Get "/system/groups/{group_id}/roles"
            .rule("identity:list_system_grants_for_group"),
        /// Whether a group has a role on the system.
        CheckSystemGroupRole = Get "/system/groups/{group_id}/roles/{role_id}"
            .rule("identity:check_system_grant_for_group") .answers(204),
        /// Gives a group a role on the system.
        AddSystemGroupRole = Put "/system/groups/{group_id}/roles/{role_id}"
            .rule("identity:create_system_grant_for_group") .answers(204),
        /// Takes a role on the system from a group.
        RemoveSystemGroupRole = Delete "/system/groups/{group_id}/roles/{role_id}"
            .rule("identity:revoke_system_grant_for_group") .answers(204),

        /// Lists services.
        ListServices = Get "/services" .rule("identity:list_services"),
        /// Makes a service.
        CreateService = Post "/services"
            .rule("identity:create_service") .body::<CreateService>() .answers(201),
        /// Shows a service.
        ShowService = Get "/services/{service_id}" .rule("identity:get_service"),
        /// Changes a service.
        UpdateService = Patch "/services/{service_id}"
            .rule("identity:update_service") .body::<UpdateService>(),
        /// Deletes a service with its endpoints.
        DeleteService = Delete "/services/{service_id}"
            .rule("identity:delete_service") .answers(204),
        /// Lists endpoints.
        ListEndpoints = Get "/endpoints" .rule("identity:list_endpoints"),
        /// Makes an endpoint.
        CreateEndpoint = Post "/endpoints"
            .rule("identity:create_endpoint") .body::<CreateEndpoint>() .answers(201),
        /// Shows an endpoint.
        ShowEndpoint = Get "/endpoints/{endpoint_id}" .rule("identity:get_endpoint"),
        /// Changes an endpoint.
        UpdateEndpoint = Patch "/endpoints/{endpoint_id}"
            .rule("identity:update_endpoint") .body::<UpdateEndpoint>(),
        /// Deletes an endpoint.
        DeleteEndpoint = Delete "/endpoints/{endpoint_id}"
            .rule("identity:delete_endpoint") .answers(204),
        /// Lists regions.
        ListRegions = Get "/regions" .rule("identity:list_regions"),
        /// Makes a region.
        CreateRegion = Post "/regions"
            .rule("identity:create_region") .body::<CreateRegion>() .answers(201),
        /// Shows a region.
        ShowRegion = Get "/regions/{region_id}" .rule("identity:get_region"),
        /// Makes a region with the id of the path.
        PutRegion = Put "/regions/{region_id}"
            .rule("identity:create_region") .body::<CreateRegion>() .answers(201),
        /// Changes a region.
        UpdateRegion = Patch "/regions/{region_id}"
            .rule("identity:update_region") .body::<UpdateRegion>(),
        /// Deletes a region with those below it.
        DeleteRegion = Delete "/regions/{region_id}"
            .rule("identity:delete_region") .answers(204),
    }
}
