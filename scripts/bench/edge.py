"""Qdrant's core in this process: the engine of a server without the server, asked as one is.

Its points have the form that `indexer.stores.qdrant.points` gives them. Needs `qdrant-edge-py`.

Letters: D embedding, K points asked.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as core
from numpy.typing import NDArray

from indexer.hubs import Neighbours
from indexer.stores.engine import Point

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]

_BYTES: dict[str, Any] = {"type": core.ScalarType.Int8, "quantile": 0.99}
_AT_ONCE = 1_000


class Edge:
    """The points of one catalog in a folder; see `indexer.stores.engine.VectorEngine`.

    Parameters
    ----------
    folder : Path
        Of its files; what is in there is deleted when a collection is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shard: core.EdgeShard | None = None
        self._facts: dict[str, Any] = {}

    @property
    def address(self) -> str:
        """Where it is, for people."""
        return f"Qdrant's core in {self._folder}"

    @property
    def is_partial(self) -> bool:
        """Whether parts were away: it has none."""
        return False

    @property
    def shard(self) -> core.EdgeShard:
        """The collection, which must have been made."""
        if self._shard is None:
            raise RuntimeError("no collection was made")
        return self._shard

    def facts(self) -> Mapping[str, Any] | None:
        """Read what was noted of all points; None where there is no collection."""
        return None if self._shard is None else dict(self._facts)

    def make(self, dim: int, facts: Mapping[str, Any]) -> None:
        """Make the collection, in place of one that there is."""
        self.delete()
        graph = core.HnswIndexConfig(m=16, ef_construct=128, full_scan_threshold=10_000)
        in_memory = core.ScalarQuantizationConfig(always_ram=True, **_BYTES)
        shape: dict[str, Any] = {"distance": core.Distance.Dot, "on_disk": True}
        dense = {"hnsw_config": graph, "quantization_config": in_memory, **shape}
        segments = core.EdgeVectorParams(
            size=dim,
            hnsw_config=core.HnswIndexConfig(m=0, ef_construct=16, full_scan_threshold=0),
            quantization_config=core.ScalarQuantizationConfig(always_ram=False, **_BYTES),
            datatype=core.VectorStorageDatatype.Float16,
            multivector_config=core.MultiVectorConfig(core.MultiVectorComparator.MaxSim),
            **shape,
        )
        vectors = {
            "coarse": core.EdgeVectorParams(size=dim + 1, **dense),
            "direction": core.EdgeVectorParams(size=dim, **dense),
            "segments": segments,
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        self._shard = core.EdgeShard.create(str(self._folder), core.EdgeConfig(vectors=vectors))
        self._facts = dict(facts)

    def delete(self) -> None:
        """Delete the collection."""
        self.close()
        self._shard, self._facts = None, {}
        shutil.rmtree(self._folder, ignore_errors=True)

    def note(self, facts: Mapping[str, Any]) -> None:
        """Note facts beside those that were noted before, or in place of them."""
        self._facts |= facts

    def put(self, points: Sequence[Point]) -> None:
        """Keep some points, in place of those with the same ids."""
        some = [
            core.Point(
                point.id,
                {
                    "coarse": point.coarse.tolist(),
                    "direction": point.direction.tolist(),
                    "segments": point.segments.tolist(),
                },
                {"checksum": point.checksum},
            )
            for point in points
        ]
        self.shard.update(core.UpdateOperation.upsert_points(some))

    def number(self, numbers: Mapping[int, Ids]) -> None:
        """Note each number beside some points, and have it indexed."""
        for number, track_ids in numbers.items():
            noted = core.UpdateOperation.set_payload(track_ids.tolist(), {"number": number})
            self.shard.update(noted)
        kind = core.PayloadSchemaType.Integer
        self.shard.update(core.UpdateOperation.create_field_index("number", kind))

    def settle(self) -> None:
        """Have graphs and bytes made of what was put, as a server does by itself."""
        self.shard.flush()
        self.shard.optimize()

    def drop(self, track_ids: Ids) -> None:
        """Delete some points; those that there are not are passed over."""
        self.shard.update(core.UpdateOperation.delete_points(track_ids.tolist()))

    def checksums(self, track_ids: Sequence[int]) -> dict[int, int]:
        """Read the checksums of some points; those that there are not are left out."""
        found = self.shard.retrieve(list(track_ids), with_payload=True, with_vector=False)
        return {int(one.id): one.payload["checksum"] for one in found}

    def ids(self) -> Iterator[Ids]:
        """Yield the ids of all points, in blocks."""
        for records in self._records(vectors=False):
            yield np.array([int(one.id) for one in records], np.int64)

    def rows(self) -> Iterator[tuple[Ids, Vectors]]:
        """Yield ids and directions of all points, in blocks."""
        for records in self._records(vectors=["direction"]):
            rows = np.array([one.vector["direction"] for one in records], np.float32)
            yield np.array([int(one.id) for one in records], np.int64), rows

    def _records(self, vectors: list[str] | bool) -> Iterator[list[core.Record]]:
        after: Any = None
        while True:
            asked = core.ScrollRequest(offset=after, limit=_AT_ONCE, with_vector=vectors)
            records, after = self.shard.scroll(asked)
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
        """Name the points whose segments are nearest to those of a query, each to its own."""
        return self.ask(versions, n_wide, n_deep, _filter(only, without))

    def ask(
        self,
        versions: Sequence[Vectors],
        n_wide: int | None,
        n_deep: int,
        wanted: core.Filter | None,
    ) -> Ids:
        """Do the same, of the points that any filter lets through."""
        rows = [[*version.mean(axis=0).tolist(), 1.0] for version in versions]
        first = [
            core.Prefetch(n_wide, core.Query.Nearest(row, "coarse"))
            for row in (rows if n_wide is not None else [])
        ]
        request = core.QueryRequest(
            limit=n_deep,
            query=core.Query.Nearest(versions[0].tolist(), "segments"),
            prefetches=first or None,
            filter=wanted,
            params=core.SearchParams(quantization=core.QuantizationSearchParams(rescore=False)),
            with_payload=False,
        )
        return np.array([int(point.id) for point in self.shard.query(request)], np.int64)

    def near(self, rows: Vectors, n_points: int, *, without: Ids) -> Neighbours:
        """Find the points whose directions are nearest to each of some rows, (K, D)."""
        shape = (len(rows), n_points)
        near = Neighbours(np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32))
        requests = [
            core.QueryRequest(
                limit=n_points,
                query=core.Query.Nearest(row.tolist(), "direction"),
                filter=_filter(None, without),
                with_payload=False,
            )
            for row in rows
        ]
        for place, points in enumerate(self.shard.query_batch(core.QueryBatchRequest(requests))):
            near.ids[place, : len(points)] = [int(point.id) for point in points]
            near.cosines[place, : len(points)] = [point.score for point in points]
        return near

    def snapshot(self) -> str:
        """Say the name of the folder: its files are here."""
        self.shard.flush()
        return self._folder.name

    def close(self) -> None:
        """Let go of the files."""
        if self._shard is not None:
            self._shard.close()


def numbered(below: int) -> core.Filter:
    """Let through the points with a number below another."""
    return core.Filter(must=[core.FieldCondition("number", range=core.RangeFloat(lt=below))])


def _filter(only: Ids | None, without: Ids) -> core.Filter | None:
    must = [] if only is None else [core.HasIdCondition(set(only.tolist()))]
    must_not = [core.HasIdCondition(set(without.tolist()))] if len(without) else []
    return core.Filter(must=must, must_not=must_not) if must or must_not else None
