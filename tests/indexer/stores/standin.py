"""A small HTTP server that answers as Qdrant does, from its client's engine in this process.

What goes wrong on the way can be said: an answer that never comes, a connection that breaks off, a
refusal, shards whose servers are away.
"""

import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import urlsplit

from qdrant_client import QdrantClient, models

MOST_BYTES = 32 << 20
"""What a server takes of a request, where nobody told it otherwise."""
AWAY = "The replica set for shard 1 on peer 7 does not have enough active replicas"


class StandIn(ThreadingHTTPServer):
    """Listens on a port of this machine until it is closed."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.engine = QdrantClient(":memory:")
        self.lock = Lock()
        self.version = "1.20.0"
        self.status = "completed"
        self.is_cluster = False
        self.n_nodes = 3
        self.parts_away: set[int] = set()
        self.part_of: dict[int, int] = {}
        self.n_parts = 0
        self.faults: list[tuple[str, Any]] = []  # a pattern of "METHOD path", and what happens
        self.is_over = Event()
        self.seen: list[str] = []
        self.keys: set[str | None] = set()
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"qdrant://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: those who asked have gone away."""

    def close(self) -> None:
        self.is_over.set()
        self.shutdown()
        self.server_close()

    def n_seen(self, pattern: str) -> int:
        return sum(bool(re.search(pattern, one)) for one in self.seen)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def _handle(self) -> None:
        if self.server.is_over.is_set():  # on a connection from before
            self.close_connection = True
            self.connection.close()
            return
        path = urlsplit(self.path).path
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else {}
        asked = f"{self.command} {path}"
        self.server.seen.append(asked)
        self.server.keys.add(self.headers.get("api-key"))
        if self._failed(asked):
            return
        if len(raw) > MOST_BYTES:
            self._refuse(
                400, f"Payload error: JSON payload ({len(raw)} bytes) is larger than allowed"
            )
            return
        if asked == "GET /":
            self._send(200, {"title": "qdrant", "version": self.server.version})
            return
        for pattern, answer in ROUTES.items():
            if found := re.fullmatch(pattern, asked):
                with self.server.lock:
                    result = answer(self.server, *found.groups(), body)
                if isinstance(result, tuple):
                    self._refuse(*result)
                else:
                    self._send(200, {"result": result, "status": "ok", "time": 0.001})
                return
        self._refuse(404, f"no route for {asked}")

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815

    def _failed(self, asked: str) -> bool:
        for place, (pattern, fault) in enumerate(self.server.faults):
            if not re.search(pattern, asked):
                continue
            del self.server.faults[place]
            if fault == "hang":
                self.server.is_over.wait()
            elif fault in {"cut", "cut once"}:
                if fault == "cut":  # whoever asks asks again
                    self.server.faults.insert(place, (pattern, "cut once"))
                self.close_connection = True
                self.connection.close()
            elif isinstance(fault, str):
                self._write(200, fault.encode(), "text/html")
            else:
                self._refuse(*fault)
            return True
        return False

    def _refuse(self, status: int, text: str) -> None:
        self._send(status, {"status": {"error": text}, "time": 0.001})

    def _send(self, status: int, body: Any) -> None:
        self._write(status, json.dumps(body).encode(), "application/json")

    def _write(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if status == 429:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name)
        """Say nothing."""


def _dumped(found: Any) -> Any:
    if isinstance(found, list):
        return [_dumped(one) for one in found]
    return found.model_dump(mode="json") if hasattr(found, "model_dump") else found


def _made(server: StandIn, name: str, body: Any) -> Any:
    asked = models.CreateCollection.model_validate(body)
    server.engine.create_collection(name, asked.vectors, metadata=asked.metadata)
    server.part_of, server.n_parts = {}, 0
    return True


def _noted(server: StandIn, name: str, body: Any) -> Any:
    return server.engine.update_collection(name, metadata=body["metadata"])


def _refused(server: StandIn, parts: set[int]) -> tuple[int, str] | None:
    """Say what a server says where some of these parts are away."""
    return (500, f"Service internal error: {AWAY}") if server.parts_away & parts else None


