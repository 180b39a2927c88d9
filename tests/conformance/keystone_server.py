"""A real keystone on a loopback port, for as long as its standard input stays open.

What it is: the reference that `keystone_diff.py` compares a LUC cloud with. It runs inside the
virtual environment made by `scripts/install-keystone`, keeps its database and keys in the
directory it is given, is bootstrapped afresh on every start, and serves under the same prefix as
LUC (`/identity/v3`) so that one set of requests fits both.
What it is not: a deployment of keystone. One process, SQLite, wsgiref.
Called by `real_keystone.RealKeystone`, which reads the one line this program prints: the URL.
Source: keystone 30 (`keystone.server.wsgi`, `keystone-manage`).
"""

import grp
import os
import pwd
import socketserver
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

warnings.filterwarnings("ignore")

PREFIX = "/identity"
CONFIG = """
[DEFAULT]
use_stderr = false
log_file = {home}/keystone.log
[database]
connection = sqlite:///{home}/keystone.db
[fernet_tokens]
key_repository = {home}/fernet-keys
[credential]
key_repository = {home}/credential-keys
[fernet_receipts]
key_repository = {home}/fernet-keys
[identity]
# Cheap hashes: the answers, not the strength of the passwords, are compared here.
password_hash_rounds = 4
"""


class Handler(WSGIRequestHandler):
    """Serves one request on each connection, without an access log."""

    def log_message(self, *_args):
        """Stays silent; keystone writes its own log."""

    def get_environ(self):
        """Mounts the application under the prefix, as Apache would."""
        environ = super().get_environ()
        path = environ["PATH_INFO"]
        if path == PREFIX or path.startswith(PREFIX + "/"):
            environ["SCRIPT_NAME"] = PREFIX
            environ["PATH_INFO"] = path[len(PREFIX):]
        return environ


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """wsgiref's server, one thread per connection, no name look-up."""

    daemon_threads = True

    def server_bind(self):
        """Binds without asking the resolver for our own name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]
        self.setup_environ()


def manage(config, *arguments):
    """Runs one `keystone-manage` command; it cannot be run twice in one process."""
    program = Path(sys.executable).parent / "keystone-manage"
    command = [sys.executable, "-W", "ignore", str(program), "--config-file", str(config)]
    subprocess.run([*command, *arguments], check=True, stdout=subprocess.DEVNULL)


def prepare(home, url, password):
    """Writes configuration, keys and database, and founds the admin like `luc cloud create`."""
    config = home / "keystone.conf"
    config.write_text(CONFIG.format(home=home))
    for keys in ("fernet-keys", "credential-keys"):
        (home / keys).mkdir(mode=0o700)
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = str(config)
    manage(config, "db_sync")
    owner = ["--keystone-user", pwd.getpwuid(os.getuid()).pw_name]
    owner += ["--keystone-group", grp.getgrgid(os.getgid()).gr_name]
    manage(config, "fernet_setup", *owner)
    manage(config, "credential_setup", *owner)
    arguments = ["--bootstrap-password", password, "--bootstrap-region-id", "RegionOne"]
    for interface in ("public", "internal", "admin"):
        arguments += [f"--bootstrap-{interface}-url", url + "/v3"]
    manage(config, "bootstrap", *arguments)


def main():
    """Bootstraps, prints the URL, serves until standard input closes."""
    home = Path(sys.argv.pop(1))  # keystone parses what is left of the command line
    password = os.environ["LUC_ORACLE_PASSWORD"]
    server = Server(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}{PREFIX}"
    prepare(home, url, password)

    from keystone.server.wsgi import initialize_public_application

    server.set_app(initialize_public_application())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", url, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
