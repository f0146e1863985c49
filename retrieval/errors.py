"""What can go wrong in this room.

::

    RetrievalError
    ├── EmptyCatalogError
    ├── SilentQueryError
    ├── SilentFileError
    ├── RankingError
    ├── BenchmarkError
    ├── EmbeddingsFileError
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


class BenchmarkError(RetrievalError):
    """A data set is not as its benchmark expects; the message says what was expected where."""


class EmbeddingsFileError(RetrievalError):
    """A file of embeddings or distances cannot be scored; the message says why."""


class NoRelevantCandidateError(RetrievalError, ValueError):
    """A query has no relevant candidate, so its average precision is undefined."""

    def __init__(self) -> None:
        super().__init__("no candidate is relevant; drop this query instead of scoring it")