def _put(server: StandIn, name: str, body: Any) -> Any:
    if refused := _refused(server, {body.get("shard_key")}):
        return refused
    points = models.PointsList.model_validate(body).points
    for point in points:
        server.part_of[int(point.id)] = body.get("shard_key")
    return {**_dumped(server.engine.upsert(name, points)), "status": server.status}


def _dropped(server: StandIn, name: str, body: Any) -> Any:
    if refused := _refused(server, server.parts_away):
        return refused
    return _dumped(server.engine.delete(name, body["points"]))


def _retrieved(server: StandIn, name: str, body: Any) -> Any:
    if refused := _refused(server, server.parts_away):
        return refused
    found = server.engine.retrieve(name, body["ids"], with_payload=body["with_payload"])
    return _dumped(found)


def _scrolled(server: StandIn, name: str, body: Any) -> Any:
    if refused := _refused(server, server.parts_away):
        return refused
    points, after = server.engine.scroll(
        name,
        limit=body["limit"],
        offset=body.get("offset"),
        with_payload=False,
        with_vectors=body["with_vector"],
    )
    return {"points": _dumped(points), "next_page_offset": after}


def _queried(server: StandIn, name: str, body: Any) -> Any:
    answers = []
    for request in models.QueryRequestBatch.model_validate(body).searches:
        parts = request.shard_key
        if refused := _refused(server, server.parts_away if parts is None else set(parts)):
            return refused
        if parts is not None:
            there = [i for i, part in server.part_of.items() if part in parts]
            wanted = request.filter or models.Filter()
            wanted.must = [*(wanted.must or []), models.HasIdCondition(has_id=there)]
            request.filter = wanted
        (answer,) = server.engine.query_batch_points(name, [request])
        answers.append(_dumped(answer))
    return answers


def _part_made(server: StandIn, name: str, body: Any) -> Any:
    server.n_parts = max(server.n_parts, body["shard_key"] + 1)
    return True


def _shards(server: StandIn, name: str, body: Any) -> Any:
    shards = [
        {
            "shard_id": part,
            "shard_key": part,
            "peer_id": 7,
            "points_count": 1,
            "state": "Dead" if part in server.parts_away else "Active",
        }
        for part in range(server.n_parts)
    ]
    remote = [{k: v for k, v in one.items() if k != "points_count"} for one in shards[1:]]
    about = {"peer_id": 1, "shard_count": len(shards), "shard_transfers": []}
    return {**about, "local_shards": shards[:1], "remote_shards": remote}


def _cluster(server: StandIn, body: Any) -> Any:
    if not server.is_cluster:
        return {"status": "disabled"}
    raft = {"term": 1, "commit": 1, "pending_operations": 0, "is_voter": True}
    threads = {"consensus_thread_status": "working", "last_update": "2026-01-01T00:00:00Z"}
    return {
        "status": "enabled",
        "peer_id": 1,
        "peers": {str(peer): {"uri": "http://node:6335/"} for peer in range(1, server.n_nodes + 1)},
        "raft_info": raft,
        "consensus_thread_status": threads,
        "message_send_failures": {},
    }


def _copied(server: StandIn, name: str, body: Any) -> Any:
    return {"name": f"{name}-1.snapshot", "size": 100}


ROUTES: dict[str, Callable[..., Any]] = {
    r"GET /collections/([^/]+)/exists": lambda server, name, _: {
        "exists": server.engine.collection_exists(name)
    },
    r"GET /collections/([^/]+)": lambda server, name, _: _dumped(
        server.engine.get_collection(name)
    ),
    r"PUT /collections/([^/]+)": _made,
    r"PATCH /collections/([^/]+)": _noted,
    r"DELETE /collections/([^/]+)": lambda server, name, _: server.engine.delete_collection(name),
    r"PUT /collections/([^/]+)/points": _put,
    r"POST /collections/([^/]+)/points/delete": _dropped,
    r"POST /collections/([^/]+)/points": _retrieved,
    r"POST /collections/([^/]+)/points/scroll": _scrolled,
    r"POST /collections/([^/]+)/points/query/batch": _queried,
    r"PUT /collections/([^/]+)/shards": _part_made,
    r"GET /collections/([^/]+)/cluster": _shards,
    r"POST /collections/([^/]+)/snapshots": _copied,
    r"GET /cluster": _cluster,
}
