"""Audio in, embeddings out.

The door of the room: names are resolved on first use (PEP 562), so that
importing pemr does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pemr.embed import Embedder, embedder_names, load_embedder, preset_of
    from pemr.errors import PemrError
    from pemr.opus import opus_stream

__all__ = [
    "Embedder",
    "PemrError",
    "embedder_names",
    "load_embedder",
    "opus_stream",
    "preset_of",
]

_HOMES = {
    "Embedder": "pemr.embed",
    "PemrError": "pemr.errors",
    "embedder_names": "pemr.embed",
    "load_embedder": "pemr.embed",
    "opus_stream": "pemr.opus",
    "preset_of": "pemr.embed",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (PEP 562: any public name)
    if name not in _HOMES:
        raise AttributeError(f"module 'pemr' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
