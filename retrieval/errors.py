"""What can go wrong in this room.

::

    RetrievalError
    ├── EmptyCatalogError
    ├── SilentQueryError
    ├── SilentFileError
    ├── RankingError
    ├── UncalibratedError
    ├── PictureError
    ├── BenchmarkError
    ├── EmbeddingsFileError
    ├── OutputError
    ├── SoundError
    ├── ServiceError
    └── NoRelevantCandidateError
"""

from pathlib import Path


class RetrievalError(Exception):
    """Any error of this room that the user can do something about."""


class EmptyCatalogError(RetrievalError):
    """There is nothing to search."""

    def __init__(self) -> None:
        super().__init__("the catalog holds no track to search; add some with `pemr index FOLDER`")


class SilentQueryError(RetrievalError):
    """The query is silent from start to end, so nothing can match it."""

    def __init__(self) -> None:
        super().__init__("the query is silent, so nothing can match it")


class SilentFileError(RetrievalError):
    """A file to compare is silent from start to end.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: silent, so nothing can match it"


class RankingError(RetrievalError):
    """What is asked of a ranking cannot be; the message says what can."""


class _PlacedError(RetrievalError):
    """Something is wrong, perhaps with a file or folder.

    Parameters
    ----------
    reason : str
        What is wrong, and what was expected.
    where : Path, optional
        With which file or folder.
    place : str, optional
        Where in it, for example `line 3`.
    """

    def __init__(self, reason: str, where: Path | None = None, place: str | None = None) -> None:
        super().__init__(reason, where, place)
        self.reason = reason
        self.where = where
        self.place = place

    def __str__(self) -> str:
        places = [str(one) for one in (self.where, self.place) if one is not None]
        return f"{', '.join(places)}: {self.reason}" if places else self.reason


class UncalibratedError(RetrievalError):
    """Nothing was measured for an embedder, so none of its answers can be called likely.

    Parameters
    ----------
    embedder : str
        Its name.
    """

    def __init__(self, embedder: str) -> None:
        super().__init__(embedder)
        self.embedder = embedder

    def __str__(self) -> str:
        return (
            f"embedder {self.embedder!r} has no calibration, so nothing can be called likely; "
            "use `cover`, which has one"
        )


class PictureError(RetrievalError):
    """A picture cannot be drawn or written; the message says why."""


class BenchmarkError(_PlacedError):
    """A data set is not as its benchmark expects."""


class EmbeddingsFileError(_PlacedError):
    """A file of embeddings or distances cannot be scored."""


class OutputError(RetrievalError):
    """An answer cannot be written to standard output; the message says why."""


class SoundError(RetrievalError):
    """What was sent to the service cannot be heard; the message says why."""


class ServiceError(RetrievalError):
    """The service cannot be started as asked; the message says why."""


class NoRelevantCandidateError(RetrievalError, ValueError):
    """A query has no relevant candidate, so its average precision is undefined."""

    def __init__(self) -> None:
        super().__init__("no candidate is relevant; drop this query instead of scoring it")
