"""A folder of audio → two views of each recording of a batch.

Every recording is decoded once into a cache that is read by memory mapping.
Which recordings make a batch, where they are cropped, and what is done to each
crop are functions of (seed, step, item), so that a training that stops and goes
on sees what it would have seen.

Letters: B batch, L audio samples, F frequency bins, T frames.
"""

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pemr.config import Config, MelConfig, SemitoneConfig, SpectrogramViewConfig, WaveformViewConfig
from pemr.errors import AudioError, TrainingError
from pemr.model.harmony import shipped_listener
from pemr.signal import audio, augment, crops, frontend
from pemr.signal.crops import FrontEnd
from pemr.signal.disguise import disguise
from pemr.signal.media import AUDIO_SUFFIXES
from pemr.signal.recording import record
from pemr.training.machine import Machine, seed_of

_LOOK = 2**20  # samples or frames looked at together


@dataclass(frozen=True)
class Prepared:
    """A recording that can be trained on."""

    path: Path
    cached: Path  # what the front end reads, as .npy: int16 (L,) or uint8 (84, T)
    length: int  # samples or frames
    harmony: Path | None = None  # uint8 (36, T), where somebody listened

    def __str__(self) -> str:
        return self.path.name


@dataclass(frozen=True)
class Rejected:
    """A file that cannot be trained on."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return self.path.name


@dataclass(frozen=True)
class Views:
    """Two views of each recording of a batch, float32 (B, F, T) in dB."""

    first: Tensor
    second: Tensor
    paths: tuple[Path, ...]


def prepare(
    folder: Path, front_end: FrontEnd, cache: Path, n_workers: int = 2
) -> Iterator[Prepared | Rejected]:
    """Decode every recording of a folder once.

    Parameters
    ----------
    folder : Path
        Searched with all its sub-folders. Beside audio, a semitone front end
        takes compact spectrograms as they are, and packed recordings.
    front_end : MelConfig or SemitoneConfig
        Says what is kept: waveform or spectrogram.
    cache : Path
        Folder for what is decoded; made when absent. A file in it is used
        again as long as the recording has not changed.
    n_workers : int
        Files decoded at once.

    Yields
    ------
    Prepared or Rejected
        One for each file, in order of their names.
    """
    yield from prepare_files(music_of(folder, front_end), front_end, cache, n_workers)


def music_of(folder: Path, front_end: FrontEnd) -> list[Path]:
    """Return the files of a folder and all below it that may be music, in order of their names."""
    suffixes = AUDIO_SUFFIXES | ({".npy", ".npz"} if front_end.kind == "semitone" else set())
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in suffixes and p.is_file())


def prepare_files(
    paths: Sequence[Path],
    front_end: FrontEnd,
    cache: Path,
    n_workers: int = 2,
    *,
    with_harmony: bool = False,
) -> Iterator[Prepared | Rejected]:
    """Decode the given recordings once, as `prepare` does with a folder.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    front_end, cache, n_workers
        As for `prepare`.
    with_harmony : bool
        Whether the chord network listens as well, where the front end is a semitone one.

    Yields
    ------
    Prepared or Rejected
        One for each file, in the order given.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for recording, _ in ahead(
        lambda index: _prepared(paths[index], front_end, cache, with_harmony),
        range(len(paths)),
        n_workers,
    ):
        yield recording


def fingerprint(recordings: list[Prepared]) -> str:
    """Return a hash of what is trained on, to notice when it changes.

    Parameters
    ----------
    recordings : list of Prepared
        In order.

    Returns
    -------
    str
        16 hexadecimal digits of names and lengths.
    """
    told = "\n".join(f"{recording.path.name} {recording.length}" for recording in recordings)
    return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:16]


