//! Users: `/v3/users`.

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::identity::requests::{ChangePassword, CreateUser, NewUser, UpdateUser, UserChange};
use luc_api::policy::Attributes;
use luc_core::id::{DomainId, ProjectId, UserId};
use luc_state::{Snapshot, Stored, Tx, TxError, key};
use serde_json::{Value, json};

use super::auth::projects_of;
use super::listing::{self, Field, Listing, root};
use super::model::{DEFAULT_DOMAIN, Domain, Extra, Group, Hashed, Membership, User, merge_options};
use super::places::{flag, new_extra};
use super::refusal::{Refusal, check_id_kept, not_found, taken, transact, unauthorized};
use super::trust::Trust;
use super::{bits, projects, removal, views};
use crate::Services;
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::Request;

/// The filters of a list.
pub(super) const FILTERS: [&str; 4] = ["domain_id", "enabled", "name", "password_expires_at"];

/// Lists users; with a token for a domain, those of that domain.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let listing = Listing::of(&request.query, &FILTERS)?;
    let own = request.caller()?.domain_id();
    let target = own.map_or(Attributes::new(), |id| {
        Attributes::new().with("target.domain_id", id.as_str())
    });
    request.authorize(&target)?;
    let snapshot = services.store.snapshot();
    let items = candidates(&snapshot, own, &listing)
        .into_iter()
        .filter(|user| own.is_none_or(|own| *own == user.domain_id))
        .filter(|user| listing.keeps(|name| field(user.value(), name)))
        .collect();
    let root = root(request);
    listing.reply(request, "users", items, |user| views::user(&root, user))
}

/// The users among which a list looks: one, or those of one domain, where the filters say so.
fn candidates(
    snapshot: &Snapshot,
    own: Option<&DomainId>,
    listing: &Listing,
) -> Vec<Arc<Stored<User>>> {
    let domain = own
        .map(DomainId::as_str)
        .or_else(|| listing.exactly("domain_id"));
    match (domain, listing.exactly("name")) {
        (Some(domain), Some(name)) => snapshot
            .one(&User::BY_NAME, &key(&[domain, name]))
            .into_iter()
            .collect(),
        (Some(domain), None) => snapshot.find(&User::BY_DOMAIN, &key(&[domain])).collect(),
        (None, _) => snapshot.all::<User>().collect(),
    }
}

/// What a filter sees of a user. Passwords do not expire, so no time of expiry matches.
pub(super) fn field<'u>(user: &'u User, name: &str) -> Field<'u> {
    match name {
        "domain_id" => Field::Text(user.domain_id.as_str()),
        "enabled" => Field::Flag(user.enabled),
        "name" => Field::Text(&user.name),
        _ => Field::Null,
    }
}

/// The domain of a new user or group: the wished one, the caller's, or the default one.
pub(super) fn domain_of_new(request: &Request, wished: Option<&str>) -> Result<String, ApiError> {
    let own = request.caller()?.domain_id().map(DomainId::as_str);
    Ok(wished.or(own).unwrap_or(DEFAULT_DOMAIN).to_owned())
}

/// Makes a user.
pub(super) async fn create(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let CreateUser { user: wanted } = request.body()?;
    let asked = wanted.domain_id.as_deref();
    request.authorize(&Attributes::new().with("target.user.domain_id", asked))?;
    let domain_id = domain_of_new(request, asked)?;
    let missing = || not_found("domain", &domain_id);
    let domain = services
        .store
        .snapshot()
        .get::<Domain>(&domain_id)
        .ok_or_else(missing)?;
    let password = hashed(services, wanted.password.as_ref()).await?.flatten();
    let user = new_user(services, request, domain.id.clone(), wanted, password)?;
    let made = transact(services, |tx| {
        tx.get::<Domain>(&domain_id).ok_or_else(missing)?;
        check_default_project(tx, user.default_project_id.as_ref())?;
        tx.insert(user.clone())
            .map_err(|error| name_taken(error, &user.name, Some(&user.domain_id)))
    })
    .await?;
    Reply::json(&json!({"user": views::user(&root(request), made.value())}))
}

