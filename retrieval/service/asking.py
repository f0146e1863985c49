"""Routes that work: searches, alignments, setlists, groups, labels and jobs."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path as FilePath
from typing import Annotated, Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import UploadFile

from indexer import Catalog
from retrieval.finding.listing import setlist_json
from retrieval.finding.setlist import recognise
from retrieval.service.desk import Desk, DeskOf, Wanted
from retrieval.service.problems import refusal
from retrieval.service.questions import Question, Sent, track_of
from retrieval.service.reading import MinProbability, QueryId, TrackId
from retrieval.service.work.indexing import index_apart, root_id
from retrieval.service.work.jobs import LongJob

Result = TypeVar("Result")

_FIELDS = tuple(Wanted.model_fields)
_LISTS = {name for name, field in Wanted.model_fields.items() if isinstance(field.default, list)}
_MOST_FIELDS = 50
_N_SEARCHES = 4  # at once; more only take turns
_WAIT_S = 5.0  # for groups, before a job is named instead


class SearchBody(Wanted):
    """What a search asks: answers to a track of the catalog, or to a file beside it."""

    track_id: int | None = Field(None, ge=1, lt=1 << 63, description="A track of the catalog.")


class Label(BaseModel):
    """Which work a track is a performance of."""

    track_id: int = Field(ge=1, lt=1 << 63)
    work: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")


class Labels(BaseModel):
    """Some labels."""

    labels: list[Label] = Field(min_length=1, max_length=5000)


_FILE = {"type": "string", "format": "binary", "description": "A recording."}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": SearchBody.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": _FILE, **Wanted.model_json_schema()["properties"]},
                }
            },
        },
    }
}


routes = APIRouter(prefix="/api")
"""For the application to include."""
_searches = CapacityLimiter(_N_SEARCHES)
_hearings = CapacityLimiter(1)


async def _threaded(work: Callable[[], Result], limiter: CapacityLimiter) -> Result:
    return await to_thread.run_sync(work, limiter=limiter)


@routes.post("/search", openapi_extra=_BODY)
async def search(desk: DeskOf, request: Request) -> dict[str, Any]:
    """Rank the catalog's tracks as answers to a track, or to a file that is sent."""
    question, sent = await _read(request)
    if sent is None:
        return await _threaded(partial(_search_track, desk, question), _searches)
    asked = await _threaded(partial(_hear, desk, sent), _hearings)
    return await _threaded(partial(_answer, desk, asked.id, question), _searches)


@routes.get("/alignments/{query}/{track_id}")
async def alignment(desk: DeskOf, query: QueryId, track_id: TrackId) -> dict[str, Any]:
    """Tell where a track follows a query, and in which key and tempo."""

    def work() -> dict[str, Any]:
        with desk.shelf.reader() as catalog:
            return desk.alignment(desk.questions.of_id(catalog, query), catalog, track_id)

    return await _threaded(work, _searches)


@routes.get("/alignments/{query}/{track_id}/picture.png", response_class=Response)
async def picture(
    desk: DeskOf,
    query: QueryId,
    track_id: TrackId,
    transposition: Annotated[int, Query(ge=-11, le=11)] = 0,
) -> Response:
    """Draw how alike every two moments of a query and a track are, as PNG."""

    def work() -> Response:
        with desk.shelf.reader() as catalog:
            asked = desk.questions.of_id(catalog, query)
            drawn = desk.picture(asked, catalog, track_id, transposition)
        if drawn is None:
            raise refusal(422, "one of the recordings is too short to draw")
        sizes = {"X-Query-Seconds": drawn.query_s, "X-Candidate-Seconds": drawn.candidate_s}
        headers = {name: f"{value:.3f}" for name, value in sizes.items()}
        return Response(drawn.png, media_type="image/png", headers=headers)

    return await _threaded(work, _searches)


@routes.post("/setlists", status_code=202, openapi_extra=_BODY)
async def setlist(desk: DeskOf, request: Request) -> dict[str, Any]:
    """Start to find which works occur in a recording; the result is that of `--json`."""
    question, sent = await _read(request)
    path = None if sent is not None else await _threaded(partial(_path, desk, question), _searches)
    work = partial(_setlist, desk, question, path, sent)
    return desk.jobs.start(LongJob("setlist"), work).row()