class TwoViews:
    """The batch of each step, as a function of the step.

    Parameters
    ----------
    recordings : list of Prepared
        What to train on.
    config : Config
        Front end, views, batch size and seed.
    machine : Machine
        Where views are made, and which share of a batch is this process's.

    Raises
    ------
    TrainingError
        If there are fewer recordings than a batch takes, or a batch cannot be
        shared between the processes.
    """

    def __init__(self, recordings: list[Prepared], config: Config, machine: Machine) -> None:
        self.recordings = recordings
        self.config = config
        self.machine = machine
        batch_size = config.pretrain.batch_size
        if len(recordings) < batch_size:
            raise TrainingError(
                f"{len(recordings)} usable recordings do not fill one batch of {batch_size}; "
                "add recordings or lower the batch size"
            )
        if batch_size % machine.world:
            raise TrainingError(
                f"a batch of {batch_size} cannot be shared by {machine.world} processes evenly"
            )

    def __call__(self, step: int) -> Views:
        """Make the batch of one step.

        Parameters
        ----------
        step : int
            From 0.

        Returns
        -------
        Views
            On the machine's device; only this process's share.
        """
        chosen = [(int(i), self.recordings[i]) for i in self._items(step)]
        seed = self.config.pretrain.seed
        places = [np.random.default_rng((seed, step, item, 0)).random() for item, _ in chosen]
        first, second = (
            self._spectrograms(
                [
                    (recording, np.random.default_rng((seed, step, item, view)), place)
                    for (item, recording), place in zip(chosen, places, strict=True)
                ],
                seed_of(seed, step, self.machine.rank, view),
            )
            for view in (1, 2)
        )
        return Views(first, second, tuple(recording.path for _, recording in chosen))

    def _items(self, step: int) -> NDArray[np.int64]:
        """Pick the recordings of a step; each epoch has its own order and full batches only."""
        n_items, batch_size = len(self.recordings), self.config.pretrain.batch_size
        epoch, position = divmod(step, n_items // batch_size)
        order = np.random.default_rng((self.config.pretrain.seed, epoch)).permutation(n_items)
        batch = order[position * batch_size : (position + 1) * batch_size]
        return batch[self.machine.rank :: self.machine.world]

    def _spectrograms(
        self, draws: list[tuple[Prepared, np.random.Generator, float]], seed: int
    ) -> Tensor:
        front_end, device = self.config.front_end, self.machine.device
        if isinstance(front_end, SemitoneConfig):
            cut = np.stack([_stretch(*draw, self.config) for draw in draws])
            alone = replace(self.config.disguise, mix=0.0)  # no other work beside it
            generator = torch.Generator(device).manual_seed(seed)
            return disguise(torch.from_numpy(cut).to(device), alone, 1.0, generator)
        view = cast(WaveformViewConfig, self.config.view)
        waveforms = [
            _waveform_view(recording, rng, front_end, view, device) for recording, rng, _ in draws
        ]
        return crops.log_mel(torch.stack(waveforms), front_end)


def ahead(
    make: Callable[[int], Any], indices: range, n_workers: int
) -> Generator[tuple[Any, float]]:
    """Make things in order, a few ahead of time, in threads.

    Parameters
    ----------
    make : callable
        Makes the thing of one index.
    indices : range
        Of the things to make.
    n_workers : int
        Threads; so many things, and one more, are held in memory.

    Yields
    ------
    thing
        What `make` gave.
    waited_s : float
        Seconds that the caller had to wait for it.
    """
    upcoming = iter(indices)
    pool = ThreadPoolExecutor(n_workers)
    try:
        held: deque[Future[Any]] = deque(
            pool.submit(make, index) for index in islice(upcoming, n_workers + 1)
        )
        while held:
            began = time.perf_counter()
            thing = held.popleft().result()
            waited_s = time.perf_counter() - began
            held.extend(pool.submit(make, index) for index in islice(upcoming, 1))
            yield thing, waited_s
    finally:
        pool.shutdown(cancel_futures=True)


def _prepared(
    path: Path, front_end: FrontEnd, cache: Path, with_harmony: bool
) -> Prepared | Rejected:
    harmony = None
    try:
        if path.suffix == ".npy":
            cached = path
        elif path.suffix == ".npz":
            cached = _unpacked(path, cache)
        elif with_harmony:
            cached, harmony = _heard(path, cache)
        else:
            cached = _cached(path, front_end, cache)
        stored = np.load(cached, mmap_mode="r")
    except AudioError as error:
        return Rejected(path, error.reason)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        return Rejected(path, str(error))
    if reason := _unfit(stored, front_end):
        return Rejected(path, reason)
    return Prepared(path, cached, stored.shape[-1], harmony)


def _unfit(stored: NDArray[Any], front_end: FrontEnd) -> str:
    """Return why nothing can be learnt from a recording; empty where something can."""
    is_semitone = isinstance(front_end, SemitoneConfig)
    if is_semitone and (stored.dtype != np.uint8 or len(stored) != front_end.shape[0]):
        return "not a compact spectrogram"
    length = stored.shape[-1]
    if length < crops.crop_length(front_end):
        return "shorter than one crop"
    if not any(stored[..., start : start + _LOOK].any() for start in range(0, length, _LOOK)):
        return "silent from end to end"
    return ""


def _heard(path: Path, cache: Path) -> tuple[Path, Path]:
    """Decode spectrogram and harmony into the cache unless they are there already."""
    spectrogram, harmony = (_place(path, part, cache) for part in ("heard", "harmony"))
    if not (spectrogram.is_file() and harmony.is_file()):
        recording = record(audio.blocks(path), listener=shipped_listener())
        _write(harmony, recording.harmony)
        _write(spectrogram, recording.spectrogram)
    return spectrogram, harmony


def _unpacked(path: Path, cache: Path) -> Path:
    """Take the spectrogram of a packed recording into the cache unless it is there already."""
    cached = _place(path, "semitone", cache)
    if not cached.is_file():
        with np.load(path, allow_pickle=False) as stored:
            _write(cached, stored["spectrogram"])
    return cached


def _place(path: Path, form: str, cache: Path) -> Path:
    """Name the file that holds a recording in one form, as long as it has not changed."""
    state = path.stat()
    told = f"{path.resolve()} {state.st_size} {state.st_mtime_ns} {form}"
    name = hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:24]
    return cache / f"{name}.npy"


