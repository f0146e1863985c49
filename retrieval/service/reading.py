"""Routes that look things up: the catalog, its tracks, their sound, and files to take away."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response
from pydantic import Field

from retrieval.ranking.ranking import Ranking
from retrieval.reporting.answers import verdict_text
from retrieval.reporting.layout import laid_out
from retrieval.service.desk import Chosen, DeskOf, Wanted, full_rows, matches
from retrieval.service.problems import refusal
from retrieval.service.questions import track_of
from retrieval.service.sound import audio_response
from retrieval.service.work.indexing import root_rows

TrackId = Annotated[int, Path(ge=1, lt=1 << 63)]
QueryId = Annotated[str, Path(pattern=r"^([0-9]{1,18}|q-[0-9a-f]{16})$")]
MinProbability = Annotated[float, Query(ge=0, le=1)]
Sort = Literal["id", "title", "artist", "album", "duration_s", "path", "work", "state"]
_LABELS = ("path", "work", "clique")


class Listing(Chosen):
    """Which tracks are listed, and how."""

    text: str = Field("", max_length=200)
    state: Literal["", "missing", "silent", "damaged"] = ""
    sort: Sort = "path"
    descending: bool = False
    offset: int = Field(0, ge=0, le=1 << 40)
    limit: int = Field(50, ge=1, le=500)


class Export(Wanted):
    """What is taken away as a file."""

    query: str = Field("", pattern=r"^([0-9]{1,18}|q-[0-9a-f]{16})?$")
    format: Literal["m3u", "csv"] = "csv"


routes = APIRouter(prefix="/api")
"""For the application to include."""


@routes.get("/health")
def health(desk: DeskOf) -> dict[str, Any]:
    """Say whether the catalog can be searched, and with what."""
    with desk.shelf.reader() as catalog:
        about = catalog.stats()
    return {
        "status": "ok",
        "version": desk.version,
        "embedder": about.embedder,
        "tracks": about.n_tracks,
        "generation": about.generation,
        "has_probability": _is_calibrated(desk.ranking),
    }


@routes.get("/tracks")
def list_tracks(desk: DeskOf, asked: Annotated[Listing, Query()]) -> dict[str, Any]:
    """List tracks that hold every word of a text, a page at a time."""
    with desk.shelf.reader() as catalog:
        rows = full_rows(asked.filter().among(catalog.tracks()), catalog.labels())
    kept = [row for row in rows if matches(row, asked.text) and asked.state in {"", row["state"]}]
    kept.sort(key=lambda row: _place(row[asked.sort]), reverse=asked.descending)
    page = kept[asked.offset : asked.offset + asked.limit]
    return {"total": len(kept), "tracks": page}


@routes.get("/tracks/{track_id}")
def track(desk: DeskOf, track_id: TrackId) -> dict[str, Any]:
    """Describe one track."""
    with desk.shelf.reader() as catalog:
        return full_rows([track_of(catalog, track_id)], catalog.labels())[0]


@routes.head("/tracks/{track_id}/audio", include_in_schema=False)
@routes.get("/tracks/{track_id}/audio", response_class=FileResponse)
def audio(
    desk: DeskOf,
    request: Request,
    track_id: TrackId,
    start_s: Annotated[float | None, Query(ge=0, le=1e7)] = None,
) -> Response:
    """Send a track's sound: the file, in ranges; or, from a second on, as Ogg Opus."""
    with desk.shelf.reader() as catalog:
        found = track_of(catalog, track_id)
    return audio_response(request, found, desk.opus, start_s, desk.apart.bad_files)


@routes.get("/roots")
def roots(desk: DeskOf) -> list[dict[str, str]]:
    """List the folders that the catalog was made of."""
    with desk.shelf.reader() as catalog:
        return root_rows(catalog.roots())


@routes.get("/labels")
def labels(desk: DeskOf) -> list[dict[str, Any]]:
    """List the works that tracks were labelled with."""
    with desk.shelf.reader() as catalog:
        rows = full_rows(catalog.tracks(), catalog.labels())
    names = ("id", "work", "title", "artist", "path")
    return [{name: row[name] for name in names} for row in rows if row["work"]]


@routes.get("/export", response_class=PlainTextResponse)
def export(desk: DeskOf, asked: Annotated[Export, Query()]) -> Response:
    """Write the answers to a query as M3U or CSV; without one, the labels as CSV.

    The CSV of labels has the columns path, work and clique, as `pemr label`, `pemr finetune
    --cliques` and `pemr benchmark run csv` read them.
    """
    with desk.shelf.reader() as catalog:
        if asked.query:
            question = desk.questions.of_id(catalog, asked.query)
            verdict = desk.judged(question, catalog, asked)
            return _file(verdict_text(verdict, asked.format), f"answers.{asked.format}")
        if asked.format != "csv":
            raise refusal(422, "only the answers to a query can be a playlist")
        rows = full_rows(catalog.tracks(), catalog.labels())
    lines = [(row["path"], row["work"], row["work"]) for row in rows if row["work"]]
    listed = [dict(zip(_LABELS, line, strict=True)) for line in lines]
    return _file(laid_out(listed, "csv") if listed else ",".join(_LABELS) + "\n", "labels.csv")


def _is_calibrated(ranking: Ranking) -> bool:
    return ranking.calibration is not None


def _place(value: Any) -> tuple[bool, Any]:  # noqa: ANN401 (text or a number)
    return (value is None, value.casefold() if isinstance(value, str) else value or 0)


def _file(text: str, name: str) -> Response:
    kind = "audio/x-mpegurl" if name.endswith("m3u") else "text/csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    content = text.encode("utf-8", "surrogateescape")
    return Response(content, media_type=f"{kind}; charset=utf-8", headers=headers)
