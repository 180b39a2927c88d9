#!/usr/bin/env python3
"""A cloud of several sites on one machine: real `luc` processes in real network namespaces.

Each site is a namespace with one controller and some compute nodes (fake hypervisors). Sites reach
one another only through `bridge.py`, which adds the latency; the machine itself reaches each site
through a link of its own, so that a client stays connected to both sides of a split. Splits are
packet filters (nftables) in the namespace that is cut off.

    lab.py up --dir DIR --luc PROGRAM [--sites 4] [--computes 2] [--delay-ms 10 | --rtt FILE]
              [--cpus 0.2]           each site has so much of a processor and no more
    lab.py cut --dir DIR SITE [--one-way in|out]
    lab.py heal --dir DIR [SITE]
    lab.py bytes --dir DIR               bytes between sites so far, as JSON
    lab.py kill --dir DIR NODE           ends a process at once (SIGKILL)
    lab.py start --dir DIR NODE          starts it again
    lab.py down --dir DIR

`up` prints one JSON object: the sites with name, namespace, address and URL, and how to log in.
Everything is kept in DIR (`lab.json`, one directory per node with its log). Needs root, iproute2
and nftables. It ends only processes that it started, by their ids.
"""

import argparse
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
START_SECONDS_MAX = 60
API_PORT = 9000
FABRIC_PORT = 7000


class LabError(Exception):
    """What went wrong and what to do, for people."""


