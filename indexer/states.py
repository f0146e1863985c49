"""The states that the vectors of a catalog have gone through: statements, as `indexer.statements`.

Each change of the vectors counts a generation. In a folder one vector file belongs to the database,
which names it. On a server each machine has vector files of its own, so every generation has a
number that was drawn for it, and a file counts if the database has been in its state.
"""

import secrets

import numpy as np
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from indexer import signed
from indexer.address import Place
from indexer.errors import DamagedCatalogError
from indexer.records import Ids
from indexer.repair import Name
from indexer.schema import CatalogRow, ChangeRow, EmbeddingRow, RemovalRow


def is_shared(session: Session) -> bool:
    """Whether the database is on a server, where many processes write to it."""
    return session.get_bind().dialect.name == "postgresql"


def make(session: Session, embedder_name: str, dim: int) -> bool:
    """Write down what a new catalog is made with, and say whether it is new."""
    if session.get(CatalogRow, 1) is not None:
        return False
    token = secrets.randbits(62) if is_shared(session) else 0
    new = CatalogRow(id=1, embedder=embedder_name, dim=dim, generation=0, token=token)
    session.add(new)
    if is_shared(session):
        session.add(ChangeRow(generation=0, token=token))
    session.flush()
    return True


def change_over(session: Session, embedder_name: str, dim: int) -> None:
    """Write down another embedder; no vector file of before belongs to what comes."""
    about = session.get_one(CatalogRow, 1)
    about.embedder, about.dim, about.merged = embedder_name, dim, -1
    past = (ChangeRow.generation > 0) & (ChangeRow.generation < about.generation)
    session.execute(delete(ChangeRow).where(past))


def identity(session: Session) -> int | None:
    """Read the number that was drawn for a catalog on a server when it was made."""
    return session.scalar(select(ChangeRow.token).where(ChangeRow.generation == 0))


def next_generation(session: Session, embedder_name: str) -> int | None:
    """Count one more change to the vectors of an embedder.

    On a server, others who change vectors wait here until the transaction ends, so generations
    come in the order in which they are seen.

    Returns
    -------
    int or None
        None if the catalog has been changed over to another embedder.
    """
    about = _held(session)
    if about.embedder != embedder_name:
        return None
    about.generation += 1
    if is_shared(session):
        about.token = secrets.randbits(62)
        session.add(ChangeRow(generation=about.generation, token=about.token))
    session.flush()
    return about.generation


def _held(session: Session) -> CatalogRow:
    """Read the catalog's row as it is now, to change it; others who would wait until that is done.

    Its checksum is of all that it holds, so nobody may change another part of it meanwhile.
    """
    return session.get_one(CatalogRow, 1, with_for_update=True, populate_existing=True)


def count_tracks(session: Session, n_more: int) -> None:
    """Count tracks that came, or went, in a transaction that has counted a generation."""
    session.get_one(CatalogRow, 1).n_tracks += n_more


_COUNTED = {
    "n_tracks": "tracks", "n_sounding": "tracks", "n_labels": "labels", "n_skips": "skipped files",
    "n_roots": "folders",
}  # fmt: skip


def refuse_lost(place: Place, about: CatalogRow, **found: int) -> None:
    """Raise a `DamagedCatalogError` if less was found than was counted, or more."""
    for name, n_found in found.items():
        n_counted = getattr(about, name)
        if n_found != n_counted:
            what = f"its database (it holds {n_found} of {n_counted} {_COUNTED[name]})"
            raise DamagedCatalogError(place, what)


def has_been(session: Session, generation: int, token: int) -> bool:
    """Whether a catalog on a server has been in a state."""
    return (
        session.scalar(select(ChangeRow.token).where(ChangeRow.generation == generation)) == token
    )


def n_changed(session: Session, since: int) -> int:
    """Count the tracks whose vectors came or went after a generation."""
    came = select(func.count()).where(EmbeddingRow.generation > since)
    went = select(func.count()).where(RemovalRow.generation > since)
    return int(session.scalar(came) or 0) + int(session.scalar(went) or 0)


def removed(session: Session, since: int) -> Ids:
    """List the tracks whose vectors went after a generation, that of the vector file or later."""
    found = signed.rows(session, RemovalRow, RemovalRow.generation > since)
    return np.array([track_id for track_id, _ in found], dtype=np.int64)


def n_segments(session: Session, dim: int) -> int:
    """Count the segments of all tracks."""
    return int(session.scalar(select(func.sum(func.length(EmbeddingRow.vectors)))) or 0) // (
        4 * dim
    )


def n_sounding(session: Session) -> int:
    """Read how many tracks have segments, as it is kept beside them."""
    return session.get_one(CatalogRow, 1).n_sounding


def merged(session: Session, about: CatalogRow) -> Name | None:
    """Name the state that the store of a catalog holds; None where it was never filled."""
    if about.merged < 0:
        return None
    if not is_shared(session):
        return Name(about.merged, about.token)
    was = select(ChangeRow.token).where(ChangeRow.generation == about.merged)
    token = session.scalar(was)
    return None if token is None else Name(about.merged, token)


def to_be_merged(session: Session, about: CatalogRow) -> Name:
    """Name the present state, to which a store is brought."""
    token = about.token if is_shared(session) else secrets.randbits(62)
    return Name(about.generation, token)


def set_merged(session: Session, generation: int, token: int, noted: str = "") -> None:
    """Say which state of the vectors their store holds from now on.

    Nothing is said where they are kept elsewhere than noted by now: that is filled by who said so.
    On a server nothing is forgotten that a machine's own file may still need.
    """
    about = _held(session)
    if about.vectors != noted:
        return
    about.merged = generation
    if is_shared(session):
        return
    about.token = token
    session.execute(delete(RemovalRow).where(RemovalRow.generation <= generation))


def stamp(session: Session) -> str:
    """Tell one state of a server's database from another: which transactions have ended."""
    return str(session.scalar(text("SELECT pg_current_snapshot()::text")))


def size_bytes(session: Session) -> int:
    """Measure the database of a server."""
    return int(session.scalar(text("SELECT pg_database_size(current_database())")) or 0)


def vectors_at(session: Session) -> str:
    """Read where the vectors are searched, as it was noted; empty where that is in files."""
    return session.scalar(select(CatalogRow.vectors)) or ""


def keep_vectors(session: Session, noted: str) -> str:
    """Say where the vectors are searched from now on; that is filled anew.

    Returns
    -------
    str
        What is noted now: of processes that name the same address, the first one's.
    """
    about = _held(session)
    if about.vectors.rpartition("#")[0] != noted.rpartition("#")[0]:
        about.vectors, about.merged = noted, -1
    return about.vectors
