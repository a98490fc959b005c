"""What a process waited for a core, from recorded text of the kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from soak.load import cores

STAT = """\
cpu  253352 15310 20208 164888 1518 0 2048 {steal} 0 0
cpu0 126676 7655 10104 82444 759 0 1024 {each} 0 0
cpu1 126676 7655 10104 82444 759 0 1024 {each} 0 0
intr 17 0 9 0
ctxt 4711
"""


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that took nothing, and a process that waited for 1.5 s."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self/schedstat").write_text("9000000000 1500000000 77\n")
    (tmp_path / "stat").write_text(STAT.format(steal=0, each=0))
    monkeypatch.setattr(cores, "PROC", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("proc")
def test_waiting_for_other_programs_is_counted() -> None:
    assert cores.waited() == 1.5


def test_what_a_hypervisor_took_is_waited_for_on_each_core(proc: Path) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    (proc / "stat").write_text(STAT.format(steal=6 * ticks, each=3 * ticks))
    assert cores.waited() == 4.5


@pytest.mark.parametrize("text", ["cpu  1 2 3 4\ncpu0 1 2 3 4\n", "cpu  1 2 3 4 5 6 7 8 9 10\n"])
def test_an_old_kernel_or_one_that_names_no_core_tells_of_no_hypervisor(proc: Path, text: str) -> None:
    (proc / "stat").write_text(text)
    assert cores.waited() == 1.5


def test_where_the_kernel_does_not_tell_nothing_was_waited(proc: Path) -> None:
    (proc / "self/schedstat").unlink()
    (proc / "stat").unlink()
    assert cores.waited() == 0.0


def test_on_this_machine_it_never_goes_back() -> None:
    before = cores.waited()
    assert 0.0 <= before <= cores.waited()
