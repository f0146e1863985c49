"""The vectors of a catalog in an engine behind an address, which its database names.

The writers bring the engine up to date, and the database says which of its states the engine
holds. Nothing is asked of the engine before something is searched or written.

Letters: D embedding.
"""

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from indexer import repair, sounds, states
from indexer.errors import VectorStoreError
from indexer.postgresql import filling
from indexer.repair import Name
from indexer.schema import CatalogRow
from indexer.searched import EXACT_LENGTH
from indexer.stores.engine import VectorEngine
from indexer.stores.filling import Owner, RemoteStore
from indexer.stores.index import Rows, VectorIndex
from indexer.stores.qdrant.address import CollectionAddress, collection_address
from indexer.stores.remote import RemoteIndex

log = logging.getLogger(__name__)

IN_FILES = "files"
"""What stands for an address where vectors are kept in files."""


class Here(Protocol):
    """What a catalog has on this machine, wherever its vectors are."""

    folder: Path

    def stamp(self, session: Session) -> tuple[object, ...]:
        """Tell one state of the catalog from another."""

    def size_bytes(self, session: Session) -> int:
        """Measure what is here, and the database."""


def rows_of(session: Session, dim: int) -> Rows:
    """Offer the vectors of a database in the state that a session sees."""
    return Rows(
        dim=dim,
        all=lambda: sounds.all_vectors(session, dim),
        since=lambda since: sounds.all_vectors(session, dim, since),
        gone=lambda since: states.removed(session, since),
        of=lambda track_ids: sounds.vectors_of(session, track_ids, dim),
        n_tracks=lambda: states.n_sounding(session),
        n_segments=lambda: states.n_segments(session, dim),
    )


def changed(session: Session, searched: VectorIndex, since: int, until: int) -> VectorIndex:
    """Bring what is searched from one generation to another."""
    if since == until:
        return searched
    rows = rows_of(session, searched.dim)
    return searched.over(rows).changed(rows.gone(since), rows.since(since))


def _connected(address: CollectionAddress) -> VectorEngine:
    if find_spec("qdrant_client") is None:
        reason = "this needs the extra [qdrant]: pip install 'pemr-covers[qdrant]'"
        raise VectorStoreError(str(address), reason)
    from indexer.stores.qdrant.points import connected  # noqa: PLC0415 (of the extra)

    return connected(address)


connect: Callable[[CollectionAddress], VectorEngine] = _connected


class EngineAfar:
    """The vectors of a catalog in an engine.

    Parameters
    ----------
    here : Here
        What the catalog has on this machine.
    engine : Engine
        Its database.
    noted : str
        What the database says of the place: an address, and the number that was drawn for this
        catalog's points.
    """

    def __init__(self, here: Here, engine: Engine, noted: str) -> None:
        self.folder = here.folder
        self._here = here
        self._database = engine
        self.address, _, self._number = noted.rpartition("#")
        self._engine: VectorEngine | None = None
        self._seen: Name | None = None  # the state that it was last seen to hold

    @staticmethod
    def noted(address: str) -> str:
        """Write down an address that answers, with a new number for a catalog's points.

        Raises
        ------
        VectorStoreError
            If it is none, or nothing can be reached there.
        """
        connect(collection_address(address)).close()
        return f"{address}#{secrets.token_hex(8)}"

    def stamp(self, session: Session) -> tuple[object, ...]:
        """Tell one state of the catalog from another."""
        return self._here.stamp(session)

    def size_bytes(self, session: Session) -> int:
        """Measure what is here, and the database."""
        return self._here.size_bytes(session)

    def store(self, embedder_name: str) -> RemoteStore:
        """Reach the engine, for the vectors of an embedder.

        Raises
        ------
        VectorStoreError
            If it cannot be reached.
        """
        if self._engine is None:
            self._engine = connect(collection_address(self.address))
        return RemoteStore(self._engine, Owner(self._number, embedder_name))

    def name(self, session: Session, about: CatalogRow) -> Name | None:
        """Name the state that the engine holds; None where it was never filled."""
        return states.merged(session, about)

    def state(self, session: Session, about: CatalogRow) -> Name:
        """Name what is searched now, to be asked about later."""
        return states.merged(session, about) or Name(-1, 0)

    def is_still(self, session: Session, about: CatalogRow, state: Name) -> bool:
        """Whether what was searched in a state can be brought up to date from the database."""
        return state == self.state(session, about)

    def read(self, session: Session, about: CatalogRow, name: Name, dim: int) -> VectorIndex:
        """Offer what the engine holds of a state; it is reached when it is first asked."""
        rows = rows_of(session, dim)
        store = partial(self.store, about.embedder)
        return RemoteIndex(lambda: self._checked(store, name, dim), rows)

    def _checked(self, reach: Callable[[], RemoteStore], name: Name, dim: int) -> VectorEngine:
        store = reach()
        if name != self._seen:
            if not store.holds(name, dim):
                reason = (
                    "it does not hold what the catalog put there; "
                    "if that is so again, `pemr repair` fills it anew"
                )
                raise VectorStoreError(self.address, reason)
            self._seen = name
        return store.engine

    def rebuilt(self, session: Session, about: CatalogRow, dim: int) -> VectorIndex:  # noqa: ARG002 (as for files)
        """Make what is searched in memory, as long as few tracks are all that there is.

        Raises
        ------
        VectorStoreError
            If the engine has to be filled first.
        """
        n_tracks = sounds.n_sounding(session)
        if n_tracks > EXACT_LENGTH:
            reason = "it is not filled yet; wait for `pemr index`, or let `pemr repair` fill it"
            raise VectorStoreError(self.address, reason)
        return repair.rebuilt(rows_of(session, dim).all, n_tracks, dim)

    def renewed(self, session: Session, about: CatalogRow, searched: VectorIndex) -> VectorIndex:  # noqa: ARG002 (as for files)
        """Return what was opened as it is."""
        return searched

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep out other processes that would fill the engine."""
        with filling(self._database):
            yield

    def brought(
        self, session: Session, about: CatalogRow, dim: int, *, is_whole: bool
    ) -> Iterator[int | Name]:
        """Bring the engine up to date, where something came or went, or look at every point.

        Yields
        ------
        int or Name
            How many tracks were put or found in place; at the end the state that is held now.

        Raises
        ------
        VectorStoreError
            If the engine cannot be reached, is full or refuses; the next call goes on from there.
        """
        name = self.name(session, about)
        if name is not None and not is_whole and not states.n_changed(session, name.generation):
            return
        new = states.to_be_merged(session, about)
        yield from self.store(about.embedder).write(
            name, rows_of(session, dim), new, is_whole=is_whole
        )
        yield new

    def settle(self, session: Session, name: Name) -> None:
        """Write down which state the engine holds."""
        noted = f"{self.address}#{self._number}"
        states.set_merged(session, name.generation, name.token, noted)

    def tidy(self, name: Name) -> None:  # noqa: ARG002 (as for files)
        """Delete what was kept in files before."""
        repair.delete_files(self.folder)

    def close(self) -> None:
        """Let go of the engine."""
        if self._engine is not None:
            self._engine.close()
            self._engine = self._seen = None
