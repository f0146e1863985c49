"""A performance becomes a waveform: tracks are played, balanced and mixed.

Letters: L samples.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import av
import numpy as np

from pemr.corpus import synth
from pemr.corpus.arrange import Performance, Track
from pemr.corpus.synth import Waveform

SAMPLE_RATE = 16_000
LEVEL_DBFS = -20.0

ROLE_DB = {"melody": 0.0, "second": -4.0, "harmony": 0.0, "bass": -1.0, "drums": -1.0}
"""Levels inside the tune and inside the band, before the recipe's balance of the two."""


class Engine(Protocol):
    """What plays tracks."""

    @property
    def name(self) -> str:
        """Name for the manifest."""
        ...

    def play(self, tracks: Sequence[Track], length: int) -> list[Waveform]:
        """Play each track by itself.

        Parameters
        ----------
        tracks : sequence of Track
        length : int
            Samples at 16 kHz.

        Returns
        -------
        list of float32 array, shape (L,)
        """
        ...


class BuiltIn:
    """The built-in synthesiser as an engine."""

    name = "built-in"

    def play(self, tracks: Sequence[Track], length: int) -> list[Waveform]:
        """Play each track by itself; see `Engine.play`."""
        return [
            synth.play(t.events, t.program, length, SAMPLE_RATE, is_drums=t.role == "drums")
            for t in tracks
        ]


def render(performance: Performance, engine: Engine) -> Waveform:
    """Play and mix a performance.

    Every track is brought to the same loudness while it plays, then to its
    role's; tune and band are then balanced as the recipe says.

    Parameters
    ----------
    performance : Performance
    engine : Engine

    Returns
    -------
    float32 array, shape (L,)
        Mono at 16 kHz, about -20 dBFS RMS.
    """
    length = int(performance.duration_s * SAMPLE_RATE)
    sounds = engine.play(performance.tracks, length)
    tune, band = np.zeros(length, np.float32), np.zeros(length, np.float32)
    band_db = 0.0
    for track, sound in zip(performance.tracks, sounds, strict=True):
        group = tune if track.role in ("melody", "second") else band
        group += at_level(sound, ROLE_DB[track.role])
        if group is band:
            band_db = track.gain_db
    return at_level(at_level(tune, 0.0) + at_level(band, band_db), LEVEL_DBFS)


def loudness(waveform: Waveform) -> float:
    """RMS of the blocks of 0.1 s that sound, linear; 0 for silence."""
    blocks = waveform[: len(waveform) // 1600 * 1600].reshape(-1, 1600)
    power = (blocks.astype(np.float64) ** 2).mean(axis=1)
    sounding = power[power > 1e-3 * power.max()] if power.size and power.max() > 0 else power[:0]
    return float(np.sqrt(sounding.mean())) if sounding.size else 0.0


def at_level(waveform: Waveform, level_db: float) -> Waveform:
    """Scale a waveform to a loudness in dB against full scale; silence stays silence."""
    rms = loudness(waveform)
    return waveform * np.float32(10 ** (level_db / 20) / rms) if rms > 0 else waveform


def write_flac(path: Path, waveform: Waveform, tags: dict[str, str]) -> None:
    """Write a mono waveform at 16 kHz as FLAC, peaks kept below full scale.

    Parameters
    ----------
    path : Path
    waveform : float32 array, shape (L,)
    tags : dict of str to str
        Title, artist, album.
    """
    peak = float(np.abs(waveform).max(initial=0.0))
    scaled = waveform * np.float32(min(1.0, 0.98 / peak) if peak else 1.0)
    samples = (scaled * 32767).astype(np.int16)[None]
    with av.open(str(path), "w", format="flac") as container:
        container.metadata.update(tags)
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        for first in range(0, samples.shape[1], 65_536):
            block = np.ascontiguousarray(samples[:, first : first + 65_536])
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate = SAMPLE_RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
