"""A query becomes ranked candidates: nearest embeddings first, then the best of them aligned.

Two stages give one score. Embeddings are compared with all tracks; those near to everything lose
some of their scores (`retrieval.ranking.hubs`), those near to the best gain
(`retrieval.ranking.neighbours`). Chroma and harmony of the best are aligned with the query's, which
only ever raises a score, so that an aligned candidate never falls behind one that was not.

Letters: S segments, D embedding, K candidates, T frames of chroma.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from indexer import Catalog, Track
from retrieval.errors import EmptyCatalogError, SilentQueryError
from retrieval.ranking.align import align_many, find_spans
from retrieval.ranking.candidate import Candidate, Query
from retrieval.ranking.harmony import tonal
from retrieval.ranking.hubs import HUB_WEIGHT, catalog_hubness
from retrieval.ranking.measured import for_cover
from retrieval.ranking.neighbours import NEIGHBOUR_WEIGHT, with_neighbours

Scores = NDArray[np.float64]

N_ALIGNED = 100
POOL_LENGTH = 500  # tracks that are scored exactly; smaller catalogs are scored whole
_HITS_PER_SEGMENT = 50

ALIGNMENT_WEIGHT = 0.5
"""How much a perfect alignment adds to the score of an embedding (docs/log.md)."""
_HALF_WAY = 5.0  # the alignment score that adds half of the weight; covers score about 3 to 15


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of K candidates after both stages, in the order in which they were given.

    Parameters
    ----------
    scores : float64 array, shape (K,)
        What to rank by.
    alignment_scores : float64 array, shape (K,)
        NaN where a candidate was not aligned.
    transpositions : int64 array, shape (K,)
        Semitones from the query up to the candidate; 0 where it was not aligned.
    """

    scores: Scores
    alignment_scores: Scores
    transpositions: NDArray[np.int64]


def search(
    catalog: Catalog, query: Query, *, n_candidates: int = 10, n_aligned: int = N_ALIGNED
) -> list[Candidate]:
    """Rank the tracks of a catalog as answers to a query.

    The query is never its own answer, nor is a copy of the same audio under another path (see
    `copies`), a silent track, or a track whose file is missing.

    Parameters
    ----------
    catalog : Catalog
        What to search.
    query : Query
        What to ask with; of the catalog's embedder.
    n_candidates : int
        The longest list wanted.
    n_aligned : int
        How many of the best by embedding are aligned; 0 turns alignment off.

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
    if not len(catalog.track_embeddings()[0]):
        raise EmptyCatalogError
    tracks = list(_pool(catalog, query, max(POOL_LENGTH, 2 * n_aligned, 2 * n_candidates)))
    versions = (query.embeddings, *query.at_other_tempos)
    embeddings = [catalog.embeddings(track.id) for track in tracks]
    embedding_scores = best_scores(versions, embeddings)
    share = for_cover(NEIGHBOUR_WEIGHT, catalog.embedder_name)
    scored = align_best(
        query.tonal,
        among_all(embedding_scores, embeddings, _hub_losses(catalog, tracks), share),
        lambda index: tonal_of(catalog, tracks[index].id),
        n_aligned=n_aligned,
        weight=ALIGNMENT_WEIGHT,
    )
    order = np.argsort(-scored.scores, kind="stable")[:n_candidates]
    candidates = [
        _candidate(rank, tracks[index], index, embedding_scores, scored)
        for rank, index in enumerate(order.tolist(), start=1)
    ]
    return [_with_spans(catalog, query, candidate) for candidate in candidates]


def tonal_of(catalog: Catalog, track_id: int) -> NDArray[np.uint8]:
    """Read what is aligned of a track: chroma, and harmony where it is kept, (12 * P, T)."""
    return tonal(catalog.chroma(track_id), catalog.harmony(track_id))


def stored_query(catalog: Catalog, track: Track) -> Query:
    """Ask with a track of the catalog, without decoding it again.

    Parameters
    ----------
    catalog : Catalog
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
        chroma=catalog.chroma(track.id),
        harmony=catalog.harmony(track.id),
        duration_s=track.duration_s,
        track_id=track.id,
        audio_hash=track.audio_hash,
    )


