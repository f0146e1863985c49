"""Scores → works: settings of one composition joined, anthems left out, works split.

Two thresholds on how melodies match serve two ends. Scores that surely share a
composition become one work. Scores that may share one are kin: kin never fall
on different sides of the split.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import chain, islice
from pathlib import Path
from typing import Final, Literal

from pemr.corpus.notes.match import MIN_SHARE, Line, Match, candidates, compare, line_of, runs
from pemr.corpus.notes.notation import tune, tunes
from pemr.corpus.notes.readers import cached_scores, fingerprint
from pemr.corpus.notes.scores import Score
from pemr.errors import CorpusError

Split = Literal["train", "dev", "test", "human"]

N_HELD_OUT: Final = 240  # works of dev, and of test: half with several performances, half noise
N_HUMAN: Final = 200  # works with settings from several books, at most
MOST_KIN: Final = 3  # a work that resembles more others than this is not held out
MATCH_VERSION: Final = 2  # goes up when the same scores would be matched differently
# What dev and test are made of, in parts of N_HELD_OUT: popular music first.
SHARES: Final = {"pop909": 0.4, "openewld": 0.25, "folk": 0.2, "hymns": 0.15}
TRAIN_ONLY: Final = frozenset({"leadsheets"})
"""Archives that came when dev and test were drawn: whatever they share with those is left out."""
ANTHEM_TITLES: Final = re.compile(
    r"god save|king'?s anthem|marseill|star.spangled|anacreon|rule.? britannia|auld lang syne"
    r"|national anthem|hail.? columbia|o canada|watch on the rhine|wilhelmus"
    r"|ode to joy|hymn to joy|austrian? ?hymn|russian hymn|finlandia|beulah land",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Work:
    """One composition.

    Parameters
    ----------
    name : str
        Unique, fit for a folder.
    scores : tuple of Score
        Its settings; in ``human`` one from each book, no two the same.
    split : {"train", "dev", "test", "human"}
        Where its performances belong.
    """

    name: str
    scores: tuple[Score, ...]
    split: Split


@dataclass(frozen=True)
class Pair:
    """Two scores, by their places in a list, and how their melodies match."""

    one: int
    other: int
    match: Match


@dataclass(frozen=True)
class Survey:
    """What became of all scores.

    Parameters
    ----------
    works : tuple of Work
        Sorted by name.
    pairs : tuple of Pair
        Those that are the same composition, places in ``scores``.
    scores : tuple of Score
        All that could be read.
    anthems : dict of str to str
        Sources left out, each with the anthem whose melody or title it has.
    n_kin : int
        Works kept out of every split, as kin of works in ``human``, ``dev`` or ``test``.
    """

    works: tuple[Work, ...]
    pairs: tuple[Pair, ...]
    scores: tuple[Score, ...]
    anthems: dict[str, str]
    n_kin: int


def works(scores_dir: Path, cache_dir: Path, n_jobs: int = 1) -> list[Work]:
    """Read a folder of score archives and sort it into works.

    Parameters
    ----------
    scores_dir : Path
        The archives, see `pemr.corpus.notes.readers.cached_scores`.
    cache_dir : Path
        Where parsed scores and matched pairs are kept.
    n_jobs : int, default=1
        Processes that parse when there is no cache yet.

    Returns
    -------
    list of Work
        The same archives always give the same works in the same splits.

    Raises
    ------
    CorpusError
        If there are no archives, or the cache cannot be written.
    """
    return list(survey(scores_dir, cache_dir, n_jobs).works)


def survey(scores_dir: Path, cache_dir: Path, n_jobs: int = 1) -> Survey:
    """Do what `works` does and tell what was joined and left out.

    Parameters, errors : as for `works`.
    """
    scores, _ = cached_scores(scores_dir, cache_dir, n_jobs)
    state = f"{fingerprint(scores_dir)}-{MATCH_VERSION}"
    pairs = _cached_pairs(scores, cache_dir / f"pairs-{state}.json")
    anthems = _cached_anthems(scores, cache_dir / f"anthems-{state}.json")
    same = [pair for pair in pairs if is_same(pair.match)]
    n_first = _n_first(scores)
    groups = _components(n_first, (pair for pair in same if pair.other < n_first))
    tainted = {places for places in groups if any(scores[p].source in anthems for p in places)}
    for places in tainted:
        title = next(anthems[scores[p].source] for p in places if scores[p].source in anthems)
        anthems |= {scores[p].source: anthems.get(scores[p].source, title) for p in places}
    groups = [places for places in groups if places not in tainted]
    splits = _split(scores, groups, _kin(groups, pairs))
    n_kin = len(groups) - len(splits)
    splits = _with_newcomers(scores, splits, pairs, anthems)
    placed = {place for places in splits for place in places}
    later = range(n_first, len(scores))
    n_kin += sum(p not in placed and scores[p].source not in anthems for p in later)
    found = [_work(scores, places, split) for places, split in splits.items()]
    return Survey(
        works=tuple(sorted(found, key=lambda work: work.name)),
        pairs=tuple(same),
        scores=tuple(scores),
        anthems=anthems,
        n_kin=n_kin,
    )


def is_same(match: Match) -> bool:
    """Return whether two melodies are surely one composition."""
    return match.n_notes >= 20 and match.worth >= 0.65


def is_kin(match: Match) -> bool:
    """Return whether two melodies may be one composition, or share a part."""
    return match.n_notes >= 14 and match.worth >= 0.45


def find_anthems(scores: Sequence[Score]) -> dict[str, str]:
    """Find the scores with the melody of a national anthem, or its title.

    Returns
    -------
    dict of str to str
        Source to the anthem's title; where only the title of the score tells,
        that.
    """
    openings = [tune(number, abc) for number, abc in tunes(_openings())]
    anthems = [(opening.title, line_of(opening.melody)) for opening in openings]
    telling = [set(runs(line)) for _, line in anthems]
    found = {}
    for score in scores:
        if score.archive != "pop909" and ANTHEM_TITLES.search(f"{score.title} {score.source}"):
            found[score.source] = score.title or score.source
        line = line_of(score.melody)
        own = set(runs(line))
        for (title, opening), few in zip(anthems, telling, strict=True):
            if len(few & own) >= MIN_SHARE * len(few) and _opens(opening, line):
                found[score.source] = title
    return found


def _opens(opening: Line, line: Line) -> bool:
    """Return whether a melody holds an opening, nearly whole and nearly as it is."""
    return len(line.pitches) >= len(opening.pitches) and compare(opening, line).worth >= 0.76


def _n_first(scores: Sequence[Score]) -> int:
    """Count the scores that dev and test are drawn from; those of other archives stand last."""
    return sum(score.archive not in TRAIN_ONLY for score in scores)


def _cached_pairs(scores: Sequence[Score], path: Path) -> list[Pair]:
    """Match all melodies, or read what was matched before: all that are at least kin."""
    if path.is_file():
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [Pair(one, other, Match(*match)) for one, other, *match in rows]
    lines = [line_of(score.melody) for score in scores]
    n_first = _n_first(scores)
    later = ((one, other) for one, other in candidates(lines) if other >= n_first)
    proposed = chain(candidates(lines[:n_first]), later if n_first < len(lines) else ())
    compared = (Pair(one, other, compare(lines[one], lines[other])) for one, other in proposed)
    pairs = [pair for pair in compared if is_kin(pair.match)]
    _keep(path, [[pair.one, pair.other, *pair.match] for pair in pairs])
    return pairs


def _cached_anthems(scores: Sequence[Score], path: Path) -> dict[str, str]:
    """Find the anthems, or read what was found before: with these scores, among these openings."""
    known = hashlib.sha256(_openings() + ANTHEM_TITLES.pattern.encode()).hexdigest()
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["known"] == known:
            found: dict[str, str] = kept["anthems"]
            return found
    anthems = find_anthems(scores)
    _keep(path, {"known": known, "anthems": anthems})
    return anthems


def _keep(path: Path, found: object) -> None:
    try:
        path.write_text(json.dumps(found), encoding="utf-8")
    except OSError as error:
        raise CorpusError(f"cannot be written: {error.strerror}", path) from error


def _openings() -> bytes:
    return resources.files("pemr.corpus.notes").joinpath("anthems.abc").read_bytes()


def _components(n: int, pairs: Iterable[Pair]) -> list[tuple[int, ...]]:
    """Join what is linked by any chain of pairs: groups of places, sorted."""
    parent = list(range(n))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for pair in pairs:
        low, high = sorted((root(pair.one), root(pair.other)))
        parent[high] = low
    groups: dict[int, list[int]] = defaultdict(list)
    for place in range(n):
        groups[root(place)].append(place)
    return [tuple(places) for places in groups.values()]


_Group = tuple[int, ...]


def _kin(groups: Sequence[_Group], pairs: Iterable[Pair]) -> dict[_Group, set[_Group]]:
    """List which groups resemble which others."""
    home = {place: places for places in groups for place in places}
    kin: dict[_Group, set[_Group]] = {places: set() for places in groups}
    for pair in pairs:
        one, other = home.get(pair.one), home.get(pair.other)
        if one and other and one != other:
            kin[one].add(other)
            kin[other].add(one)
    return kin


def _split(
    scores: Sequence[Score], groups: Sequence[_Group], kin: dict[_Group, set[_Group]]
) -> dict[_Group, Split]:
    """Give groups their splits, in the order of a hash; kin of what is held out get none."""
    order = sorted(groups, key=lambda places: _hash(scores[places[0]].source))
    splits: dict[_Group, Split] = {}
    several = [places for places in order if len(_settings(scores, places)) > 1]
    _hold_out(splits, "human", N_HUMAN, several, kin)
    for split in _DRAWN:
        for archive, share in SHARES.items():
            own = [places for places in order if scores[places[0]].archive == archive]
            _hold_out(splits, split, round(share * N_HELD_OUT), own, kin)
    held_out = set(splits)
    splits |= {p: "train" for p in order if p not in held_out and not kin[p] & held_out}
    return splits


def _with_newcomers(
    scores: Sequence[Score],
    splits: dict[_Group, Split],
    pairs: Sequence[Pair],
    anthems: Collection[str],
) -> dict[_Group, Split]:
    """Train on the scores that came later too, except for what is kin of anything held out."""
    home = {place: places for places in splits for place in places}
    barred = {place for place, score in enumerate(scores) if score.source in anthems}
    linked: dict[int, _Group] = {}
    for pair in pairs:
        places = home.get(pair.one)
        if scores[pair.other].archive in TRAIN_ONLY and scores[pair.one].archive not in TRAIN_ONLY:
            if places is None or splits[places] != "train":
                barred.add(pair.other)
            elif is_same(pair.match):
                linked.setdefault(pair.other, places)
    same = (pair for pair in pairs if is_same(pair.match) and pair.one not in home)
    grown: dict[_Group, _Group] = {places: places for places in splits}
    alone: dict[_Group, Split] = {}
    for group in _components(len(scores), same):
        if scores[group[0]].archive not in TRAIN_ONLY or barred & set(group):
            continue
        known = next((linked[place] for place in group if place in linked), None)
        if known is None:
            alone[group] = "train"
        else:
            grown[known] += group
    return {grown[places]: split for places, split in splits.items()} | alone


_DRAWN: tuple[Split, ...] = ("test", "dev")


def _hold_out(
    splits: dict[_Group, Split],
    split: Split,
    n: int,
    groups: Iterable[_Group],
    kin: dict[_Group, set[_Group]],
) -> None:
    """Give a split its first n groups that are free, resemble few others and none held out."""
    free = (
        places
        for places in groups
        if places not in splits and len(kin[places]) <= MOST_KIN and not kin[places] & splits.keys()
    )
    # Each is taken before the next is judged, for two of them may be kin.
    for places in islice(free, n):
        splits[places] = split


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _settings(scores: Sequence[Score], places: _Group) -> list[int]:
    """Choose one setting from each book, leaving out those that hardly differ from another."""
    chosen: list[int] = []
    for place in places:
        score = scores[place]
        if any(scores[other].book == score.book for other in chosen):
            continue
        if not any(_is_copy(scores[other], score) for other in chosen):
            chosen.append(place)
    return chosen


def _is_copy(one: Score, other: Score) -> bool:
    """Return whether two scores are hardly different settings: same key, melody and other parts."""
    match = compare(line_of(one.melody), line_of(other.melody))
    if match.transposition != 0 or match.worth < 0.97:
        return False
    parts = [[*score.voices, score.accompaniment] for score in (one, other)]
    textures = [[[note.pitch for note in part] for part in own] for own in parts]
    return textures[0] == textures[1]


def _work(scores: Sequence[Score], places: _Group, split: Split) -> Work:
    chosen = _settings(scores, places) if split == "human" else list(places)
    source = scores[places[0]].source
    slug = re.sub(r"[^A-Za-z0-9]+", "-", source).strip("-")[:40]
    return Work(f"{slug}-{_hash(source)[:6]}", tuple(scores[p] for p in chosen), split)
