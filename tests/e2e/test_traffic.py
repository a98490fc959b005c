"""Traffic of every kind, against a server that is strict about what it gets and counts it."""

from __future__ import annotations

import json
import ssl
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trustme

from soak.runfile import read
from tests.e2e.harness import Outcome, free_port, scenario, soak
from tests.e2e.test_real_servers import served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SHOP = Path(__file__).with_name("shop.py")


def stats(port: int, context: ssl.SSLContext | None = None) -> dict[str, Any]:
    scheme = "https" if context else "http"
    with urllib.request.urlopen(f"{scheme}://localhost:{port}/stats", context=context) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def recorded(outcome: Outcome) -> Counter[tuple[str, str]]:
    """Requests and journeys of the whole run, drain included, by endpoint and outcome."""
    found: Counter[tuple[str, str]] = Counter()
    for (endpoint, kind, clock), windows in read(outcome.run_file).sides["candidate"].windows.items():
        if clock != "service":
            found[endpoint, kind] += sum(w.histogram.total for w in windows)
    return found


VISITS = """
name: visits
target: {{url: "http://127.0.0.1:{port}"}}
load:
  rate: 20/s
  pattern: {{kind: bursts, peak: 60/s, every: 4s, for: 1s}}
  connections: 80
  timeout: 1s
  churn: 20%
  cookies: {{consent: "yes"}}
  auth: {{bearer: "${{SHOP_TOKEN}}"}}
  feeds: {{who: {{csv: users.csv}}, order: {{sequence: 1}}}}
  requests:
    - {{name: upload, weight: 2, post: /upload, multipart: {{title: "cat {{random:1-9}}", image: {{file: cat.png}}}}}}
    - {{name: drip, weight: 0.3, get: /drip}}
  journeys:
    - name: checkout
      weight: 4
      steps:
        - {{get: /login, capture: {{csrf: {{regex: 'value="([^"]+)"'}}}}}}
        - {{think: {{uniform: [50ms, 200ms]}}}}
        - post: /login
          form: {{csrf: "{{csrf}}", user: "{{who.name}}"}}
          capture: {{token: {{jsonpath: $.token}}, cart: {{header: X-Cart}}}}
        - name: order
          post: "/cart/{{who.name}}?cart={{cart}}"
          headers: {{X-Token: "{{token}}"}}
          json: {{id: "{{order}}"}}
          expect: [201, 409]
phases: {{warmup: 0s, soak: 12s}}
criteria:
  - {{metric: errors.ratio, endpoint: checkout, below: 5%}}
  - {{metric: latency.p99, endpoint: drip, below: 20s}}
"""


def test_visitors_log_in_upload_and_order_and_the_server_counts_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cat.png").write_bytes(b"PNG")
    (tmp_path / "users.csv").write_text("name,age\n" + "".join(f"ann {i}/é,{i}\n" for i in range(20)))
    port = free_port()
    file = scenario(tmp_path, VISITS.format(port=port))
    with served([sys.executable, str(SHOP), str(port)], port, tmp_path):
        refused = soak(tmp_path, "run", str(file), "--json")
        assert refused.code == 2
        assert "SHOP_TOKEN is not set" in refused.err
        monkeypatch.setenv("SHOP_TOKEN", "sesame")
        outcome = soak(tmp_path, "run", str(file), "--json")
        truth = stats(port)
    seen, verdict = truth["seen"], outcome.verdict
    assert not [k for k in seen if k.startswith("wrong")], seen
    latency = verdict["latency"]
    assert recorded(outcome) == {  # every request, and nothing else
        ("GET /login", "ok"): seen["GET login"],
        ("POST /login", "ok"): seen["POST login"],
        ("upload", "ok"): seen["POST upload"],
        ("order", "ok"): seen["POST cart"],
        ("checkout", "ok"): truth["orders"],
        ("drip", "timeout"): seen["GET drip"],
    }
    assert seen["POST cart"] == seen["GET login"] == truth["orders"] > 100
    assert truth["users"] == 20
    # the whole journey was waited for at least as long as its slowest step, and pauses are not in it
    assert latency["checkout"]["p50_ms"] >= latency["order"]["p50_ms"]
    # an answer that drips for five seconds is given up whole after one, and shown as given up
    drip = latency["drip"]
    assert drip["count"] == 0
    assert 0 < drip["failed"] == drip["timeouts"] <= seen["GET drip"]
    assert set(drip["censored"]) == {"p50", "p90", "p99", "p999", "p9999", "max"}
    assert drip["p50_ms"] >= 1000
    (slow,) = [c for c in verdict["criteria"] if c["metric"] == "latency.p99"]
    assert slow["result"] == "inconclusive"  # below 20 s? nobody waited to see
    # a fifth of the arrivals began on a connection of their own, and every drip cost one
    arrivals = verdict["validity"]["scheduled"]
    assert 0.1 * arrivals < truth["connections"] < 0.6 * arrivals
    assert verdict["validity"]["balanced"]
    assert verdict["validity"]["failed"] == seen["GET drip"]
    # the secret is nowhere in what is kept
    kept = b"".join(p.read_bytes() for p in (tmp_path / "runs").iterdir())
    assert b"sesame" not in kept
    assert "no answer before the timeout" in outcome.err


