"""A catalog, an embedder and limits → the application that answers requests."""

from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.types import ASGIApp

from retrieval.service import asking, reading
from retrieval.service.desk import Desk
from retrieval.service.limits import Limits
from retrieval.service.problems import RESPONSES, refusal, tell_problems
from retrieval.service.safety import Guard

_PAGE: Final = Path(__file__).with_name("page")
_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


def application(desk: Desk, limits: Limits) -> ASGIApp:
    """Make the application.

    Parameters
    ----------
    desk : Desk
        What answers.
    limits : Limits
        Who may ask, and how much.

    Returns
    -------
    ASGI application
    """
    return Guard(_app(desk), limits)


def _app(desk: Desk) -> FastAPI:
    app = FastAPI(
        title="pemr",
        version=desk.version,
        summary="Find the other recordings of the same composition.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # its page would load scripts from elsewhere; ours is page/api.html
        redoc_url=None,
        responses=RESPONSES,
    )
    tell_problems(app)
    app.state.desk = desk
    app.include_router(reading.routes)
    app.include_router(asking.routes)
    files = {file.name: file for file in _PAGE.iterdir() if file.suffix in _TYPES}

    @app.get("/{name}", include_in_schema=False)
    def page(name: str) -> FileResponse:
        found = files.get(name)
        if found is None:
            raise refusal(404, "there is nothing here")
        return FileResponse(found, media_type=_TYPES[found.suffix])

    @app.get("/", include_in_schema=False)
    def home() -> FileResponse:
        return page("index.html")

    return app
