"""Cliques of performances → batches of crops that show the same music.

A corpus says which beat of its score sounds when, so that crops of performances
of one score are taken from the same stretch of it. Without that, crops are taken
anywhere.

Letters: B batch, F frequency bins, T frames.
"""

import csv
import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from pemr.config import Config, ModelConfig, SemitoneConfig
from pemr.errors import TrainingError
from pemr.signal.crops import FrontEnd, shown
from pemr.signal.frontend import FRAME_RATE, N_BINS, unpack
from pemr.training.data import Prepared, prepare_files
from pemr.training.machine import Machine

log = logging.getLogger(__name__)

MIN_CLIQUES = 4
_TUNE = frozenset({"tune", "solo"})  # passages that show the work itself
_BEATS_OFF = 1.5  # beats that a crop's middle may be from where it should be


@dataclass(frozen=True)
class Member:
    """One recording of a work.

    Parameters
    ----------
    recording : Prepared
        Its compact spectrogram.
    clique : str
        The work.
    source : str
        The score whose beats it knows, or empty.
    beats : float32 array, shape (T,)
        Beat of the score in each frame, NaN where it is silent; empty when
        nothing is known.
    """

    recording: Prepared
    clique: str
    source: str = ""
    beats: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(0, np.float32), repr=False, compare=False
    )


@dataclass(frozen=True)
class Batch:
    """Crops and which clique each is of.

    Parameters
    ----------
    crops : float32 tensor, shape (B, F, T)
        In dB; F is 120, with harmony in 0..1 at the end, where the encoder reads that.
    cliques : int64 tensor, shape (B,)
    paths : tuple of Path
        What was cropped.
    """

    crops: Tensor
    cliques: Tensor
    paths: tuple[Path, ...]


def read_performances(
    source: Path, config: ModelConfig, cache: Path, n_workers: int
) -> list[Member]:
    """Read the manifest of a corpus, or a user's own cliques where it is a `.csv`.

    Parameters and errors : as for `read_manifest` and `read_cliques`; a manifest is of no use to
    a front end that reads waveforms, and is refused.
    """
    if source.suffix.lower() == ".csv":
        return read_cliques(
            source, cache, n_workers, config.front_end, with_harmony=config.reads_harmony
        )
    if not isinstance(config.front_end, SemitoneConfig):
        raise TrainingError(f"holds spectrograms, and preset {config.preset!r} reads sound", source)
    return read_manifest(source)


def read_manifest(manifest: Path) -> list[Member]:
    """Read the performances of a corpus.

    Parameters
    ----------
    manifest : Path
        `manifest.jsonl` of a corpus with compact spectrograms.

    Returns
    -------
    list of Member

    Raises
    ------
    TrainingError
        If it cannot be read, or a line of it is of another kind.
    """
    try:
        lines = manifest.read_text(encoding="utf-8").splitlines()
        return [_performance(json.loads(line), manifest.parent) for line in lines if line]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError) as error:
        raise TrainingError(f"is no manifest of a corpus ({error!r})", manifest) from error


