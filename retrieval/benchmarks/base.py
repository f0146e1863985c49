"""What every benchmark has in common: a card of facts, labelled performances, honest counts.

A benchmark is a module of this folder with a `CARD` and a function `load` that turns a data set as
it is distributed into a `Benchmark`. Nothing here downloads anything.
"""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from indexer import AudioFile, FolderError, LabelError, find_audio, read_rows
from retrieval.errors import BenchmarkError


@dataclass(frozen=True, kw_only=True)
class Performance:
    """One labelled recording of a benchmark.

    Parameters
    ----------
    name : str
        Its identifier, unique in the benchmark.
    work : str
        The work it is a performance of.
    path : Path or None
        Its audio, or its features where the data set ships no audio; None when missing.
    title, artist : str or None
        As the data set gives them.
    address : str or None
        Where to look for it on the web.
    is_query : bool
        Whether it asks. Noise, a work with a single performance, never does in any case.
    is_candidate : bool
        Whether it may be an answer.
    """

    name: str
    work: str
    path: Path | None
    title: str | None = None
    artist: str | None = None
    address: str | None = None
    is_query: bool = True
    is_candidate: bool = True


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure somebody else published, never run here.

    Parameters
    ----------
    system : str
        Its name and year.
    convention : str
        What it was measured on, as far as its source says.
    source : str
        Where the figure is from.
    map, mr1 : float or None
        None when the source does not give it.
    """

    system: str
    convention: str
    source: str
    map: float | None = None
    mr1: float | None = None


@dataclass(frozen=True, kw_only=True)
class Card:
    """The facts of a data set.

    Parameters
    ----------
    name : str
        As commands call it.
    title : str
        As its authors call it.
    licence, citation, source : str
        Terms of the data, the paper to cite, where to get it.
    layout : str
        What is expected where under the root.
    subsets, conventions : tuple of str
        Choices, the default first; empty when there is none.
    expected : dict from subset or convention to (performances, works)
        Complete counts; empty when the data set has no fixed ones.
    checksums : dict from subset to str
        SHA-256 of the names of its performances, sorted, one a line.
    published : tuple of Published
        Figures of other systems.
    has_audio : bool
        Whether its files are audio, rather than features.
    """

    name: str
    title: str
    licence: str
    citation: str
    source: str
    layout: str
    subsets: tuple[str, ...] = ()
    conventions: tuple[str, ...] = ()
    expected: dict[str, tuple[int, int]] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    published: tuple[Published, ...] = ()
    has_audio: bool = True


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A data set read from disk.

    Parameters
    ----------
    card : Card
        Its facts.
    root : Path
        Where it lies.
    performances : tuple of Performance
        All of them, also those whose audio is missing.
    subset, convention : str or None
        What was chosen.
    extra_files : tuple of Path
        Audio under the root that no list names; counted, never ranked.
    """

    card: Card
    root: Path
    performances: tuple[Performance, ...]
    subset: str | None = None
    convention: str | None = None
    extra_files: tuple[Path, ...] = ()

    @property
    def present(self) -> tuple[Performance, ...]:
        """The performances whose file is there."""
        return tuple(p for p in self.performances if p.path is not None)

    @property
    def missing(self) -> tuple[Performance, ...]:
        """The performances whose file is not there."""
        return tuple(p for p in self.performances if p.path is None)

    def relative(self, path: Path) -> str:
        """Write a path as seen from the root, so that it says nothing of this machine."""
        return Path(os.path.relpath(path, self.root)).as_posix()


def choose(name: str, asked: str | None, choices: tuple[str, ...], kind: str) -> str:
    """Take the choice asked for, or the default.

    Raises
    ------
    BenchmarkError
        If there is no such choice.
    """
    if asked is None:
        return choices[0]
    if asked not in choices:
        raise BenchmarkError(f"{name} has no {kind} {asked!r}; choose one of {', '.join(choices)}")
    return asked


def refuse_choice(name: str, asked: str | None, kind: str) -> None:
    """Say so when a choice is asked of a benchmark that has none of its kind."""
    if asked is not None:
        raise BenchmarkError(f"{name} has no {kind}s to choose from, so not {asked!r} either")


