"""A query becomes ranked candidates; rankings become scores.

The door of the room; what lies behind it is loaded when it is asked for, so that importing the
room is quick.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrieval.candidate import Candidate, Query, candidate_rows, m3u
    from retrieval.errors import RetrievalError
    from retrieval.query import read_query
    from retrieval.search import N_ALIGNED, copies, search, stored_query

__all__ = [
    "N_ALIGNED",
    "Candidate",
    "Query",
    "RetrievalError",
    "candidate_rows",
    "copies",
    "m3u",
    "read_query",
    "search",
    "stored_query",
]

_HOMES = {
    "candidate": "Candidate Query candidate_rows m3u",
    "errors": "RetrievalError",
    "query": "read_query",
    "search": "N_ALIGNED copies search stored_query",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a door opens on anything)
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__


class _Door(ModuleType):
    """Keeps `retrieval.search` the function, though a module of that name is loaded behind it."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Door
