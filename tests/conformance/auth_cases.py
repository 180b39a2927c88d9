"""Requests about tokens: the cases of the comparison with keystone that concern authentication.

What it is: a list of `(name, build)`; `build` takes a `World` and returns one `Request`.
What it is not: an expectation. What is right is what keystone answers.
Called by `keystone_diff.py`.
"""

from identity_world import Request, app_cred_auth, password_auth, tamper, token_auth

TOKENS = "/v3/auth/tokens"
MISSING_ID = "0123456789abcdef0123456789abcdef"


def auth(body, query="", headers=None):
    """`POST /v3/auth/tokens` with a body."""
    return Request("POST", TOKENS + query, headers or {}, body)


def alice(world, scope=None, **fields):
    """Alice's password authentication; `fields` are laid over her `user` object."""
    return auth(password_auth({**world.user("alice"), **fields}, scope))


def raw(text, kind="application/json"):
    """`POST /v3/auth/tokens` with these bytes and this content type (`None`: without one)."""
    return auth(text.encode(), headers={"Content-Type": kind} if kind else {})


def by_name(world, domain):
    """Alice by her name in the given domain reference."""
    return password_auth({"name": world.name("alice"), "domain": domain,
                          "password": world.password})


def project(world, word="project"):
    """A scope: one of our projects by id."""
    return {"project": {"id": world.ids[word]}}


def subject(world, method, token, who="admin", query=""):
    """A request about `token`, made with the token of `who` (`None`: without one)."""
    headers = {"X-Subject-Token": token} if token is not None else {}
    if who is not None:
        headers["X-Auth-Token"] = world.kept.get(who) or world.token(who)
    return Request(method, TOKENS + query, headers)


def get(world, path, who=None, method="GET"):
    """A plain request with the token of `who`, which may be one of the kept bad tokens."""
    if who is None:
        return Request(method, path)
    token = world.kept.get(who) or world.token(who)
    return Request(method, path, {"X-Auth-Token": token})


def cred(world, **fields):
    """Alice's application credential by id; `fields` replace the keys."""
    whole = {"id": world.ids["app_cred"], "secret": world.kept["secret"], **fields}
    return {key: value for key, value in whole.items() if value is not None}


DISCOVERY = [
    ("root lists versions", lambda w: Request("GET", "")),
    ("root with slash lists versions", lambda w: Request("GET", "/")),
    ("v3 describes itself", lambda w: Request("GET", "/v3")),
    ("v3 with slash describes itself", lambda w: Request("GET", "/v3/")),
    ("v3 answers head", lambda w: Request("HEAD", "/v3")),
    ("unknown version", lambda w: Request("GET", "/v2.0")),
    ("unknown path without token", lambda w: Request("GET", "/v3/nothing-here")),
    ("unknown path with token", lambda w: get(w, "/v3/nothing-here", "admin")),
    ("tokens refuse put", lambda w: Request("PUT", TOKENS, {}, {})),
    ("tokens refuse patch", lambda w: Request("PATCH", TOKENS, {}, {})),
]

PASSWORD = [
    ("password by user id", lambda w: alice(w)),
    ("password by name and domain id",
     lambda w: auth(by_name(w, {"id": w.ids["domain"]}))),
    ("password by name and domain name",
     lambda w: auth(by_name(w, {"name": w.name("domain")}))),
    ("password by id with a wrong name beside it", lambda w: alice(w, name="nobody")),
    ("password of a user without roles", lambda w: auth(password_auth(w.user("bare")))),
    ("password of a user with a default project", lambda w: auth(password_auth(w.user("homed")))),
    ("password wrong", lambda w: alice(w, password="wrong")),
    ("password empty", lambda w: alice(w, password="")),
    ("password of an unknown user id", lambda w: alice(w, id=MISSING_ID)),
    ("password of an unknown name",
     lambda w: auth(password_auth({"name": "nobody", "domain": {"id": w.ids["domain"]},
                                   "password": "x"}))),
    ("password in an unknown domain id", lambda w: auth(by_name(w, {"id": MISSING_ID}))),
    ("password in an unknown domain name", lambda w: auth(by_name(w, {"name": "nowhere"}))),
    ("password of a disabled user", lambda w: auth(password_auth(w.user("disabled")))),
    ("password of a user of a disabled domain",
     lambda w: auth(password_auth(w.user("locked-out")))),
    ("password without catalog",
     lambda w: auth(password_auth(w.user("alice"), project(w)), "?nocatalog")),
]

