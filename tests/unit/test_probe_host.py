from __future__ import annotations

import time

from soak.probe import HostProbe
from soak.probe.budget import Meter, Pace


def test_the_host_is_seen_in_shares_and_bytes() -> None:
    probe = HostProbe()
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        pass
    values = probe.sample(1.0).values
    assert 0 < values["host.cpu"] <= 1
    assert 0 <= values["host.steal"] <= 1
    assert 0 < values["host.memory_available"] <= values["host.memory_total"]


def test_a_costly_look_backs_off() -> None:
    pace = Pace(first=10.0, every=60.0, share=1000.0)
    assert not pace.due(9.9)
    assert pace.due(10.0)
    began = time.thread_time()
    while time.thread_time() < began + 0.1:
        pass
    pace.done(10.0)
    assert not pace.due(100.0)  # a look of 0.1 s of CPU may come again after 100 s, not after 60
    assert pace.due(400.0)


def test_the_meter_counts_cpu_not_waiting() -> None:
    meter = Meter()
    meter.start()
    time.sleep(0.2)
    meter.stop()
    assert meter.seconds < 0.1
