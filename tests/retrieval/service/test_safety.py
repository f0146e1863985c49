"""Thirty requests that mean harm: each is refused with a clear answer, and the server lives."""

import socket
import time

import httpx
import pytest

from retrieval.service.limits import Limits
from tests.retrieval.service.conftest import SlowEmbedder, desk_of, served

# What Starlette leaves of a form that breaks off is tidied up with a warning.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

JSON = {"Content-Type": "application/json"}
TRACK = b'{"track_id": 1}'
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

HOSTILE = {
    "traversal": ("GET", "/../../etc/passwd", {}, b"", {404}),
    "encoded traversal": ("GET", "/%2e%2e/%2e%2e/etc/passwd", {}, b"", {404}),
    "traversal with backslashes": ("GET", "/..%5c..%5cpyproject.toml", {}, b"", {404}),
    "traversal in a track": ("GET", "/api/tracks/..%2f..%2fetc/audio", {}, b"", {404, 422}),
    "a path for a track": ("GET", "/api/tracks/%2fetc%2fpasswd", {}, b"", {404, 422}),
    "a huge id": ("GET", "/api/tracks/99999999999999999999999", {}, b"", {422}),
    "a negative id": ("GET", "/api/tracks/-1", {}, b"", {422}),
    "NUL in an id": ("GET", "/api/tracks/1%00", {}, b"", {422}),
    "NUL in a text": ("GET", "/api/tracks?text=%00", {}, b"", {200}),
    "SQL in a text": ("GET", "/api/tracks?text='%3bDROP%20TABLE%20track", {}, b"", {200}),
    "SQL in a sort": ("GET", "/api/tracks?sort=id;DROP", {}, b"", {422}),
    "a huge page": ("GET", "/api/tracks?limit=1000000", {}, b"", {422}),
    "a range too far": ("GET", "/api/tracks/1/audio", {"Range": "bytes=999999-"}, b"", {416}),
    "a range that is none": ("GET", "/api/tracks/1/audio", {"Range": "bytes=x-y"}, b"", {400, 416}),
    "a thousand ranges": (
        "GET", "/api/tracks/1/audio", {"Range": "bytes=" + ",".join(["0-1"] * 1000)}, b"",
        {200, 206, 400, 416},
    ),
    "a start that is no number": ("GET", "/api/tracks/1/audio?start_s=nan", {}, b"", {416, 422}),
    "a start beyond the end": ("GET", "/api/tracks/1/audio?start_s=1e6", {}, b"", {416}),
    "a foreign Host": ("GET", "/api/health", {"Host": "evil.example"}, b"", {403}),
    "no Host to speak of": ("GET", "/api/health", {"Host": "["}, b"", {400, 403}),
    "a foreign Origin": ("POST", "/api/search", JSON | {"Origin": "http://a.org"}, TRACK, {403}),
    "Origin null": ("POST", "/api/search", JSON | {"Origin": "null"}, TRACK, {403}),
    "a cross-site fetch": ("GET", "/api/tracks", {"Sec-Fetch-Site": "cross-site"}, b"", {403}),
    "a form for JSON": ("POST", "/api/labels", {"Content-Type": "text/plain"}, b"{}", {415, 422}),
    "the wrong type": ("POST", "/api/search", {"Content-Type": "text/html"}, b"<b>", {415}),
    "no type": ("POST", "/api/search", {}, b"", {415}),
    "deep JSON": ("POST", "/api/search", JSON, b"[" * 100_000, {422}),
    "JSON of another kind": ("POST", "/api/labels", JSON, b'{"labels": {"a": 1}}', {422}),
    "too much JSON": ("POST", "/api/labels", JSON, b" " * (1 << 21), {413}),
    "a form that breaks off": ("POST", "/api/search", FORM, PART + b"RIFF", {400, 422}),
    "a form without a file": ("POST", "/api/search", FORM, b"--x--\r\n", {400, 422}),
    "a huge upload": ("POST", "/api/search", FORM, PART + b"0" * (5 << 20), {413}),
    "a method that is not": ("PUT", "/api/tracks/1", {}, b"", {405}),
    "a label with a line break": (
        "POST", "/api/labels", JSON, b'{"labels": [{"track_id": 1, "work": "a\\nb"}]}', {422},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_means_harm_is_refused(name, client):
    method, path, headers, body, allowed = HOSTILE[name]
    url = client.base_url.copy_with(raw_path=path.encode())
    try:
        answer = client.request(method, url, headers=headers, content=body)
    except (httpx.WriteError, httpx.RemoteProtocolError):  # refused before all of it was sent
        assert name in {"a huge upload", "too much JSON"}
    else:
        assert answer.status_code in allowed, answer.text
        if answer.status_code >= 400 and "text/plain" not in answer.headers["content-type"]:
            assert answer.json()["detail"]
    assert client.get("/api/health").status_code == 200


def said_to(address, text):
    host, port = address.removeprefix("http://").split(":")
    link = socket.create_connection((host, int(port)), timeout=20)
    link.sendall(text)
    return link


def test_an_upload_that_trickles_is_cut_off(address, client):
    head = b"POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
    started = time.monotonic()
    with said_to(address, head + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n") as link:
        answer = link.recv(65536)
    assert b" 408 " in answer.splitlines()[0]
    assert time.monotonic() - started < 20
    assert client.get("/api/health").status_code == 200


def test_a_browser_that_goes_away_harms_nobody(address, client):
    head = b"POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
    form = b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    said_to(address, head + form + PART + b"RIFF").close()
    said_to(address, b"GET /api/tracks/1/audio HTTP/1.1\r\nHost: localhost\r\n\r\n").close()
    assert client.get("/api/health").status_code == 200


def test_a_file_that_takes_too_long_is_given_up(folder):
    desk = desk_of(folder, SlowEmbedder, limit_s=0.5)
    with served(desk, Limits()) as address, httpx.Client(base_url=address, timeout=60) as client:
        answer = client.post("/api/search", files={"file": ("a.wav", b"RIFF")})
        assert answer.status_code == 422
        assert "within" in answer.json()["detail"]
    desk.close()


def test_a_token_is_asked_for_and_kept_in_a_cookie(desk):
    limits = Limits(hosts=frozenset(), token="a long secret".replace(" ", "-"))
    with served(desk, limits) as address, httpx.Client(base_url=address, timeout=60) as client:
        assert client.get("/").status_code == 401
        assert client.get("/?token=wrong").status_code == 401
        assert (
            client.get("/api/health", headers={"Authorization": b"Bearer \xe9"}).status_code == 401
        )
        bearer = {"Authorization": f"Bearer {limits.token}"}
        assert client.get("/api/health", headers=bearer).status_code == 200
        answer = client.get(f"/?token={limits.token}")
        assert answer.status_code == 303
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert client.get("/api/health").status_code == 200