SCOPE = [
    ("scope project by id", lambda w: alice(w, project(w))),
    ("scope project by name and domain id",
     lambda w: alice(w, {"project": {"name": w.name("project"),
                                     "domain": {"id": w.ids["domain"]}}})),
    ("scope project by name and domain name",
     lambda w: alice(w, {"project": {"name": w.name("project"),
                                     "domain": {"name": w.name("domain")}}})),
    ("scope domain by id", lambda w: alice(w, {"domain": {"id": w.ids["domain"]}})),
    ("scope domain by name", lambda w: alice(w, {"domain": {"name": w.name("domain")}})),
    ("scope system of the admin",
     lambda w: auth(password_auth({"name": "admin", "domain": {"id": "default"},
                                   "password": w.admin_password}, {"system": {"all": True}}))),
    ("scope project of the admin",
     lambda w: auth(password_auth({"name": "admin", "domain": {"id": "default"},
                                   "password": w.admin_password},
                                  {"project": {"name": "admin", "domain": {"id": "default"}}}))),
    ("scope system without a role there", lambda w: alice(w, {"system": {"all": True}})),
    ("scope system false", lambda w: alice(w, {"system": {"all": False}})),
    ("scope system empty", lambda w: alice(w, {"system": {}})),
    ("scope unscoped object",
     lambda w: auth(password_auth(w.user("homed"), {"unscoped": {}}))),
    ("scope unscoped word", lambda w: auth(password_auth(w.user("homed"), "unscoped"))),
    ("scope project without a role there", lambda w: alice(w, project(w, "forbidden"))),
    ("scope project of the admin as alice",
     lambda w: alice(w, {"project": {"name": "admin", "domain": {"id": "default"}}})),
    ("scope unknown project id", lambda w: alice(w, {"project": {"id": MISSING_ID}})),
    ("scope unknown project name",
     lambda w: alice(w, {"project": {"name": "none", "domain": {"id": w.ids["domain"]}}})),
    ("scope disabled project", lambda w: alice(w, project(w, "disabled-project"))),
    ("scope unknown domain", lambda w: alice(w, {"domain": {"id": MISSING_ID}})),
    ("scope disabled domain", lambda w: alice(w, {"domain": {"id": w.ids["closed-domain"]}})),
    ("scope domain without a role there", lambda w: alice(w, {"domain": {"id": "default"}})),
    ("scope project and domain",
     lambda w: alice(w, {**project(w), "domain": {"id": w.ids["domain"]}})),
    ("scope empty", lambda w: alice(w, {})),
    ("scope null", lambda w: auth({"auth": {
        **password_auth(w.user("alice"))["auth"], "scope": None}})),
    ("scope of an unknown kind", lambda w: alice(w, {"galaxy": {"id": "x"}})),
    ("scope project name without domain",
     lambda w: alice(w, {"project": {"name": w.name("project")}})),
    ("scope project empty", lambda w: alice(w, {"project": {}})),
    ("scope project id of a wrong type", lambda w: alice(w, {"project": {"id": 7}})),
]

