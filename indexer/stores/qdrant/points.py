"""Points in a collection of a Qdrant server: made, put, deleted and searched.

A collection has three vectors for each track: `coarse` and `direction`, which are quantised to one
byte a value, held in memory and searched through a graph; and `segments`, a multivector compared
by MaxSim, quantised likewise and read from disk as it is needed. On a cluster the tracks are cut
into parts by their ids, so that those that are there can be asked while others are away.

Letters: D embedding, S segments, K points asked.
"""

import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from indexer.errors import VectorStoreError
from indexer.exact import Ids, Vectors
from indexer.hubs import Neighbours
from indexer.stores.engine import Point
from indexer.stores.qdrant.address import API_KEY, CollectionAddress
from indexer.stores.qdrant.connection import client_of
from indexer.stores.qdrant.refusals import AwayError, refuse_unfinished, telling

log = logging.getLogger(__name__)

_OLDEST = (1, 16)  # the first version that keeps facts of a collection
_ROWS_AT_ONCE = 1_000
_DIGITS = 5  # behind the point; half precision has steps of 3e-5 where most values lie
_IDS_AT_ONCE = 10_000
_ASKED_AT_ONCE = 100
_NAMED_AT_ONCE = 500_000  # ids in a request, at most ten megabytes; a server takes 32
_BYTES = models.ScalarQuantization(
    scalar=models.ScalarQuantizationConfig(
        type=models.ScalarType.INT8, quantile=0.99, always_ram=True
    )
)
_BYTES_ON_DISK = models.ScalarQuantization(
    scalar=models.ScalarQuantizationConfig(
        type=models.ScalarType.INT8, quantile=0.99, always_ram=False
    )
)
_AS_BYTES = models.SearchParams(quantization=models.QuantizationSearchParams(rescore=False))


def connected(address: CollectionAddress) -> "QdrantEngine":
    """Connect to a server; the key is taken from the environment.

    Parameters
    ----------
    address : CollectionAddress
        Where it is.

    Returns
    -------
    QdrantEngine

    Raises
    ------
    VectorStoreError
        If it cannot be reached, or is too old.
    """
    if os.environ.get(API_KEY) and not address.is_safe:
        log.warning("%s: the key is sent without encryption; write qdrants://", address)
    engine = QdrantEngine(client_of(address), address)
    engine.check_version()
    return engine


