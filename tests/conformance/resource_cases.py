"""Requests about the objects of identity: domains, projects, users, roles, grants, the catalog,
application credentials.

What it is: a list of `(name, build)` like `auth_cases`. The plain life of an object (create,
read, change, delete, and the ways each can be wrong) is derived from one table, what is special
to a kind stands below it.
What it is not: an expectation. What is right is what keystone answers.
Called by `keystone_diff.py`.
"""

from dataclasses import dataclass, field
from typing import Callable

from auth_cases import MISSING_ID, get
from identity_world import Request, app_cred_auth, password_auth


@dataclass(frozen=True)
class Kind:
    """One kind of object: where it lives and what a good one looks like."""

    one: str
    path: str
    fields: Callable = lambda _world: {}
    change: dict = field(default_factory=dict)
    named: bool = True


def with_token(world, method, path, body=None, who="admin"):
    """A request with the token of `who`."""
    return Request(method, path, {"X-Auth-Token": world.token(who)}, body)


def in_domain(world):
    """The field that puts a new object into our domain."""
    return {"domain_id": world.ids["domain"]}


def of_service(world):
    """The fields of an endpoint of the service made by the cases."""
    return {"service_id": world.ids["made-service"], "interface": "public",
            "url": "http://example.org/x"}


KINDS = [
    Kind("domain", "/v3/domains", change={"description": "changed"}),
    Kind("project", "/v3/projects", in_domain, {"description": "changed", "tags": ["a", "b"]}),
    Kind("user", "/v3/users", lambda w: {**in_domain(w), "password": "First-1"},
         {"email": "a@example.org", "description": "changed"}),
    Kind("role", "/v3/roles", change={"description": "changed"}),
    Kind("region", "/v3/regions", lambda w: {"id": w.name("region-made")},
         {"description": "changed"}, named=False),
    Kind("service", "/v3/services", lambda w: {"type": "diffing"}, {"enabled": False}),
    Kind("endpoint", "/v3/endpoints", of_service, {"url": "http://example.org/y"}, named=False),
]


def made(kind, world, **fields):
    """The body that creates the object of the life below."""
    name = {"name": world.name(kind.one + "-made")} if kind.named else {}
    return {kind.one: {**name, **kind.fields(world), **fields}}


def path_of(kind, world):
    """The path of the object of the life below; the list answers with its id if it is new."""
    key = "made-" + kind.one
    if key not in world.ids:
        many = kind.path.rsplit("/", 1)[1]
        found = world.must("GET", kind.path, token=world.token("admin")).body[many]
        wanted = made(kind, world)[kind.one]
        match = [one for one in found if all(
            one.get(name) == wanted[name] for name in wanted if name not in ("password",))]
        world.ids[key] = match[0]["id"]
    return f"{kind.path}/{world.ids[key]}"


def life(kind):
    """Creation, reading, changing of one kind; `death` deletes it."""
    one, path = kind.one, kind.path

    def post(body):
        return lambda w: with_token(w, "POST", path, body(w) if callable(body) else body)

    cases = [
        (f"{one} create", post(lambda w: made(kind, w))),
        (f"{one} create as a member",
         lambda w: with_token(w, "POST", path, made(kind, w), "alice")),
        (f"{one} create without token", lambda w: Request("POST", path, {}, made(kind, w))),
        (f"{one} create from nothing", post({})),
        (f"{one} create from null", post({one: None})),
        (f"{one} create empty", post({one: {}})),
        (f"{one} create from a list", post([])),
        (f"{one} create with a number as description",
         # Of another name: services are made so, and ids decide which one a list has first.
         post(lambda w: made(kind, w, description=7, name=w.name(one + "-numbered")))),
        (f"{one} show", lambda w: with_token(w, "GET", path_of(kind, w))),
        (f"{one} show by head", lambda w: with_token(w, "HEAD", path_of(kind, w))),
        (f"{one} show as a member",
         lambda w: with_token(w, "GET", path_of(kind, w), None, "alice")),
        (f"{one} show unknown", lambda w: with_token(w, "GET", f"{path}/{MISSING_ID}")),
        (f"{one} list as a member", lambda w: with_token(w, "GET", path, None, "alice")),
        (f"{one} change",
         lambda w: with_token(w, "PATCH", path_of(kind, w), {one: kind.change})),
        (f"{one} change as a member",
         lambda w: with_token(w, "PATCH", path_of(kind, w), {one: kind.change}, "alice")),
        (f"{one} change nothing", lambda w: with_token(w, "PATCH", path_of(kind, w), {one: {}})),
        (f"{one} change without body", lambda w: with_token(w, "PATCH", path_of(kind, w), {})),
        (f"{one} change to a wrong type",
         lambda w: with_token(w, "PATCH", path_of(kind, w), {one: {"description": []}})),
        (f"{one} change unknown",
         lambda w: with_token(w, "PATCH", f"{path}/{MISSING_ID}", {one: kind.change})),
        (f"{one} delete unknown", lambda w: with_token(w, "DELETE", f"{path}/{MISSING_ID}")),
    ]
    return cases + (named(kind) if kind.named else [])


