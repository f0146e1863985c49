"""A whole catalog → groups of tracks that are performances of one work.

Two tracks belong together where each, asked for, finds the other likely. A chain of such pairs does
not make a group by itself: two groups become one only while all pairs between them, strangers
among them too, are likely enough on average.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from indexer import Catalog, Track
from retrieval.errors import EmptyCatalogError, UncalibratedError
from retrieval.finding.links import ask_all, probabilities, read_links, write_links
from retrieval.finding.wording import clock
from retrieval.ranking.calibrate import LIKELY
from retrieval.ranking.ranking import Ranking

LINKAGE: Final = 1 / 3
"""Mean probability of the pairs between two groups above which they are one."""

Pairs = Mapping[tuple[int, int], float]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Tracks that are probably performances of one work.

    Parameters
    ----------
    tracks : tuple of Track
        Two or more; the first one represents the group: it is the likeliest of all to belong.
    probabilities : tuple of float
        Of each track, in the same order: the mean over the others that they are of one work.
    recordings : tuple of int
        Of each track, which recording it is, counted from 1: tracks that are forms of one
        recording, such as copies in other encodings, have the same number.
    """

    tracks: tuple[Track, ...]
    probabilities: tuple[float, ...]
    recordings: tuple[int, ...]


def group(
    catalog: Catalog,
    ranking: Ranking,
    *,
    min_probability: float = LIKELY,
    watch: Callable[[Iterator[Track]], Iterable[Track]] = iter,
) -> list[Group]:
    """Group the tracks of a catalog by their works.

    What was found out is kept in a file beside the catalog, so that the next call is quick, also
    where tracks came or went since, and a call that was interrupted goes on.

    Parameters
    ----------
    catalog : Catalog
        What to group. Nothing is decoded or embedded.
    ranking : Ranking
        What decides; `retrieval.ranking_from` reads the one that an embedder comes with. Tracks ask
        at their own tempo, and neither hubs nor neighbours count.
    min_probability : float
        How likely a pair must be to bring two groups together.
    watch : callable, optional
        Given an iterator over the tracks as they are compared, returns what to iterate instead.

    Returns
    -------
    list of Group
        The largest first; equal ones in the order of their first tracks. Tracks that are alone are
        left out.

    Raises
    ------
    EmptyCatalogError
        If the catalog holds no track that sounds.
    UncalibratedError
        If nothing was measured for the embedder, so that no pair can be called likely.
    """
    if ranking.calibration is None:
        raise UncalibratedError(catalog.embedder_name)
    with catalog.snapshot():
        if not catalog.n_sounding():
            raise EmptyCatalogError
        links = read_links(catalog, ranking)
        try:
            for _ in watch(ask_all(catalog, ranking, links)):
                pass
        finally:
            write_links(catalog, ranking, links)
        likely = probabilities(links, catalog, ranking.calibration)
        tracks = {track.id: track for track in catalog.tracks()}
    same = {pair for pair, link in links.of_pairs.items() if link.is_same_recording}
    groups = [_group(members, likely, same, tracks) for members in cluster(likely, min_probability)]
    return sorted(groups, key=lambda one: (-len(one.tracks), one.tracks[0].id))


def cluster(likely: Pairs, min_probability: float, linkage: float = LINKAGE) -> list[set[int]]:
    """Bring together what is likely to belong together.

    Parameters
    ----------
    likely : mapping from (int, int) to float
        How likely each pair is; what is not named is a pair of strangers.
    min_probability : float
        How likely a pair must be to bring two groups together, the likeliest pairs first.
    linkage : float
        What the mean over all pairs between the two must be.

    Returns
    -------
    list of set of int
        Of two or more.
    """
    groups: dict[int, set[int]] = {one: {one} for pair in likely for one in pair}
    group_of = {one: one for one in groups}
    between: dict[int, dict[int, float]] = defaultdict(dict)  # sums over pairs of groups
    for (one, other), probability in likely.items():
        between[one][other] = between[other][one] = probability
    for pair in sorted(likely, key=lambda pair: (-likely[pair], pair)):
        if likely[pair] < min_probability:
            break
        kept, taken = group_of[pair[0]], group_of[pair[1]]
        n_pairs = len(groups[kept]) * len(groups[taken])
        if kept == taken or between[kept][taken] / n_pairs < linkage:
            continue
        for one in groups[taken]:
            group_of[one] = kept
        groups[kept] |= groups.pop(taken)
        for third, total in between.pop(taken).items():
            del between[third][taken]
            if third != kept:
                joined = between[kept].get(third, 0.0) + total
                between[kept][third] = between[third][kept] = joined
    return [members for members in groups.values() if len(members) > 1]


def group_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Write groups as rows of plain values, one for each track, for CSV and JSON.

    Parameters
    ----------
    groups : sequence of Group
        From `group`.

    Returns
    -------
    list of dict
        Groups count from 1; the row that represents its group comes first in it.
    """
    return [
        {
            "group": number,
            "is_representative": place == 0,
            "probability": probability,
            "recording": recording,
            "title": track.title,
            "artist": track.artist,
            "album": track.album,
            "duration_s": track.duration_s,
            "state": "missing" if track.is_missing else "",
            "track_id": track.id,
            "path": str(track.path),
        }
        for number, one in enumerate(groups, start=1)
        for place, (track, probability, recording) in enumerate(
            zip(one.tracks, one.probabilities, one.recordings, strict=True)
        )
    ]


def group_table(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Write groups as rows for people to read.

    Parameters
    ----------
    groups : sequence of Group
        From `group`.

    Returns
    -------
    list of dict
        A star marks what represents its group.
    """
    return [
        {
            "group": f"{row['group']}{' *' if row['is_representative'] else ''}",
            "probability": row["probability"],
            "recording": row["recording"],
            "title": row["title"],
            "artist": row["artist"],
            "duration": clock(row["duration_s"]),
            "state": row["state"],
            "path": row["path"],
        }
        for row in group_rows(groups)
    ]


def _group(
    members: set[int], likely: Pairs, same: Set[tuple[int, int]], tracks: Mapping[int, Track]
) -> Group:
    def belongs(one: int) -> float:
        others = sorted(members - {one})
        found = [likely.get((min(one, other), max(one, other)), 0.0) for other in others]
        return sum(found) / len(found)

    means = {one: belongs(one) for one in sorted(members)}
    order = sorted(means, key=lambda one: -means[one])
    return Group(
        tracks=tuple(tracks[one] for one in order),
        probabilities=tuple(means[one] for one in order),
        recordings=tuple(_recordings(order, same)),
    )


def _recordings(order: Sequence[int], same: Set[tuple[int, int]]) -> list[int]:
    """Count the recordings of a group in the order in which they come."""
    number = {one: place for place, one in enumerate(order)}
    for one, other in combinations(order, 2):
        if (min(one, other), max(one, other)) in same:
            kept, gone = sorted((number[one], number[other]))
            number = {track: kept if at == gone else at for track, at in number.items()}
    places = sorted(set(number.values()))
    return [places.index(number[one]) + 1 for one in order]
