"""The agent's thread: it answers one question a connection, and looks at the stacks in between.

    {"do": "look", "force": false}        figures: allocator, arenas, collector, depth of calls, its own cost
    {"do": "heap"}                        objects by type, largest containers
    {"do": "hot", "seconds": 5}           functions by share of samples
    {"do": "calls", "seconds": 0.25}      calls a second by function
    {"do": "window", "path": ..., ...}    a memray capture
    {"do": "trim"}                        malloc_trim(0)

A question and its answer are one line of JSON each. The socket is `PID.sock` in a folder that only its user can
enter; whoever asks must be that user, or root (SO_PEERCRED, unix(7)).

Before a fork the thread ends, and both sides start it anew: a process that forks while it has other threads may give
its child a lock that nobody will ever open, and Python warns of it from 3.12 on. It looks for threads when all hooks
are through, so the parent's comes back a moment later, when the interpreter goes on.
"""

from __future__ import annotations

import atexit
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
_GUARD_PATIENCE_S = 5.0
_FAULTS = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}
"""Signals that a thread brings upon itself."""
_SWITCH_S = 0.0002


def _originals() -> tuple[Any, Any, Any, Any]:
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
        self._start_thread, lock, self._poll, self._socket = _originals()
        self._over = lock()  # held while the thread lives
        self._path = ""
        self._listener: Any = None
        self._wake: tuple[int, int] | None = None
        self._thread = 0
        self._cpu = 0.0
        self._next_look = 0.0
        self._allocator: Any = None
        self._pymalloc: Any = None
        self._depth: Any = None
        self._errors: Any = None
        self._collections: tuple[int, ...] = (0, 0, 0)

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
            self._folder = _own_folder()
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
        _, lock, *_ = _originals()
        self._over = lock()
        self._cpu = 0.0
        if self._errors is not None:
            self._errors.seen = 0
        if self._depth is not None:
            self._depth.take()
        self._collections = _collections()
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
        if self._depth is None:
            # all of them now: a host that gives up its rights may not be able to read them later
            import ctypes  # noqa: F401
            import gc  # noqa: F401
            import json  # noqa: F401

            from . import allocator, calls, errors, frames, heap, pymalloc, window  # noqa: F401

            self._depth, self._errors = frames.Depth(), errors.RecursionErrors()
        began = thread_time()
        self._depth.look()
        self._errors.watch()
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

    def _do(self, asked: dict[str, Any]) -> dict[str, Any]:
        began = perf_counter()
        jobs: dict[str, Any] = {
            "look": self._look,
            "heap": self._heap,
            "hot": self._hot,
            "calls": self._calls,
            "window": self._window,
            "trim": self._trim,
        }
        answer: dict[str, Any] = jobs[asked.pop("do")](**asked)
        return answer | {"protocol": PROTOCOL, "pid": os.getpid(), "took_s": perf_counter() - began}

    def _figures(self, force: bool) -> dict[str, Any]:
        if self._allocator is None:
            from .allocator import Allocator
            from .pymalloc import Pymalloc

            self._allocator, self._pymalloc = Allocator(), Pymalloc()
        return {
            "allocator": self._allocator.name,
            "malloc": self._allocator.look(force),
            "pymalloc": self._pymalloc.look(force),
        }

    def _look(self, force: bool = False) -> dict[str, Any]:
        import gc

        self._look_at_stacks()
        return self._figures(force) | {
            "python": sys.version.split()[0],
            "gc": {
                "collections": [n - self._collections[i] for i, n in enumerate(_collections())],
                "collected": sum(g["collected"] for g in gc.get_stats()),
                "uncollectable": sum(g["uncollectable"] for g in gc.get_stats()),
                "enabled": gc.isenabled(),
            },
            "stack": self._depth.take(),
            "recursion_errors": self._errors.seen,
            "cpu_s": self._cpu + thread_time(),
        }

    def _heap(self) -> dict[str, Any]:
        from .heap import look

        figures = self._figures(force=True)
        return look() | {"malloc": figures["malloc"], "pymalloc": figures["pymalloc"]}

    def _hot(self, seconds: float = 5.0, every: float = 0.002) -> dict[str, Any]:
        """Sample the frames, at a pace that keeps within a twentieth of a core.

        A thread hands over the interpreter when it waits, or when somebody has asked for it for 5 ms: most requests
        are over by then, and only their waits would be seen. So meanwhile the interpreter is handed over sooner.
        """
        from .frames import Hot

        hot, over, usual = Hot(), monotonic() + seconds, sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        try:
            while monotonic() < over and self._wake is not None and not self._stopping():
                began = thread_time()
                hot.look()
                self.wait(max(every, 20 * (thread_time() - began)))
        finally:
            sys.setswitchinterval(usual)
        return {"samples": hot.samples, "functions": hot.most(0.05, 60)}

    def _calls(self, seconds: float = 0.25, at_most: int = 300) -> dict[str, Any]:
        """Count calls for a moment; the most frequent, in calls a second."""
        from .calls import count
        from .frames import key

        took, threads, calls = count(seconds, self.wait)
        rates = [(*key(code), times / took) for code, times in calls.most(at_most)] if took else []
        return {"counted_s": took, "threads": threads, "rates": rates}

    def _stopping(self) -> bool:
        assert self._wake is not None
        poll = self._poll()
        poll.register(self._wake[0], 1)
        return bool(poll.poll(0))

    def _window(self, path: str, seconds: float = 5.0, objects: bool = True, elsewhere: str = "") -> dict[str, Any]:
        from .calls import left
        from .window import take

        if not left(self.wait):
            raise RuntimeError("the main thread is still in our profile function")
        return take(path, seconds, objects, elsewhere, self.wait)

    def _trim(self) -> dict[str, Any]:
        before = self._figures(force=True)
        done = self._allocator.trim()
        return {"done": done, "before": before, "after": self._figures(force=True)}


