"""A page of samples: what a scraper is given must be whole, and each series in it once."""

from __future__ import annotations

import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from soak.core.histogram import Histogram, Recorder
from soak.publish.exporter import encode
from soak.publish.names import FAMILIES
from soak.publish.page import BOUNDS, Page, buckets


def recorded(values: np.ndarray) -> Histogram:
    recorder = Recorder()
    for value in values:
        recorder.record(float(value))
    return recorder.take()


def test_only_what_is_listed_with_all_its_labels_can_be_added() -> None:
    page = Page()
    with pytest.raises(KeyError):
        page.add("soak_memory_megabytes", [], 1)
    with pytest.raises(ValueError, match="labels"):
        page.add("soak_arrivals", ["shop", "candidate"], 1)


def test_a_series_stands_once_and_what_is_not_known_does_not_stand_at_all() -> None:
    page = Page()
    page.add("soak_window_seconds", ["shop"], 1)
    page.add("soak_window_seconds", ["shop"], 2)
    page.add("soak_window_seconds", ["stock"], None)
    page.add("soak_window_seconds", ["till"], float("nan"))
    assert dict(page.samples("soak_window_seconds")) == {("shop",): 1.0}


def test_a_label_is_one_line_of_bounded_length() -> None:
    page = Page()
    page.add("soak_run_headline_info", ["shop", 'it "grows"\n' + "x" * 1000], 1)
    ((_, headline),) = page.samples("soak_run_headline_info")
    assert headline.startswith('it "grows" xxx')
    assert len(headline) == 400
    text, _ = encode(page, "")
    (family,) = plain(text.decode())
    assert family.samples[0].labels["headline"] == headline


def test_both_formats_are_parsed_with_the_kinds_of_the_list() -> None:
    page = Page()
    page.add("soak_arrivals", ["shop", "candidate", "done"], 7)
    page.add("soak_memory_rss_bytes", ["shop", "candidate"], 4096)
    page.histogram(["shop", "candidate", "browse"], recorded(np.array([0.002, 0.004])))
    for accept, parse in (("", plain), ("application/openmetrics-text;version=1.0.0", openmetrics)):
        text, _ = encode(page, accept)
        found = {f.name: f.type for f in parse(text.decode())}
        assert found == {n: FAMILIES[n].kind for n in found}
        assert set(found) == {"soak_arrivals", "soak_memory_rss_bytes", "soak_request_seconds"}


def test_a_quantile_that_is_read_from_buckets_is_nearly_the_true_one() -> None:
    """As histogram_quantile() reads it: linearly within the bucket."""
    values = 0.045 * np.exp(0.5 * np.random.default_rng(3).standard_normal(50_000))
    found = buckets(recorded(values))
    counts = np.array([count for _, count in found])
    assert counts[-1] == 50_000
    assert np.all(np.diff(counts) >= 0)
    for q in (0.5, 0.99, 0.999):
        rank = q * 50_000
        i = int(np.searchsorted(counts, rank))
        low = BOUNDS[i - 1]
        read = low + (BOUNDS[i] - low) * (rank - counts[i - 1]) / (counts[i] - counts[i - 1])
        assert read == pytest.approx(np.quantile(values, q), rel=0.06)


def test_what_is_slower_than_the_last_bucket_is_counted_all_the_same() -> None:
    found = dict(buckets(recorded(np.array([0.00001, 1.0, 100.0]))))
    assert found["0.00012207"] == 1
    assert found["64.0"] == 2
    assert found["+Inf"] == 3
