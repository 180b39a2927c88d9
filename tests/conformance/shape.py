"""Compares two answers to the same request, after taking out what must differ.

What it is: masks (ids, names, times, tokens and addresses become words), and a list of the
differences that remain, each with its place: `status`, `header.vary`, `body.token.user.name`.
What it is not: a judge; `explained.py` says which differences are allowed.
Called by `keystone_diff.py`.
"""

import json
import re
from dataclasses import dataclass

# Headers whose content belongs to the contract, and those of which only the presence does.
HEADERS_COMPARED = ("content-type", "vary", "www-authenticate", "location", "allow")
HEADERS_PRESENT = ("x-subject-token", "x-openstack-request-id")
# Lists whose content is the cloud's own: only the shapes of their elements are compared.
OWN_CONTENT = frozenset({"catalog", "regions"})

ID = re.compile(r"\b([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?(Z?)")
AUDIT_ID = re.compile(r"^[A-Za-z0-9_-]{22}$")
HOST = re.compile(r"https?://[^/\"]+")


@dataclass(frozen=True)
class Difference:
    """One place at which two answers differ, with what each says there (as JSON text)."""

    at: str
    reference: str
    ours: str

    def __str__(self):
        """The place and both sides on one line."""
        return f"{self.at}: keystone {self.reference}, ours {self.ours}"


class Masks:
    """Replaces what belongs to one world by the words both worlds share."""

    def __init__(self, world):
        """Takes a `World`; its ids are read at each use, for cases add to them."""
        self._world = world

    def text(self, text):
        """One string with ids, names, times and addresses replaced."""
        if AUDIT_ID.match(text):
            return "<audit id>"
        for word, known in self._world.ids.items():
            if len(known) >= 32:
                text = text.replace(known, "{" + word + "}")
        text = text.replace(self._world.suffix, "*")
        text = text.replace(self._world.url, "{identity}")
        text = TIME.sub(lambda m: "<time" + (" micro" if m[1] else "") + m[2] + ">", text)
        text = HOST.sub("{host}", text)
        text = ID.sub("<id>", text)
        # jsonschema's report goes on with a dump of keystone's own schema.
        return text.split("\n\nFailed validating")[0]

    def tree(self, value, key=None):
        """A JSON value with every string masked; lists in an order that does not depend on ids."""
        if isinstance(value, dict):
            return {name: self.tree(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            inner = [shape(one) if key in OWN_CONTENT else self.tree(one) for one in value]
            inner.sort(key=canonical)
            return unique(inner) if key in OWN_CONTENT else inner
        if isinstance(value, str):
            return "<secret>" if key == "secret" and len(value) > 40 else self.text(value)
        return value


def shape(value):
    """A JSON value with every scalar replaced by the name of its type."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return unique(sorted((shape(inner) for inner in value), key=canonical))
    return {str: "text", bool: "bool", int: "number", float: "number", type(None): None}[
        type(value)]


def unique(ordered):
    """A sorted list without repetitions."""
    return [one for at, one in enumerate(ordered) if at == 0 or one != ordered[at - 1]]


def canonical(value):
    """A text by which JSON values can be put in order."""
    return json.dumps(value, sort_keys=True)


def masked(answer, masks):
    """An answer as one tree: status, headers that matter, body."""
    headers = {name: masks.text(answer.headers[name]) for name in HEADERS_COMPARED
               if name in answer.headers}
    if "content-type" in headers:
        headers["content-type"] = headers["content-type"].split(";")[0]
    if "allow" in headers:
        headers["allow"] = sorted(word.strip() for word in headers["allow"].split(","))
    headers.update({name: "present" for name in HEADERS_PRESENT if name in answer.headers})
    return {"status": answer.status, "header": headers, "body": masks.tree(answer.body)}


def compare(reference, ours):
    """The differences of two masked answers. When one succeeds and the other does not, what
    they say cannot agree, so only the status is reported."""
    succeeded = [tree["status"] < 400 for tree in (reference, ours)]
    if succeeded[0] != succeeded[1]:
        return [Difference("status", str(reference["status"]), str(ours["status"]))]
    return list(differences(reference, ours, ""))


def differences(reference, ours, at):
    """Walks two trees side by side."""
    if isinstance(reference, dict) and isinstance(ours, dict):
        for key in sorted(reference.keys() | ours.keys()):
            place = f"{at}.{key}".lstrip(".")
            if key not in ours:
                yield Difference(place, canonical(reference[key]), "nothing")
            elif key not in reference:
                yield Difference(place, "nothing", canonical(ours[key]))
            else:
                yield from differences(reference[key], ours[key], place)
    elif isinstance(reference, list) and isinstance(ours, list) and len(reference) == len(ours):
        for left, right in zip(reference, ours):
            yield from differences(left, right, at + "[]")
    elif type(reference) is not type(ours) or reference != ours:
        yield Difference(at, canonical(reference), canonical(ours))
