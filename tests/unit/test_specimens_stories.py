"""Each story is two programs that answer the same; what one of them does worse can be counted, not only timed."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from soak.specimens import stories
from soak.specimens.catalogue import SPECIMENS


def items(count: int) -> list[int]:
    dice = random.Random(1)
    return [dice.randint(1, 5000) for _ in range(count)]


@pytest.mark.parametrize("reference,plan", [(True, "SEARCH"), (False, "SCAN")])
def test_a_lookup_searches_or_scans(reference: bool, plan: str) -> None:
    shop = stories.Lookup(reference=reference)
    for item in items(50):
        shop.touch(item)
    assert shop.db.execute("SELECT count(*), count(DISTINCT id) FROM sold").fetchone() == (500, 500)
    (step,) = shop.db.execute("EXPLAIN QUERY PLAN SELECT item FROM sold WHERE id = ?", (7,)).fetchall()
    assert step[3].startswith(plan)


def test_both_joins_find_the_same() -> None:
    nested, hashed = stories.Join().join(), stories.Join(reference=True).join()
    assert nested == hashed
    assert len(nested) == 200


def test_both_commit_the_same_rows_and_the_file_does_not_grow(tmp_path: Path) -> None:
    rows = []
    for reference in (True, False):
        shop = stories.Commit(reference=reference)
        path = tmp_path / f"{reference}.db"
        shop.open(path)
        commits: list[str] = []
        shop.db.set_trace_callback(commits.append)
        for item in items(100):
            shop.touch(item)
        assert ("BEGIN" in commits) is reference
        assert not shop.db.in_transaction
        rows.append(sqlite3.connect(path).execute("SELECT * FROM log ORDER BY id").fetchall())
        assert len(rows[-1]) == shop.TABLE
    assert rows[0] == rows[1]


def test_both_pack_the_same_and_one_of_them_into_the_same_place() -> None:
    built, kept = stories.Buffer(), stories.Buffer(reference=True)
    place = kept.packed
    built.touch(1)
    kept.touch(1)
    assert built.packed == kept.packed
    assert kept.packed is place


def test_both_pages_are_alike() -> None:
    joined, built = stories.Format(reference=True), stories.Format()
    joined.touch(7)
    built.touch(7)
    assert joined.page == built.page
    assert joined.page.count("item 7 of") == 600


def test_only_recursion_comes_to_a_limit() -> None:
    shop, well = stories.Nesting(per_level=1), stories.Nesting(per_level=1, reference=True)
    for item in items(500):
        shop.touch(item)
        well.touch(item)
    assert shop.measure(shop.nested) == well.measure(well.nested) == 500
    for item in items(1000):
        well.touch(item)
    assert well.measure(well.nested) == 1500
    with pytest.raises(RecursionError):
        shop.measure(well.nested)


def test_both_keep_the_events_in_order() -> None:
    shop, well = stories.Resort(), stories.Resort(reference=True)
    for item in items(5_001):
        shop.touch(item)
        well.touch(item)
    assert shop.events == well.events == sorted(well.events)
    assert len(shop.events) == 250


def test_both_remember_the_same_heads() -> None:
    shop, well = stories.Pinned(), stories.Pinned(reference=True)
    for item in items(2_000):
        shop.touch(item)
        well.touch(item)
    assert shop.heads == well.heads
    assert len(shop.heads) == 125


def test_a_price_of_the_table_is_that_of_the_rule() -> None:
    prices = stories.Preload(rows=6_000).prices
    assert all(prices[n] == f"{n % 100}.{n % 97:02d}" for n in items(500))
    assert stories.Preload(reference=True).prices == {}


def test_every_story_has_one_cause_that_names_it() -> None:
    told = {name: s.causes for name, s in SPECIMENS.items() if s.well}
    assert len(told) == 9
    assert all(told.values())
