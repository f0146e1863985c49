"""The application at an address, until somebody stops it."""

import logging
import os
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from urllib.parse import urlencode

from indexer import Address, Catalog
from retrieval.errors import ServiceError
from retrieval.ranking.ranking import ranking_from
from retrieval.service.limits import LOOPBACK, Limits, Opus
from retrieval.service.shelf import Shelf
from retrieval.service.work.hearing import Apart, Load

log = logging.getLogger(__name__)

DEFAULT_PORT = 8765
_STOP_S = 1.0  # for answers that are under way
_EXIT_S = 2.5  # after which the process ends whatever runs


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where to serve, and to whom.

    Parameters
    ----------
    host : str
        Address to listen at.
    port : int
        0 for any that is free.
    token : str or None
        What requests must carry; needed for any address but this machine's own.
    upload_mb : int
        The largest upload.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = field(default=None, repr=False)
    upload_mb: int = 512

    def __post_init__(self) -> None:
        """Refuse what would be open to everybody.

        Raises
        ------
        ServiceError
            If another address than this machine's own is asked for without a token.
        """
        if self.host not in LOOPBACK and not self.token:
            raise ServiceError(
                f"{self.host} can be reached from other machines: choose a secret with --token"
            )
        if self.token is not None and not (self.token.isascii() and len(self.token) >= 8):
            raise ServiceError("a token has at least eight letters or digits")


def serve(
    catalog: Path | Address,
    load: Load,
    opus: Opus,
    place: Place,
    say: Callable[[str], object],
) -> None:
    """Serve a catalog until the process is told to stop.

    Parameters
    ----------
    catalog : Path or Address
        Where it is.
    load : callable
        Makes the catalog's embedder, here and in other processes; it must pickle.
    opus : callable
        Given a file and where to begin in seconds, yields Ogg Opus.
    place : Place
        Where.
    say : callable
        Told the address once it answers.

    Raises
    ------
    ServiceError
        If the extra is not installed, or the address is taken.
    CatalogError
        If the catalog cannot be read with this embedder.
    """
    absent = [name for name in ("fastapi", "uvicorn", "python_multipart") if not find_spec(name)]
    if absent:
        raise ServiceError("`pemr serve` needs the extra [web]: pip install 'pemr-covers[web]'")
    with closing(_bound(place)) as listening:
        _run(catalog, load, opus, place, say, listening)


def _bound(place: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((place.host, place.port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        reason = (error.strerror or str(error)).lower()
        raise ServiceError(
            f"{place.host}, port {place.port}: {reason}; choose another with --port"
        ) from error
    return listening


def _run(
    catalog: Path | Address, load: Load, opus: Opus, place: Place, say: Callable[[str], object],
    listening: socket.socket,
) -> None:  # fmt: skip
    import uvicorn  # noqa: PLC0415 (of the extra)

    from retrieval.service.app import application  # noqa: PLC0415 (likewise)
    from retrieval.service.desk import Desk  # noqa: PLC0415

    apart = Apart(load)
    Catalog.open(catalog, apart.name).close()
    desk = Desk(Shelf(catalog, apart.name), apart, ranking_from(apart.ranking), opus, _version())
    app = application(desk, _limits(place))
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="off",
        timeout_graceful_shutdown=int(_STOP_S), limit_concurrency=512,
    )  # fmt: skip
    server = uvicorn.Server(config)

    def stop(sig: int, frame: FrameType | None) -> None:  # noqa: ARG001 (as it is called)
        server.should_exit = True
        desk.jobs.close()
        end = threading.Timer(_EXIT_S, os._exit, [0])
        end.daemon = True
        end.start()
        log.info("stopping after signal %d", sig)

    server.handle_exit = stop  # type: ignore[method-assign]  # uvicorn's would raise it once more
    say(f"open {_address(place, listening)}")
    try:
        server.run(sockets=[listening])
    finally:
        desk.close()


def _limits(place: Place) -> Limits:
    hosts = LOOPBACK | {place.host} if place.token is None else frozenset()
    return Limits(hosts=hosts, token=place.token, upload_bytes=place.upload_mb << 20)


def _address(place: Place, listening: socket.socket) -> str:
    port = listening.getsockname()[1]
    host = f"[{place.host}]" if ":" in place.host else place.host
    query = "" if place.token is None else f"?{urlencode({'token': place.token})}"
    return f"http://{host}:{port}/{query}"


def _version() -> str:
    try:
        return version("pemr-covers")
    except PackageNotFoundError:  # run from a folder, not installed
        return "0"
