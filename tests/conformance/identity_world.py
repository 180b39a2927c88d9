"""The same small world on any identity service: who and what the compared requests speak of.

What it is: a client of the identity API (standard library only) and the domain, projects, users,
roles and application credential that it creates before, and deletes after, a comparison. The
names carry a random suffix, so a world fits beside whatever a cloud already holds.
What it is not: a test; `auth_cases` and `resource_cases` are.
Called by `keystone_diff.py`.
"""

import http.client
import json
import secrets
import time
import urllib.parse
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """One request: `path` is relative to the identity root, `body` is JSON or raw bytes."""

    method: str
    path: str
    headers: dict = field(default_factory=dict)
    body: object = None


@dataclass(frozen=True)
class Answer:
    """What came back: header names in lower case; `body` is parsed JSON, or text, or None."""

    status: int
    headers: dict
    body: object


class SetupFailed(Exception):
    """The service refused a request that only prepares the comparison."""


def send(url, request):
    """Sends one request to the identity root `url` and returns its answer."""
    parts = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=30)
    headers = dict(request.headers)
    body = request.body
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    try:
        connection.request(request.method, parts.path + request.path, body, headers)
        response = connection.getresponse()
        raw = response.read()
    finally:
        connection.close()
    kept = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, kept, parse(raw))


def parse(raw):
    """JSON if it is JSON, else text, else None for an empty body."""
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")


def password_auth(user, scope=None):
    """The body of a password authentication; `user` is the object below `password`."""
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
    if scope is not None:
        auth["scope"] = scope
    return {"auth": auth}


def token_auth(token, scope=None):
    """The body of an authentication by an earlier token."""
    auth = {"identity": {"methods": ["token"], "token": {"id": token}}}
    if scope is not None:
        auth["scope"] = scope
    return {"auth": auth}


def app_cred_auth(credential, scope=None):
    """The body of an authentication by application credential."""
    auth = {"identity": {"methods": ["application_credential"],
                         "application_credential": credential}}
    if scope is not None:
        auth["scope"] = scope
    return {"auth": auth}


