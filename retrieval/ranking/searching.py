"""A query becomes ranked candidates of a catalog.

Letters: S segments, D embedding, K candidates, T frames of chroma.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import compress, islice

import numpy as np
from numpy.typing import NDArray

from indexer import Filter, Reader, Track
from retrieval.errors import EmptyCatalogError, SilentQueryError
from retrieval.ranking.candidate import Candidate, Query
from retrieval.ranking.matching.harmony import N_PITCH_CLASSES, tonal
from retrieval.ranking.matching.identity import is_same_recording
from retrieval.ranking.matching.spans import find_spans
from retrieval.ranking.pool import Pool, Ranked
from retrieval.ranking.ranking import PLAIN, Ranking
from retrieval.ranking.stages import rank

log = logging.getLogger(__name__)

_READ_AT_ONCE = 100  # tracks whose chroma and harmony are in memory together
_COPIES_LENGTH = 200  # tracks that are looked at beyond the list wanted, to fold copies
POOL_LENGTH = 500  # tracks that are scored exactly; smaller catalogs are scored whole

ANY_TRACK = Filter()


def search(
    catalog: Reader,
    query: Query,
    ranking: Ranking = PLAIN,
    *,
    n_candidates: int = 10,
    all_copies: bool = False,
    wanted: Filter = ANY_TRACK,
) -> list[Candidate]:
    """Rank the tracks of a catalog as answers to a query.

    The query is never its own answer, nor is a copy of the same audio under another path (see
    `copies`), a silent track, or a track whose file is missing. Of tracks that hold the same
    audio, such as a link and its target, the best is the answer, and counts the others.

    Parameters
    ----------
    catalog : Reader
        What to search.
    query : Query
        What to ask with; of the catalog's embedder.
    ranking : Ranking
        What decides the order; `retrieval.ranking_from` reads the one that an embedder comes with.
    n_candidates : int
        The longest list wanted.
    all_copies : bool
        Whether tracks that hold the same audio are answers of their own.
    wanted : Filter
        Which tracks may be answers; they are chosen before anything is ranked.

    Returns
    -------
    list of Candidate
        Best first; equal scores in the order of their track ids.

    Raises
    ------
    EmptyCatalogError
        If the catalog holds no track that sounds.
    SilentQueryError
        If the query has no segment that sounds.
    """
    if not len(query.embeddings):
        raise SilentQueryError
    with catalog.snapshot():
        only = [one.id for one in wanted.among(catalog.tracks())] if wanted else None
        return _search(catalog, query, ranking, n_candidates, all_copies=all_copies, only=only)


def _search(
    catalog: Reader,
    query: Query,
    ranking: Ranking,
    n_candidates: int,
    *,
    all_copies: bool,
    only: list[int] | None,
) -> list[Candidate]:
    n_tracks = catalog.n_sounding()
    if not n_tracks:
        raise EmptyCatalogError
    n_aligned = n_tracks if ranking.n_aligned is None else ranking.n_aligned
    length = max(POOL_LENGTH, 2 * n_aligned, 2 * n_candidates)
    track_ids = _nearest(catalog, query, length, only)
    ranked = rank(query, _pool(catalog, track_ids, n_tracks), ranking)
    _tell_of_harmony(catalog, query, track_ids, ranked)
    order = np.argsort(-ranked.scores, kind="stable").tolist()
    held = order[: n_candidates if all_copies else n_candidates + _COPIES_LENGTH]
    tracks = catalog.tracks_of([track_ids[index] for index in held])
    alike: dict[str, list[tuple[Track, int]]] = {}
    for track, index in zip(tracks, held, strict=True):
        if track.is_missing or track.audio_hash == query.audio_hash:  # an index is damaged
            continue
        key = str(track.id) if all_copies else track.audio_hash
        alike.setdefault(key, []).append((track, index))
    candidates = [
        replace(_candidate(place, *same[0], ranked), n_copies=len(same))
        for place, same in enumerate(islice(alike.values(), n_candidates), start=1)
    ]
    return list(_with_spans(catalog, query, candidates, ranking))


def _tell_of_harmony(
    catalog: Reader, query: Query, track_ids: Sequence[int], ranked: Ranked
) -> None:
    """Say so where candidates were aligned by chroma alone, for want of their harmony."""
    aligned = np.flatnonzero(~np.isnan(ranked.alignment_scores)).tolist()
    if not aligned or len(query.tonal) == N_PITCH_CLASSES:
        return
    (theirs,) = tonal_of(catalog, [track_ids[aligned[0]]])
    if len(theirs) == N_PITCH_CLASSES:
        log.warning(
            "the catalog was made before harmony was heard, so chroma alone is aligned; "
            "`pemr index --again` hears it"
        )


def _pool(catalog: Reader, track_ids: Sequence[int], n_tracks: int) -> Pool:
    return Pool(
        embeddings=catalog.embeddings_of(track_ids),
        is_candidate=np.ones(len(track_ids), bool),
        mean_length=catalog.mean_length(),
        hubness=lambda: catalog.neighbours(np.array(track_ids, np.int64)).hubness(),
        tonal_of=lambda indices: tonal_of(catalog, [track_ids[index] for index in indices]),
        n_tracks=n_tracks,
    )


def tonal_of(catalog: Reader, track_ids: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    """Read what is aligned of some tracks: chroma, and harmony where it is kept.

    Parameters
    ----------
    catalog : Reader
        What holds the tracks.
    track_ids : sequence of int
        Which; they are read a few at a time.

    Yields
    ------
    uint8 array, shape (12 * P, T)
        Of each, in the order asked.
    """
    for start in range(0, len(track_ids), _READ_AT_ONCE):
        for pitches in catalog.pitches_of(track_ids[start : start + _READ_AT_ONCE]):
            yield tonal(pitches.chroma, pitches.harmony)


def stored_query(catalog: Reader, track: Track) -> Query:
    """Ask with a track of the catalog, without decoding it again.

    Parameters
    ----------
    catalog : Reader
        The catalog that holds the track.
    track : Track
        The track.

    Returns
    -------
    Query
        With the track's id, so that it is not its own answer.
    """
    return Query(
        embeddings=catalog.embeddings(track.id),
        tonal=next(tonal_of(catalog, [track.id])),
        duration_s=track.duration_s,
        track_id=track.id,
        audio_hash=track.audio_hash,
    )


def copies(catalog: Reader, query: Query) -> list[Track]:
    """List the tracks that hold the query's very audio, which `search` leaves out as no covers.

    Parameters
    ----------
    catalog : Reader
        Where to look.
    query : Query
        What was asked with.

    Returns
    -------
    list of Track
        Without the query itself.
    """
    if query.audio_hash is None:
        return []
    return [t for t in catalog.find_audio(query.audio_hash) if t.id != query.track_id]


def _nearest(catalog: Reader, query: Query, length: int, among: list[int] | None) -> list[int]:
    """Name the tracks worth an exact score, in the order of their ids."""
    own = [track.id for track in copies(catalog, query)]
    own += [query.track_id] if query.track_id is not None else []
    without = np.concatenate([catalog.missing(), np.array(own, np.int64)])
    versions = (query.embeddings, *query.at_other_tempos)
    only = None if among is None else np.array(among, np.int64)
    found: list[int] = catalog.nearest(versions, length, only=only, without=without).tolist()
    return found


def _candidate(place: int, track: Track, index: int, ranked: Ranked) -> Candidate:
    alignment_score = float(ranked.alignment_scores[index])
    is_aligned = not np.isnan(alignment_score)
    probability = float(ranked.probabilities[index])
    return Candidate(
        rank=place,
        score=float(ranked.scores[index]),
        track_id=track.id,
        title=track.title,
        artist=track.artist,
        album=track.album,
        duration_s=track.duration_s,
        path=track.path,
        transposition=int(ranked.transpositions[index]) if is_aligned else None,
        embedding_score=float(ranked.embedding_scores[index]),
        alignment_score=alignment_score if is_aligned else None,
        probability=None if np.isnan(probability) else probability,
        is_missing=not os.path.exists(track.path),  # noqa: PTH110  (raises nothing)
    )


def _with_spans(
    catalog: Reader, query: Query, candidates: Sequence[Candidate], ranking: Ranking
) -> Iterator[Candidate]:
    is_aligned = [candidate.transposition is not None for candidate in candidates]
    tonals = tonal_of(catalog, [one.track_id for one in compress(candidates, is_aligned)])
    for candidate in candidates:
        if candidate.transposition is None:
            yield candidate
        else:
            yield _spanned(query, candidate, candidate.transposition, next(tonals), ranking)


def _spanned(
    query: Query,
    candidate: Candidate,
    transposition: int,
    theirs: NDArray[np.uint8],
    ranking: Ranking,
) -> Candidate:
    spans = find_spans(query.tonal, theirs, transposition, weights=ranking.harmony_weights)
    within = (
        replace(  # the last frame of chroma may reach past the end
            span,
            query_end_s=min(span.query_end_s, query.duration_s),
            end_s=min(span.end_s, candidate.duration_s),
        )
        for span in spans
    )
    transposition = spans[0].transposition if spans else transposition
    return replace(
        candidate,
        transposition=transposition,
        spans=tuple(within),
        is_same_recording=bool(spans) and is_same_recording(query.tonal, theirs, spans[0]),
    )
