"""A file to ask with becomes a `Query`, from the catalog where that holds it.

A query is asked at several tempos: covers differ in tempo, and an encoder holds on to a work at
another tempo less well than in another key. The catalog is embedded once, as it is.

Letters: S segments, D embedding.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer import Catalog, Embedder, SegmentBatch, hash_audio
from retrieval.ranking.candidate import Query
from retrieval.ranking.measured import is_cover
from retrieval.ranking.searching import stored_query

TEMPOS: Final = (0.8, 0.89, 1.12, 1.25)
"""Tempos beside its own at which a query is asked, for the embedders of the preset cover."""


def tempos_for(embedder_name: str) -> tuple[float, ...]:
    """Tell at which tempos beside its own a query is worth asking.

    Parameters
    ----------
    embedder_name : str
        As the catalog records it.

    Returns
    -------
    tuple of float
        Factors; none for embedders that it was not measured for.
    """
    return TEMPOS if is_cover(embedder_name) else ()


def embed_at_tempos(
    embedder: Embedder, batches: Sequence[SegmentBatch]
) -> tuple[NDArray[np.float32], ...]:
    """Embed a recording at the tempos of `tempos_for`.

    Parameters
    ----------
    embedder : Embedder
        Its name decides the tempos.
    batches : sequence of SegmentBatch
        All that `embedder.stream` yields of one file.

    Returns
    -------
    tuple of float32 arrays, each of shape (S, D)
    """
    return tuple(embedder.embed_at(batches, tempo) for tempo in tempos_for(embedder.name))


def read_query(
    catalog: Catalog, embedder: Embedder, path: Path, *, at_other_tempos: bool = True
) -> Query:
    """Ask with a file, which may be in the catalog or not.

    Either way it is not its own answer. Where it is asked at its own tempo alone, a file of the
    catalog is not decoded again, unless it has changed since.

    Parameters
    ----------
    catalog : Catalog
        What will be searched.
    embedder : Embedder
        The one that the catalog was made with.
    path : Path
        An audio file.
    at_other_tempos : bool, optional
        Whether it is asked at the tempos of `tempos_for` too.

    Returns
    -------
    Query
        Without embeddings when the file is silent, which `search` refuses.

    Raises
    ------
    Exception
        What `embedder.file_errors` names, if the file cannot be decoded.
    """
    track = catalog.find(path)
    audio_hash = hash_audio(path) if path.is_file() else None
    is_stored = track is not None and track.audio_hash == audio_hash
    is_stretched = at_other_tempos and bool(tempos_for(embedder.name))
    if track is not None and is_stored and not is_stretched:
        return stored_query(catalog, track)
    batches = list(embedder.stream(path))
    versions = embed_at_tempos(embedder, batches) if is_stretched else ()
    if track is not None and is_stored:
        return replace(stored_query(catalog, track), at_other_tempos=versions)
    return Query(
        embeddings=np.concatenate([embedder.embed(batch.segments) for batch in batches]),
        chroma=np.concatenate([batch.chroma for batch in batches], axis=1),
        duration_s=sum(batch.duration_s for batch in batches),
        at_other_tempos=versions,
        track_id=None if track is None else track.id,
        audio_hash=audio_hash,
    )
