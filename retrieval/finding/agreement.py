"""Two files become one answer: whether they are performances of one work, and where they agree.

No catalog is asked, so nothing is known of hubs and neighbours. The shorter file asks, since it may
be an excerpt of the longer one, and so the order of the two does not matter.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from indexer import Embedder, hash_audio
from retrieval.errors import SilentFileError
from retrieval.finding.wording import semitones
from retrieval.ranking.calibrate import LIKELY
from retrieval.ranking.candidate import Query, span_words
from retrieval.ranking.matching.align import signed
from retrieval.ranking.matching.identity import is_same_recording
from retrieval.ranking.matching.spans import Span, find_spans
from retrieval.ranking.pool import Pool
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
    probability : float or None
        That they are performances of one work, where each is as likely as not before one listens;
        None where nothing was measured for the embedder.
    score : float
        What the shorter file would rank the longer one by; higher is better.
    embedding_score : float
        In -1..1.
    alignment_score : float
        At least 0.
    transposition : int
        Semitones from the first up to the second, -5..6.
    spans : tuple of Span
        Where the second follows the first, the longest first; `query` is the first file.
    is_same_recording : bool
        Whether both are one recording, in another form, and no two performances.
    is_one_file : bool
        Whether both hold the same audio, packet for packet.
    """

    first: Path
    second: Path
    probability: float | None
    score: float
    embedding_score: float
    alignment_score: float
    transposition: int
    spans: tuple[Span, ...]
    is_same_recording: bool
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
    ranking = replace(ranking.without("hubs", "neighbours"), n_aligned=1)
    ours, theirs = (_sounding(embedder, path, ranking) for path in (first, second))
    asked, answer = sorted((ours, theirs), key=lambda one: (one.duration_s, one.audio_hash))
    ranked = rank(asked, _pool(answer), ranking)
    transposition = int(ranked.transpositions[0])
    if asked is theirs:
        transposition = signed(-transposition)
    spans = find_spans(ours.tonal, theirs.tonal, transposition, weights=ranking.harmony_weights)
    return Agreement(
        first=first,
        second=second,
        probability=None if ranking.calibration is None else float(ranked.probabilities[0]),
        score=float(ranked.scores[0]),
        embedding_score=float(ranked.embedding_scores[0]),
        alignment_score=float(ranked.alignment_scores[0]),
        transposition=transposition,
        spans=tuple(spans),
        is_same_recording=bool(spans) and is_same_recording(ours.tonal, theirs.tonal, spans[0]),
        is_one_file=ours.audio_hash == theirs.audio_hash,
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
        "same work": _verdict(agreement),
        "probability": agreement.probability,
        "score": agreement.score,
        "semitones": semitones(agreement.transposition),
        "follows": [span_words(span, "first", "second") for span in agreement.spans] or None,
        "recording": _recording(agreement),
    }


def _sounding(embedder: Embedder, path: Path, ranking: Ranking) -> Query:
    query = heard_query(embedder, embedder.listen(path), ranking)
    if not len(query.embeddings):
        raise SilentFileError(path)
    return replace(query, audio_hash=hash_audio(path))


def _pool(answer: Query) -> Pool:
    """Make a pool of the one candidate that there is."""
    return Pool(
        embeddings=[answer.embeddings],
        is_candidate=np.ones(1, bool),
        mean_length=float(len(answer.embeddings)),
        hubness=lambda: np.zeros(1),
        tonal_of=lambda _: [answer.tonal],
    )


def _recording(agreement: Agreement) -> str:
    if agreement.is_one_file:
        return "the same, packet for packet"
    return "the same" if agreement.is_same_recording else "another"


def _verdict(agreement: Agreement) -> str | None:
    if agreement.probability is None:
        return None
    return "likely" if agreement.probability >= LIKELY else "unlikely"