def _cached(path: Path, front_end: FrontEnd, cache: Path) -> Path:
    """Decode into the cache unless it is there already."""
    cached = _place(path, _kept_form(front_end), cache)
    if not cached.is_file():
        _write(cached, crops.decoded(path, front_end))
    return cached


def _write(cached: Path, content: NDArray[np.generic]) -> None:
    partial = cached.with_suffix(f".{os.getpid()}")  # processes that train together share a cache
    try:
        with partial.open("wb") as stream:
            np.save(stream, content)
        partial.replace(cached)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise TrainingError(f"cannot write to the cache ({error})", cached.parent) from error


def _kept_form(front_end: FrontEnd) -> str:
    return "semitone" if isinstance(front_end, SemitoneConfig) else f"{front_end.sample_rate} Hz"


def _waveform_view(
    recording: Prepared,
    rng: np.random.Generator,
    front_end: MelConfig,
    config: WaveformViewConfig,
    device: str,
) -> Tensor:
    stored = np.load(recording.cached, mmap_mode="r")
    length = front_end.segment_length
    start = int(rng.integers(len(stored) - length + 1))
    waveform = crops.as_waveform(stored[start : start + length]).to(device)
    recipe = augment.draw_waveform_recipe(config, rng)
    return augment.alter_waveform(waveform, recipe, front_end.sample_rate)


def _stretch(
    recording: Prepared, rng: np.random.Generator, place: float, config: Config
) -> NDArray[np.float32]:
    """Cut around a place, 0 the first and 1 the last, and bring it to length; (F, T) in dB."""
    n_frames, n_stored = config.front_end.shape[1], recording.length
    apart = cast(SpectrogramViewConfig, config.view).max_apart_s * frontend.FRAME_RATE
    stretch = config.disguise.max_stretch ** rng.uniform(-1, 1)
    length = min(n_stored, round(n_frames * stretch))
    middle = n_frames / 2 + place * (n_stored - n_frames) + apart * rng.uniform(-0.5, 0.5)
    start = int(np.clip(middle - length / 2, 0, n_stored - length))
    stored = np.load(recording.cached, mmap_mode="r")[:, start : start + length]
    crop = torch.from_numpy(frontend.unpack(stored))
    found = functional.interpolate(crop[None], size=n_frames, mode="linear", align_corners=True)
    return found[0].numpy()
