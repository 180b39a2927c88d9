"""The list of allowed differences: which, where, and why.

What it is: the reader of `keystone_differences.toml`. An entry names cases and places by shell
patterns, may name the values of both sides, and must say why the difference is right.
What it is not: a way to silence a test: an entry that no difference needs is reported, and
`keystone_diff.py` fails over it.
Called by `keystone_diff.py`.
"""

import fnmatch
import tomllib
from dataclasses import dataclass

KEYS = {"case", "at", "keystone", "ours", "why"}


class BadEntry(Exception):
    """The file of allowed differences has an entry that is not complete."""


@dataclass
class Entry:
    """One allowed difference; `used` counts what it allowed."""

    case: str
    at: str
    why: str
    keystone: str = "*"
    ours: str = "*"
    used: int = 0

    def allows(self, case, difference):
        """Whether this entry speaks of a difference of a case."""
        pairs = ((case, self.case), (difference.at, self.at),
                 (difference.reference, self.keystone), (difference.ours, self.ours))
        return all(fnmatch.fnmatchcase(value, literal_brackets(pattern))
                   for value, pattern in pairs)


def literal_brackets(pattern):
    """A shell pattern in which only `*` and `?` are special."""
    return pattern.replace("[", "[[]")


class Explained:
    """All allowed differences."""

    def __init__(self, entries):
        """Takes the entries in the order of the file."""
        self.entries = entries

    @classmethod
    def read(cls, path):
        """Reads the file; an entry without a reason or with an unknown key is an error."""
        with open(path, "rb") as file:
            entries = tomllib.load(file).get("difference", [])
        for number, entry in enumerate(entries, 1):
            unknown = entry.keys() - KEYS
            missing = {"case", "at", "why"} - {key for key in entry if entry[key].strip()}
            if unknown or missing:
                raise BadEntry(f"{path}: difference {number}: unknown keys {sorted(unknown)}, "
                               f"missing keys {sorted(missing)}")
        return cls([Entry(**entry) for entry in entries])

    def reason(self, case, difference):
        """Why a difference is allowed, or None if it is not."""
        for entry in self.entries:
            if entry.allows(case, difference):
                entry.used += 1
                return entry.why
        return None

    def unused(self):
        """The entries that allowed nothing."""
        return [entry for entry in self.entries if not entry.used]