def run(*command, **options):
    """Runs a command to its end; its output is in the error if it fails."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise LabError(f"`{' '.join(map(str, command))}` failed: {said}")
    return done.stdout


def inside(namespace, *command, **options):
    """Runs a command in a namespace."""
    return run("ip", "netns", "exec", namespace, *command, **options)


class Processors:
    """A bound on what the processes of one site may use of the processors: a control group."""

    # Short turns, so that nobody waits long for the next.
    PERIOD_US = 10_000

    def __init__(self, name):
        first, second = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
        self.is_first = first.is_dir()
        self.group = (first if self.is_first else second) / name

    def bound(self, cpus):
        """Makes the group."""
        quota = round(cpus * self.PERIOD_US)
        try:
            if not self.is_first:
                (self.group.parent / "cgroup.subtree_control").write_text("+cpu", "ascii")
            self.group.mkdir(exist_ok=True)
            if self.is_first:
                (self.group / "cpu.cfs_period_us").write_text(str(self.PERIOD_US), "ascii")
                (self.group / "cpu.cfs_quota_us").write_text(str(quota), "ascii")
            else:
                (self.group / "cpu.max").write_text(f"{quota} {self.PERIOD_US}", "ascii")
        except OSError as error:
            raise LabError(f"--cpus needs control groups of processors: {error}") from error

    def add(self, pid):
        """Puts a process under the bound, if there is one."""
        if self.group.is_dir():
            (self.group / "cgroup.procs").write_text(str(pid), "ascii")

    def remove(self):
        """Removes the group; its processes have ended."""
        with contextlib.suppress(FileNotFoundError):
            self.group.rmdir()


class Lab:
    """What is running, as `lab.json` keeps it."""

    def __init__(self, directory):
        self.directory = Path(directory).resolve()
        self.file = self.directory / "lab.json"
        self.facts = {}

    def read(self):
        """Reads what `up` left."""
        if not self.file.is_file():
            raise LabError(f"there is no lab in {self.directory}: run `lab.py up` first")
        self.facts = json.loads(self.file.read_text(encoding="utf-8"))
        return self

    def write(self):
        """Keeps what is running."""
        partly = self.file.with_suffix(".new")
        partly.write_text(json.dumps(self.facts, indent=1), encoding="utf-8")
        partly.replace(self.file)

    def site(self, name):
        """The site of that name."""
        for site in self.facts["sites"]:
            if site["name"] == name:
                return site
        names = ", ".join(site["name"] for site in self.facts["sites"])
        raise LabError(f"there is no site {name!r}; there are {names}")

    def node(self, name):
        """The node of that name, and its site."""
        for site in self.facts["sites"]:
            for node in site["nodes"]:
                if node["name"] == name:
                    return site, node
        raise LabError(f"there is no node {name!r}")

    # Building

    def build(self, options):
        """Makes namespaces, line and cloud."""
        if self.file.exists():
            raise LabError(f"there is a lab in {self.directory} already: `lab.py down` ends it")
        if os.geteuid() != 0:
            raise LabError("network namespaces need root")
        self.directory.mkdir(parents=True, exist_ok=True)
        names = options.names.split(",") if options.names else []
        names = names or [f"site-{index + 1}" for index in range(options.sites)]
        mark = secrets.token_hex(2)
        delays = delays_of(options, len(names))
        self.facts = {
            "luc": str(Path(options.luc).resolve()),
            "mark": mark,
            "processes": {},
            "sites": [
                plan_of_site(index, name, mark, options.computes)
                for index, name in enumerate(names)
            ],
        }
        self.write()
        try:
            self.lay_lines(delays)
            self.found()
            if options.cpus:
                self.bound(options.cpus)
        except BaseException:
            if not options.keep_failed:
                self.end()
            raise

    def bound(self, cpus):
        """Gives each site so much of a processor. Starting up was not bounded."""
        for site in self.facts["sites"]:
            processors = Processors(site["namespace"])
            processors.bound(cpus)
            for node in site["nodes"]:
                processors.add(self.facts["processes"][node["name"]])

    def lay_lines(self, delays):
        """Makes the namespaces, the machine's own link to each, and the WAN between them."""
        for index, site in enumerate(self.facts["sites"]):
            space, near, far = site["namespace"], f"lm{self.facts['mark']}{index}", "mgmt0"
            run("ip", "netns", "add", space)
            inside(space, "ip", "link", "set", "lo", "up")
            run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", space)
            run("ip", "addr", "add", f"10.78.{index}.1/24", "dev", near)
            run("ip", "link", "set", near, "up")
            inside(space, "ip", "addr", "add", f"10.78.{index}.2/24", "dev", far)
            inside(space, "ip", "link", "set", far, "up")
        config = {
            "namespaces": [site["namespace"] for site in self.facts["sites"]],
            "delays_ms": delays,
            "ready": str(self.directory / "bridge.ready"),
            "counters": str(self.directory / "bridge.bytes"),
        }
        # What an earlier lab in this directory has left.
        for left in (config["ready"], config["counters"]):
            Path(left).unlink(missing_ok=True)
        path = self.directory / "bridge.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        self.start("bridge", [sys.executable, HERE / "bridge.py", path], None)
        wait_for("the line between the sites", lambda: Path(config["ready"]).exists())
        for site in self.facts["sites"]:
            inside(site["namespace"], "ip", "addr", "add", f"{site['address']}/24", "dev", "wan0")

    def found(self):
        """Founds the cloud at the first site; the others join it, and all nodes start."""
        password = secrets.token_hex(12)
        secret = self.directory / "admin.password"
        secret.write_text(password, encoding="utf-8")
        secret.chmod(0o600)
        self.facts["password"] = password
        founder = self.facts["sites"][0]
        for site in self.facts["sites"]:
            controller = site["nodes"][0]
            config = self.write_config(site, controller)
            if site is founder:
                inside(
                    site["namespace"], self.facts["luc"], "cloud", "create", "--config", config,
                    "--admin-password-file", secret,
                )
            else:
                ticket = self.ticket(founder, "--site")
                self.join(site, controller, ticket)
            self.start_node(site, controller)
        for site in self.facts["sites"]:
            for node in site["nodes"][1:]:
                self.write_config(site, node)
                self.join(site, node, self.ticket(site, "--node"))
                self.start_node(site, node)
        self.write()

    def write_config(self, site, node):
        """The configuration of one node; returns its path."""
        home = self.directory / node["name"]
        home.mkdir(parents=True, exist_ok=True)
        role = "controller" if node is site["nodes"][0] else "compute"
        config = home / "luc.toml"
        config.write_text(
            f'[site]\nname = "{site["name"]}"\n\n'
            f'[node]\nname = "{node["name"]}"\nroles = ["{role}"]\n'
            f'data_dir = "{home / "data"}"\n\n'
            f'[api]\nlisten = "0.0.0.0:{node["api_port"]}"\n\n'
            f'[fabric]\nlisten = "{site["address"]}:{node["fabric_port"]}"\n\n'
            f'[compute]\ndriver = "fake"\n\n'
            f'[log]\nfilter = "{os.environ.get("LUC_LAB_LOG", "info")}"\n',
            encoding="utf-8",
        )
        return config

    def ticket(self, site, purpose):
        """A ticket made at `site`."""
        controller = site["nodes"][0]
        out = inside(
            site["namespace"], self.facts["luc"], "site", "ticket", purpose, "--json",
            "--url", f"http://127.0.0.1:{controller['api_port']}",
            "--password-file", self.directory / "admin.password",
        )
        return json.loads(out)["ticket"]

    def join(self, site, node, ticket):
        """Makes `node` a member."""
        config = self.directory / node["name"] / "luc.toml"
        inside(site["namespace"], self.facts["luc"], "join", ticket, "--config", config)

    # Running

    def start(self, name, command, namespace):
        """Starts a process of ours; its output goes to a file of its name."""
        place = self.directory / name if (self.directory / name).is_dir() else self.directory
        if namespace:
            command = ["ip", "netns", "exec", namespace, *command]
        with open(place / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )
        self.facts["processes"][name] = process.pid
        self.write()

    def start_node(self, site, node):
        """Starts a node and waits until it answers."""
        config = self.directory / node["name"] / "luc.toml"
        self.start(node["name"], [self.facts["luc"], "node", "--config", config],
                   site["namespace"])
        url = f"http://{site['reached_at']}:{node['api_port']}/healthz"
        wait_for(f"node {node['name']}", lambda: answers(url))
        Processors(site["namespace"]).add(self.facts["processes"][node["name"]])

    def kill(self, name, number=signal.SIGKILL):
        """Ends a process of ours."""
        pid = self.facts["processes"].pop(name, None)
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        with contextlib.suppress(LabError):
            wait_for(f"the end of {name}", lambda: not is_running(pid), 20)
        self.write()

    def cut(self, name, way):
        """Cuts a site off. Earlier filters give way in the same moment."""
        space = self.site(name)["namespace"]
        rules = [f"{word} table inet luc_split" for word in ("add", "delete", "add")]
        for hook, field in (("input", "iif"), ("output", "oif")):
            if way in (None, hook[: len(way or "")]):
                rules += [
                    f"add chain inet luc_split {hook}"
                    f" {{ type filter hook {hook} priority 0; }}",
                    f"add rule inet luc_split {hook} {field} wan0 drop",
                ]
        inside(space, "nft", "; ".join(rules))

    @staticmethod
    def heal_one(space):
        """Removes the filters of a namespace, if it has any."""
        with contextlib.suppress(LabError):
            inside(space, "nft", "delete table inet luc_split")

    def heal(self, name):
        """Removes the filters of one site, or of all."""
        for site in self.facts["sites"]:
            if name in (None, site["name"]):
                self.heal_one(site["namespace"])

    def count(self):
        """Bytes between sites so far, by the names of the sites."""
        counters = self.directory / "bridge.bytes"
        before = counters.stat().st_mtime_ns if counters.exists() else 0
        os.kill(self.facts["processes"]["bridge"], signal.SIGUSR1)
        wait_for("the counters",
                 lambda: counters.exists() and counters.stat().st_mtime_ns != before, 5)
        rows = json.loads(counters.read_text(encoding="utf-8"))["bytes"]
        names = [site["name"] for site in self.facts["sites"]]
        return {a: dict(zip(names, row)) for a, row in zip(names, rows)}

    def end(self):
        """Ends everything and removes the namespaces."""
        names = [name for name in self.facts["processes"] if name != "bridge"]
        for name in names:
            pid = self.facts["processes"][name]
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for name in [*names, "bridge"]:
            pid = self.facts["processes"].get(name)
            if pid is None:
                continue
            try:
                wait_for(name, lambda pid=pid: not is_running(pid), 0 if name == "bridge" else 10)
            except LabError:
                pass
            self.kill(name)
        for site in self.facts["sites"]:
            with contextlib.suppress(LabError):
                run("ip", "netns", "del", site["namespace"])
            Processors(site["namespace"]).remove()
        self.file.unlink(missing_ok=True)


