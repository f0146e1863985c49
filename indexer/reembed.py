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
from indexer.rows import Embedded, Known
from indexer.scan import AudioFile
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
    copies: dict[str | None, list[Known]] = {}
    for known in catalog.known():
        copies.setdefault(known.file.audio_hash, []).append(known)
    done = {known.file.audio_hash for known in new.known()}
    jobs = []
    for audio_hash, same in copies.items():
        source = next((known.file for known in same if _is_as_it_was(known.file)), None)
        if audio_hash in done:
            yield from (Unchanged(known.file.path) for known in same)
        elif source is None:
            yield from (_lost(known.file.path) for known in same)
        else:
            jobs.append(((source, same), source.path))
    for (source, same), outcome in embed_files(embedder, jobs):
        if isinstance(outcome, Embedded):
            new.store(source, NO_TAGS, outcome)
            yield from (_added(known, outcome) for known in same)
        else:
            reason = reason_of(cast(Exception, outcome))
            yield from (Skipped(known.file.path, reason) for known in same)


def _is_as_it_was(file: AudioFile) -> bool:
    try:
        status = file.path.stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (file.size_bytes, file.mtime_ns)


def _lost(path: Path) -> Event:
    if path.exists():
        return Skipped(path, "changed since it was indexed; `pemr index` takes it up again")
    return Missing(path)


def _added(known: Known, embedded: Embedded) -> Added:
    silent = not len(embedded.vectors)
    return Added(known.file.path, known.track_id, embedded.duration_s, silent)
