"""What a step of the client script is, and the checks its result has to pass.

What it is: the vocabulary of the tables in `osc_identity`, `osc_image`, `osc_compute` and
`osc_trace`. A command is one string; `{word}` in it is replaced by a name or an id that is known:
names are made from the word and the run's suffix, ids are kept from earlier results.
What it is not: the runner (`osc.py`).
"""

import re
from dataclasses import dataclass
from typing import Callable


class Names(dict):
    """Known words; an unknown one becomes a name of this run, so that runs do not meet."""

    def __init__(self, suffix, **known):
        """Takes the run's suffix and what is known from the start."""
        super().__init__(known)
        self._suffix = suffix

    def __missing__(self, word):
        """The name of this run for a word."""
        self[word] = f"osc-{word}-{self._suffix}"
        return self[word]

    def fill(self, text):
        """A text, or the texts of a list, with every `{word}` replaced; else what was given."""
        if isinstance(text, list):
            return [self.fill(one) for one in text]
        if not isinstance(text, str):
            return text
        return re.sub(r"\{([\w.-]+)\}", lambda match: str(self[match[1]]), text)


@dataclass(frozen=True)
class Step:
    """One command and what is expected of it.

    `check` gets the result and the names and returns what is wrong, or None. `keep` maps a new
    word to the field of the result that it stands for, or to a function of the result. `fails` is
    a pattern that the message of a command that must fail has to match. `until` repeats the
    command until the check is passed. `plain` leaves out `-f json`, for commands that print no
    table. `who` are the OS_* variables of somebody else than the admin.
    """

    command: str
    check: Callable = None
    keep: dict = None
    fails: str = None
    until: bool = False
    plain: bool = False
    who: dict = None


def same(expected, seen, names):
    """Whether a value is as expected: equal, or accepted by a function."""
    return expected(seen) if callable(expected) else names.fill(expected) == seen


def has(**fields):
    """The result is one object with at least these fields."""
    def check(result, names):
        seen = result.data
        if not isinstance(seen, dict):
            return f"expected one object, got {result.output[:200]!r}"
        for name, expected in fields.items():
            if name not in seen:
                return f"no field {name!r} in {sorted(seen)}"
            if not same(expected, seen[name], names):
                return f"field {name!r} is {seen[name]!r}"
        return None
    return check


def rows_of(result):
    """The rows of a list; None if the result is none."""
    return result.data if isinstance(result.data, list) else None


def matching(rows, fields, names):
    """The rows in which all fields are as expected."""
    return [row for row in rows if all(
        name in row and same(expected, row[name], names) for name, expected in fields.items())]


def row(**fields):
    """The result is a list in which some row has these columns; `_` stands for a blank."""
    wanted = {name.replace("_", " "): value for name, value in fields.items()}

    def check(result, names):
        rows = rows_of(result)
        if rows is None:
            return f"expected a list, got {result.output[:200]!r}"
        if matching(rows, wanted, names):
            return None
        return f"no row with {names.fill(str(wanted))} among {rows[:3]}"
    return check


def no_row(**fields):
    """The result is a list in which no row has these columns."""
    def check(result, names):
        if rows_of(result) is None:
            return f"expected a list, got {result.output[:200]!r}"
        return f"unexpected row with {fields}" if row(**fields)(result, names) is None else None
    return check


def count(number, **fields):
    """The result is a list with so many rows that have these columns."""
    wanted = {name.replace("_", " "): value for name, value in fields.items()}

    def check(result, names):
        rows = rows_of(result)
        if rows is None:
            return f"expected a list, got {result.output[:200]!r}"
        found = len(matching(rows, wanted, names))
        return None if found == number else f"{found} rows with {wanted}, expected {number}"
    return check


def says(pattern):
    """The output matches a pattern."""
    def check(result, names):
        found = re.search(names.fill(pattern), result.output)
        return None if found else f"{pattern!r} is not in {result.output[-300:]!r}"
    return check


def silent(result, _names):
    """The command printed nothing."""
    return f"printed {result.output[:200]!r}" if result.output.strip() else None


def both(*checks):
    """Every one of several checks."""
    def check(result, names):
        return next((wrong for one in checks if (wrong := one(result, names))), None)
    return check


def includes(**pairs):
    """For a field that is an object: it holds these pairs."""
    return lambda seen: isinstance(seen, dict) and pairs.items() <= seen.items()


def holds(*members):
    """For a field that is a list: it holds these members."""
    return lambda seen: isinstance(seen, list) and set(members) <= set(seen)


def lacks(*members):
    """For a field that is a list or an object: it holds none of these."""
    return lambda seen: not set(members) & set(seen)


def like(pattern):
    """For a field that is text: it matches a pattern."""
    return lambda seen: isinstance(seen, str) and re.search(pattern, seen) is not None


def above(least):
    """For a field that is a number: it is greater."""
    return lambda seen: isinstance(seen, (int, float)) and seen > least
