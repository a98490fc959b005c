"""Telling systemd how the daemon is (sd_notify(3)); without systemd nobody is told."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(message: str) -> None:
    """Send READY=1, STOPPING=1, WATCHDOG=1 or STATUS=... A supervisor that does not listen is no fault."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.connect("\0" + address[1:] if address.startswith("@") else address)
        out.send(message.encode())