def read_cliques(
    source: Path,
    cache: Path,
    n_workers: int,
    front_end: FrontEnd | None = None,
    *,
    with_harmony: bool = False,
) -> list[Member]:
    """Read a user's own cliques, and decode what they name.

    Parameters
    ----------
    source : Path
        CSV with the columns `path` and `clique`; paths are relative to it.
    cache : Path
        Folder for what is decoded.
    n_workers : int
        Files decoded at once.
    front_end : MelConfig or SemitoneConfig, optional
        Says what is kept of each; spectrograms where none is given.
    with_harmony : bool
        Whether the chord network listens as well.

    Returns
    -------
    list of Member
        Files that cannot be used are left out, with a warning each.

    Raises
    ------
    TrainingError
        If the file cannot be read or lacks a column.
    """
    try:
        with source.open(encoding="utf-8", newline="") as file:
            rows = [(source.parent / row["path"], row["clique"]) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"is no list of cliques ({error!r}); it needs the columns path and clique"
        raise TrainingError(reason, source) from error
    paths = [path for path, _ in rows]
    kept = front_end or SemitoneConfig()
    prepared = prepare_files(paths, kept, cache, n_workers, with_harmony=with_harmony)
    performances = []
    for recording, (_, clique) in zip(prepared, rows, strict=True):
        if isinstance(recording, Prepared):
            performances.append(Member(recording, clique))
        else:
            log.warning("%s is left out: %s", recording.path, recording.reason)
    return performances


def _performance(row: dict[str, Any], folder: Path) -> Member:
    path = folder / row["spectrogram"]
    stored = np.load(path, mmap_mode="r")
    if stored.dtype != np.uint8 or stored.ndim != 2 or len(stored) != N_BINS:
        raise TrainingError("is not a compact spectrogram; make the corpus anew", path)
    harmony = folder / row["harmony"] if "harmony" in row else None
    recording = Prepared(path, path, stored.shape[1], harmony)
    return Member(recording, row["work"], row.get("source", ""), _beats(row, recording.length))


def _beats(row: dict[str, Any], n_frames: int) -> NDArray[np.float32]:
    """Find the beat of the score that each frame of a performance shows."""
    if not row.get("passages") or not row.get("time_map"):
        return np.zeros(0, np.float32)
    time_map = np.array(row["time_map"], float)
    times = (np.arange(n_frames) + 0.5) / FRAME_RATE
    played = np.interp(times, time_map[:, 1], time_map[:, 0])
    beats = np.full(n_frames, np.nan, np.float32)
    for passage in row["passages"]:
        if passage.get("kind", "tune") in _TUNE:
            inside = (times >= passage["start_s"]) & (times < passage["end_s"])
            start = np.interp(passage["start_s"], time_map[:, 1], time_map[:, 0])
            beats[inside] = played[inside] - start + passage["start_beat"]
    return beats


def usable(performances: Iterable[Member]) -> dict[str, list[Member]]:
    """Group performances by clique, and leave out cliques of one.

    Parameters
    ----------
    performances : iterable of Member

    Returns
    -------
    dict of str to list of Member
        In order of the cliques' names.

    Raises
    ------
    TrainingError
        If too few cliques remain to learn from.
    """
    cliques: dict[str, list[Member]] = defaultdict(list)
    for performance in performances:
        cliques[performance.clique].append(performance)
    alone = [name for name, members in cliques.items() if len(members) < 2]
    if alone:
        log.warning("%d cliques of one performance are left out, %s first", len(alone), alone[0])
    kept = {name: cliques[name] for name in sorted(cliques) if len(cliques[name]) > 1}
    if len(kept) < MIN_CLIQUES:
        raise TrainingError(
            f"{len(kept)} cliques have two performances or more; at least {MIN_CLIQUES} are needed"
        )
    return kept


class CliqueBatches:
    """The batch of each step, as a function of the step.

    Parameters
    ----------
    cliques : dict of str to list of Member
        From `usable`.
    config : Config
        The run.
    machine : Machine
        Which share of a batch this process takes.
    """

    def __init__(self, cliques: dict[str, list[Member]], config: Config, machine: Machine) -> None:
        self._cliques = list(cliques.values())
        self._config = config
        self._machine = machine
        self._n_frames = config.front_end.shape[1]

    def __call__(self, step: int) -> Batch:
        """Cut the crops of a step; not yet disguised.

        Parameters
        ----------
        step : int
            From 0.

        Returns
        -------
        Batch
            `n_crops` of each clique that falls to this process.
        """
        recipe = self._config.finetune
        rng = np.random.default_rng((recipe.seed, step))
        n_chosen = min(recipe.n_cliques, len(self._cliques))
        chosen = rng.permutation(len(self._cliques))[:n_chosen]
        share = chosen[: n_chosen // self._machine.world * self._machine.world]
        crops, labels, paths = [], [], []
        for clique in share[self._machine.rank :: self._machine.world].tolist():
            own = np.random.default_rng((recipe.seed, step, clique))
            is_easy = own.random() >= strength_of(step, self._config)
            members = self._members(self._cliques[clique], is_easy, own)
            for crop in self._crops(members, step, own):
                crops.append(crop)
                labels.append(clique)
            paths += [member.recording.path for member in members]
        return Batch(torch.from_numpy(np.stack(crops)), torch.tensor(labels), tuple(paths))

    def _members(self, clique: Sequence[Member], is_easy: bool, rng: Generator) -> list[Member]:
        """Choose what to crop: of one score where it can be, with one twice where it is easy."""
        n_crops = self._config.finetune.n_crops
        first = clique[int(rng.integers(len(clique)))]
        others = [p for p in clique if p is not first]
        related = [p for p in others if len(first.beats) and p.source == first.source]
        pool = related or others
        chosen = [first] * (2 if is_easy else 1)
        while len(chosen) < n_crops:
            chosen += [pool[i] for i in rng.permutation(len(pool))]
        return chosen[:n_crops]

    def _crops(
        self, members: Sequence[Member], step: int, rng: Generator
    ) -> list[NDArray[np.float32]]:
        beat = float("nan")
        crops = []
        strength = strength_of(step, self._config)
        for member in members:
            crop, middle = self._crop(member, beat, strength, rng)
            beat = middle if np.isnan(beat) and member.source == members[0].source else beat
            crops.append(crop)
        return crops

    def _crop(
        self, member: Member, beat: float, strength: float, rng: Generator
    ) -> tuple[NDArray[np.float32], float]:
        """Cut one crop around a beat, or anywhere, and stretch it; give its middle beat too."""
        config = self._config.disguise
        stored = np.load(member.recording.cached, mmap_mode="r")
        n_stored = stored.shape[1]
        growth = 0.3 + 0.7 * strength
        length = self._n_frames * config.max_stretch ** (growth * rng.uniform(-1, 1))
        jitter = rng.normal(0, growth * config.jitter_s * FRAME_RATE)
        start = rng.uniform(0, max(1.0, n_stored - length))
        if not np.isnan(beat) and len(member.beats):
            off = np.abs(np.nan_to_num(member.beats - beat, nan=np.inf))
            middle = rng.choice(np.flatnonzero(off < off.min() + _BEATS_OFF))
            start = np.clip(
                middle - length / 2 + jitter, -length / 4, max(n_stored - 0.75 * length, 0)
            )
        places = start + np.linspace(0, length - 1, self._n_frames)
        frames = np.clip(np.rint(places), 0, n_stored - 1).astype(int)
        outside = (places < 0) | (places > n_stored - 1)
        crop = stored[:, frames]
        crop[:, outside] = 0
        here = member.beats[frames] if len(member.beats) else np.zeros(0, np.float32)
        known = here[~np.isnan(here)]
        shows = self._shown(member.recording, crop, frames, outside)
        return shows, float(np.median(known)) if len(known) else float("nan")

    def _shown(
        self,
        recording: Prepared,
        crop: NDArray[np.uint8],
        frames: NDArray[np.int64],
        outside: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """Unpack a crop, with its harmony where the encoder reads that."""
        if not self._config.reads_harmony:
            return unpack(crop)
        harmony = None
        if recording.harmony is not None:
            harmony = np.load(recording.harmony, mmap_mode="r")[:, frames]
            harmony[:, outside] = 0
        return shown(crop, harmony)


def strength_of(step: int, config: Config) -> float:
    """Return the strength of the disguise at a step, and the share of cliques that are not easy."""
    return min(1.0, step / config.finetune.easy) if config.finetune.easy else 1.0


def fingerprint(cliques: dict[str, list[Member]]) -> str:
    """Return a hash of what is trained on, to notice when it changes.

    Parameters
    ----------
    cliques : dict of str to list of Member
        From `usable`.

    Returns
    -------
    str
        16 hexadecimal digits of cliques, names and lengths.
    """
    told = "\n".join(
        f"{name} {member.recording.path.name} {member.recording.length}"
        for name, members in cliques.items()
        for member in members
    )
    return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:16]
