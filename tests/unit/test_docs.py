"""What the pages say holds: links lead somewhere, scenarios load, command lines parse, what is named exists."""

from __future__ import annotations

import importlib.util
import re
import shlex
import textwrap
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from soak.cli import main, verbs
from soak.core.scenario import Scenario
from soak.daemon.config import settings
from soak.scenario import loads
from soak.scenario.document import parse
from tests.unit.documents import PAGES, ROOT, Block, anchors, blocks, dialogues, lines, links, spans

TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
FILES = {
    "users.csv": "name\nada\n",
    "items.jsonl": '{"id": 1}\n',
    **dict.fromkeys(("cat.png", "payload.bin", "staging-ca.pem", "ca.pem", "dist/shop.whl", "dist/shop_old.whl"), "x"),
    **dict.fromkeys(("runs/checkout-20260101-220000.soak", "runs/checkout-20260102-220000.soak"), "x"),
    "shop.py": "class Shopper: ...\n",
    "locustfile.py": "class Shopper: ...\n",
}
"""What the scenarios of the pages name, beside them."""
WHOLE: dict[str, Any] = {
    "name": "page",
    "target": {"url": "http://127.0.0.1:8000", "port": 8000},
    "load": {"rate": "10/s"},
    "phases": {"soak": "8h"},
    "criteria": [{"metric": "latency.p99", "below": "1s"}],
}
"""What a part of a scenario is put into."""
SENT = ("requests", "journeys", "locustfile")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pages")
    for name, text in FILES.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    return place


def whole(part: dict[str, Any]) -> dict[str, Any]:
    """A part of a scenario made whole; keys of `load` may stand alone."""
    if not set(part) & set(Scenario.model_fields):
        part = {"load": part}
    made = WHOLE | part
    load = WHOLE["load"] | part.get("load", {}) if "users" not in part.get("load", {}) else part["load"]
    if not any(key in load for key in SENT):
        load = load | {"requests": [{"get": "/"}]}
    if "locustfile" not in load:
        load = {"feeds": {"who": {"csv": "users.csv"}, "order": {"sequence": 1}}} | load
    return made | {"load": load, "phases": WHOLE["phases"] | part.get("phases", {})}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_scenarios_load(block: Block, folder: Path) -> None:
    if block.foreign:
        assert list(yaml.safe_load_all(block.text))
        return
    part = parse(textwrap.dedent(block.text), str(block)).data
    loads(yaml.safe_dump(whole(part)), str(block), folder)


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_settings_of_the_daemon_are_settings(block: Block, tmp_path: Path) -> None:
    if not block.foreign:
        (tmp_path / "serve.toml").write_text(block.text, encoding="utf-8")
        settings(tmp_path / "serve.toml", {})


@pytest.mark.parametrize("block", blocks("sh", "console", "bash"), ids=str)
def test_command_lines_are_understood(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SOAK_GRAFANA_URL", "http://127.0.0.1:3000")
    for words in lines(block):
        match words:
            case ["soak", *rest]:
                understood(rest)
            case ["make", *targets]:
                assert {t for t in targets if "=" not in t} <= TARGETS, words
            case ["python" | "python3", "-m", module, *_]:
                assert importlib.util.find_spec(module), module


def understood(words: list[str]) -> None:
    """Fails where the real front door would refuse the words."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"soak has no verb {words[0]}"
        command, words = found, words[1:]
    try:
        command.make_context("soak", list(words))
    except click.exceptions.Exit:
        pass
    except click.UsageError as error:
        pytest.fail(f"{' '.join(words)}: {error.format_message()}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_named_in_a_sentence_exists(page: Path) -> None:
    for span in spans(page):
        match span.split():
            case ["make", target, *_] if re.fullmatch(r"[a-z-]+", target):
                assert target in TARGETS, span
            case ["soak", verb, *rest] if re.fullmatch(r"[a-z]+", verb):
                assert verb in verbs(), span
                command = verbs()[verb]
                known = {name for p in command.params for name in p.opts} | {"--help", "-h"}
                told = () if verb == "exec" or isinstance(command, click.Group) else rest
                assert {word for word in told if re.fullmatch(r"--[a-z-]+", word)} <= known, span


def test_the_scenario_of_the_readme_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its quick lines are run as they stand: a new user types these first."""
    monkeypatch.chdir(folder)
    shown = [words for b in blocks("sh") if b.page.name == "README.md" for words in lines(b)]
    quick = [words[1:] for words in shown if words[:2] in (["soak", "init"], ["soak", "check"])]
    assert quick
    for words in quick:
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output


@pytest.mark.parametrize("block, command, printed", dialogues(), ids=lambda what: str(what)[:40])
def test_a_console_shows_what_is_printed(
    block: Block, command: str, printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever answers at once is asked again; blocks of whole soaks are `text`, and of their time."""
    monkeypatch.chdir(ROOT)
    verb, *words = shlex.split(command, comments=True)
    assert verb == "soak", block
    assert CliRunner().invoke(main, words).stdout.strip() == printed.strip()


def test_every_page_has_its_place_in_the_index() -> None:
    index = set(links(ROOT / "docs" / "index.md"))
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert {page for page in pages if not page.startswith("adr/0")} - {"index.md"} == index
