"""What went wrong → one sentence with the right status, as RFC 9457 has it."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from indexer import CatalogError, CatalogWriteError, FilterError, IndexerError
from retrieval.errors import RetrievalError, SoundError

log = logging.getLogger(__name__)


class Problem(BaseModel):
    """An error as RFC 9457 writes it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


MEDIA_TYPE = "application/problem+json"
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": HTTPStatus(status).phrase, "model": Problem}
    for status in (400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 416, 422, 429, 503)
}
"""What every route may answer with."""


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Answer with an error.

    Parameters
    ----------
    status : int
        Of HTTP.
    detail : str
        One sentence for people.
    headers : dict, optional
        Further headers.

    Returns
    -------
    JSONResponse
    """
    content = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail).model_dump()
    return JSONResponse(content, status, headers, media_type=MEDIA_TYPE)


def refusal(status: int, detail: str) -> HTTPException:
    """Make the exception that ends a request with an error."""
    return HTTPException(status, detail)


def tell_problems(app: FastAPI) -> None:
    """Let an app answer every error as a problem."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(IndexerError, _told)
    app.add_exception_handler(RetrievalError, _told)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return problem(error.status_code, str(error.detail), headers)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(one) for one in first["loc"])
    return problem(422, f"{place}: {first['msg']}")


async def _gone(_request: Request, _error: Exception) -> JSONResponse:
    return problem(400, "the upload was broken off")


async def _told(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, CatalogWriteError):
        return problem(409, str(error))
    if isinstance(error, CatalogError):
        return problem(503, str(error))
    if isinstance(error, (SoundError, FilterError)):
        return problem(422, str(error))
    return problem(422 if isinstance(error, RetrievalError) else 503, str(error))