def plan_of_site(index, name, mark, computes):
    """What a site consists of."""
    nodes = [
        {
            "name": f"{name}-{'c' if number == 0 else f'h{number}'}",
            "api_port": API_PORT + number,
            "fabric_port": FABRIC_PORT + number,
        }
        for number in range(computes + 1)
    ]
    reached_at = f"10.78.{index}.2"
    return {
        "name": name,
        "namespace": f"luc{mark}{index}",
        "address": f"10.77.0.{index + 1}",
        "reached_at": reached_at,
        "url": f"http://{reached_at}:{API_PORT}",
        "nodes": nodes,
    }


def delays_of(options, count):
    """One-way delays in ms between all pairs."""
    if not options.rtt:
        return [[0 if a == b else options.delay_ms for b in range(count)] for a in range(count)]
    rows = json.loads(Path(options.rtt).read_text(encoding="utf-8"))
    if len(rows) < count or any(len(row) < count for row in rows[:count]):
        raise LabError(f"{options.rtt} has {len(rows)} sites, {count} are needed")
    return [[row[b] / 2 for b in range(count)] for row in rows[:count]]


def is_running(pid):
    """Whether the process is there and no zombie."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def answers(url):
    """Whether a GET of `url` succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def wait_for(what, done, seconds=START_SECONDS_MAX):
    """Waits until `done()`, in short turns."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise LabError(f"{what}: not there after {seconds} s")
        time.sleep(0.02)


def arguments():
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name, told):
        command = commands.add_parser(name, help=told)
        command.add_argument("--dir", required=True, help="where the lab keeps everything")
        return command

    up = add("up", "start a cloud of several sites")
    up.add_argument("--luc", required=True, help="the program")
    up.add_argument("--sites", type=int, default=4)
    up.add_argument("--names", help="names of the sites, separated by commas")
    up.add_argument("--computes", type=int, default=2, help="compute nodes per site")
    up.add_argument("--delay-ms", type=float, default=10.0, help="one way, between all sites")
    up.add_argument("--rtt", help="a JSON file with rows of round trips in ms")
    up.add_argument("--cpus", type=float, help="processors per site, such as 0.2; no bound without")
    up.add_argument("--keep-failed", action="store_true", help="leave what did not come up")
    cut = add("cut", "cut a site off")
    cut.add_argument("site")
    cut.add_argument("--one-way", choices=["in", "out"])
    heal = add("heal", "end the splits")
    heal.add_argument("site", nargs="?")
    add("bytes", "count bytes between sites")
    for name, told in (("kill", "end a process at once"), ("start", "start it again")):
        add(name, told).add_argument("node")
    add("down", "end everything")
    return parser.parse_args()


def main():
    options = arguments()
    lab = Lab(options.dir)
    try:
        if options.command == "up":
            lab.build(options)
            print(json.dumps(lab.facts))
            return 0
        lab.read()
        if options.command == "cut":
            lab.cut(options.site, options.one_way)
        elif options.command == "heal":
            lab.heal(options.site)
        elif options.command == "bytes":
            print(json.dumps(lab.count()))
        elif options.command == "kill":
            lab.kill(options.node)
        elif options.command == "start":
            lab.start_node(*lab.node(options.node))
        else:
            lab.end()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