MALFORMED = [
    ("body not json", lambda w: raw("{nonsense")),
    ("body empty", lambda w: Request("POST", TOKENS, {"Content-Type": "application/json"}, b"")),
    ("body a list", lambda w: raw("[]")),
    ("body a string", lambda w: raw('"auth"')),
    ("body null", lambda w: raw("null")),
    ("body an empty object", lambda w: auth({})),
    ("body not utf-8", lambda w: auth(b'{"auth": "\xff"}')),
    ("content type text", lambda w: raw('{"auth": {}}', "text/plain")),
    ("content type missing", lambda w: raw('{"auth": {}}', None)),
    ("auth null", lambda w: auth({"auth": None})),
    ("auth empty", lambda w: auth({"auth": {}})),
    ("auth a list", lambda w: auth({"auth": []})),
    ("auth with an unknown key",
     lambda w: auth({"auth": {**password_auth(w.user("alice"))["auth"], "extra": 1}})),
    ("body with an unknown key",
     lambda w: auth({**password_auth(w.user("alice")), "extra": 1})),
    ("identity empty", lambda w: auth({"auth": {"identity": {}}})),
    ("identity a string", lambda w: auth({"auth": {"identity": "x"}})),
    ("methods empty", lambda w: auth({"auth": {"identity": {"methods": []}}})),
    ("methods a string", lambda w: auth({"auth": {"identity": {"methods": "password"}}})),
    ("methods of numbers", lambda w: auth({"auth": {"identity": {"methods": [1]}}})),
    ("method unknown", lambda w: auth({"auth": {"identity": {
        "methods": ["telepathy"], "telepathy": {}}}})),
    ("method unknown without payload", lambda w: auth({"auth": {"identity": {
        "methods": ["telepathy"]}}})),
    ("method without payload", lambda w: auth({"auth": {"identity": {"methods": ["password"]}}})),
    ("method named twice", lambda w: auth({"auth": {"identity": {
        "methods": ["password", "password"], "password": {"user": w.user("alice")}}}})),
    ("methods password and token", lambda w: auth({"auth": {"identity": {
        "methods": ["password", "token"], "password": {"user": w.user("alice")},
        "token": {"id": w.token("alice")}}}})),
    ("methods password and another's token", lambda w: auth({"auth": {"identity": {
        "methods": ["password", "token"], "password": {"user": w.user("alice")},
        "token": {"id": w.token("bob")}}}})),
    ("password payload empty", lambda w: auth({"auth": {"identity": {
        "methods": ["password"], "password": {}}}})),
    ("password user empty", lambda w: auth(password_auth({}))),
    ("password user without password", lambda w: auth(password_auth({"id": w.ids["alice"]}))),
    ("password user without domain",
     lambda w: auth(password_auth({"name": w.name("alice"), "password": w.password}))),
    ("password user with an empty domain", lambda w: auth(by_name(w, {}))),
    ("password user without name", lambda w: auth(password_auth({"password": "x"}))),
    ("password user with an unknown key", lambda w: alice(w, extra=1)),
    ("password null", lambda w: alice(w, password=None)),
    ("password a number", lambda w: alice(w, password=7)),
    ("user id a number", lambda w: alice(w, id=7)),
    ("user name a list",
     lambda w: auth(password_auth({"name": [], "domain": {"id": "default"}, "password": "x"}))),
]

RESCOPE = [
    ("token unscoped to project",
     lambda w: auth(token_auth(w.token("alice-unscoped"), project(w)))),
    ("token unscoped to domain",
     lambda w: auth(token_auth(w.token("alice-unscoped"), {"domain": {"id": w.ids["domain"]}}))),
    ("token project to other project",
     lambda w: auth(token_auth(w.token("alice"), project(w, "other")))),
    ("token project to unscoped", lambda w: auth(token_auth(w.token("alice"), {"unscoped": {}}))),
    ("token without scope", lambda w: auth(token_auth(w.token("alice")))),
    ("token to a project without a role",
     lambda w: auth(token_auth(w.token("alice"), project(w, "forbidden")))),
    ("token to system without a role",
     lambda w: auth(token_auth(w.token("alice"), {"system": {"all": True}}))),
    ("token of the admin to system",
     lambda w: auth(token_auth(w.token("admin"), {"system": {"all": True}}))),
    ("token garbage", lambda w: auth(token_auth("garbage", project(w)))),
    ("token empty", lambda w: auth(token_auth("", project(w)))),
    ("token a number", lambda w: auth(token_auth(7, project(w)))),
    ("token payload empty",
     lambda w: auth({"auth": {"identity": {"methods": ["token"], "token": {}}}})),
    ("token tampered", lambda w: auth(token_auth(w.kept["tampered"], project(w)))),
    ("token revoked", lambda w: auth(token_auth(w.kept["revoked"], project(w)))),
    ("token expired", lambda w: auth(token_auth(w.kept["expired"], project(w)))),
    ("token of an application credential rescoped",
     lambda w: auth(token_auth(w.token("app_cred"), project(w, "other")))),
    ("token of an application credential to its own project",
     lambda w: auth(token_auth(w.token("app_cred"), project(w)))),
]

