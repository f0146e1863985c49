"""A waveform → a `Recording`: what is kept of a piece of sound, in bytes, five frames a second.

Segments are cut from it, at any tempo; chroma and harmony are aligned as they are. Which frames
are *heard* is decided here and nowhere else.

Letters: L audio samples, F frequency bins, T frames.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pemr.signal.audio import SAMPLE_RATE
from pemr.signal.chroma import SILENCE_DB, chroma
from pemr.signal.cqt import Cqt
from pemr.signal.frontend import (
    FLOOR_DB,
    N_BINS,
    decibels,
    pack,
    semitone_frames,
)

N_PITCH_CLASSES = 12
N_HARMONIES = 36

_SILENCE = round((SILENCE_DB - FLOOR_DB) / -FLOOR_DB * 255)  # as `pack` writes it


def _no_frames(n_rows: int) -> NDArray[np.uint8]:
    return np.zeros((n_rows, 0), np.uint8)


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """What is kept of the sound of one recording; ten hours of it are about 20 MB.

    A part that nobody has computed has no frames; all others have the same number T.

    Parameters
    ----------
    duration_s : float
        How long the recording is.
    spectrogram : uint8 array, shape (84, T)
        Semitones as `frontend.pack` writes them.
    chroma : uint8 array, shape (12, T)
        Row 0 is C.
    harmony : uint8 array, shape (36, T)
        How likely each pitch class sounds, is the bass, is the root, times 255.
    damage : str
        What was wrong with the sound, as a sentence; empty where nothing was.
    promised_s : float or None
        How long the file's header says that it is, where its format says it.

    Raises
    ------
    ValueError
        If a part has another shape or type.
    """

    duration_s: float
    spectrogram: NDArray[np.uint8] = field(default_factory=lambda: _no_frames(N_BINS), repr=False)
    chroma: NDArray[np.uint8] = field(
        default_factory=lambda: _no_frames(N_PITCH_CLASSES), repr=False
    )
    harmony: NDArray[np.uint8] = field(default_factory=lambda: _no_frames(N_HARMONIES), repr=False)
    damage: str = ""
    promised_s: float | None = None

    def __post_init__(self) -> None:
        for name, part in self.parts.items():
            n_rows = {"spectrogram": N_BINS, "chroma": N_PITCH_CLASSES, "harmony": N_HARMONIES}
            if part.dtype != np.uint8 or part.ndim != 2 or len(part) != n_rows[name]:
                raise ValueError(
                    f"{name} should be uint8 of shape ({n_rows[name]}, T), "
                    f"not {part.dtype} of shape {part.shape}"
                )
        lengths = {part.shape[1] for part in self.parts.values()} - {0}
        if len(lengths) > 1:
            raise ValueError(f"the parts of a recording differ in length: {sorted(lengths)} frames")

    @property
    def parts(self) -> dict[str, NDArray[np.uint8]]:
        """The packed arrays by name."""
        return {
            "spectrogram": self.spectrogram,
            "chroma": self.chroma,
            "harmony": self.harmony,
        }

    @cached_property
    def is_heard(self) -> NDArray[np.bool_]:
        """Which frames are not silent, bool (T,): their loudest semitone has -60 dB or more.

        Chroma is all 0 in any other frame, so it tells where there is no spectrogram, and tells
        it exactly; bytes of the spectrogram do so within 0.2 dB.
        """
        if self.chroma.shape[1]:
            return np.asarray(self.chroma.max(axis=0) > 0)
        return np.asarray(self.spectrogram.max(axis=0) >= _SILENCE)

    def at_tempo(self, tempo: float) -> "Recording":
        """Play the recording faster or slower, in its own key.

        Parameters
        ----------
        tempo : float
            Factor; 2 is twice as fast.

        Returns
        -------
        Recording
            Its frames are the nearest ones, not mixed.
        """

        def played(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
            n_frames = part.shape[1]
            places = ((np.arange(round(n_frames / tempo)) + 0.5) * tempo).astype(np.int64)
            return part[:, np.minimum(places, n_frames - 1)]

        if tempo == 1.0:
            return self
        parts: dict[str, Any] = {name: played(part) for name, part in self.parts.items()}
        return replace(self, duration_s=self.duration_s / tempo, **parts)


class HarmonyListener(Protocol):
    """What hears the harmony of one recording while it is decoded."""

    def push(self, block: NDArray[np.float32]) -> None:
        """Take the next block of waveform, (L,)."""

    def finish(self, n_frames: int) -> NDArray[np.uint8]:
        """Say what was heard, (36, n_frames), once there is no more sound."""


def record(
    blocks: Iterable[NDArray[np.float32]],
    cqt: Cqt | None = None,
    listener: HarmonyListener | None = None,
) -> Recording:
    """Make the recording of a waveform that comes in blocks.

    Parameters
    ----------
    blocks : iterable of float32 arrays, shape (L,)
        Consecutive blocks of mono waveform at 16,000 Hz; one is held at a time.
    cqt : Cqt, optional
        The transform to use, where one is at hand.
    listener : HarmonyListener, optional
        What hears harmony beside it; without one there is none.

    Returns
    -------
    Recording
        With spectrogram and chroma, and with harmony where somebody listened.
    """
    n_samples = 0

    def counted() -> Iterator[NDArray[np.float32]]:
        nonlocal n_samples
        for block in blocks:
            n_samples += len(block)
            if listener is not None:
                listener.push(block)
            yield block

    spectrograms, chromas = [_no_frames(N_BINS)], [_no_frames(N_PITCH_CLASSES)]
    for power in semitone_frames(counted(), cqt):
        spectrograms.append(pack(decibels(power)))
        chromas.append(chroma(power))
    spectrogram = np.concatenate(spectrograms, axis=1)
    n_frames = spectrogram.shape[1]
    return Recording(
        duration_s=n_samples / SAMPLE_RATE,
        spectrogram=spectrogram,
        chroma=np.concatenate(chromas, axis=1),
        harmony=_no_frames(N_HARMONIES) if listener is None else listener.finish(n_frames),
    )
