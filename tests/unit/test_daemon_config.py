from __future__ import annotations

from pathlib import Path

import pytest

from soak.core.errors import SoakError
from soak.daemon import process
from soak.daemon.config import settings
from soak.daemon.serve import library_of
from tests.unit.serving import SCENARIO

WORKERS = '[workers]\nlisten = "0.0.0.0:5557"\ntoken_file = "workers.token"\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "serve.toml"
    file.write_text(text)
    return file


def test_each_run_listens_for_workers_where_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = settings(written(tmp_path, f'allow_hosts = ["shop:80"]\n{WORKERS}count = 2\n'), {})
    assert told.run_options == (
        *("--allow-host", "shop:80", "--listen", "0.0.0.0:5557"),
        *("--token-file", str(tmp_path / "workers.token"), "--remote-workers", "2"),
    )
    assert settings(None, {}).run_options == ()
    monkeypatch.setattr(process, "_RUN", ["-c", "import sys; print(sys.argv[1:])"])
    for start in (
        lambda run_file: process.start_run(tmp_path / "s.yaml", run_file, told.run_options, None),
        lambda run_file: process.resume_run(run_file, told.run_options, "it was killed"),
    ):
        run_file = tmp_path / "1.soak"
        assert start(run_file).wait(60) == 0
        assert all(f"'{word}'" in process.verdict_path(run_file).read_text() for word in told.run_options)


@pytest.mark.parametrize(
    "text,said",
    [
        (f"parallel = 2\n{WORKERS}", r"\[workers\] goes with parallel = 1"),
        (f"{WORKERS}count = -1\n", "serve.toml:4: count: "),
        ('listen = "127.0.0.1:9646"\n[workers]\nlisten = "here"\ntoken_file = "t"\n', "serve.toml:3: listen: "),
        ('[workers]\nlisten = "0.0.0.0:5557"\n', "serve.toml: token_file: "),
        ("workers = 3\n", "serve.toml:1: workers: "),
        ('keep = "1d"\n[uploads]\nmax_rate = "fast"\n', "serve.toml:3: max_rate: "),
        ('[uploads]\nmost = "5/s"\n', "serve.toml:2: most: unknown key"),
    ],
)
def test_tables_that_say_nothing_that_can_be_done_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SoakError, match=said):
        settings(written(tmp_path, text), {})


def test_uploads_are_held_to_the_bounds_in_the_settings(tmp_path: Path) -> None:
    table = '[uploads]\nmax_rate = "1/s"\nmax_duration = "10s"\n'
    granted = library_of(settings(written(tmp_path, f"allow_uploads = true\n{table}"), {})).uploads
    assert granted is not None
    with pytest.raises(SoakError) as refused:
        granted.keep(SCENARIO.format(name="long", port=8000).replace("20/s", "2/s").encode(), ())
    assert "load: it asks for up to 2/s" in str(refused.value)
    assert "this daemon grants 10 s" in str(refused.value)
    assert library_of(settings(written(tmp_path, table), {})).uploads is None