def named(kind):
    """What names add: duplicates, filters, wrong names."""
    one, path = kind.one, kind.path

    def create(**fields):
        return lambda w: with_token(w, "POST", path, made(kind, w, **fields))

    cases = [
        (f"{one} list by name",
         lambda w: with_token(w, "GET", f"{path}?name={w.name(one + '-made')}")),
        (f"{one} list by unknown name", lambda w: with_token(w, "GET", f"{path}?name=nobody")),
    ]
    if one == "service":  # service names need not be unique, nor be there
        return [*cases, (f"{one} create without type", lambda w: with_token(
            w, "POST", path, {one: {"name": "x"}}))]
    return [
        *cases,
        (f"{one} create again", create()),
        (f"{one} create with an empty name", create(name="")),
        (f"{one} create with a number as name", create(name=7)),
        (f"{one} create with a name too long", create(name="n" * 256)),
        (f"{one} create without a name", lambda w: with_token(
            w, "POST", path, {one: kind.fields(w)})),
        (f"{one} create with enabled a word", create(enabled="perhaps")),
        (f"{one} create with an unknown key", lambda w: with_token(
            w, "POST", path, made(kind, w, name=w.name(one + "-extra"), extra="kept"))),
        (f"{one} change name to another's", lambda w: with_token(
            w, "PATCH", path_of(kind, w), {one: {"name": w.name(one + "-extra")}})),
        (f"{one} of an unknown key goes", lambda w: with_token(
            w, "DELETE", f"{path}/{extra_id(kind, w)}")),
    ]


def extra_id(kind, world):
    """The id of the object created with an unknown key; domains are disabled first."""
    name = world.name(kind.one + "-extra")
    many = kind.path.rsplit("/", 1)[1]
    token = world.token("admin")
    found = world.must("GET", f"{kind.path}?name={name}", token=token).body[many]
    if not found:
        return MISSING_ID
    if kind.one == "domain":
        body = {"domain": {"enabled": False}}
        world.must("PATCH", f"{kind.path}/{found[0]['id']}", body, token)
    return found[0]["id"]


def death(kind):
    """The end of the object of `life`."""
    one = kind.one
    cases = [
        (f"{one} delete as a member",
         lambda w: with_token(w, "DELETE", path_of(kind, w), None, "alice")),
        (f"{one} delete", lambda w: with_token(w, "DELETE", path_of(kind, w))),
        (f"{one} delete again", lambda w: with_token(w, "DELETE", path_of(kind, w))),
        (f"{one} show after deleting", lambda w: with_token(w, "GET", path_of(kind, w))),
    ]
    if one != "domain":
        return cases
    return [
        (f"{one} delete while enabled", lambda w: with_token(w, "DELETE", path_of(kind, w))),
        (f"{one} disable", lambda w: with_token(
            w, "PATCH", path_of(kind, w), {one: {"enabled": False}})),
        *cases,
    ]


def grant(world, user="bare", role="member", target="project"):
    """The path of a grant of a role to a user on our project or domain."""
    where = f"{target}s/{world.ids[target]}"
    return f"/v3/{where}/users/{world.ids[user]}/roles/{world.ids['role-' + role]}"


