"""Starts the reference keystone beside a test and stops it again.

What it is: the parent's side of `keystone_server.py`: a temporary directory, a child process,
the URL it prints.
What it is not: an installer (`scripts/install-keystone` is).
Called by `keystone_diff.py` and, to try the client script without LUC, by `osc.py --keystone`.
"""

import os
import secrets
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = HERE / ".venv" / "bin" / "python"


class KeystoneMissing(Exception):
    """The virtual environment of keystone is not there; says how to make it."""


class RealKeystone:
    """A bootstrapped keystone on a loopback port; use it as a context manager."""

    def __init__(self):
        """Checks that keystone is installed; starts nothing yet."""
        if not PYTHON.exists():
            raise KeystoneMissing("keystone is not installed: run scripts/install-keystone first")
        self.password = secrets.token_urlsafe(12)
        self.url = None

    def __enter__(self):
        """Starts the server and waits for its URL."""
        self._home = tempfile.TemporaryDirectory(prefix="luc-keystone-")
        environment = {**os.environ, "LUC_ORACLE_PASSWORD": self.password}
        errors = open(Path(self._home.name) / "stderr.txt", "w+", encoding="utf-8")
        self._child = subprocess.Popen(
            [PYTHON, "-W", "ignore", HERE / "keystone_server.py", self._home.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            env=environment, text=True)
        line = self._child.stdout.readline().split()
        if line[:1] != ["ready"]:
            self.__exit__()
            errors.seek(0)
            raise RuntimeError("keystone did not start: " + errors.read()[-2000:])
        self.url = line[1]
        return self

    def __exit__(self, *_error):
        """Ends the server (it stops when its standard input closes) and removes its files."""
        self._child.stdin.close()
        try:
            self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()
        self._home.cleanup()
