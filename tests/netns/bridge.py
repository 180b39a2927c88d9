#!/usr/bin/env python3
"""A WAN in user space: joins one TAP device in each of several network namespaces, with latency.

Frames that arrive from one namespace are handed to the one their destination address names, after
the one-way delay of that pair; broadcasts go to all others. Nothing is lost, reordered or shaped
here; splits are made by packet filters inside the namespaces (`lab.py cut`). Bytes are counted per
pair. Large segments pass whole (IFF_VNET_HDR with segmentation offload), so that the bridge is
not the bottleneck.

Used by lab.py; needs root. Usage: bridge.py CONFIG
CONFIG is JSON: {"namespaces": [...], "delays_ms": [[...]], "ready": FILE, "counters": FILE}
The file `ready` appears when all devices are there; `counters` is written on SIGUSR1.
"""

import ctypes
import fcntl
import heapq
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
TUNSETOFFLOAD = 0x400454D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 = 0x01, 0x02, 0x04
CLONE_NEWNET = 0x40000000
VNET_HEADER = 10
DEVICE = "wan0"
# Room for one segment of 64 KiB with its headers.
FRAME_MAX = VNET_HEADER + 65536 + 256


def enter(namespace):
    """Makes this process's network that of `namespace`, or of the process `self` came from."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(namespace, "rb") as handle:
        if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"entering {namespace}")


def mac(index):
    """The address of the device in the namespace with this index."""
    return bytes([0x02, 0, 0, 0, index >> 8, index & 0xFF])


def open_tap(name, index):
    """Opens the device of the namespace `name` and brings it up without an address."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), flags))
    fcntl.ioctl(device, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)
    written = ":".join(f"{byte:02x}" for byte in mac(index))
    for command in (["address", written], ["mtu", "1500"], ["up"]):
        subprocess.run(["ip", "link", "set", "dev", DEVICE, *command], check=True)
    return device


class Bridge:
    """The devices, what is on its way between them, and how much has gone."""

    def __init__(self, config):
        self.delays = [[ms / 1000 for ms in row] for row in config["delays_ms"]]
        self.counters_file = config["counters"]
        own = "/proc/self/ns/net"
        kept = os.open(own, os.O_RDONLY)
        self.taps = []
        for index, name in enumerate(config["namespaces"]):
            enter(f"/var/run/netns/{name}")
            self.taps.append(open_tap(name, index))
            enter(f"/proc/self/fd/{kept}")
        os.close(kept)
        self.index_of = {tap: index for index, tap in enumerate(self.taps)}
        self.counted = [[0] * len(self.taps) for _ in self.taps]
        self.queue = []
        self.number = 0

    def write_counters(self, *_):
        """Writes the bytes per pair as a whole, so that nobody reads half a file."""
        partly = f"{self.counters_file}.new"
        with open(partly, "w", encoding="utf-8") as handle:
            json.dump({"bytes": self.counted}, handle)
        os.replace(partly, self.counters_file)

    def take(self, source):
        """Reads what the device has and puts it on its way."""
        now = time.monotonic()
        for _ in range(64):
            try:
                frame = os.read(self.taps[source], FRAME_MAX)
            except BlockingIOError:
                return
            to = frame[VNET_HEADER : VNET_HEADER + 6]
            if to[0] & 1:
                targets = [index for index in range(len(self.taps)) if index != source]
            else:
                index = to[4] << 8 | to[5]
                targets = [index] if index < len(self.taps) and index != source else []
            for target in targets:
                self.number += 1
                due = now + self.delays[source][target]
                heapq.heappush(self.queue, (due, self.number, source, target, frame))

    def deliver(self):
        """Hands over what is due; returns the time until the next, or nothing."""
        while self.queue:
            left = self.queue[0][0] - time.monotonic()
            if left > 0:
                return left
            _, _, source, target, frame = heapq.heappop(self.queue)
            self.counted[source][target] += len(frame) - VNET_HEADER
            try:
                os.write(self.taps[target], frame)
            except OSError:
                # The device is down or its queue is full: the frame is lost, as on a real line.
                pass
        return None

    def run(self):
        """Bridges until the process is ended."""
        while True:
            left = self.deliver()
            # `select` counts in microseconds. `epoll` counts in milliseconds, and to turn round
            # without a pause until a frame is due takes the processor from what is measured.
            readable, _, _ = select.select(self.taps, [], [], 1.0 if left is None else left)
            for device in readable:
                self.take(self.index_of[device])


def main():
    with open(sys.argv[1], encoding="utf-8") as handle:
        config = json.load(handle)
    bridge = Bridge(config)
    signal.signal(signal.SIGUSR1, bridge.write_counters)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with open(config["ready"], "w", encoding="utf-8") as handle:
        handle.write("ready\n")
    bridge.run()


if __name__ == "__main__":
    main()
