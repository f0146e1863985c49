"""Which requests are let in: from whom, with what, how large and how long.

A page of another site must neither read nor change anything, even where it makes its own name lead
to this machine; and no request may take more than its share.
"""

import asyncio
import hmac
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.service.limits import Limits
from retrieval.service.problems import problem, refusal

COOKIE = "pemr_token"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_UPLOADS = frozenset({"/api/search", "/api/setlists"})
_MAX_JSON_BYTES = 1 << 20

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "media-src 'self' blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Lets only requests through that `Limits` allow, and gives every answer its headers.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    limits : Limits
        What is allowed.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        guarded = _with_headers(send)
        headers = Headers(scope=scope)
        reason = self._refusal(scope, headers)
        if reason is not None:
            await problem(*reason)(scope, receive, guarded)
        elif self._is_login(scope):
            answer = RedirectResponse(scope["path"] or "/", 303)
            answer.set_cookie(COOKIE, str(self._limits.token), httponly=True, samesite="strict")
            await answer(scope, receive, guarded)
        else:
            bounded = _Body(receive, self._n_allowed(scope), self._limits.upload_s)
            await self._app(scope, bounded.receive, guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        host = _name(f"//{headers.get('host', '')}")
        if self._limits.hosts and host not in self._limits.hosts:
            return 403, "this server does not go by the name that was asked for"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return 403, "requests from another site are refused"
        is_page = scope["method"] in _READS and not scope["path"].startswith("/api/")
        if not is_page and headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            return 403, "requests from another site are refused"
        if not self._has_token(scope, headers):
            return 401, "this server asks for its token: open the address that it printed"
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            return 400, "the length of the body is no number"
        if int(length) > self._n_allowed(scope):
            return 413, _too_large(self._n_allowed(scope))
        return None

    def _n_allowed(self, scope: Scope) -> int:
        return self._limits.upload_bytes if scope["path"] in _UPLOADS else _MAX_JSON_BYTES

    def _has_token(self, scope: Scope, headers: Headers) -> bool:
        if self._limits.token is None:
            return True
        kind, _, carried = headers.get("authorization", "").partition(" ")
        found = [carried] if kind.lower() == "bearer" else []
        with suppress(CookieError):
            found += [one.value for one in SimpleCookie(headers.get("cookie", "")).values()]
        found += _asked_token(scope)
        expected = self._limits.token.encode()
        return any(hmac.compare_digest(one.encode(), expected) for one in found)

    def _is_login(self, scope: Scope) -> bool:
        return self._limits.token is not None and bool(_asked_token(scope))


class _Body:
    """A request's body, bounded in size and time."""

    def __init__(self, receive: Receive, n_bytes: int, seconds: float) -> None:
        self._receive = receive
        self._n_allowed = n_bytes
        self._n_left = n_bytes
        self._until = asyncio.get_running_loop().time() + seconds
        self._is_whole = False

    async def receive(self) -> Message:
        if self._is_whole:  # from here on it is only asked whether the client is gone
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError as error:
            raise refusal(408, "the upload took too long") from error
        self._n_left -= len(message.get("body", b""))
        if self._n_left < 0:
            raise refusal(413, _too_large(self._n_allowed))
        self._is_whole = not message.get("more_body", False)
        return message


def _too_large(n_bytes: int) -> str:
    return f"too large: at most {n_bytes} bytes may be sent here"


def _asked_token(scope: Scope) -> list[str]:
    """Read the token of the address that is opened first."""
    if scope["method"] != "GET" or scope["path"] != "/":
        return []
    return parse_qs(scope["query_string"].decode("latin-1")).get("token", [])


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sent
