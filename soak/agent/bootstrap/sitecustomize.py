"""Python imports a module of this name at its start (the site module): it starts the agent, then steps aside.

The folder of this file is put first in PYTHONPATH, which children inherit, so that worker processes have an agent
too. Any Python may come by here, even 2.7: what is too old for the agent is left alone.
"""

import os
import sys


def _start():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != here]
    try:
        if sys.version_info >= (3, 9) and sys.platform == "linux":
            from importlib.util import module_from_spec, spec_from_file_location

            # under a name of its own: the target may have another soak installed, or none
            folder = os.path.dirname(here)
            spec = spec_from_file_location(
                "_soak_agent", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
            )
            agent = module_from_spec(spec)
            sys.modules["_soak_agent"] = agent
            spec.loader.exec_module(agent)
    except Exception:
        pass  # the host's start matters more
    # the sitecustomize that would have been found without us
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError:
        if ours is not None:
            sys.modules["sitecustomize"] = ours


_start()
