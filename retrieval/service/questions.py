"""What is asked with: tracks by their ids, and files that were sent, under ids of their own."""

import secrets
import shutil
import tempfile
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from indexer import Catalog, Embedder, Track, hash_audio
from retrieval.ranking.candidate import Query
from retrieval.ranking.query import heard_query, track_query
from retrieval.ranking.ranking import Ranking
from retrieval.service.problems import refusal

_N_KEPT = 64


@dataclass(frozen=True)
class Question:
    """A question that was prepared.

    Parameters
    ----------
    id : str
        Of a track, or `q-` and sixteen hexadecimal digits.
    name : str
        What people call it.
    query : Query
        What `search` is asked with.
    """

    id: str
    name: str
    query: Query


class Questions:
    """Prepares questions, and keeps the last ones, so that each is embedded once.

    Parameters
    ----------
    embedder : Embedder
        The catalog's.
    ranking : Ranking
        At whose tempos is asked.
    """

    def __init__(self, embedder: Embedder, ranking: Ranking) -> None:
        self._embedder = embedder
        self._ranking = ranking
        self._kept: OrderedDict[str, Question] = OrderedDict()
        self._lock = Lock()

    def of_track(self, catalog: Catalog, track_id: int) -> Question:
        """Ask with a track.

        Raises
        ------
        HTTPException
            404 if there is none of this id.
        """
        track = track_of(catalog, track_id)
        key = f"{track.id}"
        kept = self._found(key)
        if kept is not None and kept.query.audio_hash == track.audio_hash:
            return kept
        query = track_query(catalog, self._embedder, track, self._ranking)
        return self._keep(Question(key, track.title, query))

    def of_file(self, path: Path, name: str) -> Question:
        """Ask with a file that was sent.

        Raises
        ------
        SoundError
            If it is no sound, or takes too long.
        """
        query = heard_query(self._embedder, self._embedder.listen(path), self._ranking)
        query = replace(query, audio_hash=hash_audio(path))
        return self._keep(Question(f"q-{secrets.token_hex(8)}", name, query))

    def of_id(self, catalog: Catalog, query_id: str) -> Question:
        """Find a question again.

        Raises
        ------
        HTTPException
            404 if there is none of this id, or 410 if it is not kept any more.
        """
        if query_id.isdecimal():
            return self.of_track(catalog, track_number(query_id))
        kept = self._found(query_id)
        if kept is None:
            raise refusal(410, "this query is not kept any more: send the file again")
        return kept

    def _found(self, key: str) -> Question | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, asked: Question) -> Question:
        with self._lock:
            self._kept[asked.id] = asked
            while len(self._kept) > _N_KEPT:
                self._kept.popitem(last=False)
        return asked


def track_number(text: str) -> int:
    """Read a track's id.

    Raises
    ------
    HTTPException
        404 if no track can have it.
    """
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise refusal(404, "there is no track of this id")
    return int(text)


def track_of(catalog: Catalog, track_id: int) -> Track:
    """Look up a track.

    Raises
    ------
    HTTPException
        404 if there is none of this id.
    """
    try:
        return catalog.track(track_id)
    except KeyError as error:
        raise refusal(404, f"there is no track {track_id}") from error


class Sent:
    """What was sent, in a file of no telling name, until it has been heard.

    Parameters
    ----------
    content : binary file
        At its start.
    name : str
        What people call it; no file is ever called so.
    """

    def __init__(self, content: BinaryIO, name: str) -> None:
        self.name = name
        self._file = tempfile.NamedTemporaryFile(prefix="pemr-", suffix=".sent")  # noqa: SIM115
        try:
            shutil.copyfileobj(content, self._file)
            self._file.flush()
        except BaseException:
            self._file.close()
            raise
        self.path = Path(self._file.name)

    def __enter__(self) -> "Sent":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