TRACED = """
name: traced
target: {{url: "https://localhost:{port}", tls: {tls}}}
load: {{pattern: {{kind: trace, file: trace.txt}}, connections: 5, requests: [{{get: /plain}}]}}
phases: {{warmup: 0s, soak: 3s}}
criteria: [{{metric: errors.ratio, below: 50%}}]
"""


def test_a_recorded_trace_over_https_that_is_verified_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    (tmp_path / "cert.pem").write_bytes(b"".join(b.bytes() for b in certificate.cert_chain_pems))
    (tmp_path / "trace.txt").write_text("".join(f"{1_700_000_000 + i * 0.07:.2f}\n" for i in range(43)))
    port = free_port()
    arrivals = 43  # 3 s of them, once
    with served([sys.executable, str(SHOP), str(port), "cert.pem", "key.pem"], port, tmp_path):
        context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        results = {}
        for tls in ("{verify: true}", "{ca: ca.pem}", "{verify: false}"):
            before = stats(port, context)["seen"].get("GET plain", 0)
            outcome = soak(tmp_path, "run", str(scenario(tmp_path, TRACED.format(port=port, tls=tls))), "--json")
            account = outcome.verdict["validity"]
            assert account["scheduled"] == arrivals, outcome.show()
            results[tls] = (account["done"], stats(port, context)["seen"].get("GET plain", 0) - before)
            if tls == "{verify: true}":
                assert "SSLCertVerificationError" in outcome.err, outcome.show()
    assert results == {
        "{verify: true}": (0, 0),
        "{ca: ca.pem}": (arrivals, arrivals),
        "{verify: false}": (arrivals, arrivals),
    }


USERS = """
name: users
target: {{url: "http://127.0.0.1:{port}"}}
load: {{{load}, timeout: 2s, locustfile: "users.py::Visitor"}}
phases: {{warmup: 0s, soak: 4s}}
criteria: [{{metric: errors.ratio, below: 50%}}]
"""


@pytest.mark.parametrize("load", ["rate: 30/s, connections: 8", "users: 4"])
def test_a_locustfile_keeps_its_own_pace_or_follows_the_schedule(tmp_path: Path, load: str) -> None:
    (tmp_path / "users.py").write_text(
        "from locust import HttpUser, between, events, task\n"
        "@events.init_command_line_parser.add_listener\n"
        "def arguments(parser, **_): parser.add_argument('--path', default='/plain')\n"
        "@events.init.add_listener\n"
        "def begin(environment, **_): environment.path = environment.parsed_options.path\n"
        "class Visitor(HttpUser):\n"
        "    wait_time = between(0.1, 0.3)\n"
        "    @task(3)\n"
        "    def look(self): self.client.get(self.environment.path)\n"
        "    @task\n"
        "    def slow(self): self.client.get('/slow', timeout=0.3)\n"
    )
    port = free_port()
    with served([sys.executable, str(SHOP), str(port)], port, tmp_path):
        outcome = soak(tmp_path, "run", str(scenario(tmp_path, USERS.format(port=port, load=load))), "--json")
        seen = stats(port)["seen"]
    account = outcome.verdict["validity"]
    assert account["balanced"], outcome.show()
    assert seen["GET plain"] > 10
    assert recorded(outcome) == {("GET /plain", "ok"): seen["GET plain"], ("GET /slow", "timeout"): seen["GET slow"]}
    if "rate" in load:
        assert account["scheduled"] == seen["GET plain"] + seen["GET slow"]
        assert abs(account["scheduled"] - 120) < 50  # 30/s for 4 s, whatever the users' own pauses
