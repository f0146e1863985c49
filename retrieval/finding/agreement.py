"""Two files become one answer: whether they are performances of one work, and where they agree.

No catalog is asked, so nothing is known of hubs and neighbours; both directions are asked instead,
so that the order of the two files does not matter.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from indexer import Embedder, hash_audio
from retrieval.errors import SilentFileError
from retrieval.finding.times import clock
from retrieval.ranking.align import Span, find_spans, signed
from retrieval.ranking.candidate import Query
from retrieval.ranking.pool import Pool, Ranked, Scores
from retrieval.ranking.query import heard_query
from retrieval.ranking.ranking import Ranking
from retrieval.ranking.stages import rank


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How two files agree.

    Parameters
    ----------
    first, second : Path
        The files.
    score : float
        What the pair would be ranked by, the mean of both directions; higher is better.
    embedding_score : float
        In -1..1, the mean of both directions.
    alignment_score : float
        At least 0, the mean of both directions.
    transposition : int
        Semitones from the first up to the second, -5..6.
    spans : tuple of Span
        Where the second follows the first, the longest first; `query` is the first file.
    is_one_file : bool
        Whether both hold the same audio, packet for packet.
    """

    first: Path
    second: Path
    score: float
    embedding_score: float
    alignment_score: float
    transposition: int
    spans: tuple[Span, ...]
    is_one_file: bool


def compare_files(embedder: Embedder, first: Path, second: Path, ranking: Ranking) -> Agreement:
    """Ask whether two files are performances of one work, and where they agree.

    Parameters
    ----------
    embedder : Embedder
        What listens and embeds.
    first, second : Path
        Audio files, of a catalog or not.
    ranking : Ranking
        What decides; `retrieval.ranking_from` reads the one that an embedder comes with. Hubs and
        neighbours are left out, since they are of a catalog.

    Returns
    -------
    Agreement

    Raises
    ------
    SilentFileError
        If one of the files is silent.
    Exception
        What `embedder.file_errors` names, if a file cannot be decoded.
    """
    ranking = ranking.without("hubs", "neighbours")
    asked = [_sounding(embedder, path, ranking) for path in (first, second)]
    there = _ranked(asked[0], asked[1], ranking)
    back = _ranked(asked[1], asked[0], ranking)
    transposition = int(there.transpositions[0])
    if back.alignment_scores[0] > there.alignment_scores[0]:
        transposition = signed(-int(back.transpositions[0]))
    spans = find_spans(
        asked[0].tonal, asked[1].tonal, transposition, weights=ranking.harmony_weights
    )
    return Agreement(
        first=first,
        second=second,
        score=_mean(there.scores, back.scores),
        embedding_score=_mean(there.embedding_scores, back.embedding_scores),
        alignment_score=_mean(there.alignment_scores, back.alignment_scores),
        transposition=transposition,
        spans=tuple(spans),
        is_one_file=hash_audio(first) == hash_audio(second),
    )


def agreement_row(agreement: Agreement) -> dict[str, Any]:
    """Write an agreement as one row of plain values, every span in full.

    Parameters
    ----------
    agreement : Agreement
        From `compare_files`.

    Returns
    -------
    dict
        Under the names of the fields; paths as text, spans as dicts.
    """
    row = {**vars(agreement), "spans": [vars(span) for span in agreement.spans]}
    return row | {"first": str(agreement.first), "second": str(agreement.second)}


def agreement_table(agreement: Agreement) -> dict[str, Any]:
    """Write an agreement as one row for people to read.

    Parameters
    ----------
    agreement : Agreement
        From `compare_files`.

    Returns
    -------
    dict
        Times as minutes and seconds.
    """
    return {
        "score": agreement.score,
        "semitones": f"{agreement.transposition:+d}" if agreement.transposition else "0",
        "follows": [_words(span) for span in agreement.spans] or None,
        "same file": "yes" if agreement.is_one_file else "no",
    }


def _sounding(embedder: Embedder, path: Path, ranking: Ranking) -> Query:
    query = heard_query(embedder, embedder.listen(path), ranking)
    if not len(query.embeddings):
        raise SilentFileError(path)
    return query


def _ranked(query: Query, other: Query, ranking: Ranking) -> Ranked:
    """Rank the one candidate that there is."""
    pool = Pool(
        embeddings=[other.embeddings],
        is_candidate=np.ones(1, bool),
        hubness=lambda: np.zeros(1),
        tonal_of=lambda _: other.tonal,
    )
    return rank(query, pool, replace(ranking, n_aligned=1))


def _mean(there: Scores, back: Scores) -> float:
    return float(there[0] + back[0]) / 2


def _words(span: Span) -> str:
    ours = f"{clock(span.query_start_s)}-{clock(span.query_end_s)}"
    return f"{clock(span.start_s)}-{clock(span.end_s)} = {ours}"
