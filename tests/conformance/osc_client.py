"""The stock `openstack` client, run inside this process, one call per command.

What it is: `openstackclient.shell.main`, the very function behind the `openstack` program, with
its output captured. A process of its own costs 1.4 CPU seconds a command, this costs 15 ms; the
client still authenticates and discovers anew each time, as a user's does.
What it is not: a client of ours. Nothing of it is changed but one thing: it sleeps up to 5 s
between two looks at a server it waits for; here every sleep is cut to a third of a second.
Called by `osc.py`.
"""

import contextlib
import io
import json
import logging
import os
import sys
import time
from dataclasses import dataclass

SLEEP_S_MOST = 0.3


@dataclass(frozen=True)
class Result:
    """What one command did: exit status, output, complaints, and its output as JSON if it is."""

    status: int
    output: str
    errors: str

    @property
    def data(self):
        """The output as JSON; None if there is none."""
        try:
            return json.loads(self.output)
        except ValueError:
            return None


class Terminal(io.StringIO):
    """A terminal at which nobody types: without one `image create` takes its standard input for
    the image's data."""

    def isatty(self):
        """It says that it is a terminal."""
        return True


def shorten_sleeps():
    """Cuts every sleep of the client short; see the head of this file."""
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(min(seconds, SLEEP_S_MOST))


@contextlib.contextmanager
def environment(variables):
    """Replaces every OS_* variable for a while; with None they stay as they are."""
    if variables is None:
        yield
        return
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("OS_")}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
        os.environ.update(kept)


def cloud():
    """Where the cloud is that OS_* or OS_CLOUD name: URL of identity and region."""
    import openstack.config

    config = openstack.config.OpenStackConfig().get_one().config
    found = {"OS_AUTH_URL": config["auth"]["auth_url"], "OS_IDENTITY_API_VERSION": "3"}
    if config.get("region_name"):
        found["OS_REGION_NAME"] = config["region_name"]
    return found


def run(words, variables=None):
    """Runs `openstack WORDS...`, as somebody else if `variables` says so; its result."""
    from openstackclient import shell

    output, errors = io.StringIO(), io.StringIO()
    # The client sets up logging anew for each shell; handlers of earlier ones must not stay.
    logging.getLogger().handlers.clear()
    terminal, sys.stdin = sys.stdin, Terminal()
    try:
        with environment(variables), contextlib.redirect_stdout(output), \
                contextlib.redirect_stderr(errors):
            status = shell.main(words)
    except SystemExit as end:
        status = end.code
    finally:
        sys.stdin = terminal
    return Result(int(status or 0), output.getvalue(), errors.getvalue())
