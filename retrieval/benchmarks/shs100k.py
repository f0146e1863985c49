"""SHS100K, version 2: cliques of SecondHandSongs with addresses of their recordings.

The version-1 repository has other splits under the same names; counts and checksums tell them
apart. The SUB lists of the PEMR authors cut across these splits: of the 1,004 performances of
TEST_SUB, 435 are in TRAIN, so nothing trained on TRAIN may be measured on it. Audio is fetched by
each user and rots: the figures of a part are not those of the whole, so what is missing is counted
beside them.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.benchmarks import published
from retrieval.benchmarks.base import (
    Benchmark,
    Card,
    Performance,
    by_stem,
    choose,
    read_lines,
    refuse_choice,
    require_counts,
    require_file,
    require_folder,
    require_names,
    require_unique,
)
from retrieval.errors import BenchmarkError

CARD = Card(
    name="shs100k",
    title="SHS100K (version 2)",
    licence="none stated; the recordings are in copyright",
    citation="Xu, Chen and Xi, 'Key-invariant convolutional neural network toward efficient cover "
    "song identification', ICME 2018",
    source="https://github.com/NovaFrost/SHS100K2",
    layout=(
        "`SHS100K-TEST` (`set<TAB>version` a line; `SHS_TEST_SUB.npy` for a SUB) and, for "
        "addresses, `list`, in the root or its folder `lists` or `meta`; audio anywhere below the "
        "root as `<set>_<version>.<ext>` or `<YouTube id>.<ext>`"
    ),
    subsets=("TEST", "VAL", "TRAIN", "TEST_SUB", "VAL_SUB", "TRAIN_SUB"),
    expected={
        "TEST": (10547, 1692),
        "VAL": (10884, 1842),
        "TRAIN": (87091, 5324),
        "TEST_SUB": (1004, 207),
        "VAL_SUB": (1004, 174),
        "TRAIN_SUB": (10003, 707),
    },
    checksums={
        "TEST": "c0d9a34bc83f22a96a84aed9d372603280ea0df27bb59c6bf5fa8d3b2ee3d49e",
        "VAL": "f0cefe7649644f6c4776b234f8795fb110b515f09bcdd76ecd733febd0c3c6fb",
        "TRAIN": "97f9dacffcf2c539de45b2d3f9b5882814db8700a4d10e09b1198846417b1ded",
        "TEST_SUB": "33bc9eb634d28b7ee752b28fccf1647f967c3f8cc5655160b53460a42945c87f",
        "VAL_SUB": "2834a322ade2e590f0a035abbb19a5fb2cd5deac50832395b360ab7afd0d05d5",
        "TRAIN_SUB": "f0f55aef430e1bb578e02682b2e06975d50549d8da54681c497ec1b9f127c4b1",
    },
    published=published.SHS100K_TEST,
)

_FOLDERS = (".", "lists", "meta", "metadata")
_YOUTUBE_ID = re.compile(r"(?:v=|youtu\.be/|embed/)([\w-]{11})")


@dataclass(frozen=True)
class _Listed:
    """What `list` says of a performance."""

    title: str
    artist: str
    address: str

    @property
    def youtube_id(self) -> str | None:
        found = _YOUTUBE_ID.search(self.address)
        return found[1] if found else None


def load(root: Path, subset: str | None = None, convention: str | None = None) -> Benchmark:
    """Read a split of SHS100K.

    Parameters
    ----------
    root : Path
        The folder of lists and audio.
    subset : str, optional
        `TEST` (the default), `VAL` or `TRAIN`, or the PEMR authors' list, with `_SUB`.
    convention : None
        There is none.

    Returns
    -------
    Benchmark
        Names are `set_version`. Works are sets.

    Raises
    ------
    BenchmarkError
        If a list is absent or malformed, the lists disagree, or the counts or names are not those
        published.
    """
    refuse_choice(CARD.name, convention, "convention")
    subset = choose(CARD.name, subset, CARD.subsets, "subset")
    root = require_folder(root, CARD)
    names = _read_names(root, subset)
    require_unique(CARD, names)
    listed = _read_list(root, subset)
    unlisted = [name for name in names if name not in listed]
    if listed and unlisted:
        raise BenchmarkError(
            f"SHS100K {subset} names {len(unlisted)} performances that `list` does not hold, "
            f"{unlisted[0]!r} first; are they of the same version?"
        )
    files = by_stem(root)
    performances = tuple(_performance(name, listed.get(name), files) for name in names)
    require_counts(CARD, subset, performances)
    require_names(CARD, subset, names)
    used = {p.path for p in performances}
    return Benchmark(
        card=CARD,
        root=root,
        performances=performances,
        subset=subset,
        extra_files=tuple(path for path in files.values() if path not in used),
    )


def _performance(name: str, listed: _Listed | None, files: dict[str, Path]) -> Performance:
    by_id = files.get(listed.youtube_id) if listed and listed.youtube_id else None
    return Performance(
        name=name,
        work=name.split("_", maxsplit=1)[0],
        path=files.get(name, by_id),
        title=listed.title if listed else None,
        artist=listed.artist if listed else None,
        address=listed.address if listed else None,
    )


def _place(root: Path, *names: str) -> Path:
    """Find a list in the root or one of its usual folders; where it should be when it is absent."""
    places = [root / folder / name for name in names for folder in _FOLDERS]
    return next((path for path in places if path.is_file()), root / names[0])


def _read_names(root: Path, subset: str) -> list[str]:
    if subset.endswith("_SUB"):
        path = require_file(_place(root, f"SHS_{subset}.npy"), CARD)
        try:
            names = [str(name) for name in np.load(path, allow_pickle=False)]
        except (OSError, ValueError, TypeError) as error:
            raise BenchmarkError(f"not an array of names ({error})", path) from error
    else:
        path = require_file(_place(root, f"SHS100K-{subset}"), CARD)
        names = ["_".join(line.split()) for line in read_lines(path)]
    for number, name in enumerate(names, start=1):
        if not re.fullmatch(r"\d+_\d+", name):
            raise BenchmarkError(f"{name!r} is no set with a version", path, f"entry {number}")
    return names


def _read_list(root: Path, subset: str) -> dict[str, _Listed]:
    """Read titles and addresses by name; empty when there is no list."""
    path = _place(
        root, "list", "list.txt", "list.tsv", "list.csv", f"shs100k2_{subset.lower()}.csv"
    )
    if not path.is_file():
        return {}
    lines = read_lines(path)
    if lines and lines[0].startswith("set_id;"):
        return _rows_with_header(lines)
    delimiter = "\t" if lines and "\t" in lines[0] else ";"
    n_fields = 6 if delimiter == "\t" else 7  # the second form counts its rows first
    listed = {}
    for number, line in enumerate(lines, start=1):
        fields = _fields(line, delimiter, n_fields)
        if len(fields) != n_fields:
            raise BenchmarkError(
                f"expected {n_fields} fields, found {len(fields)}; "
                f"is a title that contains the separator not quoted?",
                path,
                f"line {number}",
            )
        set_id, version, title, artist, address, _ = fields[-6:]
        listed[f"{set_id}_{version}"] = _Listed(title, artist, address)
    return listed


def _fields(line: str, delimiter: str, n_fields: int) -> list[str]:
    """Split a line, minding quotes, unless they are part of a title."""
    quoted = next(csv.reader([line], delimiter=delimiter))
    return quoted if len(quoted) == n_fields else line.split(delimiter)


def _rows_with_header(lines: list[str]) -> dict[str, _Listed]:
    return {
        f"{row['set_id']}_{row['ver_id']}": _Listed(
            row["title"], row["performer"], f"https://www.youtube.com/watch?v={row['yt_id']}"
        )
        for row in csv.DictReader(lines, delimiter=";")
    }
