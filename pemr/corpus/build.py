"""Works and a seed become a corpus: a folder of performances with a manifest.

Performances are made in the order of the manifest and written one by one, so a
killed build goes on where it stopped, and the same seed gives the same bytes.
The folder holds ``corpus.json`` (what was asked for), ``manifest.jsonl`` (one
line per performance), the compact spectrograms and harmony, with or without FLAC.
"""

import json
import logging
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from pemr.corpus.notes.scores import Score
from pemr.corpus.notes.works import Split, Work
from pemr.corpus.playing.arrange import Arrangement, arrange
from pemr.corpus.playing.recipe import DIFFICULTIES, MIXED, draw
from pemr.corpus.processes import processes
from pemr.corpus.sounding.effects import apply_chain, draw_chain
from pemr.corpus.sounding.hearing import guess_harmony
from pemr.corpus.sounding.render import BuiltIn, Engine, render, write_flac
from pemr.corpus.sounding.sketch import sketch
from pemr.corpus.sounding.soundfont import SoundFont, choose_fonts, is_held_out
from pemr.corpus.sounding.synth import Waveform
from pemr.corpus.sounding.voice import voice_names
from pemr.errors import CorpusError
from pemr.model.harmony import shipped_listener
from pemr.signal.audio import SAMPLE_RATE
from pemr.signal.cqt import Cqt
from pemr.signal.recording import record

log = logging.getLogger(__name__)

MANIFEST_VERSION: Final = 2  # 1 had no harmony
BUILT_IN_SHARE: Final = 0.1  # of performances without a SoundFont

