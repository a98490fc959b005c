"""Control groups of both versions, built in a folder of the test's own."""

from __future__ import annotations

from pathlib import Path

from soak.probe.cgroup import cgroup_of, pids_of


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_version_two(tmp_path: Path) -> None:
    write(
        tmp_path / "system.slice/shop.service",
        memory__current="52428800\n",
        memory__max="104857600\n",
        memory__events="low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n",
    )
    group = cgroup_of("0::/system.slice/shop.service\n", tmp_path)
    assert group is not None
    assert group.values() == {"cgroup.memory": 52428800, "memory.limit": 104857600}
    assert group.oom_kills() == 2


def test_version_two_without_a_limit(tmp_path: Path) -> None:
    write(tmp_path / "a", memory__current="5\n", memory__max="max\n")
    group = cgroup_of("0::/a\n", tmp_path)
    assert group is not None
    assert group.values() == {"cgroup.memory": 5}


def test_version_one_beside_an_empty_version_two(tmp_path: Path) -> None:
    (tmp_path / "unified").mkdir()
    write(
        tmp_path / "memory/docker/abc",
        memory__usage_in_bytes="1000\n",
        memory__limit_in_bytes="9223372036854771712\n",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    )
    group = cgroup_of("5:memory:/docker/abc\n4:cpu,cpuacct:/\n0::/\n", tmp_path)
    assert group is not None
    assert group.values() == {"cgroup.memory": 1000}
    assert group.oom_kills() == 1


def test_inside_a_container_the_mount_is_its_own_group(tmp_path: Path) -> None:
    write(tmp_path / "memory", memory__usage_in_bytes="7\n", memory__limit_in_bytes="64\n")
    group = cgroup_of("5:memory:/docker/not-visible-from-here\n", tmp_path)
    assert group is not None
    assert group.values() == {"cgroup.memory": 7, "memory.limit": 64}


def test_none_to_be_seen(tmp_path: Path) -> None:
    assert cgroup_of("", tmp_path) is None
    assert cgroup_of("nonsense\n0::/x\n", tmp_path) is None


def test_the_limit_that_is_nearest_counts_however_far_up_it_is_set(tmp_path: Path) -> None:
    write(tmp_path / "pod", memory__current="900\n", memory__max="1000\n")
    write(tmp_path / "pod/shop", memory__current="100\n", memory__max="500\n")
    group = cgroup_of("0::/pod/shop\n", tmp_path)
    assert group is not None
    assert group.values() == {"cgroup.memory": 900, "memory.limit": 1000}


def test_how_many_processes_and_threads_there_may_be(tmp_path: Path) -> None:
    write(tmp_path / "pids/docker/abc", pids__current="17\n", pids__max="100\n")
    write(tmp_path / "a", pids__current="3\n", pids__max="max\n")
    for membership, values in (
        ("8:pids:/docker/abc\n0::/\n", {"cgroup.pids": 17, "pids.limit": 100}),
        ("0::/a\n", {"cgroup.pids": 3}),
    ):
        group = pids_of(membership, tmp_path)
        assert group is not None
        assert group.values() == values
    assert pids_of("0::/b\n", tmp_path) is None