fn new_user(
    services: &Services,
    request: &Request,
    domain_id: DomainId,
    wanted: NewUser,
    password: Option<Hashed>,
) -> Result<User, ApiError> {
    let mut extra = new_extra(wanted.extra);
    if let Some(description) = wanted.description {
        extra.insert("description".to_owned(), json!(description));
    }
    let mut options = Extra::new();
    merge_options(&mut options, wanted.options.unwrap_or_default());
    Ok(User {
        id: UserId::born_at(services.site, &mut Drawn(&*services.random)),
        domain_id,
        name: wanted.name.trim().to_owned(),
        enabled: flag(wanted.enabled).unwrap_or(true),
        default_project_id: project_id(wanted.default_project_id.flatten().as_deref())?,
        password,
        token_epoch: 0,
        options,
        extra,
        created_at: request.now,
    })
}

fn project_id(text: Option<&str>) -> Result<Option<ProjectId>, ApiError> {
    text.map(ProjectId::parse)
        .transpose()
        .map_err(|error| ApiError::invalid("user.default_project_id", error.to_string()))
}

/// The hash of a password that is to be set; `Some(None)` means that it is to be taken away.
async fn hashed(
    services: &Services,
    password: Option<&Option<luc_api::value::Secret>>,
) -> Result<Option<Option<Hashed>>, ApiError> {
    match password {
        None => Ok(None),
        Some(None) => Ok(Some(None)),
        Some(Some(secret)) => {
            let salt = bits(&*services.random);
            let hashed = services.identity.passwords.hash(secret, salt).await?;
            Ok(Some(Some(hashed)))
        }
    }
}

fn check_default_project(tx: &Tx<'_>, project: Option<&ProjectId>) -> Result<(), ApiError> {
    let Some(id) = project.filter(|id| tx.get::<Domain>(id).is_some()) else {
        return Ok(());
    };
    let message = format!("User's default project ID cannot be a domain ID: {id}");
    Err(ApiError::bad_request(message))
}

/// The domain is named on creation only, as Keystone does.
fn name_taken(error: TxError, name: &str, domain: Option<&DomainId>) -> Refusal {
    let at = domain.map_or_else(String::new, |id| format!(" at domain ID {id}"));
    let details = format!("Duplicate entry found with name {name}{at}.");
    taken(error, "user", &details)
}

/// What policy may ask about the user of a path.
pub(super) fn target<'a>(user: Option<&'a User>, id: &'a str) -> Attributes<'a> {
    let target = Attributes::new().with("user_id", id);
    match user {
        None => target,
        Some(user) => target
            .with("target.user.id", user.id.as_str())
            .with("target.user.domain_id", user.domain_id.as_str()),
    }
}

/// The user of the path, with whom the caller may do what is asked.
pub(super) fn allowed(
    services: &Services,
    request: &Request,
) -> Result<Arc<Stored<User>>, ApiError> {
    let id = request.param("user_id");
    let user = services.store.snapshot().get::<User>(id);
    request.authorize(&target(user.as_deref().map(Stored::value), id))?;
    user.ok_or_else(|| not_found("user", id))
}

/// Shows a user.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let user = allowed(services, request)?;
    Reply::json(&json!({"user": views::user(&root(request), user.value())}))
}

/// Changes a user.
pub(super) async fn update(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let UpdateUser { user: wanted } = request.body()?;
    allowed(services, request)?;
    let id = request.param("user_id");
    check_id_kept(wanted.id.as_ref(), id)?;
    let password = hashed(services, wanted.password.as_ref()).await?;
    let changed = transact(services, |tx| {
        let user = tx.get::<User>(id).ok_or_else(|| not_found("user", id))?;
        let changed = changed(user.value(), &wanted, password.as_ref())?;
        check_default_project(tx, changed.default_project_id.as_ref())?;
        let named = changed.name.clone();
        tx.update(changed)
            .map_err(|error| name_taken(error, &named, None))
    })
    .await?;
    let shown = views::user(&root(request), changed.value());
    Reply::json(&json!({"user": views::with_extra(shown, &changed.extra)}))
}

