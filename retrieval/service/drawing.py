"""Two recordings' pitch classes → a picture of how alike every two moments of them are.

Letters: X and Y stacked frames of the query and of the candidate.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.ranking.matching.align import FRAME_RATE, common_factor, comparable, pool
from retrieval.ranking.matching.qmax import STACK_LENGTH, stacked_distances


@dataclass(frozen=True)
class Similarity:
    """A picture of two recordings.

    Parameters
    ----------
    png : bytes
        In grey; the query runs from left to right, the candidate from the bottom up, and the
        darker the more alike.
    query_s, candidate_s : float
        The seconds from the left to the right edge, and from the lower to the upper one.
    """

    png: bytes
    query_s: float
    candidate_s: float


def draw_similarity(
    query: NDArray[np.uint8],
    candidate: NDArray[np.uint8],
    transposition: int,
    weights: Sequence[float],
) -> Similarity | None:
    """Draw how alike every two moments of two recordings are.

    Parameters
    ----------
    query, candidate : uint8 array, shape (12 * P, T)
        As in `retrieval.ranking.matching.align.align`.
    transposition : int
        Semitones from the query up to the candidate.
    weights : sequence of float
        As in `align`.

    Returns
    -------
    Similarity or None
        None where a recording is too short.
    """
    factor = common_factor(query.shape[1], candidate.shape[1])
    ours, theirs = comparable(pool(query, factor, weights), pool(candidate, factor, weights))
    if min(ours.shape[1], theirs.shape[1]) < STACK_LENGTH:
        return None
    distances = stacked_distances(ours, theirs, transposition % 12)
    step_s = factor / FRAME_RATE
    n_query, n_candidate = distances.shape
    return Similarity(grey_png(_ranked(distances).T[::-1]), n_query * step_s, n_candidate * step_s)


def _ranked(distances: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Spread distances (X, Y) over the greys, so that the nearest twentieth stands out."""
    low, middle, high = np.quantile(distances, [0.002, 0.05, 0.6])
    places = [low, max(middle, low + 1), max(high, low + 2)]
    grey: NDArray[np.uint8] = np.interp(distances, places, [0, 150, 255]).astype(np.uint8)
    return grey


def grey_png(pixels: NDArray[np.uint8]) -> bytes:
    """Write grey pixels as PNG.

    Parameters
    ----------
    pixels : uint8 array, shape (height, width)
        0 is black.

    Returns
    -------
    bytes
    """
    height, width = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1)  # 0: no filter
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*one) for one in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    length, checksum = len(content), zlib.crc32(kind + content)
    return struct.pack(">I", length) + kind + content + struct.pack(">I", checksum)
