"""Who may ask and how much, and how sound is made for browsers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Opus = Callable[[Path, float], Iterator[bytes]]
"""Given a file and where to begin in seconds, yields Ogg Opus."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Who may ask, and how much.

    Parameters
    ----------
    hosts : frozenset of str
        Names that the server goes by; empty where any name will do, since a token is asked for.
    token : str or None
        What a request must carry.
    upload_bytes : int
        The largest upload.
    upload_s : float
        The longest that a request's body may take to arrive.
    """

    hosts: frozenset[str] = LOOPBACK
    token: str | None = None
    upload_bytes: int = 512 << 20
    upload_s: float = 120.0
