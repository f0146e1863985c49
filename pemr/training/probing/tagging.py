"""MagnaTagATune and GTZAN as they are distributed → clips with their labels.

MagnaTagATune (Law et al., ISMIR 2009; 25,863 clips of 29 s; for research, see
https://mirg.city.ac.uk/codeapps/the-magnatagatune-dataset): `annotations_final.csv`,
`clip_info_final.csv` and the mp3 files in folders `0` to `f`, after the three
parts of the archive are joined. The 50 most frequent tags; folders 0 to b train,
c validates, d to f test, which is the split of Pons et al., ISMIR 2018: 18,706 /
1,825 / 5,329 clips once the three empty files are left out.

GTZAN (Tzanetakis and Cook, 2002; 1,000 excerpts of 30 s in 10 genres; no licence
was ever stated): `genres/<genre>/<genre>.00000.wav`, or `.au`. The fault-filtered
split of Kereliuk, Sturm and Larsen, 2015: 443 / 197 / 290 excerpts.

Letters: C labels.
"""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pemr.errors import TrainingError

N_TAGS = 50
GENRES = (
    *("blues", "classical", "country", "disco", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
)

_TRAIN_FOLDERS = frozenset("0123456789ab")
_VALID_FOLDERS = frozenset("c")
_TEST_FOLDERS = frozenset("def")


@dataclass(frozen=True)
class Clip:
    """One labelled recording."""

    path: Path
    labels: tuple[int, ...]  # indices into the names of the set


@dataclass(frozen=True)
class LabelledSet:
    """A data set of music classification."""

    name: str
    task: Literal["tags", "genres"]  # any number of labels a clip, or exactly one
    names: tuple[str, ...]
    train: tuple[Clip, ...]
    valid: tuple[Clip, ...]
    test: tuple[Clip, ...]
    n_missing: int  # clips of the lists whose audio is absent or empty

    @property
    def paths(self) -> list[Path]:
        """Audio of all clips whose file is there."""
        return [clip.path for clip in (*self.train, *self.valid, *self.test)]

    def targets(self, clips: Iterable[Clip]) -> NDArray[np.float32]:
        """Return the labels of clips as zeros and ones.

        Parameters
        ----------
        clips : iterable of Clip
            N of them.

        Returns
        -------
        float32 array, shape (N, C)
        """
        rows = [np.isin(np.arange(len(self.names)), clip.labels) for clip in clips]
        return np.array(rows, dtype=np.float32).reshape(-1, len(self.names))


def magnatagatune(root: Path) -> LabelledSet:
    """Read MagnaTagATune.

    Parameters
    ----------
    root : Path
        Folder with the two tables and the sixteen folders of mp3 files.

    Returns
    -------
    LabelledSet

    Raises
    ------
    TrainingError
        If the tables are absent, contradict each other, or no audio is there.
    """
    tags, rows = _annotations(_required(root, "annotations_final.csv"))
    _require_same_clips(rows, _required(root, "clip_info_final.csv"))
    counts = np.array([labels for _, labels in rows], dtype=np.int64).sum(axis=0)
    top = np.argsort(-counts, kind="stable")[:N_TAGS]
    clips = [
        (path[0], Clip(root / path, tuple(int(i) for i in np.flatnonzero(np.array(labels)[top]))))
        for path, labels in rows
    ]
    train, valid, test = (
        [clip for folder, clip in clips if folder in folders]
        for folders in (_TRAIN_FOLDERS, _VALID_FOLDERS, _TEST_FOLDERS)
    )
    names = tuple(tags[i] for i in top)
    return _present(
        root, LabelledSet("magnatagatune", "tags", names, *_frozen(train, valid, test), 0)
    )


def gtzan(root: Path) -> LabelledSet:
    """Read GTZAN.

    Parameters
    ----------
    root : Path
        Folder that holds `genres`, or that folder itself.

    Returns
    -------
    LabelledSet

    Raises
    ------
    TrainingError
        If the ten folders of genres are not there, or no audio is.
    """
    from torchaudio.datasets import gtzan as lists  # noqa: PLC0415 (slow import, one use)

    folder = root / "genres" if (root / "genres").is_dir() else root
    if not (folder / GENRES[0]).is_dir():
        raise TrainingError(f"is not GTZAN: expected genres/{GENRES[0]} and nine more", root)

    def clips(names: list[str]) -> list[Clip]:
        return [
            Clip(_either(folder / name.split(".")[0] / name), (GENRES.index(name.split(".")[0]),))
            for name in names
        ]

    parts = (clips(x) for x in (lists.filtered_train, lists.filtered_valid, lists.filtered_test))
    return _present(root, LabelledSet("gtzan", "genres", GENRES, *_frozen(*parts), 0))


SETS: MappingProxyType[str, Callable[[Path], LabelledSet]] = MappingProxyType(
    {"magnatagatune": magnatagatune, "gtzan": gtzan}
)


def labelled_set(name: str, root: Path) -> LabelledSet:
    """Read a data set by its name.

    Parameters
    ----------
    name : str
        A key of `SETS`.
    root : Path
        Where it lies.

    Returns
    -------
    LabelledSet

    Raises
    ------
    TrainingError
        If no data set is called so, or it is not there.
    """
    if name not in SETS:
        raise TrainingError(f"no data set is called {name!r}; there are: {', '.join(SETS)}")
    return SETS[name](root)


def _frozen(
    train: list[Clip], valid: list[Clip], test: list[Clip]
) -> tuple[tuple[Clip, ...], tuple[Clip, ...], tuple[Clip, ...]]:
    return tuple(train), tuple(valid), tuple(test)


def _annotations(table: Path) -> tuple[list[str], list[tuple[str, list[int]]]]:
    """Read tags, and for each clip its path and a 0 or 1 for each tag."""
    with table.open(newline="", encoding="utf-8") as stream:
        lines = csv.reader(stream, delimiter="\t")
        header = next(lines, [])
        if not header or header[0] != "clip_id" or header[-1] != "mp3_path":
            raise TrainingError("has other columns than clip_id, the tags, mp3_path", table)
        try:
            rows = [(line[-1], [int(cell) for cell in line[1:-1]]) for line in lines]
        except (ValueError, IndexError) as error:
            raise TrainingError(f"a row is not zeros and ones ({error})", table) from error
    if any(len(labels) != len(header) - 2 for _, labels in rows):
        raise TrainingError("a row has more or fewer cells than the header", table)
    return header[1:-1], rows


def _require_same_clips(rows: list[tuple[str, list[int]]], table: Path) -> None:
    with table.open(newline="", encoding="utf-8") as stream:
        known = {row.get("mp3_path", "") for row in csv.DictReader(stream, delimiter="\t")}
    strangers = sum(path not in known for path, _ in rows)
    if strangers:
        raise TrainingError(f"{strangers} annotated clips are not in it: mixed versions?", table)


def _required(root: Path, name: str) -> Path:
    if not (root / name).is_file():
        raise TrainingError(f"is not MagnaTagATune: expected {name} in it", root)
    return root / name


def _either(stem: Path) -> Path:
    """Find an excerpt under the suffix that this copy of GTZAN has."""
    wav, au = (stem.with_name(stem.name + suffix) for suffix in (".wav", ".au"))
    return au if au.is_file() else wav


def _present(root: Path, listed: LabelledSet) -> LabelledSet:
    """Leave out what has no audio, and count it."""
    parts = [
        tuple(clip for clip in clips if clip.path.is_file() and clip.path.stat().st_size)
        for clips in (listed.train, listed.valid, listed.test)
    ]
    n_listed = len(listed.train) + len(listed.valid) + len(listed.test)
    for name, part in zip(("train", "valid", "test"), parts, strict=True):
        if not part:
            raise TrainingError(f"holds no audio of the {name} part of {listed.name}", root)
    n_missing = n_listed - sum(len(part) for part in parts)
    train, valid, test = parts
    return LabelledSet(listed.name, listed.task, listed.names, train, valid, test, n_missing)
