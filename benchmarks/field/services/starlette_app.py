"""A file that is downloaded, and resumed by a client whose list of missing ranges becomes longer."""

import sys
import tempfile

import uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route

with tempfile.NamedTemporaryFile(suffix=".bin", delete=False) as made:
    made.write(b"x" * 65536)
missing = 1


async def file(request):
    return FileResponse(made.name)


async def resumed(request):
    """Asks how long what is missing is (HEAD), as the client of a flaky line does; its list of ranges grows."""
    global missing
    missing += 1
    header = "bytes=" + ",".join(f"{3 * i}-{3 * i + 1}" for i in range(missing))
    request.scope["headers"] = [*request.scope["headers"], (b"range", header.encode())]
    request.scope["method"] = "HEAD"
    return FileResponse(made.name)


app = Starlette(routes=[Route("/file", file), Route("/resumed", resumed)])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical")
