"""Free music, or a folder of one's own → recordings as features, with a table of licences.

Debian's games bring hours of music whose licences are written down. Packages are downloaded
and unpacked beside the system, never installed; what is kept is packed recordings.

Letters: T frames.
"""

import csv
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from pemr.errors import AudioError, CorpusError
from pemr.model.harmony import shipped_listener
from pemr.signal.audio import blocks
from pemr.signal.media import AUDIO_SUFFIXES
from pemr.signal.recording import record

PACKAGES: Final = (
    "warzone2100-music",
    "planetblupi-music-ogg",
    "wesnoth-1.16-music",
    "singularity-music",
    "colobot-common-sounds",
    "marsshooter-data",
    "fretsonfire-songs-muldjord",
    "fretsonfire-songs-sectoid",
    "hyperrogue-music",
    "asc-music",
    "ufoai-music",
)
TABLE: Final = "licences.csv"
SHORTEST_S: Final = 20.0  # one crop; shorter files are noises of a game

_COLUMNS = ("package", "licence", "recordings", "seconds", "left out")
_FREE = re.compile(
    r"(A?GPL|LGPL|CC0|CC-BY(-SA)?(-\d|$)|public-domain|PD$|Expat|MIT|BSD|Artistic|Zlib|WTFPL)", re.I
)
_OF_SOUND = re.compile(r"music|sound|song|\.(ogg|opus|mp3|wav|flac)", re.I)
_BROAD = frozenset({"*", "./*"})


@dataclass(frozen=True)
class Gathered:
    """What became of one package, or of a folder of one's own."""

    package: str
    licence: str
    n_recordings: int = 0
    duration_s: float = 0.0
    left_out: str = ""  # why, where it was

    def __str__(self) -> str:
        told = self.left_out or f"{self.n_recordings} recordings, {self.duration_s / 3600:.1f} h"
        return f"{self.package}: {told}"


def gather(out: Path, packages: Sequence[str] = PACKAGES) -> Iterator[Gathered]:
    """Pack the music of Debian packages, those that are done already left alone.

    Parameters
    ----------
    out : Path
        Folder; made where it is absent. Recordings lie in a folder for each package,
        licences in ``licences.csv``.
    packages : sequence of str
        Names of packages of the machine's own sources.

    Yields
    ------
    Gathered
        One for each package. One that cannot be had is told, and tried again the next time.

    Raises
    ------
    CorpusError
        If this is no Debian, or the folder cannot be written.
    """
    done = _read(out)
    for package in packages:
        if package in done:
            yield done[package]
            continue
        with tempfile.TemporaryDirectory() as place:
            found = _of_package(package, Path(place), out)
        if found.licence:
            done[package] = found
            _write(out, done)
        yield found


def pack_folder(folder: Path, out: Path) -> Gathered:
    """Pack a folder of one's own.

    Parameters
    ----------
    folder : Path
        Searched with all its sub-folders.
    out : Path
        As for `gather`.

    Raises
    ------
    CorpusError
        If nothing in the folder can be used, or `out` cannot be written.
    """
    found = _packed(folder.name or "music", "your own", folder, out)
    if not found.n_recordings:
        raise CorpusError(
            f"holds no music of {SHORTEST_S:.0f} s or more that is not silent", folder
        )
    _write(out, {**_read(out), found.package: found})
    return found


def licence_of_sound(copyright_file: str) -> str:
    """Return which licences the sounds of a package have.

    Parameters
    ----------
    copyright_file : str
        In Debian's machine-readable form.

    Returns
    -------
    str
        Those of the paragraphs that name sounds, else of the one for all files; empty where
        the file is of no such form.
    """
    everything, of_sound = "", set()
    for paragraph in copyright_file.split("\n\n"):
        files = re.search(r"^Files:((?:.*\n)(?:[ \t].*\n)*)", f"{paragraph}\n", re.M)
        licence = re.search(r"^License:[ \t]*(.+)$", paragraph, re.M)
        if not files or not licence:
            continue
        if _BROAD & set(files[1].split()):
            everything = licence[1].strip()
        elif _OF_SOUND.search(files[1]):
            of_sound.add(licence[1].strip())
    return ", ".join(sorted(of_sound)) or everything


def is_free(licence: str) -> bool:
    """Return whether every one of several licences lets anybody use and change the sound."""
    names = re.split(r",\s*|\s+and\s+", licence)
    return all(any(_FREE.match(one) for one in re.split(r"\s+or\s+", name)) for name in names)


def _of_package(package: str, place: Path, out: Path) -> Gathered:
    try:
        _run(["apt-get", "download", package], place)
        (archive,) = place.glob("*.deb")
        _run(["dpkg-deb", "-x", archive.name, "unpacked"], place)
    except (subprocess.CalledProcessError, ValueError):
        return Gathered(package, "", left_out="cannot be downloaded and unpacked")
    told = place / "unpacked" / "usr" / "share" / "doc" / package / "copyright"
    licence = licence_of_sound(told.read_text("utf-8", "replace")) if told.is_file() else ""
    if not licence:
        return Gathered(
            package, "not told", left_out="its copyright file cannot be read by a program"
        )
    if not is_free(licence):
        return Gathered(package, licence, left_out="its licence does not allow it")
    try:
        _open_archives(place / "unpacked")
    except (OSError, zipfile.BadZipFile) as error:
        return Gathered(package, licence, left_out=f"an archive in it is damaged ({error})")
    return _packed(package, licence, place / "unpacked", out)


def _open_archives(folder: Path) -> None:
    """Unpack what games keep their sounds in, each beside itself."""
    for archive in sorted(folder.rglob("*.pk3")):
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(archive.with_suffix(""))


def _run(command: list[str], place: Path) -> None:
    try:
        subprocess.run(command, cwd=place, check=True, capture_output=True)  # noqa: S603 (no shell)
    except FileNotFoundError as error:
        raise CorpusError(f"{command[0]} is needed: packages are Debian's") from error


def _packed(package: str, licence: str, folder: Path, out: Path) -> Gathered:
    """Pack what can be used of a folder: long enough, and not silent."""
    lengths = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in AUDIO_SUFFIXES or not path.is_file() or path.is_symlink():
            continue
        try:
            recording = record(blocks(path), listener=shipped_listener())
        except AudioError:
            continue
        if recording.duration_s < SHORTEST_S or not recording.is_heard.any():
            continue
        target = (out / package / path.relative_to(folder)).with_suffix(".npz")
        target.parent.mkdir(parents=True, exist_ok=True)
        kept: dict[str, Any] = {"duration_s": recording.duration_s, **recording.parts}
        np.savez(target, **kept)
        lengths.append(recording.duration_s)
    return Gathered(package, licence, len(lengths), sum(lengths))


def _read(out: Path) -> dict[str, Gathered]:
    table = out / TABLE
    if not table.is_file():
        return {}
    with table.open(encoding="utf-8", newline="") as file:
        rows = [[row[column] for column in _COLUMNS] for row in csv.DictReader(file)]
    return {p: Gathered(p, licence, int(n), float(s), why) for p, licence, n, s, why in rows}


def _write(out: Path, done: dict[str, Gathered]) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / TABLE).open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(_COLUMNS)
            for one in done.values():
                told = f"{one.duration_s:.1f}"
                rows.writerow([one.package, one.licence, one.n_recordings, told, one.left_out])
    except OSError as error:
        raise CorpusError(f"cannot write here: {error.strerror}", out) from error
