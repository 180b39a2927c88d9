#!/usr/bin/env python3
"""Sends the same identity requests to a real keystone and to LUC, and compares the answers.

What it is: the differential oracle of the identity service. It starts keystone beside itself
(installed by `scripts/install-keystone`), prepares the same small world in both, sends every
case to both, and prints where status, headers or body differ. A difference is allowed only if
`keystone_differences.toml` explains it.
What it is not: a list of expectations; what keystone answers is what is right.
Called by people and by the test suite:
    keystone_diff.py --url http://127.0.0.1:9000/identity --password SECRET [WORD ...]
    keystone_diff.py --self        compares keystone with a second keystone: nothing may differ
Ends with `N passed, N failed`; the status is 0 only if all passed.
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path

import auth_cases
import resource_cases
from explained import Explained
from identity_world import SetupFailed, World
from real_keystone import KeystoneMissing, RealKeystone
from shape import Masks, compare, masked

HERE = Path(__file__).resolve().parent
EXPLAINED = HERE / "keystone_differences.toml"
CASES = [*auth_cases.CASES, *resource_cases.CASES]


class Comparison:
    """Both worlds, the allowed differences, and the counts."""

    def __init__(self, reference, ours, explained, verbose):
        """Takes two worlds that are built."""
        self._worlds = (reference, ours)
        self._masks = (Masks(reference), Masks(ours))
        self._explained = explained
        self._verbose = verbose
        self.passed = self.failed = 0

    def run(self, name, build):
        """Sends one case to both and says what differs without an explanation."""
        try:
            trees = [masked(world.send(build(world)), masks)
                     for world, masks in zip(self._worlds, self._masks)]
        except (SetupFailed, OSError, LookupError) as error:
            self._fail(name, [f"could not be sent: {type(error).__name__}: {error}"])
            return
        unexplained = []
        for difference in compare(*trees):
            why = self._explained.reason(name, difference)
            if why is None:
                unexplained.append(str(difference))
            elif self._verbose:
                print(f"allowed  {name}\n    {difference}\n    because {why}")
        if unexplained:
            self._fail(name, unexplained)
        else:
            self.passed += 1
            if self._verbose:
                print(f"ok       {name} ({trees[0]['status']})")

    def _fail(self, name, lines):
        """Counts and prints a failed case."""
        self.failed += 1
        print(f"DIFFERS  {name}")
        for line in lines:
            print(f"    {line}")

    def check_unused(self):
        """An explanation that explains nothing is out of date: it fails too."""
        for entry in self._explained.unused():
            self._fail("the list of allowed differences",
                       [f"nothing needed the entry for case {entry.case!r} at {entry.at!r}"])


def arguments():
    """The command line; the password may come from OS_PASSWORD, the URL from OS_AUTH_URL."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default=os.environ.get("OS_AUTH_URL"),
                        help="identity root of the LUC cloud (default: OS_AUTH_URL)")
    parser.add_argument("--password", default=os.environ.get("OS_PASSWORD"),
                        help="its admin's password (default: OS_PASSWORD)")
    parser.add_argument("--self", dest="itself", action="store_true",
                        help="compare keystone with keystone")
    parser.add_argument("--explained", default=EXPLAINED, help="the allowed differences")
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="also print cases that pass and differences that are allowed")
    parser.add_argument("words", nargs="*", metavar="WORD",
                        help="compare only cases with one of these words in their name; cases "
                             "that follow from others may then fail")
    options = parser.parse_args()
    if not options.itself and not (options.url and options.password):
        parser.error("give --url and --password of a LUC cloud, or --self")
    return options


@contextlib.contextmanager
def two_worlds(options):
    """Both services with the same objects in them; cleaned up afterwards."""
    with contextlib.ExitStack() as stack:
        oracle = stack.enter_context(RealKeystone())
        url, password = options.url, options.password
        if options.itself:
            second = stack.enter_context(RealKeystone())
            url, password = second.url, second.password
        worlds = World(oracle.url, oracle.password), World(url, password)
        for world in worlds:
            stack.callback(world.clean)
            world.build()
        for world in worlds:
            world.wait_for_expiry()
        yield worlds


def main():
    """Runs the comparison; the exit status."""
    options = arguments()
    explained = Explained([] if options.itself else Explained.read(options.explained).entries)
    chosen = [(name, build) for name, build in CASES
              if not options.words or any(word in name for word in options.words)]
    try:
        with two_worlds(options) as (reference, ours):
            comparison = Comparison(reference, ours, explained, options.verbose)
            for name, build in chosen:
                comparison.run(name, build)
            if not options.words:
                comparison.check_unused()
    except KeystoneMissing as reason:
        print(f"SKIPPED: {reason}")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    except SetupFailed as error:
        print(f"the world could not be prepared: {error}")
        print("0 passed, 1 failed")
        return 1
    print(f"{comparison.passed} passed, {comparison.failed} failed")
    return 0 if comparison.passed and not comparison.failed else 1


if __name__ == "__main__":
    sys.exit(main())