APP_CRED = [
    ("app credential by id", lambda w: auth(app_cred_auth(cred(w)))),
    ("app credential by name and user id",
     lambda w: auth(app_cred_auth(cred(w, id=None, name=w.name("cred"),
                                       user={"id": w.ids["alice"]})))),
    ("app credential by name and user name",
     lambda w: auth(app_cred_auth(cred(w, id=None, name=w.name("cred"), user={
         "name": w.name("alice"), "domain": {"name": w.name("domain")}})))),
    ("app credential by name without user",
     lambda w: auth(app_cred_auth(cred(w, id=None, name=w.name("cred"))))),
    ("app credential with a wrong secret",
     lambda w: auth(app_cred_auth(cred(w, secret="wrong")))),
    ("app credential without secret", lambda w: auth(app_cred_auth(cred(w, secret=None)))),
    ("app credential unknown", lambda w: auth(app_cred_auth(cred(w, id=MISSING_ID)))),
    ("app credential expired",
     lambda w: auth(app_cred_auth(cred(w, id=w.ids["expired_cred"],
                                       secret=w.kept["expired_secret"])))),
    ("app credential with its own scope", lambda w: auth(app_cred_auth(cred(w), project(w)))),
    ("app credential with another scope",
     lambda w: auth(app_cred_auth(cred(w), project(w, "other")))),
    ("app credential empty", lambda w: auth(app_cred_auth({}))),
]

VALIDATE = [
    ("validate own token", lambda w: subject(w, "GET", w.token("alice"), "alice")),
    ("validate own token by head", lambda w: subject(w, "HEAD", w.token("alice"), "alice")),
    ("validate another's token as admin", lambda w: subject(w, "GET", w.token("alice"))),
    ("validate another's token by head", lambda w: subject(w, "HEAD", w.token("alice"))),
    ("validate another's token as a reader",
     lambda w: subject(w, "GET", w.token("alice"), "bob")),
    ("validate without catalog",
     lambda w: subject(w, "GET", w.token("alice"), query="?nocatalog")),
    ("validate unscoped", lambda w: subject(w, "GET", w.token("alice-unscoped"))),
    ("validate domain scope", lambda w: subject(w, "GET", w.token("alice-domain"))),
    ("validate system scope", lambda w: subject(w, "GET", w.token("system"), "system")),
    ("validate application credential", lambda w: subject(w, "GET", w.token("app_cred"))),
    ("validate without own token", lambda w: subject(w, "GET", w.token("alice"), None)),
    ("validate without subject", lambda w: subject(w, "GET", None)),
    ("validate without anything", lambda w: subject(w, "GET", None, None)),
    ("validate head without anything", lambda w: subject(w, "HEAD", None, None)),
    ("validate an empty subject", lambda w: subject(w, "GET", "")),
    ("validate garbage", lambda w: subject(w, "GET", "garbage")),
    ("validate garbage by head", lambda w: subject(w, "HEAD", "garbage")),
    ("validate tampered", lambda w: subject(w, "GET", w.kept["tampered"])),
    ("validate expired", lambda w: subject(w, "GET", w.kept["expired"])),
    ("validate expired, allowed", lambda w: subject(w, "GET", w.kept["expired"],
                                                    query="?allow_expired=1")),
    ("validate revoked", lambda w: subject(w, "GET", w.kept["revoked"])),
    ("validate with garbage", lambda w: Request(
        "GET", TOKENS, {"X-Auth-Token": "garbage", "X-Subject-Token": w.token("alice")})),
    ("validate with a tampered token",
     lambda w: subject(w, "GET", w.token("alice"), "tampered")),
    ("validate with an expired token", lambda w: subject(w, "GET", w.token("alice"), "expired")),
    ("validate with a revoked token", lambda w: subject(w, "GET", w.token("alice"), "revoked")),
]

