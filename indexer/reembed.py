"""A catalog changed over to another embedder, while the old one goes on answering."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from indexer.catalog import Catalog
from indexer.embedder import Embedder
from indexer.errors import ForeignEmbedderError
from indexer.events import Added, Event, Missing, Skipped, Unchanged, reason_of
from indexer.pipeline import embed_files
from indexer.rows import Embedded
from indexer.tags import NO_TAGS


def reembed(path: Path, embedder: Embedder) -> Iterator[Event]:
    """Change a catalog over to another embedder, while the old one goes on answering.

    The new vectors are gathered in a catalog of their own, in the folder `reembed` inside this
    one, and taken over in a single transaction when all are there. Cut short, it goes on where it
    was. Tracks whose file is gone, or cannot be decoded any more, stay in the catalog without
    vectors, and are embedded when `build` finds them again.

    Parameters
    ----------
    path : Path
        The catalog's folder.
    embedder : Embedder
        The new one.

    Yields
    ------
    Event
        `Unchanged` for a track that an earlier, unfinished run has done, `Added` for one that
        was embedded now, `Missing` or `Skipped` for one that could not be.

    Raises
    ------
    CatalogError
        As `Catalog.open` does.
    """
    with Catalog.open(path) as catalog:
        staging = catalog.path / "reembed"
        if catalog.embedder_name == embedder.name:
            _discard(staging)
            for track in catalog.tracks():
                yield Unchanged(track.path)
            return
        with _staged(staging, embedder) as new:
            yield from _embed_again(catalog, new, embedder)
            catalog.exchange(new)
        catalog.flush()
        _discard(staging)


def _staged(staging: Path, embedder: Embedder) -> Catalog:
    try:
        return Catalog.open(staging, embedder.name, embedder.dim, create=True)
    except ForeignEmbedderError:  # somebody began with yet another embedder
        _discard(staging)
        return Catalog.open(staging, embedder.name, embedder.dim, create=True)


def _discard(staging: Path) -> None:
    shutil.rmtree(staging, ignore_errors=True)


def _embed_again(catalog: Catalog, new: Catalog, embedder: Embedder) -> Iterator[Event]:
    done = {one.file.path: one.file for one in new.known()}
    jobs = []
    known = catalog.known()
    ids = {one.file.path: one.track_id for one in known}
    for one in known:
        if done.get(one.file.path) == one.file:
            yield Unchanged(one.file.path)
        elif one.file.path.exists():
            jobs.append((one.file, one.file.path))
        else:
            yield Missing(one.file.path)
    for file, outcome in embed_files(embedder, jobs):
        if isinstance(outcome, Embedded):
            new.store(file, NO_TAGS, outcome)
            track_id = ids[file.path]
            yield Added(file.path, track_id, outcome.duration_s, not len(outcome.vectors))
        else:
            yield Skipped(file.path, reason_of(cast(Exception, outcome)))
