#!/usr/bin/env python3
"""Runs the stock `openstack` client against a fresh cloud and compares what it prints.

What it is: the conformance script of this milestone: the identity, image and compute commands of
the client's wire trace, and around them every command on the objects LUC has today. Each must
succeed and answer what the table says; commands on networks and volumes, which are not there yet,
must fail with a message that says so.
What it is not: a client. See `osc_client` for the one thing done to the stock one.
Called by people and by the test suite, with OS_* or OS_CLOUD set as for `openstack` itself:
    osc.py                     all tables, servers on whatever hosts the cloud has
    osc.py --guest FILE        boots FILE (guest/build/luc-guest.qcow2) and reads its console
    osc.py --keystone          only identity, against a keystone started for it
    osc.py --only identity     only some tables; see --help
Prints a line for each command and ends with `N passed, N failed`; the status is 0 if none failed.
"""

import argparse
import importlib.util
import os
import re
import secrets
import shlex
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CLIENT = HERE.parents[1] / ".venv" / "bin" / "python"
if importlib.util.find_spec("openstackclient") is None and CLIENT.exists():
    os.execv(CLIENT, [str(CLIENT), *sys.argv])

import osc_client
import osc_compute
import osc_identity
import osc_image
import osc_trace
from osc_steps import Names
from real_keystone import RealKeystone

TABLES = {"trace": osc_trace.STEPS, "identity": osc_identity.STEPS, "image": osc_image.STEPS,
          "compute": osc_compute.STEPS, "absent": osc_trace.ABSENT}
PATIENCE_S = 60


class Script:
    """Runs steps and counts them."""

    def __init__(self, names, verbose):
        """Takes the names of this run."""
        self._names = names
        self._cloud = osc_client.cloud()
        self._verbose = verbose
        self.passed = self.failed = 0

    def run(self, table, step):
        """Runs one step, prints its line, counts it."""
        command = self._names.fill(step.command)
        words = shlex.split(command)
        if (step.check or step.keep) and not step.plain and "-f" not in words:
            words += ["-f", "json"]
        start = time.monotonic()
        wrong, again = self._attempt(words, step)
        while wrong and again and time.monotonic() - start < PATIENCE_S:
            time.sleep(osc_client.SLEEP_S_MOST)
            wrong, again = self._attempt(words, step)
        self.passed += not wrong
        self.failed += bool(wrong)
        verdict = "FAILED" if wrong else "ok    "
        print(f"{verdict} {time.monotonic() - start:6.2f} s  {table}: openstack {brief(command)}",
              flush=True)
        if wrong:
            print(f"       {wrong}", flush=True)

    def _attempt(self, words, step):
        """What is wrong with the result of one run of the command, or None; and whether that may
        still change: a step that waits does so for a result, not for a command that fails."""
        who = step.who and {name: self._names.fill(value)
                            for name, value in {**self._cloud, **step.who}.items()}
        result = osc_client.run(words, who)
        if self._verbose:
            print(result.output + result.errors)
        if step.fails:
            return refused(result, self._names.fill(step.fails)), False
        if result.status:
            return f"exit {result.status}: {result.errors.strip()[-600:]}", False
        wrong = step.check(result, self._names) if step.check else None
        if not wrong:
            self._keep(step, result)
        return wrong, step.until

    def _keep(self, step, result):
        """Remembers what later steps refer to."""
        for word, field in (step.keep or {}).items():
            self._names[word] = field(result) if callable(field) else result.data[field]


def refused(result, pattern):
    """What is wrong with a command that has to fail: with a message that fits, and no crash."""
    if not result.status:
        return "succeeded, but had to fail"
    if "Traceback" in result.errors:
        return f"crashed: {result.errors[-600:]}"
    if not re.search(pattern, result.errors + result.output):
        return f"failed with another message than {pattern!r}: {result.errors.strip()[-400:]!r}"
    return None


def brief(command):
    """A command for the log, without the tokens and secrets that may be in it."""
    return " ".join(word if len(word) < 80 else word[:20] + "…" for word in command.split())


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--guest", help="an image that boots and says so on its console")
    parser.add_argument("--keystone", action="store_true",
                        help="start a real keystone and run the identity table against it")
    parser.add_argument("--only", action="append", choices=TABLES, help="only this table")
    parser.add_argument("-v", "--verbose", action="store_true", help="print what commands print")
    return parser.parse_args()


def chosen(options):
    """The steps to run, each with the name of its table."""
    only = ["identity"] if options.keystone else options.only or TABLES
    steps = [(table, step) for table in only for step in TABLES[table]]
    if options.guest:
        steps += [("guest", step) for step in osc_compute.GUEST] if "compute" in only else []
    return steps


def run_all(options):
    """Runs the chosen steps in a directory of their own; the exit status."""
    with tempfile.TemporaryDirectory(prefix="luc-osc-") as home:
        guest = Path(options.guest).resolve() if options.guest else Path(home) / "none.raw"
        if not options.guest:
            guest.write_bytes(os.urandom(65536))
        names = Names(secrets.token_hex(3), home=home, guest=guest, guest_format=(
            "qcow2" if guest.suffix == ".qcow2" else "raw"))
        osc_image.prepare(Path(home))
        osc_compute.prepare(Path(home))
        script = Script(names, options.verbose)
        for table, step in chosen(options):
            script.run(table, step)
    print(f"{script.passed} passed, {script.failed} failed")
    return 1 if script.failed or not script.passed else 0


def main():
    """Runs the script; the exit status."""
    options = arguments()
    if importlib.util.find_spec("openstackclient") is None:
        print("SKIPPED: the stock client is not installed: run scripts/install-openstackclient")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    osc_client.shorten_sleeps()
    if not options.keystone:
        if not any(os.environ.get(name) for name in ("OS_CLOUD", "OS_AUTH_URL")):
            print("no cloud is named: set OS_CLOUD (and OS_CLIENT_CONFIG_FILE) or OS_AUTH_URL …")
            print("0 passed, 1 failed")
            return 1
        return run_all(options)
    with RealKeystone() as oracle:
        for name in [name for name in os.environ if name.startswith("OS_")]:
            del os.environ[name]
        os.environ.update(
            OS_AUTH_URL=oracle.url + "/v3", OS_USERNAME="admin", OS_PASSWORD=oracle.password,
            OS_PROJECT_NAME="admin", OS_USER_DOMAIN_ID="default", OS_PROJECT_DOMAIN_ID="default",
            OS_IDENTITY_API_VERSION="3", OS_REGION_NAME="RegionOne")
        return run_all(options)


if __name__ == "__main__":
    sys.exit(main())
