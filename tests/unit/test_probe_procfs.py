"""The parsers on recorded text, and on what a process may call itself."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.probe import procfs

STAT = (
    "4242 ({}) S 17 4242 4242 0 -1 4194560 5021 77 3 9 250 50 1 2 20 0 7 0 319020 90112000 11387 "
    "18446744073709551615 1 1 0 0 0 0 0 16781312 134217730 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0"
)
STATUS = """Name:\tpython3
VmPeak:\t   91000 kB
VmHWM:\t   50000 kB
VmRSS:\t   45548 kB
RssAnon:\t   25420 kB
RssFile:\t   20128 kB
VmStk:\t     132 kB
Threads:\t2
"""
KERNEL_THREAD = "Name:\tkthreadd\nUmask:\t0000\nState:\tS (sleeping)\nThreads:\t1\n"


@given(st.text(min_size=1, max_size=15).filter(lambda s: "\n" not in s and "\0" not in s))
def test_a_name_with_brackets_and_blanks_shifts_no_field(name: str) -> None:
    stat = procfs.parse_stat(STAT.format(name))
    assert stat.name == name
    assert (stat.pid, stat.state, stat.parent, stat.threads, stat.started) == (4242, "S", 17, 7, 319020)
    assert (stat.minor_faults, stat.major_faults) == (5021, 3)
    assert stat.cpu_seconds == pytest.approx(300 / procfs.TICKS)


def test_memory_is_read_in_bytes() -> None:
    assert procfs.parse_status(STATUS) == {
        "memory.peak": 50000 * 1024,
        "memory.rss": 45548 * 1024,
        "memory.anon": 25420 * 1024,
        "stack.high_water": 132 * 1024,
    }


def test_a_kernel_thread_has_no_memory() -> None:
    assert procfs.parse_status(KERNEL_THREAD) == {}


def test_pss_and_stack_limit() -> None:
    assert procfs.parse_pss("55d0-7ffd ---p 00000000 00:00 0 [rollup]\nRss: 10 kB\nPss:  7 kB\n") == 7 * 1024
    assert procfs.parse_pss("Rss: 10 kB\n") is None
    head = "Limit                     Soft Limit           Hard Limit           Units\n"
    assert procfs.parse_stack_limit(head + "Max stack size            8388608              unlimited  bytes\n") == 2**23
    assert procfs.parse_stack_limit(head + "Max stack size            unlimited            unlimited  bytes\n") is None
    assert (
        procfs.parse_limit(head + "Max open files            1024                 4096     files\n", "Max open files")
        == 1024
    )
    assert procfs.parse_limit(head, "Max open files") is None


def test_this_process_is_read_as_the_kernel_has_it() -> None:
    me = procfs.stat(os.getpid())
    assert (me.pid, me.parent, me.state) == (os.getpid(), os.getppid(), "R")
    assert os.getpid() in (procfs.children(os.getppid()) or [os.getpid()])
    assert procfs.all_stats()[os.getpid()].started == me.started
    assert procfs.open_files(os.getpid()) >= 3


def test_a_process_that_is_gone_is_one_kind_of_error() -> None:
    for look in (procfs.stat, procfs.children, procfs.open_files):
        with pytest.raises(procfs.GoneError):
            look(2**22 + 1)


def test_a_zombie_says_how_it_ended() -> None:
    assert procfs.parse_stat(STAT.format("x")).ended == 0
    assert procfs.parse_stat(STAT.format("x").removesuffix("0") + "9").ended == 9
    assert procfs.parse_stat(" ".join(STAT.format("x").split()[:40])).ended == 0  # an old kernel has fewer fields


def test_threads_are_counted_by_their_state() -> None:
    states = procfs.thread_states(os.getpid())
    assert states["R"] >= 1
    assert procfs.owner(os.getpid()) == os.getuid()


TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0
   1: 0100007F:1F90 0100007F:C5A2 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0000000000000000 20 4
   2: 0100007F:1F90 0100007F:C5A4 06 00000000:00000000 03:00001770 00000000     0        0 0 3 0000000000000000
"""


def test_sockets_are_told_from_connections_that_wait_to_be_forgotten() -> None:
    assert procfs.parse_sockets(TCP) == {"socket:[4711]", "socket:[4712]"}
    assert procfs.parse_sockets("") == set()


def test_connections_are_counted_once_however_many_descriptors_they_have_and_of_no_process_that_is_gone() -> None:
    def count() -> int:
        return procfs.connections([os.getpid(), 2**22 + 1])[os.getpid()]

    before = count()
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client, client.dup():
            accepted, _ = server.accept()
            assert count() - before == 3
            accepted.close()
        assert count() - before == 1
    assert count() == before
    assert procfs.connections([2**22 + 1]) == {}


def test_the_table_is_read_once_for_all_processes_of_a_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, read = [], procfs.read
    monkeypatch.setattr(procfs, "read", lambda pid, name: asked.append(name) or read(pid, name))
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            assert procfs.connections([os.getpid(), process.pid])[process.pid] == 0
        finally:
            process.kill()
    assert sorted(asked) == ["net/tcp", "net/tcp6"]


def test_who_goes_while_the_table_is_read_leaves_it_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    read = procfs.read

    def gone(pid: int, name: str) -> str:
        if pid != os.getpid():
            raise procfs.GoneError(f"process {pid} is gone")
        return read(pid, name)

    with subprocess.Popen(["sleep", "60"]) as process, socket.create_server(("127.0.0.1", 0)):
        try:
            monkeypatch.setattr(procfs, "read", gone)
            counts = procfs.connections([process.pid, os.getpid()])
        finally:
            process.kill()
    assert process.pid not in counts
    assert counts[os.getpid()] >= 1
