"""Chord symbols as LilyPond writes them → the qualities that scores know."""

import re
from typing import Final


def quality_of(symbol: str) -> str:
    """Name the quality of a chord symbol; what stands above the ninth is left out.

    Parameters
    ----------
    symbol : str
        What stands after the colon, as in ``c1:m7.5-``.

    Returns
    -------
    str
        One of `pemr.corpus.notes.scores.QUALITIES`.

    Examples
    --------
    >>> [quality_of(symbol) for symbol in ("", "m7.5-", "13.9-", "maj9", "sus7", "6.9")]
    ['maj', 'm7b5', '7', 'maj9', '7sus4', '6']
    """
    return next(quality for pattern, quality in _QUALITIES if re.match(pattern, symbol))


_QUALITIES: Final = (
    (r"dim7|dim9", "dim7"),
    (r"dim", "dim"),
    (r"m7\.5-|m9\.5-|m11\.5-|m7\.\d+\.5-", "m7b5"),
    (r"m(?:7|9)?(?:\.9)?\.?7\+|m7\+|mmaj", "minmaj7"),
    (r"m6", "min6"),
    (r"m(?:in)?9", "min9"),
    (r"m(?:in)?(?:7|11|13)", "min7"),
    (r"maj(?:9|13)|maj7\.9", "maj9"),
    (r"maj[78]", "maj7"),
    (r"m(?!aj)|1\.3-", "min"),
    (r"(?:7|9|11|13)?\.?sus.*(?:7|9|13)|(?:7|9|13)\.?sus", "7sus4"),
    (r"sus2", "sus2"),
    (r"sus", "sus4"),
    (r"aug[79]|(?:7|9|13).*\b5\+", "aug7"),
    (r"aug|5\+|1\.3\.5\+", "aug"),
    (r"9(?!-)", "9"),
    (r"7|11|13", "7"),
    (r"6", "6"),
    (r"5$|1\.5$", "5"),
    (r"", "maj"),
)