def start() -> None:
    """Start the agent of this process, unless it has one. Never raises."""
    if hasattr(sys, _MARK) or not sys.platform.startswith("linux"):
        return
    try:
        if "eventlet.patcher" in sys.modules or not _in_main_interpreter():
            return  # its threads are not the interpreter's; or it ends before its process does
        agent = Agent(os.environ.get(FOLDER) or _own_folder())
        agent.begin()
        setattr(sys, _MARK, True)  # it may have been loaded under another name, too
        _STATE["agent"] = agent
        os.register_at_fork(before=_before_fork, after_in_parent=_again, after_in_child=_again_in_child)
        atexit.register(_at_exit)
    except Exception:  # the host's start matters more
        pass


def _in_main_interpreter() -> bool:
    for name in ("_interpreters", "_xxsubinterpreters"):
        with contextlib.suppress(ImportError):
            current = __import__(name).get_current()
            return int(current[0] if isinstance(current, tuple) else current) == 0
    return True


def _collections() -> tuple[int, ...]:
    import gc

    return tuple(g["collections"] for g in gc.get_stats())


_MARK = "_soak_agent"
_STATE: dict[str, Any] = {"agent": None, "later": None, "owner": None, "guard": _originals()[1]()}
"""`guard` is held while the thread is ended or begun, from before a fork until after it: forks may come from many
threads at once."""


def _own_folder() -> str:
    """The folder of this user's agents, made if it is not there. Raises OSError when somebody else made it."""
    path = f"/tmp/soak-agent-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    seen = os.lstat(path)
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
        raise OSError(f"{path} is not a folder of this user alone")
    return path


def _before_fork() -> None:
    with contextlib.suppress(Exception):
        me = _ident()
        if _STATE["owner"] != me:  # a signal's handler may fork while we are at it
            _STATE["guard"].acquire(True, _GUARD_PATIENCE_S)
            _STATE["owner"] = me
        _STATE["agent"].end()
        if _STATE["later"] is None:
            import ctypes
            from functools import partial

            _STATE["later"] = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(_resume)
            # registered only now, it is called after the hooks of the host's modules; not being Python code itself,
            # it does not give the interpreter an occasion to go on
            os.register_at_fork(after_in_parent=partial(ctypes.pythonapi.Py_AddPendingCall, _STATE["later"], None))


def _again() -> None:
    """In the parent: what is pending is done by the main thread, and another one that forks cannot wait for it."""
    with contextlib.suppress(Exception):
        _release()
        threading = sys.modules.get("threading")
        if threading is not None and _ident() != threading.main_thread().ident:
            _resume(None)


def _resume(_nothing: object) -> int:
    """What the interpreter calls when it goes on after a fork; if another fork has begun, that one will see to it."""
    with contextlib.suppress(Exception):
        guard = _STATE["guard"]
        if guard.acquire(False):
            try:
                _STATE["agent"].resume()
            finally:
                guard.release()
    return 0


def _again_in_child() -> None:
    """The parent's calls may be pending here too: until all is done, the guard keeps them out."""
    with contextlib.suppress(Exception):
        _, lock, *_ = _originals()
        guard = lock()
        guard.acquire()
        _STATE["guard"], _STATE["owner"] = guard, None
        try:
            _STATE["agent"].forget()
            _STATE["agent"].begin()
        finally:
            guard.release()


def _at_exit() -> None:
    agent, _STATE["agent"] = _STATE["agent"], None  # nothing begins any more
    _STATE["guard"].acquire(True, _GUARD_PATIENCE_S)
    try:
        agent.end()
    finally:
        _release()


def _release() -> None:
    _STATE["owner"] = None
    with contextlib.suppress(RuntimeError):
        _STATE["guard"].release()


def _ident() -> int:
    from _thread import get_ident

    return get_ident()
