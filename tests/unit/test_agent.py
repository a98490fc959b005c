"""The agent in real programs, in every Python that is installed: what it says, and that its host never notices."""

from __future__ import annotations

import ast
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from soak.probe.agent import AgentError, ask, socket_of
from tests.agents import JEMALLOC, TCMALLOC, eventually, preload, program, pythons

AGENT = Path(__file__).parents[2] / "soak" / "agent"
SLEEPS = "import time\ntime.sleep(600)\n"
ASKS = """
import sys
from pathlib import Path
from soak.probe.agent import AgentError, ask, socket_of
print("asking", flush=True)
try:
    ask(socket_of(int(sys.argv[1]), Path(sys.argv[2])), {"do": "hot", "seconds": 3}, 10)
except AgentError:
    pass
"""
BUSY = """
import threading, time
def inner(n):
    return n + 1
def outer():
    total = 0
    while True:
        for i in range(100):
            total = inner(total)
outer()
"""

every_python = pytest.mark.parametrize("python", pythons(), ids=lambda p: Path(os.path.realpath(p)).name)


@pytest.mark.parametrize("path", sorted(AGENT.rglob("*.py")), ids=lambda p: p.name)
def test_it_is_written_in_the_oldest_python_and_needs_nothing_but_the_standard_library(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        for name in (n.partition(".")[0] for n in names):
            borrowed = name == "memray" and path.name == "window.py"
            assert name in sys.stdlib_module_names or name == "sitecustomize" or borrowed, name


@every_python
def test_it_tells_of_allocators_collector_and_stack_in_every_python(tmp_path: Path, python: str) -> None:
    code = "import time\nkept = [bytearray(3000) for _ in range(10_000)]\n" + SLEEPS
    with program(tmp_path, code, python) as host:
        eventually(lambda: host.ask(force=True)["malloc"]["live"] > 30e6, "what the program keeps")
        said = host.ask(force=True)
        assert said["allocator"] == "glibc"
        assert 30e6 < said["malloc"]["live"] < 50e6
        assert said["malloc"]["free"] >= 0
        assert said["malloc"]["holes"] >= 0
        assert said["pymalloc"]["blocks"] > 10_000
        assert said["pymalloc"]["live"] > 100_000
        assert said["gc"]["enabled"]
        assert len(said["gc"]["collections"]) == 3
        assert 1 <= said["stack"]["depth"] < 50
        assert said["stack"]["limit"] == 1000
        assert said["cpu_s"] < 5.0
        assert (host.said("out"), host.said("err")) == ("", "")


@every_python
def test_it_names_what_grows_and_where_time_goes_in_every_python(tmp_path: Path, python: str) -> None:
    code = "import threading\n" + "class Shop: pass\nshop = Shop()\nshop.sold = list(range(5000))\n"
    code += "shop.book = bytearray(200_000)\n" + BUSY
    with program(tmp_path, code, python) as host:
        heap = eventually(lambda: (h := host.ask("heap"))["containers"] and h, "a heap with a list in it")
        assert ("list", 5000, "__main__.Shop.sold") in [(c["type"], c["items"], c["name"]) for c in heap["containers"]]
        assert "__main__.Shop.book" in [b["name"] for b in heap["buffers"]]
        assert heap["types"]
        hot = host.ask("hot", seconds=1.0)
        assert hot["samples"] > 5
        assert "outer" in str(hot["functions"])
        calls = host.ask("calls", seconds=0.3)
        assert max((rate for *where, rate in calls["rates"] if "inner" in where), default=0) > 1000, calls["rates"]


@every_python
def test_a_recursion_has_its_depth_and_its_errors_counted_in_every_python(tmp_path: Path, python: str) -> None:
    code = """
import logging, time, threading
def down(n):
    return down(n - 1) if n else time.sleep(600)
def fall():
    fall()
def falls():
    while True:
        try:
            fall()
        except RecursionError:
            logging.getLogger("shop").exception("too deep")
        time.sleep(0.05)
logging.disable(logging.NOTSET)
logging.lastResort = None
logging.getLogger("shop").addHandler(logging.NullHandler())
threading.Thread(target=falls, daemon=True).start()
down(300)
"""
    with program(tmp_path, code, python) as host:
        said = eventually(lambda: (s := host.ask())["recursion_errors"] and s, "an error")
        assert said["stack"]["depth"] >= 300
        eventually(lambda: host.ask()["recursion_errors"] > said["recursion_errors"], "one more")


@every_python
def test_a_fork_has_an_agent_of_its_own_and_the_parent_keeps_its(tmp_path: Path, python: str) -> None:
    code = """
import os, time
while not os.path.exists("now"):
    time.sleep(0.02)
for _ in range(3):
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(600)
        time.sleep(600)
time.sleep(600)
"""
    with program(tmp_path, code, python) as host:
        host.ask()  # an agent that is still being imported may not hear of the fork in time
        (tmp_path / "now").touch()
        family = eventually(lambda: len(f := host.family()) == 7 and f, "six descendants")
        for pid in family:
            assert host.ask(pid=pid)["pid"] == pid
        assert host.said("err") == "", "no warning of a fork with threads"


def test_a_fork_while_the_agent_is_at_work_still_works(tmp_path: Path) -> None:
    code = """
import os, signal, time
signal.signal(signal.SIGUSR1, lambda *_: os.fork())
while True:
    time.sleep(0.01)
"""
    with program(tmp_path, code) as host:
        host.ask()
        asked = subprocess.Popen(
            [sys.executable, "-c", ASKS, str(host.pid), str(tmp_path)], stdout=subprocess.PIPE, cwd=AGENT.parents[1]
        )
        assert asked.stdout is not None
        assert asked.stdout.readline() == b"asking\n"
        os.kill(host.pid, signal.SIGUSR1)
        family = eventually(lambda: len(f := host.family()) == 2 and f, "a child")
        for pid in family:
            assert host.ask(pid=pid)["pid"] == pid
        asked.communicate(timeout=20)


def test_children_of_other_kinds_have_one_too(tmp_path: Path) -> None:
    code = """
import multiprocessing, subprocess, sys, time
if __name__ == "__main__":
    kept = [multiprocessing.get_context(kind).Process(target=time.sleep, args=(600,)) for kind in ("fork", "spawn")]
    [p.start() for p in kept]
    subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"])
"""
    with program(tmp_path, code) as host:
        family = eventually(lambda: len(f := host.family()) >= 5 and f, "four descendants")
        for pid in family:
            assert host.ask(pid=pid)["pid"] == pid


def test_only_its_user_can_reach_it(tmp_path: Path) -> None:
    with program(tmp_path, SLEEPS) as host:
        host.ask()
        path = socket_of(host.pid, tmp_path)
        assert path is not None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        if os.geteuid() == 0:  # whoever gets at the socket all the same is looked at
            path.chmod(0o666)
            for folder in (tmp_path, *tmp_path.parents[:-1]):
                folder.chmod(folder.stat().st_mode | 0o055)
            code = f"""
import os, socket
os.setgid(65534); os.setuid(65534)
peer = socket.socket(socket.AF_UNIX); peer.settimeout(10); peer.connect({str(path)!r})
try:
    peer.sendall(b'{{"do": "look"}}\\n')
    print(peer.recv(10))
except OSError as error:
    print("refused", error)
"""
            asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            assert asked.stdout.strip() == "b''" or "refused" in asked.stdout
        assert host.ask()["pid"] == host.pid


@pytest.mark.parametrize(
    "sent",
    [b"\n", b"nonsense\n", b"[]\n", b"{}\n", b'{"do": "fly"}\n', b'{"do": "look", "height": 3}\n', b'{"do": 1}\n',
     b"\xff\n", b"x" * 200_000 + b"\n", b""],
)  # fmt: skip
def test_nonsense_ends_neither_it_nor_its_host(tmp_path: Path, sent: bytes) -> None:
    with program(tmp_path, SLEEPS) as host:
        host.ask()
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(10)
            peer.connect(str(socket_of(host.pid, tmp_path)))
            try:
                peer.sendall(sent)
                if sent.endswith(b"\n"):
                    peer.recv(65536)
            except OSError:
                pass  # it may have hung up
        assert host.ask()["pid"] == host.pid
        assert (host.said("out"), host.said("err")) == ("", "")


def test_what_it_does_not_know_it_says(tmp_path: Path) -> None:
    with program(tmp_path, SLEEPS) as host, pytest.raises(AgentError, match="KeyError"):
        host.ask("fly")


@every_python
def test_its_host_ends_as_it_would_without_it(tmp_path: Path, python: str) -> None:
    with program(tmp_path, "import sys, time\ntime.sleep(0.5)\nprint('done')\nsys.exit(7)\n", python) as host:
        assert host.wait() == 7
        assert (host.said("out"), host.said("err")) == ("done\n", "")
        assert not list(tmp_path.glob("*.sock"))


def test_a_sitecustomize_of_the_hosts_own_is_run(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sitecustomize.py").write_text("import sys\nsys.mine = 'here'\n")
    code = "import sys, time, sitecustomize\nprint(sys.mine, sitecustomize.__file__, flush=True)\n" + SLEEPS
    with program(tmp_path, code, PYTHONPATH=str(tmp_path / "mine")) as host:
        host.ask()
        said = eventually(lambda: host.said("out"), "what it prints")
        assert said.split() == ["here", str(tmp_path / "mine" / "sitecustomize.py")]


def test_import_soak_agent_is_enough(tmp_path: Path) -> None:
    code = f"import sys\nsys.path.insert(0, {str(AGENT.parents[1])!r})\nimport soak.agent\n" + SLEEPS
    (tmp_path / "program.py").write_text(code)
    plain = subprocess.Popen([sys.executable, "program.py"], cwd=tmp_path)
    try:
        path = eventually(lambda: socket_of(plain.pid, None), "its socket")
        assert ask(path, {"do": "look"})["pid"] == plain.pid
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    finally:
        plain.terminate()
        plain.wait()
    eventually(lambda: socket_of(plain.pid, None) is None, "nothing left behind")


@pytest.mark.parametrize("library,name", [(JEMALLOC, "jemalloc"), (TCMALLOC, "tcmalloc")])
def test_another_malloc_is_found_and_asked(tmp_path: Path, library: str, name: str) -> None:
    code = "kept = [bytearray(3000) for _ in range(10_000)]\n" + SLEEPS
    with program(tmp_path, code, LD_PRELOAD=preload(library)) as host:
        eventually(lambda: host.ask(force=True)["malloc"]["live"] > 30e6, "what the program keeps")
        said = host.ask(force=True)
        assert said["allocator"] == name
        assert 30e6 < said["malloc"]["live"] < 60e6
        assert said["malloc"]["free"] >= 0


def test_an_older_glibc_tells_the_same_in_another_way() -> None:
    code = """
from allocator import Allocator
kept = [bytearray(3000 + 100 * (i % 7)) for i in range(20_000)]
del kept[::2]
a = Allocator()
new, old = a._glibc(), a._malloc_info()
assert abs(new["live"] - old["live"]) < 0.01 * new["live"], (new, old)
assert abs(new["free"] - old["free"]) < 0.05 * new["free"], (new, old)
assert new["holes"] > 100 and abs(new["holes"] - old["holes"]) < 0.2 * new["holes"], (new, old)
"""
    # the module by itself: the package would start an agent, which takes memory between the two readings
    done = subprocess.run([sys.executable, "-c", code], cwd=AGENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_arenas_there_is_no_slack(tmp_path: Path) -> None:
    with program(tmp_path, SLEEPS, PYTHONMALLOC="malloc") as host:
        said = host.ask(force=True)
        assert said["pymalloc"]["live"] == said["pymalloc"]["slack"] == 0.0
        assert said["malloc"]["live"] > 1e6


def test_a_host_of_greenlets_is_looked_into(tmp_path: Path) -> None:
    code = "from gevent import monkey\nmonkey.patch_all()\nimport time\ntime.sleep(600)\n"
    with program(tmp_path, code) as host:
        assert host.ask()["pid"] == host.pid
        assert host.ask("hot", seconds=0.3)["samples"] > 0


def test_a_window_holds_what_was_allocated_in_it(tmp_path: Path) -> None:
    code = """
import time
kept = []
def keep():
    kept.append(bytearray(20_000))
while True:
    keep()
    time.sleep(0.005)
"""
    with program(tmp_path, code) as host:
        from soak.probe.capture import summary
        from soak.probe.inspection import packages

        host.ask()
        path = tmp_path / "w.bin"
        done = host.ask("window", path=str(path), seconds=1.0, objects=True, elsewhere=packages())
        assert done["tracked_s"] >= 1.0
        found = summary(path)
        most = found["held"][0]
        assert (most["function"], most["line"], Path(most["file"]).name) == ("keep", 5, "program.py")
        assert most["size"] > 20 * 20_000
        again = host.ask("window", path=str(path), seconds=0.2, objects=True, elsewhere=packages())
        assert again["pid"] == host.pid
        assert host.said("err") == ""


def test_a_window_where_memray_is_not_to_be_had_is_said(tmp_path: Path) -> None:
    with program(tmp_path, SLEEPS) as host:
        host.ask()
        with pytest.raises(AgentError):
            host.ask("window", path=str(tmp_path / "none" / "w.bin"), seconds=0.2, objects=True, elsewhere="/nowhere")
        assert host.ask()["pid"] == host.pid


def finishes(tmp_path: Path, code: str, python: str, said: str) -> None:
    """A program ends by itself, in time, and says only this."""
    with program(tmp_path, code, python) as host:
        assert host.wait(60) == 0, host.said("err")
        assert host.said("out") == said
        left = [line for line in host.said("err").splitlines() if "Warning" not in line and not line.startswith("  ")]
        assert left == []


@every_python
def test_forks_of_many_threads_at_once_end(tmp_path: Path, python: str) -> None:
    code = """
import faulthandler, os, subprocess, threading
faulthandler.dump_traceback_later(50, exit=True)
def forks():
    for _ in range(25):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
def spawns():
    for _ in range(10):
        subprocess.run(["/bin/true"], preexec_fn=os.setsid)
threads = [threading.Thread(target=t) for t in (forks, spawns) * 3]
[t.start() for t in threads]
[t.join() for t in threads]
print("done")
"""
    finishes(tmp_path, code, python, "done\n")


@every_python
def test_a_signal_that_the_host_blocks_waits_for_the_host(tmp_path: Path, python: str) -> None:
    code = """
import os, signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
time.sleep(0.5)
os.kill(os.getpid(), signal.SIGUSR1)
time.sleep(0.2)
print(signal.sigtimedwait({signal.SIGUSR1}, 5).si_signo == signal.SIGUSR1)
"""
    finishes(tmp_path, code, python, "True\n")


@every_python
def test_an_interpreter_within_has_no_agent_and_ends(tmp_path: Path, python: str) -> None:
    code = """
import os, time
try:
    import _interpreters as within
except ImportError:
    import _xxsubinterpreters as within
time.sleep(0.3)
other = within.create()
run = getattr(within, "run_string", None) or within.exec
run(other, "import os")
within.destroy(other)
print(os.path.exists(f"{os.environ['SOAK_AGENT_DIR']}/{os.getpid()}.sock"))
"""
    finishes(tmp_path, code, python, "True\n")


def test_it_is_there_once_under_whatever_name(tmp_path: Path) -> None:
    code = f"""
import os, sys, time
time.sleep(0.3)
sys.path.insert(0, {str(AGENT.parents[1])!r})
import soak.agent
print(len(os.listdir("/proc/self/task")))
"""
    finishes(tmp_path, code, sys.executable, "2\n")


def test_a_child_begins_to_count_anew(tmp_path: Path) -> None:
    code = """
import gc, logging, os, time
logging.lastResort = None
time.sleep(0.5)
def fall():
    fall()
for _ in range(5):
    try:
        fall()
    except RecursionError:
        logging.getLogger("shop").exception("too deep")
[gc.collect() for _ in range(20)]
if os.fork() == 0:
    time.sleep(600)
time.sleep(600)
"""
    with program(tmp_path, code) as host:
        child = eventually(lambda: len(f := host.family()) == 2 and f[1], "a child")
        assert host.ask()["recursion_errors"] == 5
        assert host.ask()["gc"]["collections"][-1] >= 20
        said = host.ask(pid=child)
        assert said["recursion_errors"] == 0
        assert said["gc"]["collections"][-1] < 5


def test_what_common_types_hold_is_theirs(tmp_path: Path) -> None:
    code = """
import collections, io, time
import numpy
class Mine(list): pass
before = None
streams = [io.BytesIO(b"x" * 1_000_000) for _ in range(5)]
counts = collections.defaultdict(int, {i: i for i in range(100_000)})
mine = Mine(range(200_000))
views = [numpy.ones(250_000)[:10] for _ in range(5)]
time.sleep(600)
"""
    with program(tmp_path, code) as host:
        heap = eventually(lambda: (h := host.ask("heap"))["large"] > 21e6 and h, "what it holds")
        assert heap["large"] < 40e6, "5 MB of streams, 5 of counts, 1.6 of a list, 10 behind views, modules"
        assert {"counts", "mine"} <= {c["name"].rpartition(".")[2] for c in heap["containers"]}
        assert {"BytesIO", "ndarray"} <= {b["type"] for b in heap["buffers"]}


@every_python
def test_a_bound_that_a_container_has_is_told(tmp_path: Path, python: str) -> None:
    code = """
import collections, functools, time
recent = collections.deque(range(500), maxlen=900)
@functools.lru_cache(maxsize=None)
def price(i): return str(i)
@functools.lru_cache(maxsize=700)
def name(i): return str(i)
for i in range(600): price(i); name(i)
time.sleep(600)
"""
    with program(tmp_path, code, python) as host:
        heap = eventually(lambda: (h := host.ask("heap"))["containers"] and h, "its containers")
    found = {c["name"]: (c["type"], c["items"], c["limit"]) for c in heap["containers"]}
    assert found["__main__.recent"] == ("deque", 500, 900)
    assert found["__main__.price"] == ("lru_cache", 600, None)
    assert found["__main__.name"] == ("lru_cache", 600, 700)


def test_what_the_dead_left_is_swept(tmp_path: Path) -> None:
    left = tmp_path / "999999.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left))
    with program(tmp_path, SLEEPS) as host:
        host.ask()
        assert not left.exists()


def test_who_gave_up_its_rights_is_still_heard_after_a_fork(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give anything up")
    code = """
import os, time
time.sleep(0.5)
os.setuid(65534)
if os.fork() == 0:
    time.sleep(600)
time.sleep(600)
"""
    with program(tmp_path, code) as host:
        tmp_path.chmod(0o700)
        child = eventually(lambda: len(f := host.family()) == 2 and f[1], "a child")
        for pid in (host.pid, child):
            assert host.ask(pid=pid)["pid"] == pid
