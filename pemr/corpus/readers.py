"""A folder of score archives → plain scores, malformed ones named and skipped.

An archive is a zip file or a folder of the same name. Parsing notation is slow,
so `cached_scores` does it once and keeps the result as JSON lines.
"""

import hashlib
import json
import logging
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pemr.corpus.chords import infer_chords
from pemr.corpus.melody import find_sections
from pemr.corpus.midi import hymn, pop909_song
from pemr.corpus.notation import lead_sheet, tune, tunes
from pemr.corpus.scores import Score, Skipped, clean, load_scores, write_scores
from pemr.errors import CorpusError, ScoreError

log = logging.getLogger(__name__)

Reading = tuple[str, Callable[[], Score]]
"""Name of a score, and what reads it."""

READING_VERSION = 3  # goes up when the same archives would be read differently


class File(NamedTuple):
    """One file of an archive: its path there, and what it holds."""

    path: PurePosixPath
    data: bytes


def read_scores(directory: Path, n_jobs: int = 1) -> Iterator[Score | Skipped]:
    """Read every score of the archives in a folder.

    Parameters
    ----------
    directory : Path
        Holds ``pop909``, ``openewld``, ``folk`` and ``hymns``, any of them,
        each as a zip file or as a folder.
    n_jobs : int, default=1
        Processes that parse.

    Yields
    ------
    Score or Skipped
        In an order that depends on the archives alone.

    Raises
    ------
    CorpusError
        If none of the archives is there, or one is not a zip file.
    """
    found = [name for name in ARCHIVES if _is_there(directory, name)]
    if not found:
        names = ", ".join(f"{name}.zip" for name in ARCHIVES)
        raise CorpusError(f"{directory}: no scores here; there should be any of {names}")
    readings = (
        reading for archive in found for reading in ARCHIVES[archive](_files(directory, archive))
    )
    if n_jobs == 1:
        yield from map(_attempt, readings)
        return
    with get_context("spawn").Pool(n_jobs) as pool:
        yield from pool.imap(_attempt, readings, chunksize=16)


def _attempt(reading: Reading) -> Score | Skipped:
    """Read one score; whatever a parser makes of a malformed one is a reason to skip it."""
    source, read = reading
    try:
        return _completed(clean(read()))
    except ScoreError as error:
        return Skipped(source, error.reason)
    except Exception as error:  # parsers raise anything on malformed input
        return Skipped(source, f"malformed: {type(error).__name__}: {error}".split("\n")[0])


def _completed(score: Score) -> Score:
    """Add the chords and the form where the source names none."""
    if not score.chords:
        score = replace(score, chords=infer_chords(score))
    return score if score.sections else replace(score, sections=find_sections(score))


def cached_scores(
    directory: Path, cache_dir: Path, n_jobs: int = 1
) -> tuple[list[Score], list[Skipped]]:
    """Read every score of a folder, from the cache when the archives are those it was made of.

    Parameters
    ----------
    directory : Path
        As for `read_scores`.
    cache_dir : Path
        Made when absent; gets ``scores-<hash>.jsonl.gz`` and
        ``skipped-<hash>.json``.
    n_jobs : int, default=1
        Processes that parse when there is no cache yet.

    Raises
    ------
    CorpusError
        If there are no archives, or the cache cannot be written.
    """
    key = fingerprint(directory)
    scores_path, skipped_path = (
        cache_dir / f"scores-{key}.jsonl.gz",
        cache_dir / f"skipped-{key}.json",
    )
    if scores_path.is_file() and skipped_path.is_file():
        skipped = [Skipped(*row) for row in json.loads(skipped_path.read_text(encoding="utf-8"))]
        return list(load_scores(scores_path)), skipped
    found = list(read_scores(directory, n_jobs))
    scores = [item for item in found if isinstance(item, Score)]
    skipped = [item for item in found if isinstance(item, Skipped)]
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        rows = [[item.source, item.reason] for item in skipped]
        skipped_path.write_text(json.dumps(rows, indent=0), encoding="utf-8")
        partial_path = scores_path.with_suffix(".partial")
        write_scores(partial_path, scores)
        partial_path.replace(scores_path)
    except OSError as error:
        raise CorpusError(f"{cache_dir}: cannot keep the scores here: {error.strerror}") from error
    # As the cache gives them, so that the first run and the second make the same corpus.
    return list(load_scores(scores_path)), skipped


def fingerprint(directory: Path) -> str:
    """Hash which archives there are, their sizes, and how they are read.

    Parameters
    ----------
    directory : Path
        As for `read_scores`.
    """
    facts: list[object] = [READING_VERSION]
    for name in ARCHIVES:
        folder, packed = directory / name, directory / f"{name}.zip"
        if folder.is_dir():
            facts.append([name, sorted((str(p), p.stat().st_size) for p in folder.rglob("*"))])
        elif packed.is_file():
            facts.append([name, packed.stat().st_size])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def _is_there(directory: Path, archive: str) -> bool:
    return (directory / archive).is_dir() or (directory / f"{archive}.zip").is_file()


def _files(directory: Path, archive: str) -> Iterator[File]:
    """Walk an archive in the order of its paths, zipped or unpacked."""
    folder, packed = directory / archive, directory / f"{archive}.zip"
    if folder.is_dir():
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield File(PurePosixPath(path.relative_to(directory).as_posix()), path.read_bytes())
        return
    try:
        with zipfile.ZipFile(packed) as archived:
            for name in sorted(archived.namelist()):
                if not name.endswith("/"):
                    yield File(PurePosixPath(name), archived.read(name))
    except (zipfile.BadZipFile, OSError) as error:
        raise CorpusError(f"{packed}: not a readable zip file") from error


def _pop909(files: Iterator[File]) -> Iterator[Reading]:
    songs: dict[str, dict[str, bytes]] = {}
    for path, data in files:
        if path.parent.name.isdigit():
            songs.setdefault(path.parent.name, {})[path.name] = data
    for number, song in songs.items():
        source = f"pop909/{number}"
        yield source, partial(pop909_song, source, song)


def _openewld(files: Iterator[File]) -> Iterator[Reading]:
    for path, data in files:
        if path.suffix == ".mxl":
            source = f"openewld/{path.stem}"
            yield source, partial(lead_sheet, source, data)


def _folk(files: Iterator[File]) -> Iterator[Reading]:
    for path, data in files:
        if path.suffix != ".abc":
            continue
        for number, text in tunes(data):
            source = f"folk/{path.parent.name}/{path.stem}.{number}"
            yield source, partial(tune, source, text)


def _hymns(files: Iterator[File]) -> Iterator[Reading]:
    for path, data in files:
        book = f"hymns/{path.parent.name}"
        if path.suffix == ".mid":
            source = f"{book}/{path.stem}"
            yield source, partial(hymn, source, data)
        elif path.suffix == ".abc":
            for number, text in tunes(data):
                source = f"{book}/{number}"
                yield source, partial(tune, source, text)


ARCHIVES: dict[str, Callable[[Iterator[File]], Iterator[Reading]]] = {
    "pop909": _pop909,
    "openewld": _openewld,
    "folk": _folk,
    "hymns": _hymns,
}
