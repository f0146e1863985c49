"""The tracks of a catalog → which pairs of them may be of one work, and what speaks for it.

Every track asks the catalog once. What was found is kept in a file beside the catalog, so that the
next time only new tracks ask.

Letters: S segments, D embedding, P pairs.
"""

import json
import logging
import math
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from indexer import Catalog, Track
from retrieval.ranking.calibrate import Calibration
from retrieval.ranking.matching.align import align_many, common_factor
from retrieval.ranking.matching.identity import is_same_recording
from retrieval.ranking.matching.qmax import STACK_LENGTH
from retrieval.ranking.matching.spans import find_spans
from retrieval.ranking.ranking import Ranking
from retrieval.ranking.searching import tonal_of

log = logging.getLogger(__name__)

FILE: Final = "links.npz"
LEAST_LIKELY: Final = 0.05
"""Pairs that would be less likely even if they followed each other well are not looked into."""

_FORMAT = 2
_N_NEAREST = 50  # tracks that a track is compared with
_BEST_ALIGNMENT = 25.0  # what covers seldom exceed
NEAR_AS_COPIES: Final = 0.6
"""Mean cosine that two forms of one recording exceed, even cut."""


class Link(NamedTuple):
    """What speaks for two tracks, the one with the lower id first, being of one work.

    Parameters
    ----------
    there, back : float
        Mean cosine of the first one's segments with the nearest of the second one, and of the
        second one's with the nearest of the first; in -1..1.
    follows, is_followed : float
        Alignment scores, at least 0: how well the second one follows the first, and the first the
        second.
    is_same_recording : bool
        Whether both are one recording, in another form.
    """

    there: float
    back: float
    follows: float
    is_followed: float
    is_same_recording: bool


@dataclass
class Links:
    """What is known of the pairs of a catalog.

    Parameters
    ----------
    of_pairs : dict from (int, int) to Link
        By the ids of the two tracks, the lower one first.
    asked : dict from int to str
        The tracks that have asked, and the hash of their audio then.
    """

    of_pairs: dict[tuple[int, int], Link] = field(default_factory=dict)
    asked: dict[int, str] = field(default_factory=dict)


def ask_all(catalog: Catalog, ranking: Ranking, links: Links) -> Iterator[Track]:
    """Let every track ask that has not asked yet, and note what speaks for whom.

    Parameters
    ----------
    catalog : Catalog
        Whose tracks.
    ranking : Ranking
        With a calibration.
    links : Links
        What is known already; filled in. What is known of tracks that are gone or have other sound
        now is forgotten.

    Yields
    ------
    Track
        Each track that sounds, when it has asked.
    """
    tracks = {track.id: track for track in catalog.tracks() if track.n_segments}
    _forget(links, tracks)
    for track in tracks.values():
        if track.id not in links.asked:
            _ask(catalog, ranking, links, track, tracks)
            links.asked[track.id] = track.audio_hash
        yield track


