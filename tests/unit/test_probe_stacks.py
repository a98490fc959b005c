"""Thread stacks of real processes, from outside; recorded text where the kernel decides the form."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from soak.probe import procfs
from soak.probe.stacks import Extent, Mappings, ThreadStacks, extent_of, parse_maps, parse_stack_pointer
from tests.unit.test_probe_tree import poke, running

PAGE = 4096
KIB = 1024
KERNEL = tuple(int(part) for part in os.uname().release.split(".")[:2])

# walks are kept short: 3.12 and later refuse more than some hundred levels of recursion through C
DEEPER = """
import threading, time
sys.setrecursionlimit(5000)
threading.stack_size(512 * 1024)
def walk(n): return sorted((n,), key=lambda d: walk(d - 1) if d else 0)[0]
turns = [threading.Event() for _ in range(3)]
turned = threading.Semaphore(0)
def work():
    for depth, turn in zip((0, 15, 40), turns):
        turn.wait(); walk(depth); turned.release()
    time.sleep(600)
def turn(i): turns[i].set(); turned.acquire(); time.sleep(0.05); READY
threading.Thread(target=work, daemon=True).start()
for _ in range(4): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
turn(0)
for i in (1, 2): sys.stdin.readline(); turn(i)
time.sleep(600)
"""

NATIVE = """
import ctypes, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.pthread_attr_setstack.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
NONE, RW = 0, 3
def mapping(pages): return libc.mmap(None, pages * 4096, NONE, 0x22, -1, 0)  # private, anonymous
def allow(address, pages): assert libc.mprotect(address, pages * 4096, RW) == 0
def touch(address, pages): ctypes.memset(address, 1, pages * 4096)
def thread(address, pages):
    attributes, handle = ctypes.create_string_buffer(64), ctypes.c_ulong()
    libc.pthread_attr_init(attributes)
    assert libc.pthread_attr_setstack(attributes, address, pages * 4096) == 0
    assert libc.pthread_create(ctypes.byref(handle), attributes, ctypes.cast(libc.pause, ctypes.c_void_p), None) == 0
    time.sleep(0.2)  # until it pauses
"""


def look(stacks: ThreadStacks, process: subprocess.Popen[bytes], t: float) -> tuple[float, float] | None:
    """High-water mark and size of the fullest thread's stack in bytes; None when nothing was seen."""
    samples = stacks.look(t, [procfs.stat(process.pid)])
    if not samples:
        return None
    (sample,) = samples
    assert (sample.t, sample.source) == (t, "candidate")
    return sample.values["stack.thread_high_water"], sample.values["stack.thread_limit"]


