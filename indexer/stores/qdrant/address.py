"""The address of a collection: `qdrant://HOST:PORT/COLLECTION`, or `qdrants://` over TLS."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from indexer.errors import VectorStoreError

API_KEY = "PEMR_QDRANT_API_KEY"
"""The variable of the environment that holds the key; it is written down nowhere."""

_SCHEMES = {"qdrant": False, "qdrants": True}
_NAME = re.compile(r"[\w.-]{1,200}")
_PORT = 6333
_FORM = "write qdrant://HOST:6333/COLLECTION"


@dataclass(frozen=True, slots=True)
class CollectionAddress:
    """Where a collection is, and how it is made where there is none.

    Parameters
    ----------
    host : str
        Name or number of the server.
    port : int
        Where it listens for HTTP.
    collection : str
        Name of the collection.
    is_safe : bool
        Whether the connection is encrypted.
    timeout_s : int
        How long an answer may take.
    n_shards, n_replicas : int
        Into how many parts a new collection is cut on a cluster, and how often each is kept.
    """

    host: str
    port: int
    collection: str
    is_safe: bool = False
    timeout_s: int = 30
    n_shards: int = 6
    n_replicas: int = 1

    def __str__(self) -> str:
        scheme = "qdrants" if self.is_safe else "qdrant"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/{self.collection}"


def collection_address(text: str) -> CollectionAddress:
    """Read an address.

    Parameters
    ----------
    text : str
        Such as `qdrants://db.example:6333/music?timeout=60&shards=12&replicas=2`; what follows
        the question mark may be left out.

    Returns
    -------
    CollectionAddress

    Raises
    ------
    VectorStoreError
        If it cannot be read, or holds a key.
    """
    try:
        parts = urlsplit(text)
        port = parts.port or _PORT
    except ValueError as error:
        raise VectorStoreError(text, f"no address: {error}; {_FORM}") from error
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise VectorStoreError(text, f"no address of a collection; {_FORM}")
    if parts.username is not None or parts.password is not None:
        raise VectorStoreError(
            f"{parts.scheme}://{parts.hostname}",
            f"an address holds no key; put it into {API_KEY}",
        )
    collection = parts.path.strip("/")
    if not _NAME.fullmatch(collection):
        raise VectorStoreError(text, f"it names no collection; {_FORM}")
    numbers = _numbers(text, parts.query)
    return CollectionAddress(
        parts.hostname, port, collection, is_safe=_SCHEMES[parts.scheme], **numbers
    )


def _numbers(text: str, query: str) -> dict[str, int]:
    fields = {"timeout": "timeout_s", "shards": "n_shards", "replicas": "n_replicas"}
    found = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in fields or not value.isdecimal() or not 0 < int(value) < 10_000:
            way_out = "timeout, shards and replicas are whole numbers above 0"
            raise VectorStoreError(text, f"{name}={value} is not understood; {way_out}")
        found[fields[name]] = int(value)
    return found