GRANTS = [
    ("grant check before", lambda w: with_token(w, "HEAD", grant(w))),
    ("grant as a member", lambda w: with_token(w, "PUT", grant(w), None, "alice")),
    ("grant", lambda w: with_token(w, "PUT", grant(w))),
    ("grant again", lambda w: with_token(w, "PUT", grant(w))),
    ("grant check", lambda w: with_token(w, "HEAD", grant(w))),
    ("grant list", lambda w: with_token(w, "GET", grant(w).rsplit("/", 1)[0])),
    ("grant on a domain", lambda w: with_token(w, "PUT", grant(w, target="domain"))),
    ("grant list on a domain",
     lambda w: with_token(w, "GET", grant(w, target="domain").rsplit("/", 1)[0])),
    ("grant an unknown role",
     lambda w: with_token(w, "PUT", grant(w).rsplit("/", 1)[0] + "/" + MISSING_ID)),
    ("grant to an unknown user",
     lambda w: with_token(w, "PUT", grant(w).replace(w.ids["bare"], MISSING_ID))),
    ("grant on an unknown project",
     lambda w: with_token(w, "PUT", grant(w).replace(w.ids["project"], MISSING_ID))),
    ("assignments of a user",
     lambda w: with_token(w, "GET", "/v3/role_assignments?user.id=" + w.ids["bare"])),
    ("assignments with names", lambda w: with_token(
        w, "GET", f"/v3/role_assignments?include_names&user.id={w.ids['bare']}")),
    ("assignments in effect", lambda w: with_token(
        w, "GET", f"/v3/role_assignments?effective&user.id={w.ids['bare']}")),
    ("assignments of a project", lambda w: with_token(
        w, "GET", "/v3/role_assignments?scope.project.id=" + w.ids["other"])),
    ("assignments of an unknown user",
     lambda w: with_token(w, "GET", "/v3/role_assignments?user.id=" + MISSING_ID)),
    ("assignments as a member",
     lambda w: with_token(w, "GET", "/v3/role_assignments", None, "alice")),
    ("grant delete", lambda w: with_token(w, "DELETE", grant(w))),
    ("grant delete again", lambda w: with_token(w, "DELETE", grant(w))),
    ("grant check after", lambda w: with_token(w, "HEAD", grant(w))),
    ("inferences", lambda w: with_token(w, "GET", "/v3/role_inferences")),
]


def credentials(world, user="alice"):
    """Where the application credentials of a user live."""
    return f"/v3/users/{world.ids[user]}/application_credentials"


def credential(world, word="made", **fields):
    """The body that creates an application credential."""
    return {"application_credential": {"name": world.name("cred-" + word), **fields}}


def credential_id(world):
    """The id of the credential made by the cases."""
    if "made-credential" not in world.ids:
        found = world.must("GET", credentials(world), token=world.token("alice")).body
        world.ids["made-credential"] = next(
            one["id"] for one in found["application_credentials"]
            if one["name"] == world.name("cred-made"))
    return world.ids["made-credential"]


def alice_post(**fields):
    """A creation by Alice for herself."""
    return lambda w: with_token(w, "POST", credentials(w), credential(w, **fields), "alice")


CREDENTIALS = [
    ("credential create", alice_post(description="d", secret="s3cret-s3cret")),
    ("credential create again", alice_post(secret="s3cret-s3cret")),
    ("credential create with a role",
     lambda w: with_token(w, "POST", credentials(w), credential(
         w, "roled", roles=[{"name": "reader"}], secret="s"), "alice")),
    ("credential create with a role not held",
     lambda w: with_token(w, "POST", credentials(w), credential(
         w, "big", roles=[{"name": "admin"}]), "alice")),
    ("credential create with an unknown role", alice_post(word="u", roles=[{"id": MISSING_ID}])),
    ("credential create unrestricted", alice_post(word="free", unrestricted=True, secret="s")),
    ("credential create with access rules", alice_post(
        word="rules", secret="s",
        access_rules=[{"path": "/v2.1/servers", "method": "GET", "service": "compute"}])),
    ("credential create expired", alice_post(word="past", expires_at="2001-01-01T00:00:00.0")),
    ("credential create with a bad date", alice_post(word="bad", expires_at="tomorrow")),
    ("credential create with an unknown key", alice_post(word="key", extra=1)),
    ("credential create without a name", lambda w: with_token(
        w, "POST", credentials(w), {"application_credential": {}}, "alice")),
    ("credential create for another", lambda w: with_token(
        w, "POST", credentials(w, "bob"), credential(w), "alice")),
    ("credential create as admin for another", lambda w: with_token(
        w, "POST", credentials(w), credential(w, "admin"), "admin")),
    ("credential create unscoped", lambda w: with_token(
        w, "POST", credentials(w), credential(w, "loose"), "alice-unscoped")),
    ("credential create by a credential", lambda w: with_token(
        w, "POST", credentials(w), credential(w, "child"), "app_cred")),
    ("credential list by name", lambda w: with_token(
        w, "GET", f"{credentials(w)}?name={w.name('cred-made')}", None, "alice")),
    ("credential list of another", lambda w: with_token(
        w, "GET", credentials(w, "bob"), None, "alice")),
    ("credential show", lambda w: with_token(
        w, "GET", f"{credentials(w)}/{credential_id(w)}", None, "alice")),
    ("credential show unknown", lambda w: with_token(
        w, "GET", f"{credentials(w)}/{MISSING_ID}", None, "alice")),
    ("credential cannot change", lambda w: with_token(
        w, "PATCH", f"{credentials(w)}/{credential_id(w)}", credential(w), "alice")),
    ("credential made here authenticates", lambda w: Request(
        "POST", "/v3/auth/tokens", {},
        app_cred_auth({"id": credential_id(w), "secret": "s3cret-s3cret"}))),
    ("credential delete", lambda w: with_token(
        w, "DELETE", f"{credentials(w)}/{credential_id(w)}", None, "alice")),
    ("credential delete again", lambda w: with_token(
        w, "DELETE", f"{credentials(w)}/{credential_id(w)}", None, "alice")),
    ("credential gone no longer authenticates", lambda w: Request(
        "POST", "/v3/auth/tokens", {},
        app_cred_auth({"id": credential_id(w), "secret": "s3cret-s3cret"}))),
]