def copies(catalog: Catalog, query: Query) -> list[Track]:
    """List the tracks that hold the query's very audio, which `search` leaves out as no covers.

    Parameters
    ----------
    catalog : Catalog
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


def track_scores(
    query_embeddings: NDArray[np.float32], candidates: Sequence[NDArray[np.float32]]
) -> Scores:
    """Score candidates by their segments: what search and evaluation share.

    Each segment of the query looks for its nearest in the candidate, and each of the candidate
    for its nearest in the query; both means of cosines are averaged. A query that is shorter than
    the candidates are on average may be an excerpt, of which they need hold no more: the second
    mean then counts less, by the same measure for all candidates.

    Parameters
    ----------
    query_embeddings : float32 array, shape (S, D), S at least 1
        Unit vectors.
    candidates : sequence of float32 arrays, each of shape (S, D)
        Unit vectors of each candidate's segments; S differs, and may be 0.

    Returns
    -------
    float64 array, shape (K,)
        In -1..1; -1 for a candidate without segments.
    """
    scores = np.full(len(candidates), -1.0)
    sounding = [index for index, segments in enumerate(candidates) if len(segments)]
    if not sounding:
        return scores
    lengths = np.array([len(candidates[index]) for index in sounding])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    cosines = query_embeddings @ np.concatenate([candidates[index] for index in sounding]).T
    there = np.maximum.reduceat(cosines, starts, axis=1).mean(axis=0, dtype=np.float64)  # (K,)
    back = np.add.reduceat(cosines.max(axis=0), starts) / lengths
    weight = min(1.0, len(query_embeddings) / lengths.mean())
    scores[sounding] = (there + weight * back) / (1 + weight)
    return scores


def best_scores(
    versions: Sequence[NDArray[np.float32]], candidates: Sequence[NDArray[np.float32]]
) -> Scores:
    """Score candidates by that version of the query, at whatever tempo, which suits each best.

    Parameters
    ----------
    versions : sequence of float32 arrays, each of shape (S, D)
        Unit vectors; at least one has a segment.
    candidates : sequence of float32 arrays, each of shape (S, D)
        As in `track_scores`.

    Returns
    -------
    float64 array, shape (K,)
        In -1..1.
    """
    heard = [track_scores(version, candidates) for version in versions if len(version)]
    return np.asarray(np.max(heard, axis=0))


def among_all(
    scores: Scores,
    embeddings: Sequence[NDArray[np.float32]],
    hub_losses: Scores,
    weight: float,
) -> Scores:
    """Correct scores by what else there is: hubs lose, and who is near to the best gains.

    Parameters
    ----------
    scores : float64 array, shape (K,)
        From `best_scores`; minus infinity for what is no candidate.
    embeddings : sequence of float32 arrays, each of shape (S, D)
        Of the candidates' segments.
    hub_losses : float64 array, shape (K,)
        What each candidate loses as a hub.
    weight : float
        Share of the strongest chain that a candidate gains; 0 leaves neighbours out.

    Returns
    -------
    float64 array, shape (K,)
    """

    def cosines_from(index: int, others: Sequence[int]) -> Scores:
        return track_scores(embeddings[index], [embeddings[other] for other in others])

    return with_neighbours(scores - hub_losses, hub_losses, cosines_from, weight)


def align_best(
    query: NDArray[np.uint8],
    embedding_scores: Scores,
    tonal_of: Callable[[int], NDArray[np.uint8]],
    *,
    n_aligned: int,
    weight: float,
) -> Scored:
    """Align the candidates that embeddings put first, and fuse both scores.

    Parameters
    ----------
    query : uint8 array, shape (12 * P, T)
        Chroma of the query, and its harmony where it has some (`retrieval.ranking.harmony`).
    embedding_scores : float64 array, shape (K,)
        From `track_scores`, perhaps less what hubs lose; minus infinity for what is no candidate
        and is never aligned.
    tonal_of : callable
        The same of a candidate by its index.
    n_aligned : int
        How many to align.
    weight : float
        As in `fuse`.

    Returns
    -------
    Scored
        For all K candidates.
    """
    order = np.argsort(-embedding_scores, kind="stable")[:n_aligned]
    best = order[np.isfinite(embedding_scores[order])]
    alignments = align_many(query, (tonal_of(int(index)) for index in best))
    alignment_scores = np.full(len(embedding_scores), np.nan)
    transpositions = np.zeros(len(embedding_scores), dtype=np.int64)
    alignment_scores[best] = [alignment.score for alignment in alignments]
    transpositions[best] = [alignment.transposition for alignment in alignments]
    return Scored(
        scores=fuse(embedding_scores, alignment_scores, weight),
        alignment_scores=alignment_scores,
        transpositions=transpositions,
    )


def fuse(embedding_scores: Scores, alignment_scores: Scores, weight: float) -> Scores:
    """Join the scores of both stages.

    An alignment adds ``weight * a / (a + 5)``, which is at least 0 and below `weight`. Those
    aligned had the better embedding scores, so they stay ahead of the others, and the score means
    the same for every query.

    Parameters
    ----------
    embedding_scores : float64 array, shape (K,)
        From `track_scores`.
    alignment_scores : float64 array, shape (K,)
        From `retrieval.ranking.align`; NaN where a candidate was not aligned.
    weight : float
        How much a perfect alignment adds.

    Returns
    -------
    float64 array, shape (K,)
        Higher is better.
    """
    added = np.nan_to_num(alignment_scores / (alignment_scores + _HALF_WAY), nan=0.0)
    fused: Scores = embedding_scores + weight * added
    return fused


def _pool(catalog: Catalog, query: Query, length: int) -> Iterator[Track]:
    """Yield the tracks worth an exact score, in the order of their ids."""
    own = {track.id for track in copies(catalog, query)} | {query.track_id}
    versions = [v for v in (query.embeddings, *query.at_other_tempos) if len(v)]
    nearest = {one for v in versions for one in _nearest_tracks(catalog, v, length)}
    for track_id in sorted(nearest):
        track = catalog.track(track_id)
        if track.id not in own and not track.is_missing:
            yield track


def _hub_losses(catalog: Catalog, tracks: Sequence[Track]) -> Scores:
    weight = for_cover(HUB_WEIGHT, catalog.embedder_name)
    if not weight:
        return np.zeros(len(tracks))
    return weight * catalog_hubness(catalog, [track.id for track in tracks])


def _nearest_tracks(catalog: Catalog, embeddings: NDArray[np.float32], length: int) -> list[int]:
    """Name the tracks nearest as a whole and those that hold the nearest segments."""
    mean = embeddings.mean(axis=0, keepdims=True)
    mean /= max(float(np.linalg.norm(mean)), np.finfo(np.float32).tiny)
    whole, _ = catalog.search_tracks(mean, length)
    if whole.shape[1] < length:
        return sorted(whole[0].tolist())  # all there are
    hits, _ = catalog.search_segments(embeddings, _HITS_PER_SEGMENT)
    return sorted({*whole[0].tolist(), *catalog.tracks_of(hits).ravel().tolist()})


def _candidate(
    rank: int, track: Track, index: int, embedding_scores: Scores, scored: Scored
) -> Candidate:
    alignment_score = float(scored.alignment_scores[index])
    is_aligned = not np.isnan(alignment_score)
    return Candidate(
        rank=rank,
        score=float(scored.scores[index]),
        track_id=track.id,
        title=track.title,
        artist=track.artist,
        album=track.album,
        duration_s=track.duration_s,
        path=track.path,
        transposition=int(scored.transpositions[index]) if is_aligned else None,
        embedding_score=float(embedding_scores[index]),
        alignment_score=alignment_score if is_aligned else None,
    )


def _with_spans(catalog: Catalog, query: Query, candidate: Candidate) -> Candidate:
    if candidate.transposition is None:
        return candidate
    theirs = tonal_of(catalog, candidate.track_id)
    spans = find_spans(query.tonal, theirs, candidate.transposition)
    within = (
        replace(  # the last frame of chroma may reach past the end
            span,
            query_end_s=min(span.query_end_s, query.duration_s),
            end_s=min(span.end_s, candidate.duration_s),
        )
        for span in spans
    )
    return replace(candidate, spans=tuple(within))
