"""An engine brought up to date with the database, in steps that can be cut short anywhere.

Points are put a batch at a time, and each says by a checksum of what it was made: whatever was put
before is found again and passed over. Which state of the database the engine holds is noted
around that: the one that it held and the one that it is brought to, of which either will do for a
reader, because what came and went since is searched beside the engine.

Letters: D embedding.
"""

import logging
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from indexer.errors import VectorStoreError
from indexer.exact import Ids, Track
from indexer.repair import Name
from indexer.stores.engine import Point, VectorEngine
from indexer.stores.index import Rows
from indexer.stores.remote import RemoteIndex

log = logging.getLogger(__name__)

_FORMAT = 1
_VALUES_AT_ONCE = 400_000  # in a batch, some four megabytes as text; engines bound a request


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose vectors an engine keeps.

    Parameters
    ----------
    catalog : str
        A number drawn for the catalog, so that no other writes to its points.
    embedder : str
        Name of its embedder.
    """

    catalog: str
    embedder: str


class RemoteStore:
    """The vectors of one catalog in an engine behind an address.

    Parameters
    ----------
    engine : VectorEngine
        The engine.
    owner : Owner
        Whose vectors these are.
    """

    def __init__(self, engine: VectorEngine, owner: Owner) -> None:
        self.engine = engine
        self._owner = owner

    def read(self, name: Name, rows: Rows) -> RemoteIndex | None:
        """Open what the engine holds of a state.

        Parameters
        ----------
        name : Name
            The state as the database names it; what came and went since is told the index.
        rows : Rows
            What the database holds.

        Returns
        -------
        RemoteIndex or None
            None if the engine holds another state, or nothing.

        Raises
        ------
        VectorStoreError
            If the engine cannot be asked, or holds another catalog's vectors.
        """
        return RemoteIndex(lambda: self.engine, rows) if self.holds(name, rows.dim) else None

    def holds(self, name: Name, dim: int) -> bool:
        """Whether the engine holds a state; raises as `read` does."""
        facts = self._facts()
        if facts is None or _named(name) not in (facts.get("held"), facts.get("next")):
            return False
        if (facts["embedder"], facts["dim"]) != (self._owner.embedder, dim):
            raise VectorStoreError(
                self.engine.address,
                f"it was filled by embedder {facts['embedder']!r} with {facts['dim']} dimensions, "
                f"and the catalog is of {self._owner.embedder!r} with {dim}; "
                "`pemr repair` fills it anew",
            )
        return True

    def write(
        self, old: Name | None, rows: Rows, new: Name, *, is_whole: bool = False
    ) -> Iterator[int]:
        """Bring the engine from one state of the database to another.

        Where it does not hold the first one, all points are gone through: those that are as they
        should be stay, and those that the database does not know are deleted.

        Parameters
        ----------
        old : Name or None
            The state that the database says is held.
        rows : Rows
            What the database holds now.
        new : Name
            The state that this is.
        is_whole : bool
            Whether all points are gone through in any case; readers go on meanwhile.

        Yields
        ------
        int
            How many tracks were put or found in place since the last number.

        Raises
        ------
        VectorStoreError
            If the engine cannot be asked, is full, or holds another catalog's vectors. What was
            put stays put; the next call goes on from there.
        """
        facts = self._facts()
        if old is not None and facts is not None and self._is_of(facts, old, rows.dim):
            self.engine.note({"held": _named(old), "next": _named(new)})
            yield from self._refill(rows) if is_whole else self._change(old, rows)
            return
        self._prepare(facts, rows.dim)
        yield from self._refill(rows)
        self.engine.note({"held": "", "next": _named(new)})

    def _change(self, old: Name, rows: Rows) -> Iterator[int]:
        came = _ids(rows.since(old.generation))
        gone = np.setdiff1d(rows.gone(old.generation), came)
        if len(gone):
            self.engine.drop(gone)
        yield from self._put(rows.since(old.generation))

    def _is_of(self, facts: Mapping[str, Any], name: Name, dim: int) -> bool:
        is_ours = (facts["embedder"], facts["dim"]) == (self._owner.embedder, dim)
        return is_ours and _named(name) in (facts.get("held"), facts.get("next"))

    def _facts(self) -> Mapping[str, Any] | None:
        """Read what was noted of the points, and make sure that they are this catalog's."""
        facts = self.engine.facts()
        if facts is None:
            return None
        if facts.get("pemr") != _FORMAT:
            reason = (
                "filled by a newer pemr; upgrade pemr to use it"
                if facts.get("pemr", 0) > _FORMAT
                else "there is a collection of this name that is not pemr's; name another one"
            )
            raise VectorStoreError(self.engine.address, reason)
        if facts.get("catalog") != self._owner.catalog:
            reason = "it holds the vectors of another catalog; name another collection"
            raise VectorStoreError(self.engine.address, reason)
        return facts

    def _prepare(self, facts: Mapping[str, Any] | None, dim: int) -> None:
        """Make the collection where there is none, or one of another embedder."""
        new = {"pemr": _FORMAT, "catalog": self._owner.catalog, "held": "", "next": ""}
        new |= {"embedder": self._owner.embedder, "dim": dim}
        is_alike = facts is not None and all(facts[key] == new[key] for key in ("embedder", "dim"))
        if is_alike:
            self.engine.note({"held": "", "next": ""})
        else:
            self.engine.make(dim, new)

    def _refill(self, rows: Rows) -> Iterator[int]:
        known = array("q")

        def noted() -> Iterator[Track]:
            for track in rows.all():
                known.append(track[0])
                yield track

        yield from self._put(noted())
        strangers = [np.setdiff1d(ids, known) for ids in self.engine.ids()]
        for ids in strangers:
            if len(ids):
                self.engine.drop(ids)

    def _put(self, tracks: Iterable[Track]) -> Iterator[int]:
        n_put = 0
        for points in _batches(Point.of(*track) for track in tracks if len(track[1])):
            found = self.engine.checksums([point.id for point in points])
            new = [point for point in points if found.get(point.id) != point.checksum]
            if new:
                self.engine.put(new)
            n_put += len(new)
            yield len(points)
        log.debug("%s: %d points were put", self.engine.address, n_put)


def _named(name: Name) -> str:
    return f"{name.generation}:{name.token}"


def _ids(tracks: Iterable[Track]) -> Ids:
    return np.array([track_id for track_id, _ in tracks], np.int64)


def _batches(points: Iterable[Point]) -> Iterator[list[Point]]:
    waiting: list[Point] = []
    n_values = 0
    for point in points:
        if waiting and n_values + point.segments.size > _VALUES_AT_ONCE:
            yield waiting
            waiting, n_values = [], 0
        waiting.append(point)
        n_values += point.segments.size
    yield from chain([waiting] if waiting else [])
