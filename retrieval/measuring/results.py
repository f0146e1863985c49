"""What a measurement found: a `Report`, with all that decided it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from retrieval.measuring.summary import Figure
from retrieval.ranking.ranking import Ranking

N_WORST = 20  # failures that a report shows with their files


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How much of the data set the figures rest on."""

    performances: int  # listed
    works: int  # listed
    scored: int  # with an embedding
    queries: int  # that were ranked
    cliques: int  # of these queries
    candidates: int
    noise: int  # candidates of works with a single performance, which never ask
    dropped_queries: int  # whose relevant candidates cannot be scored
    extra_files: int  # audio that no list names


@dataclass(frozen=True, kw_only=True)
class QueryRow:
    """What happened to one query."""

    query: str
    work: str
    n_relevant: int
    average_precision: float
    first_rank: float
    hit1: float
    best_relevant: str | None
    best_relevant_score: float | None
    best_other: str | None  # the best wrong answer
    best_other_score: float | None
    length_ratio: float | None  # best relevant candidate / query
    transposition: int | None  # semitones from the query up to the best relevant candidate
    relevant_is_copy: bool = False  # the best relevant candidate is the query's own recording
    other_is_copy: bool = False  # the best wrong answer is, so a label may be at fault


@dataclass(frozen=True, kw_only=True)
class Report:
    """A benchmark's figures and everything needed to judge them."""

    benchmark: str
    title: str
    data: str  # name of the data set's folder
    subset: str | None
    convention: str | None
    embedder: str  # its name with the hash of its weights, or the file of embeddings
    ranking: Ranking | None  # what decided the order; None where scores came from another system
    counts: Counts
    metrics: dict[str, Figure]
    queries: tuple[QueryRow, ...]
    missing: tuple[str, ...]  # listed, but without a file
    unusable: tuple[str, ...]  # there, but silent or unreadable
    duplicates: tuple[tuple[str, ...], ...]  # the same file byte for byte
    files: dict[str, str]  # paths of the worst queries and their answers, relative to the root

    progress: ClassVar = (0, None)  # as `RankedBlock` tells it: no query more

    @property
    def weights_hash(self) -> str | None:
        """The part of the embedder's name that identifies its weights; None without weights."""
        _, _, weights = self.embedder.partition("@")
        return weights or None


@dataclass(frozen=True, kw_only=True)
class Excerpted:
    """What excerpts of one length reached by one protocol."""

    tau_s: float
    protocol: str
    report: Report

    progress: ClassVar = Report.progress


def worst(rows: Sequence[QueryRow], n_rows: int = N_WORST) -> list[QueryRow]:
    """Pick the queries that went worst, the very worst first."""
    order = sorted(rows, key=lambda row: (row.average_precision, -row.first_rank, row.query))
    return order[:n_rows]
