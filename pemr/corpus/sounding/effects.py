"""The recording chain: rooms, equalisers, dynamics, media and codecs.

Each effect is a function of a waveform at 16 kHz and parameters that were
drawn beforehand, so that the recipe tells all. Those held out occur in the
split ``test`` only.

Letters: L samples.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import av
import numpy as np
import torch
from numpy.random import Generator

from pemr.corpus.sounding.synth import Waveform, noise
from pemr.signal.audio import SAMPLE_RATE

Parameters = dict[str, float | str]
Draw = Callable[[Generator], Parameters]
Apply = Callable[[Waveform, Parameters, Generator], Waveform]


@dataclass(frozen=True)
class Effect:
    """One kind of effect.

    Parameters
    ----------
    draw : callable
        Generator to parameters.
    apply : callable
        Waveform, parameters and generator to waveform of the same length.
    share : float
        How often it occurs, against the others.
    is_held_out : bool
        Whether it occurs in ``test`` only.
    """

    draw: Draw
    apply: Apply
    share: float = 1.0
    is_held_out: bool = False


def rms(waveform: Waveform) -> float:
    """Root mean square; never 0, so that it may divide."""
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)) + 1e-12))


def _convolve(waveform: Waveform, response: Waveform) -> Waveform:
    length = len(waveform) + len(response) - 1
    n = 1 << (length - 1).bit_length() if length < 2**16 else -(-length // 32768) * 32768
    spectrum = torch.fft.rfft(torch.from_numpy(waveform), n)
    spectrum *= torch.fft.rfft(torch.from_numpy(response), n)
    return np.asarray(torch.fft.irfft(spectrum, n)[: len(waveform)].numpy(), dtype=np.float32)


def _filter(waveform: Waveform, knots_hz: list[float], gains_db: list[float]) -> Waveform:
    """Filter with a smooth response through points of gain, by a linear-phase kernel."""
    n = 4096
    hz = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    gain_db = np.interp(np.log(np.maximum(hz, 1.0)), np.log(knots_hz), gains_db)
    kernel = np.roll(np.fft.irfft(10 ** (gain_db / 20), n), n // 2) * np.hanning(n)
    padded = np.concatenate([waveform, np.zeros(n // 2, np.float32)])
    return _convolve(padded, kernel.astype(np.float32))[n // 2 :]


def _draw_room(rng: Generator) -> Parameters:
    return {
        "decay_s": float(np.exp(rng.uniform(np.log(0.15), np.log(3.0)))),
        "wet_db": float(rng.uniform(-20, 0)),
        "delay_s": float(rng.uniform(0.002, 0.04)),
        "damping": float(rng.uniform(0.2, 0.9)),
    }


def _room(waveform: Waveform, p: Parameters, rng: Generator) -> Waveform:
    decay_s, damping = float(p["decay_s"]), float(p["damping"])
    length = int(min(1.2 * decay_s, 2.5) * SAMPLE_RATE)
    t = np.arange(length) / SAMPLE_RATE
    tail = np.asarray(noise(length, rng) * np.exp(-6.9 * t / decay_s), dtype=np.float32)
    # high frequencies die faster: the tail is darkened more the later it is
    dark = _filter(tail, [100.0, 1000.0, 8000.0], [0.0, 0.0, -24.0])
    tail += (dark - tail) * (np.clip(t / decay_s * 2, 0, 1) * damping).astype(np.float32)
    for _ in range(6):  # early reflections
        tail[int(rng.integers(1, max(2, min(length, 800))))] += 3.0 * rng.choice([-1, 1])
    delayed = np.concatenate([np.zeros(int(float(p["delay_s"]) * SAMPLE_RATE)), tail])
    response = delayed / np.sqrt((delayed**2).sum()) * 10 ** (float(p["wet_db"]) / 20)
    response[0] += 1.0
    return _convolve(waveform, response.astype(np.float32))


def _draw_equaliser(rng: Generator) -> Parameters:
    gains = rng.normal(0, 4, size=7)
    tilt = float(rng.normal(0, 1.2))
    return {f"gain{i}_db": float(g + tilt * (i - 3)) for i, g in enumerate(gains)}


def _equaliser(waveform: Waveform, p: Parameters, rng: Generator) -> Waveform:  # noqa: ARG001
    knots = [60.0, 150.0, 400.0, 1000.0, 2200.0, 4000.0, 7000.0]
    return _filter(waveform, knots, [float(p[f"gain{i}_db"]) for i in range(7)])


def _draw_band(rng: Generator) -> Parameters:
    return {
        "low_hz": float(rng.choice([40.0, 80.0, 150.0, 300.0])),
        "high_hz": float(rng.choice([2500.0, 3400.0, 5000.0, 6500.0])),
    }


def _band(waveform: Waveform, p: Parameters, rng: Generator) -> Waveform:  # noqa: ARG001
    low, high = float(p["low_hz"]), float(p["high_hz"])
    knots = [low / 4, low / 2, low, high, min(high * 1.4, 7900.0), 8000.0]
    return _filter(waveform, knots, [-48.0, -24.0, 0.0, 0.0, -30.0, -50.0])


def _draw_compressor(rng: Generator) -> Parameters:
    return {
        "threshold_db": float(rng.uniform(-20, -6)),
        "ratio": float(rng.choice([2.0, 4.0, 8.0, 20.0])),
        "release_s": float(rng.uniform(0.05, 0.5)),
    }


def _compressor(waveform: Waveform, p: Parameters, rng: Generator) -> Waveform:  # noqa: ARG001
    hop = SAMPLE_RATE // 200
    blocks = np.pad(waveform, (0, -len(waveform) % hop)).reshape(-1, hop)
    peak = np.abs(blocks).max(axis=1) / rms(waveform) / 4
    keep = float(np.exp(-1 / (200 * float(p["release_s"]))))
    level, held = np.empty(len(peak)), 0.0
    for i, value in enumerate(peak.tolist()):
        held = max(value, held * keep)
        level[i] = held
    over_db = np.maximum(20 * np.log10(level + 1e-9) - float(p["threshold_db"]), 0)
    gain = 10 ** (-over_db * (1 - 1 / float(p["ratio"])) / 20)
    at = np.arange(len(waveform)) / hop
    return waveform * np.interp(at, np.arange(len(gain)) + 0.5, gain).astype(np.float32)


def _draw_drive(rng: Generator) -> Parameters:
    return {"drive_db": float(rng.uniform(0, 18))}


def _saturation(waveform: Waveform, p: Parameters, rng: Generator) -> Waveform:  # noqa: ARG001
    scale = np.float32(10 ** (float(p["drive_db"]) / 20) / (4 * rms(waveform)))
    return np.asarray(np.tanh(waveform * scale), dtype=np.float32)


def _clipping(waveform: Waveform, p: Parameters, rng: Generator) -> Waveform:  # noqa: ARG001
    limit = 4 * rms(waveform) * 10 ** (-float(p["drive_db"]) / 20)
    return np.clip(waveform, -limit, limit)


def _draw_noise(rng: Generator) -> Parameters:
    return {"level_db": float(rng.uniform(-55, -22)), "tilt_db": float(rng.uniform(-36, 0))}


def _hiss(waveform: Waveform, p: Parameters, rng: Generator) -> Waveform:
    hiss = _filter(noise(len(waveform), rng), [50.0, 8000.0], [0.0, float(p["tilt_db"])])
    return waveform + hiss * np.float32(rms(waveform) / rms(hiss) * _gain(p["level_db"]))


def _gain(level_db: float | str) -> float:
    return float(10 ** (float(level_db) / 20))


def _draw_vinyl(rng: Generator) -> Parameters:
    return {
        "crackles_per_s": float(rng.uniform(2, 40)),
        "level_db": float(rng.uniform(-20, 5)),
        "wow_cents": float(rng.uniform(2, 15)),
    }


def _vinyl(waveform: Waveform, p: Parameters, rng: Generator) -> Waveform:
    wobbled = _varispeed(waveform, float(p["wow_cents"]), 33.3 / 60)
    n = int(float(p["crackles_per_s"]) * len(waveform) / SAMPLE_RATE)
    clicks = np.zeros(len(waveform), np.float32)
    places = rng.integers(0, len(waveform), size=n)
    clicks[places] = rng.standard_normal(n) * rng.exponential(1.0, n)
    t = np.arange(64) / SAMPLE_RATE
    clicks = _convolve(clicks, (np.exp(-t * 3000) * np.cos(t * 15000)).astype(np.float32))
    rumble = _filter(noise(len(waveform), rng), [20.0, 60.0, 200.0], [0.0, 0.0, -40.0])
    scale = rms(waveform) * _gain(p["level_db"])
    dirt = 8 * scale * clicks + 0.1 * scale / rms(rumble) * rumble
    return np.asarray(wobbled + dirt, dtype=np.float32)


def _varispeed(waveform: Waveform, cents: float, rate_hz: float) -> Waveform:
    t = np.arange(len(waveform)) / SAMPLE_RATE
    depth_s = cents / 1200 * np.log(2) / (2 * np.pi * rate_hz)
    at = (t + depth_s * np.sin(2 * np.pi * rate_hz * t)) * SAMPLE_RATE
    return np.asarray(np.interp(at, np.arange(len(waveform)), waveform), dtype=np.float32)


def _draw_crowd(rng: Generator) -> Parameters:
    return {"level_db": float(rng.uniform(-30, -8)), "applause_s": float(rng.uniform(0, 6))}


def _crowd(waveform: Waveform, p: Parameters, rng: Generator) -> Waveform:
    length = len(waveform)
    murmur = _filter(noise(length, rng), [100.0, 400.0, 1500.0, 6000.0], [-10.0, 0.0, -6.0, -24.0])
    knots = np.arange(0, length + 8000, 4000)
    swell = np.interp(np.arange(length), knots, np.exp(rng.normal(0, 0.5, len(knots))))
    crowd = murmur / rms(murmur) * swell.astype(np.float32)
    n = min(length, int(float(p["applause_s"]) * SAMPLE_RATE))
    if n:
        claps = noise(n, rng) * (rng.random(n) < 0.02)
        clapping = _filter(claps.astype(np.float32), [300.0, 1200.0, 8000.0], [-12.0, 0.0, -6.0])
        crowd[length - n :] += 4 * clapping / rms(clapping) * np.linspace(0, 1, n, dtype=np.float32)
    return waveform + crowd * np.float32(rms(waveform) * _gain(p["level_db"]))


def _draw_codec(rng: Generator) -> Parameters:
    codec = str(rng.choice(["mp3", "aac", "opus"]))
    return {"codec": codec, "bit_rate": float(rng.choice([24, 32, 48, 64, 96, 128]) * 1000)}


_CODECS = {  # encoder, container, and how it is hurried; a hurried AAC loses 3 dB of a tone
    "mp3": ("libmp3lame", "mp3", {"compression_level": "7"}),
    "aac": ("aac", "adts", {}),
    "opus": ("libopus", "ogg", {"compression_level": "3"}),
}


def _codec(waveform: Waveform, p: Parameters, rng: Generator) -> Waveform:  # noqa: ARG001
    encoder, container, options = _CODECS[str(p["codec"])]
    peak = max(float(np.abs(waveform).max()), 1e-6)
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        added = output.add_stream(encoder, rate=SAMPLE_RATE, layout="mono", options=options)
        stream = cast(av.AudioStream, added)
        stream.bit_rate = int(float(p["bit_rate"]))
        samples = np.ascontiguousarray((waveform / peak * 32000).astype(np.int16)[None])
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=SAMPLE_RATE)
        fifo = av.AudioFifo()
        for piece in resampler.resample(frame):
            fifo.write(piece)
        size = stream.frame_size or 1024
        while chunk := fifo.read(size, partial=True):
            output.mux(stream.encode(chunk))
        output.mux(stream.encode(None))
    return _decoded(file, len(waveform)) * np.float32(peak / 32000)


def _decoded(file: io.BytesIO, length: int) -> Waveform:
    file.seek(0)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    pieces = []
    with av.open(file, "r") as stored:
        for frame in stored.decode(audio=0):
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
    decoded = np.concatenate(pieces).astype(np.float32)[:length]
    return np.pad(decoded, (0, length - len(decoded)))


def _draw_crush(rng: Generator) -> Parameters:
    return {"bits": float(rng.integers(5, 9)), "hold": float(rng.integers(1, 4))}


def _crush(waveform: Waveform, p: Parameters, rng: Generator) -> Waveform:  # noqa: ARG001
    hold = int(float(p["hold"]))
    held = np.repeat(waveform[::hold], hold)[: len(waveform)]
    step = 8 * rms(waveform) / 2 ** float(p["bits"])
    return (np.round(held / step) * step).astype(np.float32)


def _draw_flutter(rng: Generator) -> Parameters:
    return {"cents": float(rng.uniform(8, 30)), "rate_hz": float(rng.uniform(0.3, 6))}


def _flutter(waveform: Waveform, p: Parameters, rng: Generator) -> Waveform:  # noqa: ARG001
    return _varispeed(waveform, float(p["cents"]), float(p["rate_hz"]))


def _draw_echo(rng: Generator) -> Parameters:
    return {"delay_s": float(rng.uniform(0.08, 0.45)), "feedback": float(rng.uniform(0.2, 0.6))}


def _echo(waveform: Waveform, p: Parameters, rng: Generator) -> Waveform:  # noqa: ARG001
    delay = int(float(p["delay_s"]) * SAMPLE_RATE)
    out = waveform.copy()
    for k in range(1, 6):
        if k * delay < len(waveform):
            out[k * delay :] += waveform[: -k * delay] * np.float32(float(p["feedback"]) ** k)
    return out


EFFECTS: dict[str, Effect] = {
    "compressor": Effect(_draw_compressor, _compressor, 1.2),
    "saturation": Effect(_draw_drive, _saturation, 0.8),
    "echo": Effect(_draw_echo, _echo, 0.5, is_held_out=True),
    "room": Effect(_draw_room, _room, 2.5),
    "equaliser": Effect(_draw_equaliser, _equaliser, 2.5),
    "crowd": Effect(_draw_crowd, _crowd, 0.5),
    "flutter": Effect(_draw_flutter, _flutter, 0.5, is_held_out=True),
    "vinyl": Effect(_draw_vinyl, _vinyl, 0.4),
    "band": Effect(_draw_band, _band, 0.8),
    "hiss": Effect(_draw_noise, _hiss, 0.8),
    "crush": Effect(_draw_crush, _crush, 0.5, is_held_out=True),
    "clipping": Effect(_draw_drive, _clipping, 0.4),
    "codec": Effect(_draw_codec, _codec, 1.1),
}
"""In the order of the chain."""


def draw_chain(rng: Generator, amount: float, *, held_out: bool) -> list[tuple[str, Parameters]]:
    """Draw a recording chain.

    Parameters
    ----------
    rng : Generator
    amount : float
        Probability of an effect of share 1.
    held_out : bool
        Whether effects kept for ``test`` may occur.

    Returns
    -------
    list of (str, dict)
        Names and parameters, in order; the level is last.
    """
    chain: list[tuple[str, Parameters]] = []
    for name, effect in EFFECTS.items():
        happens = rng.random() < min(0.95, amount * effect.share)
        parameters = effect.draw(rng)
        if happens and (held_out or not effect.is_held_out):
            chain.append((name, parameters))
    return [*chain, ("level", {"level_db": float(rng.uniform(-32, -12))})]


def apply_chain(
    waveform: Waveform, chain: list[tuple[str, Parameters]], rng: Generator
) -> Waveform:
    """Run a waveform through a chain.

    Parameters
    ----------
    waveform : float32 array, shape (L,)
        Mono at 16 kHz.
    chain : list of (str, dict)
        From `draw_chain`.
    rng : Generator
        For noises.

    Returns
    -------
    float32 array, shape (L,)
    """
    for name, parameters in chain:
        if name == "level":
            waveform = waveform * np.float32(_gain(parameters["level_db"]) / rms(waveform))
        else:
            waveform = EFFECTS[name].apply(waveform, parameters, rng)
    return np.asarray(waveform, dtype=np.float32)