def until_seen(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """The first that is seen: a thread that happens to run at a look shows no stack pointer."""
    stacks = ThreadStacks("candidate")
    for t in range(10, 1000, 10):
        if (seen := look(stacks, process, t)) is not None:
            return seen
        time.sleep(0.05)
    raise AssertionError("no stack was ever seen")


def test_the_mark_of_a_thread_rises_with_its_recursion_and_its_size_is_that_of_its_stack() -> None:
    with running(DEEPER) as process:
        stacks = ThreadStacks("candidate")
        marks = []
        for step in range(3):
            seen = look(stacks, process, 100.0 * (step + 1))
            assert seen is not None
            marks.append(seen[0])
            assert seen[1] == pytest.approx(512 * KIB, abs=64 * KIB)
            if step < 2:
                poke(process)
        assert marks[0] + 30 * KIB < marks[1]
        assert marks[1] + 60 * KIB < marks[2] < 512 * KIB
        again = look(stacks, process, 400.0)
        assert again is not None
        assert again[0] == marks[2], "the recursion is over, and its pages are still there"


def test_one_thread_has_no_other_stacks_and_a_process_that_ended_none_at_all() -> None:
    stacks = ThreadStacks("candidate")
    with running("import time\nREADY\ntime.sleep(600)") as process:
        assert look(stacks, process, 10.0) is None
        stat = procfs.stat(process.pid)
    assert stacks.look(100.0, [stat]) == []
    assert stacks.look(200.0, []) == []


def test_it_looks_at_its_own_pace() -> None:
    with running(DEEPER) as process:
        stacks = ThreadStacks("candidate")
        assert look(stacks, process, 0.0) is None, "too early: the target is still starting"
        assert look(stacks, process, 5.0) is not None
        assert look(stacks, process, 5.1) is None
        assert look(stacks, process, 1000.0) is not None


def test_a_stack_below_a_guard_page_is_known_by_it_and_one_without_is_not() -> None:
    guarded = f"{NATIVE}\na = mapping(65); allow(a + 4096, 64); thread(a + 4096, 64)\nREADY\ntime.sleep(600)"
    with running(guarded) as process:
        mark, size = until_seen(process)
        assert size == 64 * PAGE
        assert 0 < mark < 8 * PAGE
    bare = f"{NATIVE}\na = mapping(96); allow(a + 4096 * 16, 64); touch(a + 4096 * 16, 64)\n"
    heap = "libc.munmap(ctypes.c_void_p(a), 4096 * 16); thread(a + 4096 * 32, 32)\nREADY\ntime.sleep(600)"
    with running(bare + heap) as process:
        stacks = ThreadStacks("candidate")
        assert [look(stacks, process, t) for t in (10.0, 100.0, 1000.0)] == [None] * 3


@pytest.mark.skipif(KERNEL < (6, 15), reason="the kernel does not show lightweight guards")
def test_guards_inside_one_mapping_part_the_stacks_in_it() -> None:
    code = f"""{NATIVE}
a = mapping(129); allow(a, 129)
for i in (0, 64, 128): assert libc.madvise(a + 4096 * i, 4096, 102) == 0  # MADV_GUARD_INSTALL
thread(a + 4096, 63); touch(a + 4096 * 65, 1)
READY
time.sleep(600)
"""
    with running(code) as process:
        mark, size = until_seen(process)
        assert size == 63 * PAGE
        assert 0 < mark < 8 * PAGE


def test_a_mapping_made_above_a_stack_later_adds_nothing_to_it() -> None:
    code = f"""{NATIVE}
a = mapping(129); allow(a + 4096, 64); thread(a + 4096, 64)
READY
sys.stdin.readline(); allow(a + 4096 * 65, 64); touch(a + 4096 * 65, 64); READY
time.sleep(600)
"""
    with running(code) as process:
        stacks = ThreadStacks("candidate")
        before = look(stacks, process, 10.0)
        assert before is not None
        poke(process)
        assert look(stacks, process, 100.0) == before


MAPS = """\
55d0c8a00000-55d0c8a01000 r--p 00000000 fe:00 1234                       /usr/bin/python3.11
c000000000-c000400000 rw-p 00000000 00:00 0
7f0000000000-7f0000021000 rw-p 00000000 00:00 0
7f0000021000-7f0004000000 ---p 00000000 00:00 0
7f0010000000-7f0010001000 ---p 00000000 00:00 0
7f0010001000-7f0010801000 rw-p 00000000 00:00 0                          [anon:stack]
7f0010801000-7f0010802000 rw-p 00000000 fe:00 99                         /lib/data
7ffd1c000000-7ffd1c021000 rw-p 00000000 00:00 0                          [stack]
"""


@pytest.mark.parametrize(
    "address,held",
    [
        (0x7F0010800000, (0x7F0010001000, 0x7F0010801000, True)),
        (0x7F0010001000, (0x7F0010001000, 0x7F0010801000, True)),
        (0xC000001000, (0xC000000000, 0xC000400000, False)),
        (0x7F0010000000, None),
        (0x7F0010801000, None),
        (0x7FFD1C000000, None),
        (0x1000, None),
    ],
)
def test_the_mapping_of_an_address(address: int, held: tuple[int, int, bool] | None) -> None:
    assert parse_maps(MAPS).stack_at(address) == held


def test_no_mappings_hold_nothing() -> None:
    assert parse_maps("") == Mappings((), (), (), ())
    assert parse_maps("").stack_at(1) is None


@pytest.mark.parametrize(
    "text,pointer",
    [
        ("202 0x7fbc24000ba0 0x189 0x0 0x0 0x0 0xffffffff 0x7fbc296a6950 0x7fbc29ea3f16\n", 0x7FBC296A6950),
        ("-1 0x7fbc296a6950 0x7fbc29ea3f16\n", 0x7FBC296A6950),
        ("running\n", None),
        ("", None),
    ],
)
def test_the_stack_pointer_of_a_blocked_thread(text: str, pointer: int | None) -> None:
    assert parse_stack_pointer(text) == pointer


@pytest.mark.parametrize(
    "kinds,guarded,extent",
    [
        (b"......##", True, Extent(0, 8)),
        (b"......##", False, None),
        (b"G.....##", False, Extent(1, 8)),
        (b"G..#G.##G.##", False, Extent(5, 8)),
        (b"..##G.##", True, Extent(5, 8)),
    ],
)
def test_the_ends_of_a_stack(kinds: bytes, guarded: bool, extent: Extent | None) -> None:
    base = 0x7F0000000000
    found = extent_of(base + 6 * PAGE + 64, base, base + len(kinds) * PAGE, guarded, kinds, base)
    wanted = extent and Extent(base + extent.low * PAGE, base + extent.top * PAGE)
    assert found == wanted


def test_a_stack_whose_ends_are_out_of_sight_is_none() -> None:
    base = 0x7F0000000000
    inside = base + 6 * PAGE
    assert extent_of(inside, base - PAGE, base + 8 * PAGE, True, b"......##", base) is None
    assert extent_of(inside, base, base + 9 * PAGE, True, b"......##", base) is None