class QdrantEngine:
    """The points of one catalog in a collection.

    Parameters
    ----------
    client : QdrantClient
        Connected, or in this process.
    address : CollectionAddress
        Of the collection.
    """

    def __init__(self, client: QdrantClient, address: CollectionAddress) -> None:
        self._client = client
        self._about = address
        self._name = address.collection
        self._n_parts = 0  # of a collection that is cut by ids; the server may cut it otherwise
        self._is_partial = False

    @property
    def address(self) -> str:
        """Where it is, for people; no secret is in it."""
        return str(self._about)

    @property
    def is_partial(self) -> bool:
        """Whether what was last searched was searched without parts that are away."""
        return self._is_partial

    def check_version(self) -> None:
        """Make sure that the server can do what is asked of it.

        Raises
        ------
        VectorStoreError
            If it cannot be reached, is no Qdrant, or is too old.
        """
        with telling(self._about):
            version = self._client.info().version
        found = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
        if found < _OLDEST:
            wanted = ".".join(map(str, _OLDEST))
            reason = f"the server is Qdrant {version}; it must be {wanted} or newer"
            raise VectorStoreError(self.address, reason)

    def facts(self) -> Mapping[str, Any] | None:
        """Read what was noted of all points; None where there is no such collection."""
        with telling(self._about):
            if not self._client.collection_exists(self._name):
                return None
            facts = self._client.get_collection(self._name).config.metadata or {}
        self._n_parts = int(facts.get("parts", 0))
        return facts

    def make(self, dim: int, facts: Mapping[str, Any]) -> None:
        """Make the collection, in place of one that there is."""
        graph = models.HnswConfigDiff(m=16, ef_construct=128)
        shape: dict[str, Any] = {"distance": models.Distance.DOT, "on_disk": True}
        dense = {"hnsw_config": graph, "quantization_config": _BYTES, **shape}
        vectors = {
            "coarse": models.VectorParams(size=dim + 1, **dense),
            "direction": models.VectorParams(size=dim, **dense),
            "segments": models.VectorParams(
                size=dim,
                hnsw_config=models.HnswConfigDiff(m=0),  # a graph of multivectors takes days
                quantization_config=_BYTES_ON_DISK,
                datatype=models.Datatype.FLOAT16,
                multivector_config=models.MultiVectorConfig(
                    comparator=models.MultiVectorComparator.MAX_SIM
                ),
                **shape,
            ),
        }
        with telling(self._about):
            n_nodes = self._n_nodes()
            self._refuse_few(n_nodes)
            if self._client.collection_exists(self._name):
                self._client.delete_collection(self._name)
            self._n_parts = self._about.n_shards if n_nodes else 0
            noted = {**facts, "parts": self._n_parts}
            if not self._n_parts:
                self._client.create_collection(self._name, vectors, metadata=noted)
                return
            self._client.create_collection(
                self._name,
                vectors,
                metadata=noted,
                sharding_method=models.ShardingMethod.CUSTOM,
                replication_factor=self._about.n_replicas,
            )
            for part in range(self._n_parts):
                self._client.create_shard_key(self._name, part, shards_number=1)

    def _n_nodes(self) -> int:
        """Count the nodes of a cluster; 0 where there is none."""
        try:
            about: Any = self._client.cluster_status()
        except NotImplementedError:  # what the client says of its engine in this process
            return 0
        return len(about.peers) if str(about.status) == "enabled" else 0

    def _refuse_few(self, n_nodes: int) -> None:
        """Raise a `VectorStoreError` where copies would be left out, for want of nodes."""
        if 0 < n_nodes < self._about.n_replicas:
            reason = (
                f"the cluster has {n_nodes} of the {self._about.n_replicas} nodes that so many "
                "copies need; wait until the others have joined it, or ask for fewer replicas"
            )
            raise VectorStoreError(self.address, reason)

    def delete(self) -> None:
        """Delete the collection."""
        with telling(self._about):
            self._client.delete_collection(self._name)

    def note(self, facts: Mapping[str, Any]) -> None:
        """Note facts beside those that were noted before, or in place of them."""
        with telling(self._about):
            self._client.update_collection(self._name, metadata=dict(facts))

    def put(self, points: Sequence[Point]) -> None:
        """Keep some points, in place of those with the same ids; done when it returns."""
        parts: dict[int | None, list[models.PointStruct]] = defaultdict(list)
        for point in points:
            vectors: Any = {
                "coarse": _written(point.coarse),
                "direction": _written(point.direction),
                "segments": _written(point.segments),
            }
            payload = {"checksum": point.checksum}
            one = models.PointStruct(id=point.id, vector=vectors, payload=payload)
            parts[self._part(point.id)].append(one)
        with telling(self._about):
            for part, some in parts.items():
                done = self._client.upsert(self._name, some, wait=True, shard_key_selector=part)
                refuse_unfinished(self._about, done)

    def _part(self, track_id: int) -> int | None:
        return track_id % self._n_parts if self._n_parts else None

    def drop(self, track_ids: Ids) -> None:
        """Delete some points; those that there are not are passed over."""
        with telling(self._about):
            for first in range(0, len(track_ids), _IDS_AT_ONCE):
                some: list[Any] = track_ids[first : first + _IDS_AT_ONCE].tolist()
                refuse_unfinished(self._about, self._client.delete(self._name, some, wait=True))

    def checksums(self, track_ids: Sequence[int]) -> dict[int, int]:
        """Read the checksums of some points; those that there are not are left out."""
        with telling(self._about):
            found = self._client.retrieve(
                self._name, list(track_ids), with_payload=["checksum"], with_vectors=False
            )
        return {int(one.id): int((one.payload or {}).get("checksum", -1)) for one in found}

    def ids(self) -> Iterator[Ids]:
        """Yield the ids of all points, in blocks."""
        for records in self._records(_IDS_AT_ONCE, []):
            yield np.array([int(one.id) for one in records], np.int64)

    def rows(self) -> Iterator[tuple[Ids, Vectors]]:
        """Yield ids and directions of all points, in blocks."""
        for records in self._records(_ROWS_AT_ONCE, ["direction"]):
            rows = [one.vector["direction"] for one in records]  # type: ignore[index, call-overload]
            ids = np.array([int(one.id) for one in records], np.int64)
            yield ids, np.array(rows, np.float32)

    def _records(self, at_once: int, vectors: list[str]) -> Iterator[list[models.Record]]:
        after: Any = None
        while True:
            with telling(self._about):
                records, after = self._client.scroll(
                    self._name,
                    limit=at_once,
                    offset=after,
                    with_payload=False,
                    with_vectors=vectors or False,
                )
            if records:
                yield records
            if after is None:
                return

    def best(
        self,
        versions: Sequence[Vectors],
        n_wide: int | None,
        n_deep: int,
        *,
        only: Ids | None,
        without: Ids,
    ) -> Ids:
        """Name the points whose segments are nearest to those of a query, each to its own.

        Of more points than a request can name, some are asked after the others.
        """
        # a server hands a filter on to what is chosen first, so it is said once
        request = models.QueryRequest(
            query=_written(versions[0]),
            using="segments",
            prefetch=_chosen_first(versions, n_wide),
            limit=n_deep,
            params=_AS_BYTES,  # whatever comes back is scored by what the database holds
            with_payload=False,
        )
        found: list[models.ScoredPoint] = []
        for some in _blocks(only):
            wanted = request.model_copy(update={"filter": _filter(some, without)})
            found += self._answers([wanted])[0]
        found.sort(key=lambda point: point.score, reverse=True)
        return np.array([int(point.id) for point in found[:n_deep]], np.int64)

    def near(self, rows: Vectors, n_points: int, *, without: Ids) -> Neighbours:
        """Find the points whose directions are nearest to each of some rows, (K, D)."""
        shape = (len(rows), n_points)
        near = Neighbours(np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32))
        wanted = _filter(None, without)
        at_once = min(_ASKED_AT_ONCE, max(1, _NAMED_AT_ONCE // max(1, len(without))))
        for first in range(0, len(rows), at_once):
            requests = [
                models.QueryRequest(
                    query=_written(row), using="direction", filter=wanted, limit=n_points
                )
                for row in rows[first : first + at_once]
            ]
            for place, points in enumerate(self._answers(requests), start=first):
                near.ids[place, : len(points)] = [int(point.id) for point in points]
                near.cosines[place, : len(points)] = [point.score for point in points]
        return near

    def _answers(self, requests: list[models.QueryRequest]) -> list[list[models.ScoredPoint]]:
        """Ask all parts, or those that are there while others are away."""
        try:
            with telling(self._about):
                answers = self._client.query_batch_points(self._name, requests)
        except AwayError as away:
            parts = self._parts_that_are_there()
            if not parts:
                raise
            if not self._is_partial:
                log.warning(
                    "%s: the answer is partial: %d of %d parts of the catalog are away (%s)",
                    self.address,
                    self._n_parts - len(parts),
                    self._n_parts,
                    away.said,
                )
            self._is_partial = True
            some = [one.model_copy(update={"shard_key": parts}) for one in requests]
            with telling(self._about):
                answers = self._client.query_batch_points(self._name, some)
        else:
            self._is_partial = False
        return [answer.points for answer in answers]

    def _parts_that_are_there(self) -> list[int]:
        if not self._n_parts:
            return []
        with telling(self._about):
            about = self._client.collection_cluster_info(self._name)
        shards: list[Any] = [*about.local_shards, *about.remote_shards]
        there = {one.shard_key for one in shards if one.state == models.ReplicaState.ACTIVE}
        return sorted(int(part) for part in there if part is not None)

    def snapshot(self) -> str:
        """Have the server copy all files of the collection, and say the name of the copy."""
        with telling(self._about):
            made = self._client.create_snapshot(self._name, wait=True)
        return made.name if made is not None else ""

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def _written(values: Vectors) -> list[Any]:
    """Write vectors with as many digits as bytes and half precision have use for.

    A request is text: this makes it a third as long.
    """
    written: list[Any] = np.round(values.astype(np.float64), _DIGITS).tolist()
    return written


def _chosen_first(versions: Sequence[Vectors], n_wide: int | None) -> list[models.Prefetch] | None:
    """Choose points by the mean of each version of a query; all of them where nothing is said."""
    if n_wide is None:
        return None
    means = [[*_written(version.mean(axis=0)), 1.0] for version in versions]
    return [models.Prefetch(query=mean, using="coarse", limit=n_wide) for mean in means]


def _blocks(only: Ids | None) -> Iterator[Ids | None]:
    """Cut ids into blocks that a request can name; there is one, where nothing is said."""
    if only is None:
        yield None
        return
    for first in range(0, len(only), _NAMED_AT_ONCE):
        yield only[first : first + _NAMED_AT_ONCE]


def _filter(only: Ids | None, without: Ids) -> models.Filter | None:
    must: list[Any] = []
    must_not: list[Any] = []
    if only is not None:
        must.append(models.HasIdCondition(has_id=only.tolist()))
    if len(without):
        must_not.append(models.HasIdCondition(has_id=without.tolist()))
    if not must and not must_not:
        return None
    return models.Filter(must=must or None, must_not=must_not or None)
