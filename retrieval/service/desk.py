"""What the API is asked → what it answers, as plain values; the routes only pass it on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel, Field

from indexer import Catalog, Embedder, Filter, Track, track_rows
from retrieval.errors import UncalibratedError
from retrieval.finding.groups import group, group_rows
from retrieval.ranking.candidate import Candidate, candidate_rows
from retrieval.ranking.matching.align import align
from retrieval.ranking.matching.spans import find_spans
from retrieval.ranking.ranking import Ranking
from retrieval.ranking.searching import copies, search, tonal_of
from retrieval.ranking.verdict import Verdict, judge
from retrieval.service.drawing import Similarity, draw_similarity
from retrieval.service.limits import Opus
from retrieval.service.questions import Question, Questions, track_of
from retrieval.service.shelf import Shelf, Stamp
from retrieval.service.sound import is_playable
from retrieval.service.work.hearing import Apart, as_embedder
from retrieval.service.work.jobs import LongJob, LongJobs

_N_SIFTED = 100  # of the best candidates, when only those with some text are wanted


_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Names = Annotated[list[_Name], Field(max_length=20)]
_Range = Annotated[str, Field(max_length=50)]


class Chosen(BaseModel):
    """Which tracks count: the wishes of `indexer.Filter` by their names there.

    Folders are not among them: no path of a request is looked at.
    """

    titles: _Names = []
    artists: _Names = []
    not_artists: _Names = []
    album_artists: _Names = []
    albums: _Names = []
    not_albums: _Names = []
    years: _Range = ""
    durations: _Range = ""
    added: _Range = ""
    isrcs: _Names = []
    mbids: _Names = []

    def filter(self) -> Filter:
        """Make the filter.

        Raises
        ------
        FilterError
            If a range or an identifier is none.
        """
        said = ((name, getattr(self, name)) for name in Chosen.model_fields)
        wishes: dict[str, Any] = {n: w if isinstance(w, str) else tuple(w) for n, w in said}
        return Filter(**wishes)


class Wanted(Chosen):
    """What is wanted of a search."""

    top: int = Field(10, ge=1, le=500, description="The longest list wanted.")
    min_probability: float = Field(
        0.5, ge=0, le=1, description="What a candidate needs to be called a cover."
    )
    everything: bool = Field(default=False, description="Whether to list the unlikely ones too.")
    text: str = Field("", max_length=200, description="Words that answers must hold.")


@dataclass
class Desk:
    """Everything that answers need: one for a server.

    Parameters
    ----------
    shelf : Shelf
        Readers of the catalog.
    apart : Apart
        The catalog's embedder.
    ranking : Ranking
        What decides the order of answers.
    opus : callable
        Makes Ogg Opus of a file.
    version : str
        Of pemr.
    jobs : LongJobs
        What runs.
    """

    shelf: Shelf
    apart: Apart
    ranking: Ranking
    opus: Opus
    version: str = "0"
    jobs: LongJobs = field(default_factory=LongJobs)

    def __post_init__(self) -> None:
        """Make what belongs to it."""
        self.embedder = as_embedder(self.apart)
        self.questions = Questions(self.embedder, self.ranking)
        self._grouped: dict[tuple[Stamp, float], LongJob] = {}
        self._lock = Lock()

    def close(self) -> None:
        """Stop what runs, and let go of the catalog."""
        self.jobs.close()
        self.apart.close()
        self.shelf.close()

    def hearing_for(self, job: LongJob) -> Embedder:
        """Give an embedder that tells a job how many seconds it has heard, and stops with it."""
        return as_embedder(self.apart.watched(lambda heard_s: job.advance(round(heard_s), None)))

    def judged(self, asked: Question, catalog: Catalog, wanted: Wanted) -> Verdict:
        """Search a catalog, and keep what is likely and holds some words.

        Raises
        ------
        EmptyCatalogError, SilentQueryError
            As `search` does.
        FilterError
            As `Chosen.filter` does.
        """
        n_candidates = max(wanted.top, _N_SIFTED) if wanted.text else wanted.top
        chosen = wanted.filter()
        ranked = search(
            catalog, asked.query, self.ranking, n_candidates=n_candidates, wanted=chosen
        )
        kept = [one for one in ranked if _holds(one, wanted.text)][: wanted.top]
        return judge(kept, wanted.min_probability, everything=wanted.everything)

    def answer(self, asked: Question, catalog: Catalog, wanted: Wanted) -> dict[str, Any]:
        """Search, and write the answer as `pemr search --json` does, with the query beside it."""
        verdict = self.judged(asked, catalog, wanted)
        rows = candidate_rows(verdict.candidates)
        for row, one in zip(rows, verdict.candidates, strict=True):
            row["is_playable"] = is_playable(one.path)
        query = asked.query
        return {
            "query": {
                "id": asked.id,
                "name": asked.name,
                "duration_s": query.duration_s,
                "track_id": query.track_id,
            },
            "verdict": verdict.word,
            "candidates": rows,
            "copies": [
                {"track_id": one.id, "path": str(one.path)} for one in copies(catalog, query)
            ],
        }

    def alignment(self, asked: Question, catalog: Catalog, track_id: int) -> dict[str, Any]:
        """Tell where a track follows a query."""
        track = track_of(catalog, track_id)
        ours, (theirs,) = asked.query.tonal, tonal_of(catalog, [track.id])
        weights = self.ranking.harmony_weights
        aligned = align(ours, theirs, weights)
        spans = find_spans(ours, theirs, aligned.transposition, weights=weights)
        key = spans[0].transposition if spans else aligned.transposition
        return {
            "query": asked.id,
            "track_id": track.id,
            "query_duration_s": asked.query.duration_s,
            "duration_s": track.duration_s,
            "transposition": key,
            "alignment_score": aligned.score,
            "spans": [vars(span) for span in spans],
            "picture": f"/api/alignments/{asked.id}/{track.id}/picture.png?transposition={key}",
        }

    def picture(
        self, asked: Question, catalog: Catalog, track_id: int, transposition: int
    ) -> Similarity | None:
        """Draw how alike a query and a track are; None where one of them is too short."""
        track = track_of(catalog, track_id)
        (theirs,) = tonal_of(catalog, [track.id])
        return draw_similarity(
            asked.query.tonal, theirs, transposition, self.ranking.harmony_weights
        )

    def grouping(self, min_probability: float) -> LongJob:
        """Find the job that groups the present state of the catalog, or start it."""
        if self.ranking.calibration is None:
            raise UncalibratedError(self.embedder.name)
        key = (self.shelf.stamp(), min_probability)
        with self._lock:
            job = self._grouped.get(key)
            if job is None or job.state in {"failed", "cancelled"}:
                job = self.jobs.start(
                    LongJob("groups"), lambda job: self._group(job, min_probability)
                )
                self._grouped = {key: job}
        return job

    def _group(self, job: LongJob, min_probability: float) -> list[dict[str, Any]]:
        def watch(tracks: Iterator[Track]) -> Iterator[Track]:
            for n_done, track in enumerate(tracks, start=1):
                job.advance(n_done, job.n_total)
                yield track

        with self.shelf.reader() as catalog:
            job.advance(0, catalog.n_sounding())
            groups = group(catalog, self.ranking, min_probability=min_probability, watch=watch)
            works = catalog.labels()
        return [{**row, "work": works.get(row["track_id"])} for row in group_rows(groups)]


def full_rows(tracks: Sequence[Track], works: dict[int, str]) -> list[dict[str, Any]]:
    """Write tracks as `pemr list --json` does, with id, work and whether browsers play the file."""
    return [
        {
            "id": track.id,
            **row,
            "work": works.get(track.id),
            "is_playable": is_playable(track.path),
        }
        for track, row in zip(tracks, track_rows(tracks), strict=True)
    ]


def matches(row: dict[str, Any], text: str) -> bool:
    """Whether every word of a text occurs in a track's title, artist, album, work or path."""
    names = ("title", "artist", "album", "work", "path")
    said = " ".join(str(row[name]) for name in names if row[name]).casefold()
    return all(word in said for word in text.casefold().split())


def _holds(candidate: Candidate, text: str) -> bool:
    row = {**vars(candidate), "path": str(candidate.path), "work": None}
    return matches(row, text)


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


DeskOf = Annotated[Desk, Depends(_desk)]
"""The desk of the server that was asked."""
