"""`soak run --remote-write`: native histograms of a run, pushed to whoever receives Prometheus' remote write 1.0.

Each push holds all of the run so far, so one that fails is made good by the next. A run goes on while a receiver is
slow or absent, and says once that it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import requests

from soak import __version__
from soak.core.errors import RunFileError, SoakError
from soak.core.histogram import Histogram
from soak.core.records import Recording
from soak.publish.collect import present
from soak.publish.measured import Measured, Stretch
from soak.publish.native import snappy, write_request
from soak.publish.page import Page
from soak.runfile import LiveReader

EVERY_S = 15.0
_ANSWER_S = (5.0, 20.0)
"""To connect, and to answer."""
_HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
    "User-Agent": f"soak/{__version__}",
}

Labelled = dict[tuple[tuple[str, str], ...], Histogram]


class Pushing:
    """Pushes a run's latencies every so often, until it is closed. Raises SoakError for what is no URL."""

    def __init__(self, url: str, run_file: Path, token: str | None, say: Callable[[str], None]) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise SoakError(f"--remote-write {url}: expected a URL such as http://127.0.0.1:9090/api/v1/write")
        self._url, self._run_file, self._say = url, run_file, say
        self._session = requests.Session()
        self._session.headers.update(_HEADERS)
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"
        self._reader = LiveReader(run_file)
        self._fault = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="soak-remote-write", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Push the whole run, and no more."""
        self._stop.set()
        self._thread.join()
        self._push(whole=True)
        self._session.close()

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._push(whole=False)

    def _push(self, whole: bool) -> None:
        if not self._run_file.is_file():
            return
        try:
            recording = self._reader.recording()
            found = latencies(recording, whole)
            if found:
                body = snappy(write_request(found, time.time()))
                answer = self._session.post(self._url, data=body, timeout=_ANSWER_S, allow_redirects=False)
                if answer.status_code >= 300:
                    said = " ".join(answer.text.split())[:200]
                    self._tell(f"it answered {answer.status_code}{': ' + said if said else ''}")
                else:
                    self._tell("")
        except requests.Timeout:
            self._tell("it does not answer in time")
        except requests.ConnectionError:
            self._tell("it cannot be reached")
        except (requests.RequestException, RunFileError) as error:
            self._tell(str(error)[:200])

    def _tell(self, fault: str) -> None:
        """Say what is wrong, once, and that it is over."""
        if fault and not self._fault:
            self._say(f"remote write to {urlsplit(self._url).netloc.rpartition('@')[2]}: {fault}; the run goes on")
        elif self._fault and not fault:
            self._say("remote write: works again")
        self._fault = fault


def latencies(recording: Recording, whole: bool) -> Labelled:
    """All answers and timeouts of the run so far, or of the whole of it, by sorted labels."""
    end = recording.duration
    page = Page()
    Measured(recording).tell(page, Stretch(end, end, end, 0.0) if whole else present(recording))
    return {
        (
            ("__name__", "soak_request_seconds"), ("endpoint", endpoint), ("job", "soak"), ("scenario", scenario),
            ("side", side),
        ): found
        for (scenario, side, endpoint), found in page.histograms().items()
    }  # fmt: skip