_SILENCE = np.zeros(0, np.float32)
_KEPT = {"spectrogram": "spectrograms", "harmony": "harmony"}
_LISTENER = 1  # its draws are apart, so that a sketch looks the same with and without it


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a corpus is to be.

    Parameters
    ----------
    split : {"train", "dev", "test", "human"}
        ``test`` may use what is held out.
    n_works, n_performances : int
        Works, and performances of each.
    n_noise : int
        Further works with one performance each.
    difficulty : {"standard", "brutal", "mixed"}
    seed : int
    fonts : tuple of str
        Paths of SoundFonts; without any the built-in synthesiser plays.
    has_audio : bool
        Whether FLAC is written beside the spectrograms.
    is_sketched : bool
        Whether spectrograms are drawn straight from the notes, without sound.

    Raises
    ------
    CorpusError
        If the split or the difficulty is unknown.
    """

    split: str
    n_works: int
    n_performances: int
    n_noise: int = 0
    difficulty: str = "standard"
    seed: int = 0
    fonts: tuple[str, ...] = ()
    has_audio: bool = False
    is_sketched: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (
            ("split", self.split, get_args(Split)),
            ("difficulty", self.difficulty, (*DIFFICULTIES, MIXED)),
        ):
            if value not in known:
                raise CorpusError(f"no {name} is called {value!r}; there are: {', '.join(known)}")
        if self.is_sketched and self.has_audio:
            raise CorpusError("a sketch has no sound to write; leave out the one or the other")

    @property
    def n_total(self) -> int:
        """Performances in all."""
        return self.n_works * self.n_performances + self.n_noise


@dataclass(frozen=True)
class Job:
    """One performance to be made."""

    work: Work
    index: int
    other: Score | None
    order: Order
    folder: Path

    @property
    def name(self) -> str:
        """Name of the performance."""
        return f"{self.work.name}/{self.index}"


def build(works: Sequence[Work], order: Order, folder: Path, n_jobs: int = 1) -> Iterator[str]:
    """Make a corpus, or the rest of one.

    Parameters
    ----------
    works : sequence of Work
        Which of the split's are taken depends on the seed alone.
    order : Order
    folder : Path
        Made where it is absent.
    n_jobs : int
        Processes.

    Yields
    ------
    str
        Name of each performance, those that were there before included.

    Raises
    ------
    CorpusError
        If there are too few works, the folder holds another corpus, or cannot
        be written.
    """
    jobs = _jobs(works, order, folder)
    done = _resume(folder, order, jobs)
    yield from (job.name for job in jobs[:done])
    try:
        with (folder / "manifest.jsonl").open("a", encoding="utf-8") as manifest:
            for row in _rows(jobs[done:], n_jobs):
                manifest.write(row + "\n")
                manifest.flush()
                yield json.loads(row)["performance"]
    except OSError as error:
        raise CorpusError(f"cannot write the corpus here: {error.strerror}", folder) from error


def play(
    works: Sequence[Work], folder: Path, name: str, out: Path, fonts: Sequence[Path] | None
) -> Iterator[Path]:
    """Make the performances of one work of a corpus again, as FLAC.

    Parameters
    ----------
    works : sequence of Work
        As for `build`.
    folder : Path
        The corpus.
    name : str
        Start of the work's name.
    out : Path
        Made where it is absent.
    fonts : sequence of Path or None
        Those that the corpus was made with; None for those in the usual places.

    Yields
    ------
    Path
        Each file as it is written.

    Raises
    ------
    CorpusError
        If there is no such corpus or work, or its SoundFonts are not given.
    """
    try:
        head = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorpusError("no corpus here; `pemr corpus build` makes one", folder) from error
    given = {Path(font).stem: font for font in choose_fonts(fonts)}
    if missing := [font for font in head["fonts"] if font not in given]:
        raise CorpusError(f"made with SoundFonts not given here: {', '.join(missing)}")
    del head["version"]
    order = Order(**head | {"fonts": tuple(given[font] for font in head["fonts"])})
    if order.is_sketched:
        raise CorpusError("was drawn without sound; there is nothing to play", folder)
    jobs = [job for job in _jobs(works, order, folder) if job.work.name.startswith(name)]
    if not jobs:
        raise CorpusError(f"no work {name!r} in this corpus", folder)
    out.mkdir(parents=True, exist_ok=True)
    for job in jobs:
        path = out / f"{job.work.name}-{job.index}.flac"
        write_flac(path, _take(job).waveform, {"title": job.work.scores[0].title})
        yield path


def _rows(jobs: Sequence[Job], n_jobs: int) -> Iterator[str]:
    if n_jobs == 1:
        yield from map(_perform, jobs)
        return
    with processes(n_jobs, partial(torch.set_num_threads, 1)) as pool:
        yield from pool.imap(_perform, jobs)


def _jobs(works: Sequence[Work], order: Order, folder: Path) -> list[Job]:
    needed = order.n_works + order.n_noise
    own = [work for work in works if work.split == order.split]
    chosen = sorted(own, key=lambda work: _hash(order.seed, work.name))
    if len(own) < needed:
        raise CorpusError(f"split {order.split} has {len(own)} works, {needed} were asked for")
    spare: Sequence[Work | None] = chosen[needed:] or [None]
    jobs = []
    for place, work in enumerate(chosen[:needed]):
        n = order.n_performances if place < order.n_works else 1
        for index in range(n):
            guest = spare[_hash(order.seed, work.name, index) % len(spare)]
            other = guest.scores[0] if guest else None
            jobs.append(Job(work, index, other, order, folder))
    return jobs


def _hash(*parts: object) -> int:
    return zlib.crc32(repr(parts).encode())


def _resume(folder: Path, order: Order, jobs: Sequence[Job]) -> int:
    """Count the performances already there, after cutting off what a kill left half written."""
    head = {"version": MANIFEST_VERSION, **asdict(order)}
    if not order.is_sketched:
        del head["is_sketched"]  # so that older corpora resume
    head["fonts"] = [Path(font).stem for font in order.fonts]
    text = json.dumps(head, indent=1) + "\n"
    home, manifest = folder / "corpus.json", folder / "manifest.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not home.exists():
            home.write_text(text, encoding="utf-8")
        elif home.read_text(encoding="utf-8") != text:
            raise CorpusError("holds another corpus; choose another folder", folder)
        manifest.touch()
        lines = manifest.read_bytes().split(b"\n")[:-1]
        names = [json.loads(line)["performance"] for line in lines]
        done = next(
            (i for i, (name, job) in enumerate(zip(names, jobs, strict=False)) if name != job.name),
            min(len(names), len(jobs)),
        )
        kept = b"".join(line + b"\n" for line in lines[:done])
        os.truncate(manifest, len(kept))
    except OSError as error:
        raise CorpusError(f"cannot write the corpus here: {error.strerror}", folder) from error
    except (ValueError, KeyError) as error:
        raise CorpusError("damaged; delete the folder to make it anew", manifest) from error
    return done


@cache
def _engine(font: str) -> Engine:
    return SoundFont(Path(font)) if font else BuiltIn()


@cache
def _cqt() -> Cqt:
    return Cqt()


class _Take(NamedTuple):
    """A performance as it was recorded, and what led to it."""

    score: Score
    recipe: dict[str, Any]
    performance: Arrangement
    waveform: Waveform  # empty where it is sketched
    spectrogram: NDArray[np.uint8]  # (84, T)
    harmony: NDArray[np.uint8]  # (36, T)


def _take(job: Job) -> _Take:
    order = job.order
    seeds = [order.seed, _hash(job.work.name), job.index]
    rng = np.random.default_rng(seeds)
    name = order.difficulty
    difficulty = DIFFICULTIES[str(rng.choice(list(DIFFICULTIES))) if name == MIXED else name]
    score = _setting(job, rng)
    held_out = order.split == "test"
    recipe = draw(score, difficulty, rng, voices=voice_names(held_out=held_out), held_out=held_out)
    font = _font(order, rng)
    chain = draw_chain(rng, difficulty.rough_chain, held_out=held_out)
    performance = arrange(score, recipe, job.other)
    facts = {"difficulty": difficulty.name, **asdict(recipe)}
    if order.is_sketched:
        drawn = sketch(performance, rng)
        listener = np.random.default_rng([*seeds, _LISTENER])
        harmony = guess_harmony(performance, drawn.shape[1], listener)
        facts["engine"] = "sketch"
        return _Take(score, facts, performance, _SILENCE, drawn, harmony)
    waveform = apply_chain(render(performance, _engine(font)), chain, rng)
    heard = record([waveform], _cqt(), shipped_listener())
    facts |= {"engine": Path(font).stem or BuiltIn.name, "chain": chain}
    return _Take(score, facts, performance, waveform, heard.spectrogram, heard.harmony)


def _perform(job: Job) -> str:
    """Make one performance, write its files and return its line of the manifest."""
    take = _take(job)
    row: dict[str, Any] = {
        "performance": job.name,
        "work": job.work.name,
        "split": job.order.split,
        "source": take.score.source,
        **_written(job, take),
        "duration_s": len(take.waveform) / SAMPLE_RATE or take.performance.duration_s,
        "seed": job.order.seed,
        "recipe": take.recipe,
        "time_map": take.performance.time_map[::4].tolist(),
        "passages": _passage_rows(take.performance),
    }
    return json.dumps(_rounded(row), separators=(",", ":"))


def _setting(job: Job, rng: np.random.Generator) -> Score:
    """Choose the setting: in turn for ``human``, else at random."""
    scores = job.work.scores
    place = int(rng.integers(len(scores)))
    return scores[job.index % len(scores) if job.order.split == "human" else place]


def _font(order: Order, rng: np.random.Generator) -> str:
    draws = rng.random(2)
    usual = [font for font in order.fonts if not is_held_out(Path(font))]
    kept = [font for font in order.fonts if is_held_out(Path(font))]
    if order.split == "test" and kept and draws[0] < 0.5:
        usual = kept
    if not usual or draws[0] > 1 - BUILT_IN_SHARE:
        return ""
    return usual[int(draws[1] * len(usual))]


def _written(job: Job, take: _Take) -> dict[str, str]:
    files = {kind: f"{folder}/{job.name}.npy" for kind, folder in _KEPT.items()}
    for kind, name in files.items():
        path = job.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, getattr(take, kind))
    if job.order.has_audio:
        files["audio"] = f"audio/{job.name}.flac"
        path = job.folder / files["audio"]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_flac(path, take.waveform, {"title": job.work.scores[0].title, "artist": job.name})
    return files


def _passage_rows(performance: Arrangement) -> list[dict[str, Any]]:
    def seconds(beat: float) -> float:
        return float(np.interp(beat, *performance.time_map.T))

    return [
        {
            "kind": p.kind,
            "start_s": seconds(p.start),
            "end_s": seconds(p.end),
            "start_beat": p.source_start,
            "end_beat": p.source_end,
            "transposition": p.transposition,
        }
        for p in performance.passages
    ]


def _rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