def probabilities(
    links: Links, catalog: Catalog, calibration: Calibration
) -> dict[tuple[int, int], float]:
    """Say how likely pairs are of one work, whichever of the two asks.

    Parameters
    ----------
    links : Links
        From `ask_all`.
    catalog : Catalog
        Its size counts, and the lengths of its tracks.
    calibration : Calibration
        Of the ranking.

    Returns
    -------
    dict from (int, int) to float
        The less likely of both directions.
    """
    if not links.of_pairs:
        return {}
    n_segments = {track.id: track.n_segments for track in catalog.tracks()}
    pairs = list(links.of_pairs)
    there, back, follows, is_followed, _ = np.array(list(links.of_pairs.values())).T
    lengths = np.array([[n_segments[one], n_segments[other]] for one, other in pairs]).T
    mean_length, n_tracks = catalog.mean_length(), catalog.n_sounding()

    def likely(
        ours: NDArray[np.float64],
        theirs: NDArray[np.float64],
        aligned: NDArray[np.float64],
        length: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        scores = _embedding_scores(ours, theirs, length, mean_length)
        return calibration.probability(scores, aligned, n_tracks=n_tracks, n_segments=length)

    first = likely(there, back, follows, lengths[0])
    second = likely(back, there, is_followed, lengths[1])
    return dict(zip(pairs, np.minimum(first, second).tolist(), strict=True))


def read_links(catalog: Catalog, ranking: Ranking) -> Links:
    """Read what is known of a catalog's pairs.

    Parameters
    ----------
    catalog : Catalog
        In whose folder the file lies.
    ranking : Ranking
        For which the file must have been made.

    Returns
    -------
    Links
        None, if there is no file, or it is damaged, or of another embedder or ranking.
    """
    path = catalog.path / FILE
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if str(stored["made_for"]) != _made_for(catalog, ranking):
                return Links()
            pairs, values = stored["pairs"].tolist(), stored["values"].tolist()
            asked = dict(zip(stored["asked"].tolist(), stored["hashes"].tolist(), strict=True))
    except FileNotFoundError:
        return Links()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.debug("%s is made again: %s", path, error)
        return Links()
    found = {
        (one, other): Link(there, back, follows, is_followed, bool(is_same))
        for (one, other), (there, back, follows, is_followed, is_same) in zip(
            pairs, values, strict=True
        )
    }
    return Links(of_pairs=found, asked=asked)


def write_links(catalog: Catalog, ranking: Ranking, links: Links) -> None:
    """Keep what is known of a catalog's pairs, where its folder can be written.

    Parameters
    ----------
    catalog : Catalog
        In whose folder the file lies.
    ranking : Ranking
        For which it was found.
    links : Links
        What to keep.
    """
    path = catalog.path / FILE
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            np.savez(
                file,
                made_for=np.array(_made_for(catalog, ranking)),
                pairs=np.array(list(links.of_pairs), np.int64).reshape(-1, 2),
                values=np.array(list(links.of_pairs.values()), np.float64).reshape(-1, 5),
                asked=np.array(list(links.asked), np.int64),
                hashes=np.array(list(links.asked.values()), np.str_),
            )
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        log.warning("%s cannot be written (%s), so all is asked again the next time", path, error)


def _made_for(catalog: Catalog, ranking: Ranking) -> str:
    """Say what the values depend on."""
    return json.dumps([_FORMAT, catalog.embedder_name, ranking.values()])


def _forget(links: Links, tracks: dict[int, Track]) -> None:
    kept = {
        track_id: audio_hash
        for track_id, audio_hash in links.asked.items()
        if track_id in tracks and tracks[track_id].audio_hash == audio_hash
    }
    gone = links.asked.keys() - kept.keys()
    links.asked = kept
    links.of_pairs = {pair: link for pair, link in links.of_pairs.items() if gone.isdisjoint(pair)}


def _ask(
    catalog: Catalog, ranking: Ranking, links: Links, track: Track, tracks: dict[int, Track]
) -> None:
    """Compare a track with the nearest others, and align it with those that may be of its work."""
    ours = catalog.embeddings(track.id)
    nearest = catalog.nearest((ours,), _N_NEAREST, without=np.array([track.id])).tolist()
    pairs = [other for other in nearest if _pair(track.id, other) not in links.of_pairs]
    others = [other for other in pairs if other in tracks]
    vectors = zip(others, catalog.embeddings_of(others), strict=True)
    near = {other: _nearness(ours, theirs) for other, theirs in vectors}
    worth = _promising(catalog, ranking, len(ours), near)
    tonal, *theirs = tonal_of(catalog, [track.id, *worth])
    aligned = align_many(tonal, theirs, ranking.harmony_weights)
    for other, pictures, alignment in zip(worth, theirs, aligned, strict=True):
        there, back = near[other]
        turned = alignment.score * _turn(tonal.shape[1], pictures.shape[1])
        is_same = max(there, back) > NEAR_AS_COPIES and _is_same(
            tonal, pictures, alignment.transposition, ranking
        )
        link = Link(there, back, alignment.score, turned, is_same)
        if other < track.id:
            link = Link(back, there, turned, alignment.score, is_same)
        links.of_pairs[_pair(track.id, other)] = link


def _is_same(
    ours: NDArray[np.uint8], theirs: NDArray[np.uint8], transposition: int, ranking: Ranking
) -> bool:
    spans = find_spans(ours, theirs, transposition, weights=ranking.harmony_weights, n_spans=1)
    return bool(spans) and is_same_recording(ours, theirs, spans[0])


def _pair(one: int, other: int) -> tuple[int, int]:
    return (one, other) if one < other else (other, one)


def _nearness(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> tuple[float, float]:
    cosines = ours @ theirs.T
    return float(cosines.max(axis=1).mean()), float(cosines.max(axis=0).mean())


def _promising(
    catalog: Catalog, ranking: Ranking, length: int, near: dict[int, tuple[float, float]]
) -> Sequence[int]:
    """Name the tracks that would be likely enough if they followed well."""
    if not near or ranking.calibration is None:
        return []
    there, back = np.array(list(near.values())).T
    scores = _embedding_scores(there, back, np.array(length), catalog.mean_length())
    likely = ranking.calibration.probability(
        scores, _BEST_ALIGNMENT, n_tracks=catalog.n_sounding(), n_segments=length
    )
    return [other for other, one in zip(near, likely.tolist(), strict=True) if one >= LEAST_LIKELY]


def _embedding_scores(
    there: NDArray[np.float64],
    back: NDArray[np.float64],
    length: NDArray[np.int64],
    mean_length: float,
) -> NDArray[np.float64]:
    """Score as `retrieval.ranking.nearest.track_scores` does."""
    weight = np.minimum(1.0, length / mean_length)
    return np.asarray((there + weight * back) / (1 + weight))


def _turn(query_length: int, candidate_length: int) -> float:
    """Factor from the alignment score of a pair to that of the pair turned round.

    Both are one Qmax, divided by the root of the candidate's length in stacks.
    """
    factor = common_factor(query_length, candidate_length)
    stacks = [length // factor - STACK_LENGTH + 1 for length in (candidate_length, query_length)]
    return math.sqrt(stacks[0] / stacks[1]) if min(stacks) > 0 else 1.0
