"""A file to ask with becomes a `Query`, from the catalog where that holds it.

A query is asked at several tempos: covers differ in tempo, and an encoder holds on to a work at
another tempo less well than in another key. The catalog is embedded once, as it is.

Letters: S segments, D embedding.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
from numpy.typing import NDArray

from indexer import Embedder, Reader, Recording, Track, hash_audio
from retrieval.ranking.candidate import Query
from retrieval.ranking.matching.align import warm_up
from retrieval.ranking.matching.harmony import tonal
from retrieval.ranking.ranking import PLAIN, Ranking
from retrieval.ranking.searching import stored_query

log = logging.getLogger(__name__)


def embed_at_tempos(
    embedder: Embedder, recording: Recording, tempos: Sequence[float]
) -> tuple[NDArray[np.float32], ...]:
    """Embed a recording at several tempos.

    Parameters
    ----------
    embedder : Embedder
        What embeds.
    recording : Recording
        From `embedder.listen` or `embedder.restore`.
    tempos : sequence of float
        Factors.

    Returns
    -------
    tuple of float32 arrays, each of shape (S, D)
    """
    return tuple(embedder.embed([recording], tempo=tempo)[0] for tempo in tempos)


def recording_of(catalog: Reader, embedder: Embedder, track: Track) -> Recording:
    """Restore what a catalog keeps of a track's sound; decode its file where it keeps nothing.

    Parameters
    ----------
    catalog : Reader
        The catalog that holds the track.
    embedder : Embedder
        The catalog's.
    track : Track
        The track.

    Returns
    -------
    Recording

    Raises
    ------
    Exception
        What `embedder.file_errors` names, if the file has to be decoded and cannot be.
    """
    (kept,) = catalog.recordings_of([track.id])
    if kept is not None:
        return embedder.restore(kept)
    log.warning(
        "the catalog keeps no recording of %s, so it is decoded; `pemr index --again` keeps one",
        track.path,
    )
    return embedder.listen(track.path)


def read_query(catalog: Reader, embedder: Embedder, path: Path, ranking: Ranking = PLAIN) -> Query:
    """Ask with a file, which may be in the catalog or not.

    Either way it is not its own answer. A file of the catalog is not decoded again, unless it has
    changed since.

    Parameters
    ----------
    catalog : Reader
        What will be searched.
    embedder : Embedder
        The one that the catalog was made with.
    path : Path
        An audio file.
    ranking : Ranking
        At whose tempos it is asked.

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
    if track is not None and is_stored:
        return track_query(catalog, embedder, track, ranking)
    if ranking.n_aligned != 0:  # the code for it is loaded while the file is decoded
        Thread(target=warm_up, daemon=True).start()
    heard = heard_query(embedder, embedder.listen(path), ranking)
    return replace(heard, track_id=None if track is None else track.id, audio_hash=audio_hash)


def track_query(
    catalog: Reader, embedder: Embedder, track: Track, ranking: Ranking = PLAIN
) -> Query:
    """Ask with a track of the catalog, at every tempo; it is decoded only where nothing was kept.

    Parameters
    ----------
    catalog : Reader
        The catalog that holds the track.
    embedder : Embedder
        The one that the catalog was made with.
    track : Track
        The track.
    ranking : Ranking
        At whose tempos it is asked.

    Returns
    -------
    Query

    Raises
    ------
    Exception
        What `embedder.file_errors` names, if the file has to be decoded and cannot be.
    """
    stored = stored_query(catalog, track)
    if not ranking.tempos:
        return stored
    recording = recording_of(catalog, embedder, track)
    return replace(stored, at_other_tempos=embed_at_tempos(embedder, recording, ranking.tempos))


def heard_query(embedder: Embedder, recording: Recording, ranking: Ranking = PLAIN) -> Query:
    """Ask with a recording, of no catalog.

    Parameters
    ----------
    embedder : Embedder
        What embeds.
    recording : Recording
        From `embedder.listen` or `embedder.restore`.
    ranking : Ranking
        At whose tempos it is asked.

    Returns
    -------
    Query
        Without embeddings when the recording is silent.
    """
    return Query(
        embeddings=embedder.embed([recording])[0],
        tonal=tonal(recording.chroma, recording.harmony),
        duration_s=recording.duration_s,
        at_other_tempos=embed_at_tempos(embedder, recording, ranking.tempos),
    )