def require_folder(root: Path, card: Card) -> Path:
    """Make sure that the root is a folder and write it in full.

    Raises
    ------
    BenchmarkError
        If it is not; the message says what is expected where.
    """
    if not root.is_dir():
        reason = "not a folder" if root.exists() else "no such folder"
        raise BenchmarkError(f"{reason}; {card.name} expects {card.layout}", root)
    return Path(os.path.abspath(root))  # noqa: PTH100 (as the catalog writes paths)


def require_file(path: Path, card: Card) -> Path:
    """Make sure that a list of the data set is there.

    Raises
    ------
    BenchmarkError
        If it is not; the message says what is expected where.
    """
    if not path.is_file():
        raise BenchmarkError(f"no such file; {card.name} expects {card.layout}", path)
    return path


def read_lines(path: Path) -> list[str]:
    """Read a list's lines that are not empty.

    Raises
    ------
    BenchmarkError
        If it is not UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"cannot be read as UTF-8 text ({error})", path) from error
    return [line for line in text.splitlines() if line.strip()]


def read_table(path: Path, *columns: str) -> Iterator[dict[str, str]]:
    """Read a table of files and works, as `indexer.read_rows` does.

    Raises
    ------
    BenchmarkError
        If it cannot be read, lacks a column, or leaves one of them empty.
    """
    try:
        yield from read_rows(path, *columns)
    except LabelError as error:
        place = None if error.line is None else f"line {error.line}"
        raise BenchmarkError(error.reason, path, place) from error


def require_counts(card: Card, choice: str, performances: Iterable[Performance]) -> None:
    """Refuse a data set whose lists are not complete.

    Raises
    ------
    BenchmarkError
        If the number of performances or works is not as published; it says the difference.
    """
    found = list(performances)
    expected = card.expected[choice]
    counted = len(found), len({p.work for p in found})
    if counted != expected:
        raise BenchmarkError(
            f"{card.name} {choice} should list {expected[0]} performances of {expected[1]} works, "
            f"but these lists hold {counted[0]} of {counted[1]} "
            f"({counted[0] - expected[0]:+d} and {counted[1] - expected[1]:+d})"
        )


def require_names(card: Card, choice: str, names: Iterable[str]) -> None:
    """Refuse lists of the right length that hold other performances than published.

    Raises
    ------
    BenchmarkError
        If the checksum of the names differs from the published one.
    """
    found = hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
    expected = card.checksums.get(choice, found)
    if found != expected:
        raise BenchmarkError(
            f"{card.name} {choice} has the right counts but not the published performances "
            f"(SHA-256 of its names {found[:12]}, expected {expected[:12]}); is it another version?"
        )


def require_unique(card: Card, names: Iterable[str]) -> None:
    """Refuse lists that name a performance twice.

    Raises
    ------
    BenchmarkError
        If a name occurs more than once.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise BenchmarkError(
            f"the lists of {card.name} name {len(twice)} performances twice, {twice[0]!r} first"
        )


def by_stem(root: Path) -> dict[str, Path]:
    """Find audio by its file name without the ending; of several, the first in order of paths."""
    found: dict[str, Path] = {}
    for path in audio_files(root):
        found.setdefault(path.stem, path)
    return found


def checksum(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def audio_files(folder: Path) -> list[Path]:
    """Find the audio files under a folder as the indexer does, in order of their paths."""
    try:
        return sorted(found.path for found in find_audio([folder]) if isinstance(found, AudioFile))
    except FolderError:  # there is none
        return []


def duplicates(performances: Iterable[Performance]) -> list[tuple[Performance, ...]]:
    """Find performances whose files are the same byte for byte.

    A file listed twice is found by any system, so duplicates flatter a figure; they are reported
    and not removed, because published figures were measured with them.
    """
    by_size: dict[int, list[Performance]] = defaultdict(list)
    for performance in performances:
        if performance.path is not None:
            by_size[performance.path.stat().st_size].append(performance)
    by_content: dict[str, list[Performance]] = defaultdict(list)
    for group in by_size.values():
        for performance in group if len(group) > 1 else ():
            if performance.path is not None:
                by_content[checksum(performance.path)].append(performance)
    return [tuple(group) for group in by_content.values() if len(group) > 1]
