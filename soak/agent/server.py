"""The agent's thread: it answers one question a connection, and looks at the stacks in between.

    {"do": "look", "force": false}        figures: allocator, arenas, collector, depth of calls, its own cost
    {"do": "heap"}                        objects by type, largest containers
    {"do": "hot", "seconds": 5}           functions by share of samples
    {"do": "calls", "seconds": 0.25}      calls a second by function
    {"do": "window", "path": ..., ...}    a memray capture
    {"do": "trim"}                        malloc_trim(0)

A question and its answer are one line of JSON each. The socket is `PID.sock` in a folder that only its user can
enter; whoever asks must be that user, or root (SO_PEERCRED, unix(7)).
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import sys
from _signal import (  # type: ignore[import-not-found]
    SIG_BLOCK,
    SIG_SETMASK,
    SIGABRT,
    SIGBUS,
    SIGFPE,
    SIGILL,
    SIGSEGV,
    pthread_sigmask,
    valid_signals,
)
from time import monotonic, perf_counter, thread_time
from typing import Any

PROTOCOL = 1
FOLDER = "SOAK_AGENT_DIR"
_MOST_BYTES = 65_536
_PATIENCE_S = 2.0
_LOOK_EVERY_S = 0.1
_BUDGET = 0.005
"""Share of a core for the looks that nobody asked for; answers have the rest of one part in a hundred."""
_FORK_PATIENCE_S = 0.25
_FORK_LOOKS = 20
_SWEPT = 32
_RESUME_PATIENCE_S = 0.05
_FAULTS = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}
"""Signals that a thread brings upon itself."""


def originals() -> tuple[Any, Any, Any, Any]:
    """Threads, locks, poll and sockets of the interpreter, though gevent may have put its own in their place."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        start, lock = monkey.get_original("_thread", ["start_new_thread", "allocate_lock"])
        poll = monkey.get_original("select", "poll")
    else:
        from _thread import allocate_lock as lock
        from _thread import start_new_thread as start
        from select import poll
    from _socket import socket

    return start, lock, poll, socket


