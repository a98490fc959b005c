from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soak.report import html
from tests.unit import report_making as made

RECORDING = made.recording()
PAGE = html.render(RECORDING, made.verdict())
VOID = {"meta", "link", "br", "input", "img", "hr", "circle", "path"}


class Page(HTMLParser):
    """The page as a browser takes it apart: elements in order, scripts, and all visible text."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self.open: list[str] = []
        self.errors: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.errors.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        elif "style" not in self.open:
            self.text += data

    def count(self, tag: str, **attrs: str) -> int:
        return sum(t == tag and all(a.get(k) == v for k, v in attrs.items()) for t, a in self.elements)


PARSED = Page(PAGE)


def test_a_part_is_the_page_between_banner_and_foot_and_says_what_is_only_so_far() -> None:
    ended = html.part(RECORDING, made.verdict(), going_on=False)
    assert ended["html"].partition("</nav>")[2].strip() in PAGE
    assert ended["data"]["charts"]
    assert Page(ended["html"]).errors == []
    going_on = html.part(RECORDING, made.verdict(), going_on=True)["html"]
    assert "So far: " in going_on
    assert "may go away again" in going_on
    assert "may go away again" not in PAGE
    assert "So far nothing fails" in html.part(made.alone(), made.passed(), going_on=True)["html"]


def test_every_element_is_closed() -> None:
    assert PARSED.errors == []
    assert PARSED.open == []


def test_nothing_is_loaded_from_anywhere() -> None:
    for tag, attrs in PARSED.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base"), tag
        for name, value in attrs.items():
            assert name not in ("src", "srcset", "style") or tag == "svg", (tag, name)
            assert name != "href" or (value or "").startswith("#"), value
            assert not name.startswith("on"), name
    style = re.search(r"<style>(.*?)</style>", PAGE, re.DOTALL)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_only_the_pages_own_scripts_may_run() -> None:
    (policy,) = [a["content"] or "" for t, a in PARSED.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    run = [text for attrs, text in PARSED.scripts if attrs.get("type") != "application/json"]
    assert len(run) == 2
    assert {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in run} == allowed
    script = next(d for d in policy.split("; ") if d.startswith("script-src"))
    assert "unsafe" not in script


def test_everything_is_said() -> None:
    for expected in (
        "FAIL",
        "emory grows by",
        "Compare two heap snapshots",
        made.MEMORY.evidence[0],
        "1 d 18 h (1 d 17 h to 1 d 19 h) to the container limit of 1 GiB",
        "latency_drift",
        "cache_fill",
        "24.1 MiB/h",
        "noise hides whether",
        "1,500,000 scheduled = 1,496,150 done + 3,850 failed",
        "98.4 % of 8 MiB untouched",
        "worker 4712 was replaced",
        "locust 2.43.4",
        "rate: 200/s  # <b>not bold</b>",
        "idle-after",
    ):
        assert expected in PARSED.text, expected
    for finding in (made.MEMORY, made.RESTART, made.CACHE):
        assert finding.title in PARSED.text
        assert finding.advice in PARSED.text


def test_names_from_outside_do_no_harm() -> None:
    assert PARSED.count("b") == 0
    assert "</script><b>odd</b> | `x` @all \\x1b[31m & \"q\" 'é'" in PARSED.text
    (data,) = [text for attrs, text in PARSED.scripts if attrs.get("type") == "application/json"]
    assert "<" not in data
    assert made.ODD in json.loads(data)["endpoints"]


def test_the_verdict_is_word_icon_and_colour() -> None:
    banner = PAGE[PAGE.index("<header") : PAGE.index("</header>")]
    assert 'class="banner fail"' in banner
    assert ">FAIL<" in banner
    assert "<svg" in banner


def test_the_page_can_be_walked_without_a_mouse_or_eyes() -> None:
    for landmark in ("header", "nav", "main", "footer"):
        assert PARSED.count(landmark) == 1
    assert PARSED.count("html", lang="en") == 1
    ids = [a["id"] for _, a in PARSED.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for tag, attrs in PARSED.elements:
        if tag == "th":
            assert attrs.get("scope") in ("col", "row", "rowgroup")
        for name in ("aria-labelledby", "for"):
            assert name not in attrs or attrs[name] in ids
        if tag == "a":
            assert (attrs["href"] or "").lstrip("#") in ids
        if attrs.get("class") == "plot":
            assert attrs["role"] == "img"
            assert " from " in (attrs["aria-label"] or "")
        if tag == "div" and (attrs.get("class") or "").startswith("scroll"):
            assert attrs["tabindex"] == "0"
            assert attrs["role"] == "region"


def data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    loaded: dict[str, Any] = json.loads(found[1])
    return loaded


def test_findings_mark_the_charts_that_they_are_about() -> None:
    marks = {c["id"]: c["marks"] for c in data(PAGE)["charts"]}
    assert marks["memory"] == [1, 3, 4]
    assert marks["latency"] == [2, 3]
    assert marks["stack"] == [3]


def test_the_endpoint_in_trouble_is_shown_first() -> None:
    assert re.search(r"<option value=\"\d\" selected>&lt;/script&gt;", PAGE)
    calm = html.render(RECORDING, made.passed())
    assert " selected" not in re.findall(r"<select.*?</select>", calm, re.DOTALL)[0]


def test_the_file_is_little_more_than_plotly() -> None:
    assert len(PAGE) - len(html._plotly()) < 700_000


def test_a_run_without_charts_brings_no_plotly() -> None:
    bare = replace(RECORDING, sides={}, host={})
    page = html.render(bare, made.passed())
    assert len(page) < 100_000
    assert "plotly.js v" not in page


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet=st.characters(), min_size=1, max_size=30) | st.sampled_from(["]]>", "<!--", "{{ 7 * 7 }}"]))
def test_no_text_breaks_the_page(text: str) -> None:
    finding = replace(made.DRIFT, title=text, endpoint=text, evidence=(text,), advice=text, eta_s=1.0, eta_limit=text)
    criterion = replace(made.criteria()[1], text=text, reason=text, endpoint=text)
    own = replace(made.passed().candidate, findings=(finding,), latency={text: made.percentiles(1.0)}, service={})
    bare = replace(RECORDING, sides={}, host={}, provenance={"scenario_text": text, text: text})
    page = html.render(bare, replace(made.passed(), candidate=own, criteria=(criterion,), notes=(text,)))
    parsed = Page(page)
    assert parsed.errors == []
    assert parsed.count("article") == 1
    assert len(parsed.scripts) == 2


def test_the_page_holds_the_candidate_against_the_reference() -> None:
    page = html.render(made.recording(), made.verdict())
    section = page[page.index('<section id="comparison"') : page.index('<section id="latency"')]
    for part in ("latency.p50 of browse", "4.01 ms", "99.8 % to 101 %", "worse", "better", "was not seen"):
        assert part in section
    assert 'id="comparison"' not in html.render(made.alone(), made.passed())
