"""A performance becomes a waveform: tracks are played, balanced and mixed.

Letters: L samples.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import av
import numpy as np

from pemr.corpus.playing.arrange import Arrangement, PlayedPart
from pemr.corpus.sounding import synth
from pemr.corpus.sounding.synth import Waveform
from pemr.corpus.sounding.voice import sing
from pemr.signal.audio import SAMPLE_RATE

LEVEL_DBFS = -20.0
FRONT = ("melody", "second")  # the roles that carry the tune


class Engine(Protocol):
    """What plays tracks."""

    @property
    def name(self) -> str:
        """Name for the manifest."""
        ...

    def play(self, tracks: Sequence[PlayedPart], length: int) -> Waveform:
        """Play tracks together, each at its own level.

        Parameters
        ----------
        tracks : sequence of PlayedPart
        length : int
            Samples at 16 kHz.

        Returns
        -------
        float32 array, shape (L,)
        """
        ...


class BuiltIn:
    """The built-in synthesiser as an engine."""

    name = "built-in"

    def play(self, tracks: Sequence[PlayedPart], length: int) -> Waveform:
        """Play tracks together; see `Engine.play`."""
        mix = np.zeros(length, np.float32)
        for t in tracks:
            is_drums = t.role == "drums"
            sound = synth.play(t.events, t.program, length, SAMPLE_RATE, is_drums=is_drums)
            mix += at_level(sound, t.gain_db)
        return mix


def render(performance: Arrangement, engine: Engine) -> Waveform:
    """Play and mix a performance.

    The tune and the band are brought to the same loudness while they play,
    then balanced as the recipe says.

    Parameters
    ----------
    performance : Arrangement
    engine : Engine

    Returns
    -------
    float32 array, shape (L,)
        Mono at 16 kHz, about -20 dBFS RMS.
    """
    length = int(performance.duration_s * SAMPLE_RATE)
    tracks = performance.tracks
    tune = _play([t for t in tracks if t.role in FRONT], length, engine)
    band = _play([t for t in tracks if t.role not in FRONT], length, engine)
    return at_level(at_level(tune, 0.0) + at_level(band, performance.band_db), LEVEL_DBFS)


def _play(tracks: Sequence[PlayedPart], length: int, engine: Engine) -> Waveform:
    mix = np.zeros(length, np.float32)
    if players := [track for track in tracks if not track.voice]:
        mix += at_level(engine.play(players, length), 0.0)
    for track in tracks:
        if track.voice:
            rng = np.random.default_rng([len(track.events), length])
            mix += at_level(sing(track.events, track.voice, length, rng), track.gain_db)
    return mix


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
