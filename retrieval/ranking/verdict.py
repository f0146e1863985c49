"""Ranked candidates become an answer: those that are likely, or that there is no cover here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from retrieval.ranking.calibrate import LIKELY
from retrieval.ranking.candidate import Candidate

COVER: Final = "cover"
NO_COVER: Final = "no cover"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a search comes to.

    Parameters
    ----------
    word : str
        ``cover`` where a candidate is likely, ``no cover`` where none is, ``unknown`` where the
        ranking has no calibration.
    candidates : tuple of Candidate
        Those to show, best first.
    likeliest : Candidate or None
        Of all that were ranked; None for an empty list, or without a calibration.
    """

    word: Literal["cover", "no cover", "unknown"]
    candidates: tuple[Candidate, ...]
    likeliest: Candidate | None


def judge(
    candidates: Sequence[Candidate], min_probability: float = LIKELY, *, everything: bool = False
) -> Verdict:
    """Say whether there is a cover among candidates, and keep those that are likely.

    Parameters
    ----------
    candidates : sequence of Candidate
        As `search` returns them.
    min_probability : float
        What a candidate needs to be called a cover, 0..1.
    everything : bool
        Whether to keep the unlikely ones too.

    Returns
    -------
    Verdict
        Without a calibration all candidates are kept, and nothing is claimed.

    Raises
    ------
    ValueError
        If `min_probability` is not in 0..1.
    """
    if not 0 <= min_probability <= 1:
        raise ValueError(f"min_probability is {min_probability}, but it must be in 0..1")
    chances = [one.probability for one in candidates if one.probability is not None]
    if candidates and not chances:
        return Verdict(word=UNKNOWN, candidates=tuple(candidates), likeliest=None)
    likely = [
        one
        for one in candidates
        if one.probability is not None and one.probability >= min_probability
    ]
    return Verdict(
        word=COVER if likely else NO_COVER,
        candidates=tuple(candidates if everything else likely),
        likeliest=max(candidates, key=lambda one: one.probability or 0.0, default=None),
    )