@routes.get("/groups")
async def groups(desk: DeskOf, min_probability: MinProbability = 0.5) -> Response:
    """List tracks that are probably of one work; 202 with a job while they are sought."""
    job = await _threaded(partial(desk.grouping, min_probability), _searches)
    await to_thread.run_sync(job.wait, _WAIT_S, abandon_on_cancel=True)
    if job.state == "failed":
        raise refusal(422, job.error or "the groups could not be found")
    if job.state == "done":
        return JSONResponse({"groups": job.result})
    return JSONResponse({"job": {**job.row(), "result": None}}, 202)


@routes.post("/labels")
def label(desk: DeskOf, labels: Labels) -> dict[str, int]:
    """Say which work some tracks are performances of; an older label is replaced."""
    works = {one.track_id: one.work for one in labels.labels}
    with desk.shelf.reader() as catalog:
        for track_id in works:
            track_of(catalog, track_id)
    with Catalog.write(desk.shelf.place) as catalog:
        catalog.set_labels(works)
    return {"labelled": len(works)}


@routes.post("/roots/{root}/index", status_code=202)
def index(desk: DeskOf, root: Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]) -> dict[str, Any]:
    """Start to bring the catalog up to date with one of its own folders."""
    with desk.shelf.reader() as catalog:
        found = [path for path in catalog.roots() if root_id(path) == root]
    if not found:
        raise refusal(404, "the catalog has no folder of this id")
    return desk.jobs.start(
        LongJob("index"), index_apart(desk.shelf.place, found[0], desk.apart.load)
    ).row()


@routes.get("/jobs")
def jobs(desk: DeskOf) -> list[dict[str, Any]]:
    """List the last jobs, without their results."""
    return [{**job.row(), "result": None} for job in desk.jobs.all()]


@routes.get("/jobs/{job_id}")
def job(desk: DeskOf, job_id: Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]) -> dict[str, Any]:
    """Tell how far a job is, and what came of it."""
    return desk.jobs.find(job_id).row()


@routes.delete("/jobs/{job_id}")
def cancel(desk: DeskOf, job_id: Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]) -> dict[str, Any]:
    """Tell a job to stop; what it has stored stays."""
    found = desk.jobs.find(job_id)
    found.cancel()
    return found.row()


async def _read(request: Request) -> tuple[SearchBody, Sent | None]:
    """Read a question from JSON, or from a form with a file in it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            question = SearchBody.model_validate_json(await request.body())
        except ValidationError as error:
            raise refusal(422, _first(error)) from error
        if question.track_id is None:
            raise refusal(422, "name a track_id, or send a file")
        return question, None
    if kind != "multipart/form-data":
        raise refusal(415, "send JSON with a track_id, or a form with a file")
    async with request.form(max_files=1, max_fields=_MOST_FIELDS) as form:
        sent = form.get("file")
        if not isinstance(sent, UploadFile):
            raise refusal(422, "the form has no file")
        named = {
            name: form.getlist(name) if name in _LISTS else form[name]
            for name in _FIELDS
            if name in form
        }
        try:
            question = SearchBody.model_validate(named)
        except ValidationError as error:
            raise refusal(422, _first(error)) from error
        name = (sent.filename or "a recording")[:200]
        return question, await to_thread.run_sync(Sent, sent.file, name)


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(one) for one in first['loc']) or 'body'}: {first['msg']}"


def _hear(desk: Desk, sent: Sent) -> Question:
    with sent:
        return desk.questions.of_file(sent.path, sent.name)


def _answer(desk: Desk, query_id: str, question: SearchBody) -> dict[str, Any]:
    with desk.shelf.reader() as catalog:
        return desk.answer(desk.questions.of_id(catalog, query_id), catalog, question)


def _search_track(desk: Desk, question: SearchBody) -> dict[str, Any]:
    return _answer(desk, str(question.track_id), question)


def _path(desk: Desk, question: SearchBody) -> FilePath:
    with desk.shelf.reader() as catalog:
        path = track_of(catalog, question.track_id or 0).path
    if not path.is_file():
        raise refusal(410, "the file of this track is gone, or its disk is not mounted")
    return path


def _setlist(
    desk: Desk, question: SearchBody, path: FilePath | None, sent: Sent | None, job: LongJob
) -> dict[str, Any]:
    job.advance(0, None)
    with sent or nullcontext(), desk.shelf.reader() as catalog:
        heard = sent.path if sent is not None else path
        assert heard is not None
        ear = desk.hearing_for(job)
        found = recognise(
            catalog, ear, heard, desk.ranking, min_probability=question.min_probability
        )
    job.advance(round(found.duration_s), round(found.duration_s))
    return setlist_json(found)