class World:
    """One identity service with the prepared objects; `ids` maps our words to its ids."""

    def __init__(self, url, admin_password, suffix=None):
        """Takes the identity root (without `/v3`) and the admin's password."""
        self.url = url.rstrip("/").removesuffix("/v3")
        self.admin_password = admin_password
        self.suffix = suffix or secrets.token_hex(4)
        self.password = "Pw-" + secrets.token_hex(8)
        self.ids = {}
        self.kept = {}
        self._tokens = {}
        self._undo = []

    def name(self, word):
        """The name this world gives to the object we call `word`."""
        return f"diff-{word}-{self.suffix}"

    def send(self, request):
        """Sends one request of a case; what it creates is deleted at the end."""
        answer = send(self.url, request)
        if request.method == "POST" and answer.status == 201 and isinstance(answer.body, dict):
            for kind, made in answer.body.items():
                if isinstance(made, dict) and "id" in made:
                    self._undo.append((f"{request.path}/{made['id']}", kind))
        return answer

    def must(self, method, path, body=None, token=None):
        """A preparing request: its answer's body, or `SetupFailed`."""
        headers = {"X-Auth-Token": token} if token else {}
        answer = self.send(Request(method, path, headers, body))
        if answer.status >= 300:
            raise SetupFailed(f"{method} {path}: {answer.status} {answer.body}")
        return answer

    def issue(self, body):
        """A new token for an authentication body."""
        return self.must("POST", "/v3/auth/tokens", body).headers["x-subject-token"]

    def token(self, who):
        """The token of `admin`, `system`, `alice` … issued once and reused."""
        if who not in self._tokens:
            self._tokens[who] = self.issue(self._auth_of(who))
        return self._tokens[who]

    def _auth_of(self, who):
        """The authentication body behind `token`."""
        default = {"id": "default"}
        admin = {"name": "admin", "domain": default, "password": self.admin_password}
        if who == "admin":
            return password_auth(admin, {"project": {"name": "admin", "domain": default}})
        if who == "system":
            return password_auth(admin, {"system": {"all": True}})
        if who == "app_cred":
            return app_cred_auth({"id": self.ids["app_cred"], "secret": self.kept["secret"]})
        scope = {"alice": {"project": {"id": self.ids.get("project")}},
                 "alice-unscoped": None,
                 "alice-domain": {"domain": {"id": self.ids.get("domain")}},
                 "bob": {"project": {"id": self.ids.get("project")}}}[who]
        return password_auth(self.user(who.split("-")[0]), scope)

    def user(self, word):
        """The `user` object that authenticates our user `word` by id."""
        return {"id": self.ids[word], "password": self.password}

    def create(self, word, path, kind, **fields):
        """Creates an object as admin, remembers its id under `word`, deletes it at the end."""
        body = {kind: {"name": self.name(word), **fields}}
        made = self.must("POST", path, body, self.token("admin")).body[kind]
        self.ids[word] = made["id"]
        self._undo.append((f"{path}/{made['id']}", kind))
        return made

    def grant(self, user, target, role):
        """Gives `role` (by its name) to `user` on `projects/<id>` or `domains/<id>`."""
        token = self.token("admin")
        found = self.must("GET", f"/v3/roles?name={role}", token=token).body["roles"][0]
        self.ids["role-" + role] = found["id"]
        path = f"/v3/{target}/users/{self.ids[user]}/roles/{found['id']}"
        self.must("PUT", path, token=token)

    def build(self):
        """Creates everything the cases speak of."""
        own = {"domain_id": self.create("domain", "/v3/domains", "domain")["id"]}
        self.create("project", "/v3/projects", "project", **own)
        self.create("other", "/v3/projects", "project", **own)
        self.create("forbidden", "/v3/projects", "project", **own)
        self.create("disabled-project", "/v3/projects", "project", **own)
        for word in ("alice", "bare", "bob", "disabled"):
            self.create(word, "/v3/users", "user", password=self.password, **own)
        self.create("homed", "/v3/users", "user", password=self.password,
                    default_project_id=self.ids["project"], **own)
        project = "projects/" + self.ids["project"]
        for user, target, role in (
                ("alice", project, "member"), ("bob", project, "reader"),
                ("homed", project, "member"), ("disabled", project, "member"),
                ("alice", "projects/" + self.ids["other"], "reader"),
                ("alice", "projects/" + self.ids["disabled-project"], "member"),
                ("alice", "domains/" + self.ids["domain"], "reader")):
            self.grant(user, target, role)
        self._build_disabled()
        self._build_credentials()

    def _build_disabled(self):
        """A disabled user, a disabled project, and a disabled domain with a user in it."""
        token = self.token("admin")
        closed = self.create("closed-domain", "/v3/domains", "domain")["id"]
        self.create("locked-out", "/v3/users", "user", password=self.password, domain_id=closed)
        for word, path, kind in (("disabled", "users", "user"),
                                 ("disabled-project", "projects", "project"),
                                 ("closed-domain", "domains", "domain")):
            self.must("PATCH", f"/v3/{path}/{self.ids[word]}", {kind: {"enabled": False}}, token)

    def _build_credentials(self):
        """Alice's application credential, one that has expired, and tokens in every bad state."""
        path = f"/v3/users/{self.ids['alice']}/application_credentials"
        alice = self.token("alice")
        kind = "application_credential"
        made = self.must("POST", path, {kind: {"name": self.name("cred")}}, alice).body[kind]
        self.ids["app_cred"], self.kept["secret"] = made["id"], made["secret"]
        end = time.strftime("%Y-%m-%dT%H:%M:%S.000000", time.gmtime(time.time() + 3))
        short = {kind: {"name": self.name("short"), "expires_at": end}}
        short = self.must("POST", path, short, alice).body[kind]
        self.ids["expired_cred"], self.kept["expired_secret"] = short["id"], short["secret"]
        body = app_cred_auth({"id": short["id"], "secret": short["secret"]})
        self.kept["expired"] = self.issue(body)
        self.kept["revoked"] = self.issue(self._auth_of("alice"))
        headers = {"X-Auth-Token": self.token("admin"), "X-Subject-Token": self.kept["revoked"]}
        self.send(Request("DELETE", "/v3/auth/tokens", headers))
        self.kept["tampered"] = tamper(alice)
        # The one wait of the comparison: a real token has to expire. Both worlds share it.
        self.expires = time.monotonic() + 4.5

    def wait_for_expiry(self):
        """Returns when the short-lived token is past its end."""
        time.sleep(max(0.0, self.expires - time.monotonic()))

    def clean(self):
        """Deletes what `build` and `create` made, newest first; domains are disabled before."""
        for path, kind in reversed(self._undo):
            headers = {"X-Auth-Token": self.token("admin")}
            if kind == "domain":
                self.send(Request("PATCH", path, headers, {"domain": {"enabled": False}}))
            self.send(Request("DELETE", path, headers))


def tamper(token):
    """The token with one character in its last third replaced by another of the alphabet."""
    at = len(token) * 5 // 6
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1:]
