"""The ring of an observer: bounded, numbered, nothing twice and nothing left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from soak.probe.ring import Ring

ENTRIES = st.lists(st.binary(max_size=60), max_size=80)


@given(ENTRIES, st.integers(1, 20), st.integers(1, 500))
def test_it_keeps_the_newest_within_both_bounds(entries: list[bytes], most: int, size: int) -> None:
    ring = Ring(most, size)
    for entry in entries:
        ring.add(entry)
        assert ring.weight <= max(size, len(entry))
    first, kept = ring.since(0, 10**6)
    assert ring.next == len(entries) + 1
    assert len(kept) <= most
    assert sum(map(len, kept)) == ring.weight
    assert kept == entries[first - 1 :]  # the newest, in order
    assert bool(kept) == bool(entries)


@given(ENTRIES, st.integers(0, 120), st.integers(1, 100))
def test_who_asks_page_by_page_gets_everything_once(entries: list[bytes], start: int, page: int) -> None:
    ring = Ring(1000, 10**6)
    for entry in entries:
        ring.add(entry)
    got: list[tuple[int, bytes]] = []
    asked = start + 1
    while True:
        first, found = ring.since(asked, page)
        assert len(found) <= 1 or sum(map(len, found)) <= page
        got += enumerate(found, first)
        if not found:
            break
        asked = first + len(found)
    assert got == list(enumerate(entries, 1))[start:]


def test_a_number_that_has_given_way_leads_to_the_oldest_kept() -> None:
    ring = Ring(3, 1000)
    for n in range(1, 11):
        ring.add(b"%d" % n)
    assert ring.since(2, 1000) == (8, [b"8", b"9", b"10"])
    assert ring.since(9, 1000) == (9, [b"9", b"10"])
    assert ring.since(11, 1000) == (11, [])
    assert ring.since(10**12, 1000) == (11, [])  # of a future that there is not
