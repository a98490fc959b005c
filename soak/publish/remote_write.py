"""`soak run --remote-write`: native histograms of a run, pushed to whoever receives Prometheus' remote write 1.0.

Each push holds all of the run so far, so one that fails is made good by the next. A run goes on while a receiver is
slow, absent or broken, and says once that it is; it is waited for at the end alone, and not for ever.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from soak import __version__
from soak.core import wording
from soak.core.errors import RunFileError, SoakError
from soak.core.histogram import Histogram
from soak.core.records import Recording
from soak.publish.collect import present
from soak.publish.http import UntoldError, post
from soak.publish.measured import Measured, Stretch
from soak.publish.native import snappy, write_request
from soak.publish.page import Page
from soak.runfile import LiveReader

EVERY_S = 15.0
PATIENCE_S = 20.0
"""How long the last push is waited for, at most, when all is over."""
_HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
    "User-Agent": f"soak/{__version__}",
}

Labelled = dict[tuple[tuple[str, str], ...], Histogram]


class Pushing:
    """Pushes a run's latencies every so often, until it is closed. Raises SoakError for what is no URL."""

    def __init__(self, url: str, live: LiveReader, token: str | None, say: Callable[[str], None]) -> None:
        try:
            whole = urlsplit(url).scheme in ("http", "https") and urlsplit(url).hostname and urlsplit(url).port != 0
        except ValueError:
            whole = False
        if not whole:
            raise SoakError("--remote-write: expected a URL such as http://127.0.0.1:9090/api/v1/write")
        self._url, self._live, self._token, self._say = url, live, token, say
        self._where = urlsplit(url).netloc.rpartition("@")[2]
        self._fault = ""
        self._left = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="soak-remote-write", daemon=True)
        self._thread.start()

    def close(self, patience: float = PATIENCE_S) -> None:
        """Push the whole run, for `patience` s at most, and no more."""
        self._stop.set()
        self._thread.join(patience)
        if self._thread.is_alive():
            self._say(
                f"remote write to {self._where}: it does not come to an end: that of the run may be missing there"
            )
            self._left = True

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._push(whole=False)
        self._push(whole=True)

    def _push(self, whole: bool) -> None:
        try:
            if not self._live.path.is_file():
                return
            found = latencies(self._live.recording(), whole)
            if found:
                post(self._url, snappy(write_request(found, time.time())), _HEADERS, self._token)
        except UntoldError as error:
            self._tell(f"{error}{': ' + wording.clean(error.said) if error.said else ''}")
        except RunFileError as error:
            self._tell(str(error)[:200])
        except Exception as error:  # whatever it is: it ends no run, and the next push is tried all the same
            self._tell(f"it could not be written ({type(error).__name__})")
        else:
            self._tell("")

    def _tell(self, fault: str) -> None:
        """Say what is wrong, once, and that it is over."""
        if self._left:
            return
        if fault and not self._fault:
            self._say(f"remote write to {self._where}: {fault}; the run goes on")
        elif self._fault and not fault:
            self._say("remote write: works again")
        self._fault = fault


def latencies(recording: Recording, whole: bool) -> Labelled:
    """All answers and timeouts of the run so far, or of the whole of it, by sorted labels.

    `instance` is the host that the run goes on at: without it, two runs of one scenario would be one series that jumps.
    """
    end, host = recording.duration, str(recording.provenance.get("host") or "unknown")
    page = Page()
    Measured(recording).tell(page, Stretch(end, end, end, 0.0) if whole else present(recording))
    return {
        (
            ("__name__", "soak_request_seconds"), ("endpoint", endpoint), ("instance", host), ("job", "soak"),
            ("scenario", scenario), ("side", side),
        ): found
        for (scenario, side, endpoint), found in page.histograms().items()
    }  # fmt: skip
