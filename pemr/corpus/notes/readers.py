"""A folder of score archives → plain scores, malformed ones named and skipped.

An archive is a zip file or a folder of the same name. Parsing notation is slow,
so `cached_scores` does it once and keeps the result as JSON lines.
"""

import hashlib
import json
import logging
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pemr.corpus.notes.chords import infer_chords
from pemr.corpus.notes.lilypond import jazz_sheet
from pemr.corpus.notes.melody import find_sections
from pemr.corpus.notes.midi import hymn, pop909_song
from pemr.corpus.notes.notation import lead_sheet, tune, tunes
from pemr.corpus.notes.scores import Score, Unread, clean, load_scores, write_scores
from pemr.corpus.processes import processes
from pemr.errors import CorpusError, ScoreError

log = logging.getLogger(__name__)

Reading = tuple[str, Callable[[], Score]]
"""Name of a score, and what reads it."""

READING_VERSION = 4  # goes up when the same archives would be read differently


class File(NamedTuple):
    """One file of an archive: its path there, and what it holds."""

    path: PurePosixPath
    data: bytes


def _found(directory: Path) -> list[str]:
    found = [name for name in ARCHIVES if _is_there(directory, name)]
    if not found:
        names = ", ".join(f"{name}.zip" for name in ARCHIVES)
        raise CorpusError(f"no scores here; there should be any of {names}", directory)
    return found


def _read_archive(directory: Path, archive: str, n_jobs: int) -> Iterator[Score | Unread]:
    if not all(map(find_spec, ("mido", "music21"))):
        raise CorpusError(
            "scores are read by the extra [corpus]: pip install 'pemr-covers[corpus]'"
        )
    log.info("reading %s", archive)
    readings = ARCHIVES[archive](_files(directory, archive))
    if n_jobs == 1:
        yield from map(_attempt, readings)
        return
    with processes(n_jobs) as pool:
        yield from pool.imap(_attempt, readings, chunksize=16)


def _attempt(reading: Reading) -> Score | Unread:
    """Read one score; whatever a parser makes of a malformed one is a reason to skip it."""
    source, read = reading
    try:
        return _completed(clean(read()))
    except ScoreError as error:
        return Unread(source, error.reason)
    except Exception as error:  # parsers raise anything on malformed input
        return Unread(source, f"malformed: {type(error).__name__}: {error}".split("\n")[0])


def _completed(score: Score) -> Score:
    """Add the chords and the form where the source names none."""
    if not score.chords:
        score = replace(score, chords=infer_chords(score))
    return score if score.sections else replace(score, sections=find_sections(score))


def cached_scores(
    directory: Path, cache_dir: Path, n_jobs: int = 1
) -> tuple[list[Score], list[Unread]]:
    """Read every score of a folder, from the cache when the archives are those it was made of.

    Parameters
    ----------
    directory : Path
        Holds ``pop909``, ``openewld``, ``folk``, ``hymns`` and ``leadsheets``, any of
        them, each as a zip file or as a folder.
    cache_dir : Path
        Made when absent; gets a file of scores and one of what was skipped
        for each archive.
    n_jobs : int, default=1
        Processes that parse when there is no cache yet.

    Raises
    ------
    CorpusError
        If none of the archives is there, one is not a zip file, or the cache cannot
        be written.
    """
    scores: list[Score] = []
    skipped: list[Unread] = []
    for archive in _found(directory):
        cached = cache_dir / f"{archive}-{_fingerprint(directory, archive)}.jsonl.gz"
        if not cached.is_file():
            _keep(cached, _read_archive(directory, archive, n_jobs))
        scores += load_scores(cached)
        rows = json.loads(_skipped_path(cached).read_text(encoding="utf-8"))
        skipped += [Unread(*row) for row in rows]
    return scores, skipped


def _keep(path: Path, items: Iterable[Score | Unread]) -> None:
    """Write what was read, the scores last and at once, for their file says that all is there."""
    found = list(items)
    skipped = [[item.source, item.reason] for item in found if isinstance(item, Unread)]
    unfinished = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _skipped_path(path).write_text(json.dumps(skipped, indent=0), encoding="utf-8")
        write_scores(unfinished, [item for item in found if isinstance(item, Score)])
        unfinished.replace(path)
    except OSError as error:
        raise CorpusError(f"cannot keep scores here: {error.strerror}", path.parent) from error


def _skipped_path(path: Path) -> Path:
    return path.with_name(path.name.replace(".jsonl.gz", ".skipped.json"))


def fingerprint(directory: Path) -> str:
    """Hash which archives there are, their sizes, and how they are read.

    Parameters
    ----------
    directory : Path
        As for `cached_scores`.
    """
    return _hash([_fingerprint(directory, archive) for archive in _found(directory)])


def _fingerprint(directory: Path, archive: str) -> str:
    folder, packed = directory / archive, directory / f"{archive}.zip"
    if folder.is_dir():
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        sizes = [[str(path.relative_to(directory)), path.stat().st_size] for path in files]
        return _hash([READING_VERSION, archive, sizes])
    return _hash([READING_VERSION, archive, packed.stat().st_size])


def _hash(facts: object) -> str:
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
        raise CorpusError("not a readable zip file", packed) from error


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


def _leadsheets(files: Iterator[File]) -> Iterator[Reading]:
    for path, data in files:
        if path.suffix == ".ly" and path.parent.name == "Core":
            source = f"leadsheets/{path.stem}"
            yield source, partial(jazz_sheet, source, data)


ARCHIVES: dict[str, Callable[[Iterator[File]], Iterator[Reading]]] = {
    "pop909": _pop909,
    "openewld": _openewld,
    "folk": _folk,
    "hymns": _hymns,
    "leadsheets": _leadsheets,
}
"""Archives and their readers; a new one stands last, so that places of scores stay as they were."""