LISTS = [
    ("auth catalog", lambda w: get(w, "/v3/auth/catalog", "alice")),
    ("auth catalog of the admin", lambda w: get(w, "/v3/auth/catalog", "admin")),
    ("auth catalog by head", lambda w: get(w, "/v3/auth/catalog", "alice", "HEAD")),
    ("auth catalog unscoped", lambda w: get(w, "/v3/auth/catalog", "alice-unscoped")),
    ("auth catalog of a domain", lambda w: get(w, "/v3/auth/catalog", "alice-domain")),
    ("auth catalog of the system", lambda w: get(w, "/v3/auth/catalog", "system")),
    ("auth catalog without token", lambda w: get(w, "/v3/auth/catalog")),
    ("auth catalog with an expired token", lambda w: get(w, "/v3/auth/catalog", "expired")),
    ("auth projects", lambda w: get(w, "/v3/auth/projects", "alice")),
    ("auth projects unscoped", lambda w: get(w, "/v3/auth/projects", "alice-unscoped")),
    ("auth projects without token", lambda w: get(w, "/v3/auth/projects")),
    ("auth projects with a tampered token", lambda w: get(w, "/v3/auth/projects", "tampered")),
    ("auth domains", lambda w: get(w, "/v3/auth/domains", "alice")),
    ("auth system", lambda w: get(w, "/v3/auth/system", "alice")),
    ("auth system of the admin", lambda w: get(w, "/v3/auth/system", "admin")),
    ("own projects", lambda w: get(w, f"/v3/users/{w.ids['alice']}/projects", "alice")),
    ("another's projects", lambda w: get(w, f"/v3/users/{w.ids['bob']}/projects", "alice")),
    ("a path with garbage as token", lambda w: Request(
        "GET", "/v3/projects", {"X-Auth-Token": "garbage"})),
    ("a path with an expired token", lambda w: get(w, "/v3/projects", "expired")),
    ("a path with a revoked token", lambda w: get(w, "/v3/projects", "revoked")),
]


def spare(world, name, who="alice"):
    """A token issued for the cases below alone, under a name of its own."""
    if name not in world.kept:
        body = password_auth(world.user(who), project(world))
        world.kept[name] = world.issue(body)
    return world.kept[name]


def chained(world):
    """A token rescoped from `spare("parent")`: it dies with its parent."""
    if "child" not in world.kept:
        body = token_auth(spare(world, "parent"), project(world, "other"))
        world.kept["child"] = world.issue(body)
    return world.kept["child"]


REVOKE = [
    ("revoke without own token", lambda w: subject(w, "DELETE", spare(w, "one"), None)),
    ("revoke without subject", lambda w: subject(w, "DELETE", None)),
    ("revoke garbage", lambda w: subject(w, "DELETE", "garbage")),
    ("revoke tampered", lambda w: subject(w, "DELETE", tamper(spare(w, "one")))),
    ("revoke another's as a reader", lambda w: subject(w, "DELETE", spare(w, "one"), "bob")),
    ("revoke own", lambda w: subject(w, "DELETE", spare(w, "one"), "alice")),
    ("revoke again", lambda w: subject(w, "DELETE", spare(w, "one"), "alice")),
    ("validate after revoking", lambda w: subject(w, "GET", spare(w, "one"))),
    ("use after revoking", lambda w: (spare(w, "one"), get(w, "/v3/auth/projects", "one"))[1]),
    ("revoke as admin", lambda w: subject(w, "DELETE", spare(w, "two"))),
    ("revoke with itself", lambda w: (spare(w, "three"), subject(
        w, "DELETE", w.kept["three"], "three"))[1]),
    ("revoke a parent", lambda w: (chained(w), subject(w, "DELETE", w.kept["parent"]))[1]),
    ("validate a child of a revoked parent", lambda w: subject(w, "GET", chained(w))),
]

CASES = [*DISCOVERY, *PASSWORD, *SCOPE, *MALFORMED, *RESCOPE, *APP_CRED, *VALIDATE, *LISTS, *REVOKE]
