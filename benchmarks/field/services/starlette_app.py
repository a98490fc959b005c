"""A file that is downloaded, whole or in ranges."""

import sys
import tempfile

import uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route

with tempfile.NamedTemporaryFile(suffix=".bin", delete=False) as made:
    made.write(b"x" * 65536)


async def file(request):
    return FileResponse(made.name)


app = Starlette(routes=[Route("/file", file)])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
