"""A catalog changed over to another embedder, while the old one goes on answering."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import cast

from indexer.address import Place
from indexer.catalog import Catalog
from indexer.embedder import Embedder
from indexer.errors import ForeignEmbedderError
from indexer.events import Added, Event, Missing, Skipped, Unchanged, reason_of
from indexer.pipeline import Hear, embed_all
from indexer.reader import Reader
from indexer.records import Embedded, KeptRecording, Known, Recording
from indexer.tags import NO_TAGS
from indexer.writer import Writer


def reembed(place: Place, embedder: Embedder) -> Iterator[Event]:
    """Change a catalog over to another embedder, while the old one goes on answering.

    The new vectors are gathered in a catalog of their own, in the folder `reembed` inside this
    one (of a server's catalog: on this machine), and taken over in a single transaction when all
    are there. Cut short, it goes on where it was. Tracks are embedded from the recordings that the
    catalog keeps. One that was indexed before catalogs kept them is decoded again; where its file
    is gone, it stays in the catalog without vectors, and is embedded when `build` finds it again.

    Parameters
    ----------
    place : Path or Address
        Where the catalog is.
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
        As `Catalog.write` does.
    """
    with Catalog.write(place, is_alone=True) as catalog:
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


def _staged(staging: Path, embedder: Embedder) -> Writer:
    try:
        return Catalog.write(staging, embedder)
    except ForeignEmbedderError:  # somebody began with yet another embedder
        _discard(staging)
        return Catalog.write(staging, embedder)


def _discard(staging: Path) -> None:
    shutil.rmtree(staging, ignore_errors=True)


def _embed_again(catalog: Reader, new: Writer, embedder: Embedder) -> Iterator[Event]:
    copies: dict[str | None, list[Known]] = {}
    for known in catalog.known():
        copies.setdefault(known.file.audio_hash, []).append(known)
    for known in new.known():
        yield from (Unchanged(one.file.path) for one in copies.pop(known.file.audio_hash, []))
    jobs: list[tuple[tuple[Known, list[Known]], Hear]] = []
    for same in copies.values():
        source = _source(same)
        if source is None:
            yield from (_lost(known.file.path) for known in same)
        else:
            jobs.append(((source, same), partial(_heard, catalog, embedder, source)))
    for (source, same), outcome in embed_all(embedder, jobs):
        if isinstance(outcome, Embedded):
            new.store(source.file, NO_TAGS, _without_copy(source, outcome))
            yield from (_added(known, outcome) for known in same)
        else:
            reason = reason_of(cast(Exception, outcome))
            yield from (Skipped(known.file.path, reason) for known in same)


def _without_copy(source: Known, embedded: Embedded) -> Embedded:
    """Leave out the recording where the catalog that is changed over keeps it already."""
    if not source.is_recorded:
        return embedded
    nothing = KeptRecording.without_frames(embedded.recording.duration_s)
    return replace(embedded, recording=nothing)


def _source(same: list[Known]) -> Known | None:
    """Choose the one of some copies that is embedded: one that is recorded, if there is one."""
    recorded = (known for known in same if known.is_recorded)
    as_they_were = (known for known in same if known.file.is_as_it_was())
    return next(chain(recorded, as_they_were), None)


def _heard(catalog: Reader, embedder: Embedder, known: Known) -> Recording:
    (kept,) = catalog.recordings_of([known.track_id]) if known.is_recorded else (None,)
    return embedder.listen(known.file.path) if kept is None else embedder.restore(kept)


def _lost(path: Path) -> Event:
    if path.exists():
        return Skipped(path, "changed since it was indexed; `pemr index` takes it up again")
    return Missing(path)


def _added(known: Known, embedded: Embedded) -> Added:
    silent = not len(embedded.vectors)
    return Added(known.file.path, known.track_id, embedded.recording.duration_s, silent)
