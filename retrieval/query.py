"""A file to ask with becomes a `Query`, from the catalog where that holds it."""

from pathlib import Path

import numpy as np

from indexer import Catalog, Embedder, hash_audio
from retrieval.candidate import Query
from retrieval.search import stored_query


def read_query(catalog: Catalog, embedder: Embedder, path: Path) -> Query:
    """Ask with a file, which may be in the catalog or not.

    A file of the catalog is not decoded again, unless it has changed since; either way it is not
    its own answer.

    Parameters
    ----------
    catalog : Catalog
        What will be searched.
    embedder : Embedder
        The one that the catalog was made with.
    path : Path
        An audio file.

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
    if track is not None and track.audio_hash == audio_hash:
        return stored_query(catalog, track)
    batches = list(embedder.stream(path))
    return Query(
        embeddings=np.concatenate([embedder.embed(batch.segments) for batch in batches]),
        chroma=np.concatenate([batch.chroma for batch in batches], axis=1),
        duration_s=sum(batch.duration_s for batch in batches),
        track_id=None if track is None else track.id,
        audio_hash=audio_hash,
    )