/// The user after the change. A new password, and being disabled, end all tokens.
fn changed(
    user: &User,
    wanted: &UserChange,
    password: Option<&Option<Hashed>>,
) -> Result<User, ApiError> {
    if wanted
        .domain_id
        .as_deref()
        .is_some_and(|wanted| wanted != user.domain_id.as_str())
    {
        return Err(ApiError::bad_request("Cannot change Domain ID"));
    }
    let mut changed = user.clone();
    if let Some(name) = &wanted.name {
        name.trim().clone_into(&mut changed.name);
    }
    if let Some(enabled) = flag(wanted.enabled) {
        changed.enabled = enabled;
    }
    if let Some(project) = &wanted.default_project_id {
        changed.default_project_id = project_id(project.as_deref())?;
    }
    if let Some(password) = password {
        changed.password.clone_from(password);
    }
    if password.is_some() || (user.enabled && !changed.enabled) {
        changed.token_epoch += 1;
    }
    merge_options(
        &mut changed.options,
        wanted.options.clone().unwrap_or_default(),
    );
    changed.extra.extend(wanted.extra.clone());
    if let Some(description) = &wanted.description {
        changed
            .extra
            .insert("description".to_owned(), json!(description));
    }
    Ok(changed)
}

/// Deletes a user.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let user = allowed(services, request)?;
    transact(services, |tx| {
        if tx.get::<User>(&user.id).is_none() {
            return Err(not_found("user", user.id.as_str()).into());
        }
        removal::user(tx, &user.id)
    })
    .await?;
    Ok(Reply::empty())
}

/// Changes the password of whoever knows the old one; needs no token, so that it can be done with
/// a password that lets its user do nothing else.
pub(super) async fn change_password(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let ChangePassword { user: wanted } = request.body()?;
    let id = request.param("user_id");
    let snapshot = services.store.snapshot();
    let user = snapshot.get::<User>(id);
    let old = user.as_ref().and_then(|user| user.password.clone());
    let fits = services
        .identity
        .passwords
        .check(old.as_ref(), &wanted.original_password)
        .await?;
    let wrong = || unauthorized("no such user, or a wrong password");
    let user = user.filter(|user| fits && user.enabled).ok_or_else(wrong)?;
    let domain = snapshot
        .get::<Domain>(&user.domain_id)
        .filter(|domain| domain.enabled);
    domain.ok_or_else(|| unauthorized("the domain of the user is disabled"))?;
    let new = hashed(services, Some(&Some(wanted.password)))
        .await?
        .flatten();
    transact(services, |tx| {
        let user = tx.get::<User>(id).ok_or_else(wrong)?;
        if user.password != old {
            // Somebody else has changed it in the meantime.
            return Err(wrong().into());
        }
        if user.has_option("lock_password") {
            return Err(ApiError::bad_request(
                "You cannot change your password at this time due to password policy disallowing \
                 password changes. Please contact your administrator to reset your password.",
            )
            .into());
        }
        let mut changed = user.value().clone();
        changed.password.clone_from(&new);
        changed.token_epoch += 1;
        tx.update(changed)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// Ends all tokens of a user.
pub(super) async fn revoke_tokens(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let user = allowed(services, request)?;
    transact(services, |tx| {
        let id = user.id.as_str();
        let user = tx.get::<User>(id).ok_or_else(|| not_found("user", id))?;
        let mut changed = user.value().clone();
        changed.token_epoch += 1;
        tx.update(changed)?;
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// Lists the projects on which a user has a role.
pub(super) fn list_projects(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let listing = Listing::of(&request.query, &["domain_id", "enabled", "name"])?;
    let user = allowed(services, request)?;
    let items = projects_of(
        &services.store.snapshot(),
        &Trust::of(services),
        user.id.as_str(),
    )
    .into_iter()
    .filter(|project| listing.keeps(|name| projects::field(project.value(), name)))
    .collect();
    let root = root(request);
    listing.reply(request, "projects", items, |project| {
        views::project(&root, project)
    })
}

/// Lists the groups of a user.
pub(super) fn list_groups(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let listing = Listing::of(&request.query, &["name"])?;
    let user = allowed(services, request)?;
    let snapshot = services.store.snapshot();
    let memberships = snapshot.find(&Membership::BY_USER, &key(&[user.id.as_str()]));
    let root = root(request);
    let shown: Vec<Value> = memberships
        .filter_map(|membership| snapshot.get::<Group>(&membership.group_id))
        .filter(|group| listing.keeps(|name| super::groups::field(group.value(), name)))
        .map(|group| views::group_of_user(&root, group.value()))
        .collect();
    listing::reply_whole(request, "groups", shown)
}