class Agent:
    """One for the life of a process."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._start_thread, lock, self._poll, self._socket = originals()
        self._over = lock()  # held while the thread lives
        self._path = ""
        self._listener: Any = None
        self._wake: tuple[int, int] | None = None
        self._thread = 0
        self._cpu = 0.0
        self._next_look = 0.0
        self._answers: Any = None

    def begin(self) -> None:
        """Listen and start the thread, unless it runs. Raises OSError."""
        if not self._over.acquire(False):
            return
        try:
            self._listen()
            # what the host has blocked to take when it likes must not be delivered to this thread
            before = pthread_sigmask(SIG_BLOCK, valid_signals() - _FAULTS)
            try:
                self._start_thread(self._run, ())
            finally:
                pthread_sigmask(SIG_SETMASK, before)
        except BaseException:
            self._over.release()
            raise

    def _listen(self) -> None:
        try:
            self._bind(self._folder)
        except OSError:  # it may have given up the rights it began with
            self._folder = own_folder()
            self._bind(self._folder)
        self._wake = os.pipe()
        os.set_blocking(self._wake[0], False)

    def _bind(self, folder: str) -> None:
        from _socket import AF_UNIX, SOCK_STREAM

        path = f"{folder}/{os.getpid()}.sock"
        for old in (path, path + ".new"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(old)
        listener = self._socket(AF_UNIX, SOCK_STREAM)
        try:
            listener.bind(path + ".new")  # who sees the name shall be heard
            os.chmod(path + ".new", 0o600)
            listener.listen(4)
            os.rename(path + ".new", path)
        except BaseException:
            listener.close()
            raise
        self._listener, self._path = listener, path
        self._sweep(folder)

    def _sweep(self, folder: str) -> None:
        """Remove sockets of processes that had no time to: nobody listens there."""
        from _socket import AF_UNIX, SOCK_STREAM

        gone = [n for n in os.listdir(folder) if n.endswith(".sock") and not os.path.exists(f"/proc/{n[:-5]}")]
        for name in gone[:_SWEPT]:  # and yet it may live, in a container that shares the folder
            peer = self._socket(AF_UNIX, SOCK_STREAM)
            try:
                peer.setblocking(False)
                peer.connect(f"{folder}/{name}")
            except ConnectionRefusedError:
                with contextlib.suppress(OSError):
                    os.unlink(f"{folder}/{name}")
            except OSError:
                pass
            finally:
                peer.close()

    def end(self) -> None:
        """Stop, wait a moment for the thread, and leave nothing behind."""
        if self._wake is None:
            return
        with contextlib.suppress(OSError):
            os.write(self._wake[1], b"x")
        if self._over.acquire(True, _FORK_PATIENCE_S):
            self._over.release()
            self._close()
            # it has said that it is over, but until the kernel is through with it a fork would be warned of
            for _ in range(_FORK_LOOKS):
                if not os.path.exists(f"/proc/self/task/{self._thread}"):
                    break
                self._poll().poll(1)

    def resume(self) -> None:
        """Go on after a fork: with a new thread, or with the one that was too busy to hear of it."""
        if self._wake is not None:
            if not self._over.acquire(True, _RESUME_PATIENCE_S):
                with contextlib.suppress(OSError):
                    os.read(self._wake[0], 64)
                return
            self._over.release()
            self._close()
        self.begin()

    def forget(self) -> None:
        """In a child: the thread is not here, and what it has counted is the parent's."""
        _, lock, *_ = originals()
        self._over = lock()
        self._cpu = 0.0
        if self._answers is not None:
            self._answers.forget()
        self._close(unlink=False)

    def _close(self, unlink: bool = True) -> None:
        wake, self._wake = self._wake, None
        if wake is None:
            return
        for descriptor in wake:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._listener.close()
        if unlink:
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def _run(self) -> None:
        from _thread import get_native_id

        self._thread = get_native_id()
        try:
            while self._turn():
                pass
        except BaseException:  # whatever it is, it is not the host's
            pass
        finally:
            self._cpu += thread_time()
            with contextlib.suppress(RuntimeError):
                self._over.release()

    def _turn(self) -> bool:
        """Wait for a question or for the time to look; False when it is over."""
        assert self._wake is not None
        poll = self._poll()
        poll.register(self._listener.fileno(), 1)
        poll.register(self._wake[0], 1)
        ready = {
            descriptor for descriptor, _ in poll.poll(int(1000 * max(_LOOK_EVERY_S, self._next_look - monotonic())))
        }
        if self._wake[0] in ready:
            return False
        try:
            if ready:
                self._answer()
            elif monotonic() >= self._next_look:
                self._look_at_stacks()
        except Exception:  # the next question may go better
            pass
        return True

    def _look_at_stacks(self) -> None:
        if self._answers is None:
            from .answers import Answers

            self._answers = Answers(self.wait, self._stopping)
        began = thread_time()
        self._answers.watch()
        self._next_look = monotonic() + max(_LOOK_EVERY_S, (thread_time() - began) / _BUDGET)

    def wait(self, seconds: float) -> None:
        """Let time pass, but not when the process is about to fork or to end."""
        if self._wake is not None:
            poll = self._poll()
            poll.register(self._wake[0], 1)
            poll.poll(max(1, round(1000 * seconds)))

    def _answer(self) -> None:
        from _socket import SO_PEERCRED, SOL_SOCKET

        descriptor, _ = self._listener._accept()
        peer = self._socket(fileno=descriptor)
        try:
            peer.settimeout(_PATIENCE_S)
            _, user, _ = struct.unpack("3i", peer.getsockopt(SOL_SOCKET, SO_PEERCRED, 12))
            if user not in (0, os.geteuid()):
                return
            import json

            text = b""
            while not text.endswith(b"\n"):
                piece = peer.recv(4096)
                if not piece or len(text) > _MOST_BYTES:
                    return
                text += piece
            try:
                answer = self._do(json.loads(text))
            except Exception as error:  # the one who asked is told
                answer = {"error": f"{type(error).__name__}: {error}"}
            peer.settimeout(_PATIENCE_S)
            peer.sendall(json.dumps(answer).encode() + b"\n")
        finally:
            peer.close()

    def _stopping(self) -> bool:
        if self._wake is None:
            return True
        poll = self._poll()
        poll.register(self._wake[0], 1)
        return bool(poll.poll(0))

    def _do(self, asked: dict[str, Any]) -> dict[str, Any]:
        began = perf_counter()
        what = asked.pop("do")
        if what == "look" or self._answers is None:
            self._look_at_stacks()
        answer: dict[str, Any] = self._answers.jobs[what](**asked)
        return answer | {
            "protocol": PROTOCOL,
            "pid": os.getpid(),
            "cpu_s": self._cpu + thread_time(),
            "took_s": perf_counter() - began,
        }


def own_folder() -> str:
    """The folder of this user's agents, made if it is not there. Raises OSError when somebody else made it."""
    path = f"/tmp/soak-agent-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    seen = os.lstat(path)
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
        raise OSError(f"{path} is not a folder of this user alone")
    return path
