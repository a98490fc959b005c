"""What the collector tracks, by type, and the containers and buffers that hold most: a look for suspects only.

`gc.get_objects` stops all Python threads while it lists them: some 20 ns an object. The list is then counted in
pieces between which others run.
"""

from __future__ import annotations

import gc
import sys
from _io import BytesIO, StringIO
from collections import Counter, OrderedDict, deque
from functools import _lru_cache_wrapper
from types import FrameType, ModuleType
from typing import Any

MOST_BLOCKS = 5_000_000
"""With more objects than this a look would stop the host for too long."""
_LEAST_ITEMS = 100
_CONTAINERS = (list, dict, set, deque, OrderedDict)
_SIZED = (*_CONTAINERS, tuple, frozenset)
_STREAMS = (BytesIO, StringIO)
_FEW_ITEMS = 8
_VIEWS = 8
_MALLOC = 512
"""Bytes: what is larger is malloc's, what is smaller is in Python's own arenas (Objects/obmalloc.c)."""
_LARGE = 64 * 1024
_AT_ONCE = 500
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class whose __sizeof__ may be the host's own code
_HAS_GC = 1 << 14


def look(types: int = 30, containers: int = 10) -> dict[str, Any]:
    """The most frequent types with their counts; the largest containers and buffers, with what holds them.

    `large`: bytes that objects took from malloc, so that what malloc has given to others is known.
    """
    if sys.getallocatedblocks() > MOST_BLOCKS:
        return {"skipped": f"more than {MOST_BLOCKS:,} objects"}
    objects = gc.get_objects()
    counts: Counter[type] = Counter()
    found = _Found()
    for held in objects:
        kind = type(held)
        counts[kind] += 1
        found.container(held, kind)
    total = len(objects)
    for start in range(0, total, _AT_ONCE):
        found.below(objects[start : start + _AT_ONCE])
    del objects, held
    large = sorted(found.containers.values(), key=lambda item: item[0], reverse=True)[:containers]
    buffers = sorted(found.buffers, key=lambda item: item[0], reverse=True)[:containers]
    chosen = [*(held for _, held in large), *(held for _, held in buffers)]
    referrers = gc.get_referrers(*chosen)  # once: it goes through the whole heap
    names, caches = _holders(chosen, referrers), _caches(referrers)
    return {
        "total": total,
        "large": found.bytes,
        "types": {_type_name(kind): count for kind, count in counts.most_common(types)},
        "containers": [
            {
                "id": id(held),
                "type": type(held).__name__,
                "items": items,
                "name": names.get(id(held), ""),
                "limit": deque.maxlen.__get__(held) if isinstance(held, deque) else None,
                **caches.get(id(held), {}),
            }
            for items, held in large
        ],
        "buffers": [
            {"id": id(held), "type": type(held).__name__, "bytes": size, "name": names.get(id(held), "")}
            for size, held in buffers
        ],
    }


