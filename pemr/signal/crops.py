"""A recording → crops of fixed length, as the front end of a config sees them.

A recording is kept as what is cheapest to crop: waveform in 16 bits for a
log-mel front end, the compact spectrogram for a semitone one, and its harmony
beside it where the encoder reads that: 36 more rows below the 84 semitones.

Letters: L audio samples, S crops, F frequency bins, T frames, B batch.
"""

from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pemr.config import MelConfig, SemitoneConfig
from pemr.signal import audio, frontend
from pemr.signal.recording import N_HARMONIES

FrontEnd: TypeAlias = MelConfig | SemitoneConfig


def decoded(path: Path, front_end: FrontEnd) -> NDArray[np.generic]:
    """Decode one recording into what the front end reads.

    Parameters
    ----------
    path : Path
        Audio.
    front_end : MelConfig or SemitoneConfig
        Waveform or spectrogram.

    Returns
    -------
    int16 array, shape (L,), or uint8 array, shape (84, T)

    Raises
    ------
    AudioError
        If the file cannot be decoded.
    """
    if isinstance(front_end, SemitoneConfig):
        return frontend.pack(frontend.semitone_spectrogram(audio.load(path)))
    waveform = audio.load(path, sample_rate=front_end.sample_rate)
    return np.rint(waveform * np.iinfo(np.int16).max).astype(np.int16)


def shown(spectrogram: NDArray[np.uint8], harmony: NDArray[np.uint8] | None) -> NDArray[np.float32]:
    """Show frames as an encoder that reads harmony is to see them.

    Parameters
    ----------
    spectrogram : uint8 array, shape (84, T)
        As `frontend.pack` writes it.
    harmony : uint8 array, shape (36, T), or None
        None where nobody listened: then no chord sounds.

    Returns
    -------
    float32 array, shape (120, T)
        84 semitones in dB, then harmony in 0..1.
    """
    if harmony is None:
        harmony = np.zeros((N_HARMONIES, spectrogram.shape[1]), np.uint8)
    return np.concatenate([frontend.unpack(spectrogram), harmony.astype(np.float32) / 255])


def pieces(recording: NDArray[np.generic], front_end: FrontEnd) -> Tensor:
    """Cut a recording into consecutive crops; what is left at the end is dropped.

    Parameters
    ----------
    recording : int16 array, shape (L,), or uint8 array, shape (84, T)
        From `decoded`.
    front_end : MelConfig or SemitoneConfig
        Length of a crop.

    Returns
    -------
    float32 tensor, shape (S, F, T)
        In dB; S is 0 for a recording shorter than one crop.
    """
    length = crop_length(front_end)
    n_pieces = recording.shape[-1] // length
    if not n_pieces:
        return torch.zeros(0, *front_end.shape)
    if isinstance(front_end, SemitoneConfig):
        spectrogram = torch.from_numpy(frontend.unpack(cast(NDArray[np.uint8], recording)))
        return spectrogram.unfold(1, length, length).transpose(0, 1)  # (F, S, T) to (S, F, T)
    waveforms = as_waveform(recording[: n_pieces * length]).view(n_pieces, length)
    return log_mel(waveforms, front_end)


def log_mel(waveforms: Tensor, front_end: MelConfig) -> Tensor:
    """Transform crops (B, L) into log-mel spectrograms (B, 128, T)."""
    return frontend.log_mel(waveforms, mel_sample_rate=front_end.filter_rate)


def crop_length(front_end: FrontEnd) -> int:
    """Return the least length of a recording, in samples or frames."""
    return front_end.n_frames if isinstance(front_end, SemitoneConfig) else front_end.segment_length


def as_waveform(stored: NDArray[np.generic]) -> Tensor:
    """Turn 16-bit samples (L,) into a float32 waveform in [-1, 1]."""
    return torch.from_numpy(stored.astype(np.float32)) / np.iinfo(np.int16).max
