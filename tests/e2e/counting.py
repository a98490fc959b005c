"""A server that counts its requests by who sent them, in a file. `python counting.py PORT`"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from pathlib import Path

import waitress
from flask import Flask, request

app = Flask(__name__)
seen: Counter[str] = Counter()
lock = threading.Lock()


@app.get("/")
def root() -> str:
    with lock:
        seen[request.remote_addr or ""] += 1
        Path("count.tmp").write_text(json.dumps(seen))
        Path("count.tmp").rename("count.json")
    return "ok"


waitress.serve(app, listen=f"0.0.0.0:{sys.argv[1]}", threads=16)