class _Found:
    """What the collector tracks leads to the rest.

    It does not track what holds bytes and nothing else (bytes, bytearray, array, numpy's arrays), and stops to track
    dictionaries and tuples that hold nothing that could be part of a cycle; records are often just that.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.containers: dict[int, tuple[int, Any]] = {}
        self.buffers: list[tuple[int, Any]] = []
        self._plain: dict[type, bool] = dict.fromkeys((int, float, bool, type(None), type), False)
        self._bases: dict[type, Any] = {}
        self._seen: set[int] = set()

    def container(self, held: Any, kind: type) -> None:
        """Note it if it is a container, or of a class that is made of one, and large. Runs no code of the host's."""
        if kind not in self._bases:
            self._bases[kind] = next((b for b in kind.__mro__ if b in _SIZED or b in _STREAMS), None)
        base = self._bases[kind]
        if base is None:
            return
        if base in _STREAMS:
            self._buffer(held, base.__sizeof__(held))
            return
        items = base.__len__(held)
        if items <= _FEW_ITEMS:
            return
        size = base.__sizeof__(held)
        self.bytes += size if size > _MALLOC else 0
        if items >= _LEAST_ITEMS and base in _CONTAINERS:
            self.containers[id(held)] = (items, held)

    def _viewed(self, held: Any, kind: Any) -> None:
        """An array of numpy's by itself, or what it is a view of."""
        whole = held
        for _ in range(_VIEWS):
            if type(whole.base) is not kind:
                break
            whole = whole.base
        self._buffer(whole, kind.__sizeof__(whole))

    def _buffer(self, held: Any, size: int) -> None:
        """Note what holds bytes, once, if it took them from malloc."""
        if size > _MALLOC and id(held) not in self._seen:
            self._seen.add(id(held))
            self.bytes += size
            if size >= _LARGE:
                self.buffers.append((size, held))

    def below(self, holders: list[Any]) -> None:
        """Note what they hold that nobody lists."""
        held_by = gc.get_referents(*holders)
        while held_by:
            untracked = []
            for held in held_by:
                kind = type(held)
                if kind not in self._plain:
                    self._plain[kind] = kind.__module__ == "array" or not kind.__flags__ & (_HEAP_TYPE | _HAS_GC)
                if (kind is dict or kind is tuple) and held and not gc.is_tracked(held):
                    untracked.append(held)
                    if len(held) > _FEW_ITEMS and id(held) not in self._seen:
                        self._seen.add(id(held))
                        self.container(held, kind)
                elif kind.__name__ == "ndarray" and kind.__module__ == "numpy":
                    self._viewed(held, kind)
                elif self._plain[kind]:
                    self._buffer(held, held.__sizeof__())
            held_by = gc.get_referents(*untracked) if untracked else []


def _type_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _holders(chosen: list[Any], referrers: list[Any]) -> dict[int, str]:
    """By identity: the global, the attribute of a class, or the variable that holds each container, if one does."""
    wanted = {id(held) for held in chosen}
    modules = {id(vars(m)): n for n, m in list(sys.modules.items()) if isinstance(m, ModuleType)}
    found: dict[int, str] = {}
    inner: dict[int, list[tuple[str, int]]] = {}
    dictionaries = []
    for referrer in referrers:
        if referrer is chosen or isinstance(referrer, FrameType):
            continue
        if isinstance(referrer, dict):
            keys = [(str(k), id(v)) for k, v in list(referrer.items()) if id(v) in wanted]
            if id(referrer) in modules:
                found.update({identity: f"{modules[id(referrer)]}.{key}" for key, identity in keys})
            else:
                inner[id(referrer)] = keys
                dictionaries.append(referrer)
        else:
            for key, value in _attributes(referrer):
                if id(value) in wanted:
                    found.setdefault(id(value), f"{_type_name(type(referrer))}.{key}")
    # the attributes of an object may live in a dictionary of its own: one step further
    for owner in gc.get_referrers(*dictionaries) if dictionaries else ():
        keys = inner.get(id(getattr(owner, "__dict__", None)), []) if type(owner).__module__ != "builtins" else []
        for key, identity in keys:
            found.setdefault(identity, f"{_type_name(type(owner))}.{key}")
    return found


def _caches(referrers: list[Any]) -> dict[int, dict[str, Any]]:
    """By identity: the function of whose functools.lru_cache a dictionary is the store, and how many it may hold."""
    found = {}
    for cache in referrers:
        if type(cache) is _lru_cache_wrapper:
            function = vars(cache)
            name = f"{function.get('__module__', '')}.{function.get('__qualname__', '')}"
            limit = _lru_cache_wrapper.cache_info(cache).maxsize
            for held in gc.get_referents(cache):
                if type(held) is dict and held is not function:
                    found[id(held)] = {"type": "lru_cache", "name": name, "limit": limit}
    return found


def _attributes(held: Any) -> list[tuple[str, Any]]:
    """Attributes as they are stored: reading a property could run the host's code."""
    if type(held).__name__ == "cell":
        try:
            return [("closure", held.cell_contents)]
        except ValueError:  # an empty one
            return []
    try:
        return [(str(n), v) for n, v in list(object.__getattribute__(held, "__dict__").items())]
    except (AttributeError, RuntimeError, TypeError):
        return []
