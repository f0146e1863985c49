"""Labelled performances → their embeddings, as their sound would have them.

Letters: S segments, D embedding.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pemr.embed import Embedder
from pemr.signal.recording import Recording
from pemr.training.cliques import Member
from pemr.training.data import Prepared


def embedded(embedder: Embedder, performances: Sequence[Member]) -> list[NDArray[np.float32]]:
    """Embed performances from their spectrograms, as they would be from their sound.

    Parameters
    ----------
    embedder : Embedder
        One that reads semitone spectrograms.
    performances : sequence of Member

    Returns
    -------
    list of float32 array, shape (S, D)
        Unit vectors of each performance's segments.
    """
    return embedder.embed([restored(embedder, one) for one in performances])


def restored(embedder: Embedder, performance: Member) -> Recording:
    """Restore what is kept of a performance's sound: spectrogram, and harmony where there is one.

    Parameters
    ----------
    embedder : Embedder
        That will embed it.
    performance : Member

    Returns
    -------
    Recording
    """
    return embedder.restore(_arrays(performance.recording))


def _arrays(recording: Prepared) -> dict[str, NDArray[np.uint8]]:
    arrays = {"spectrogram": np.load(recording.cached)}
    if recording.harmony is not None:
        arrays["harmony"] = np.load(recording.harmony)
    return arrays