def new_password(world, old, new, user="bob", who="bob"):
    """A change of a user's own password."""
    body = {"user": {"original_password": old, "password": new}}
    return with_token(world, "POST", f"/v3/users/{world.ids[user]}/password", body, who)


SPECIAL = [
    ("project in an unknown domain", lambda w: with_token(w, "POST", "/v3/projects", {
        "project": {"name": "x", "domain_id": MISSING_ID}})),
    ("project below another", lambda w: with_token(w, "POST", "/v3/projects", {
        "project": {"name": w.name("below"), "parent_id": w.ids["project"], **in_domain(w)}})),
    ("project below one of another domain", lambda w: with_token(w, "POST", "/v3/projects", {
        "project": {"name": w.name("below"), "parent_id": w.ids["project"]}})),
    ("project delete with a child", lambda w: with_token(
        w, "DELETE", "/v3/projects/" + w.ids["project"])),
    ("project child goes", lambda w: with_token(w, "DELETE", "/v3/projects/" + below(w))),
    ("projects of a domain",
     lambda w: with_token(w, "GET", "/v3/projects?domain_id=" + w.ids["domain"])),
    ("projects disabled of a domain", lambda w: with_token(
        w, "GET", f"/v3/projects?enabled=false&domain_id={w.ids['domain']}")),
    ("projects with garbage as limit", lambda w: with_token(
        w, "GET", f"/v3/projects?limit=x&domain_id={w.ids['domain']}")),
    ("users of a domain",
     lambda w: with_token(w, "GET", "/v3/users?domain_id=" + w.ids["domain"])),
    ("users of an unknown domain",
     lambda w: with_token(w, "GET", "/v3/users?domain_id=" + MISSING_ID)),
    ("user in an unknown domain", lambda w: with_token(w, "POST", "/v3/users", {
        "user": {"name": "x", "domain_id": MISSING_ID}})),
    ("user shows itself", lambda w: with_token(
        w, "GET", "/v3/users/" + w.ids["alice"], None, "alice")),
    ("role list by name", lambda w: with_token(w, "GET", "/v3/roles?name=member")),
    ("role built in cannot go", lambda w: with_token(
        w, "DELETE", "/v3/roles/" + w.ids["role-member"])),
    ("role built in cannot change", lambda w: with_token(
        w, "PATCH", "/v3/roles/" + w.ids["role-member"], {"role": {"name": "x"}})),
    ("domain default shows", lambda w: get(w, "/v3/domains/default", "admin")),
    ("service of an endpoint of a wrong interface", lambda w: with_token(
        w, "POST", "/v3/endpoints", {"endpoint": {
            **of_service(w), "interface": "secret"}})),
    ("endpoint of an unknown service", lambda w: with_token(
        w, "POST", "/v3/endpoints", {"endpoint": {**of_service(w), "service_id": MISSING_ID}})),
    ("endpoint in an unknown region", lambda w: with_token(
        w, "POST", "/v3/endpoints", {"endpoint": {**of_service(w), "region_id": MISSING_ID}})),
    ("endpoints of a service", lambda w: with_token(
        w, "GET", "/v3/endpoints?service_id=" + w.ids["made-service"])),
    ("password change with a wrong old one", lambda w: new_password(w, "wrong", "New-1")),
    ("password change without a new one", lambda w: with_token(
        w, "POST", f"/v3/users/{w.ids['bob']}/password", {"user": {
            "original_password": w.password}}, "bob")),
    ("password change", lambda w: new_password(w, w.password, "New-1")),
    ("password old after the change", lambda w: Request(
        "POST", "/v3/auth/tokens", {}, password_auth(w.user("bob")))),
    ("token after the password change", lambda w: get(w, "/v3/auth/projects", "bob")),
]


def below(world):
    """The id of the project created below another."""
    token = world.token("admin")
    found = world.must("GET", f"/v3/projects?name={world.name('below')}", token=token)
    return found.body["projects"][0]["id"]


CASES = [
    *(case for kind in KINDS for case in life(kind)),
    *GRANTS, *CREDENTIALS, *SPECIAL,
    *(case for kind in reversed(KINDS) for case in death(kind)),
]
