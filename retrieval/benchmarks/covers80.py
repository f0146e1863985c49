"""Covers80: 80 works, mostly two performances each, as 32 kbit/s MP3.

Three conventions are in use, and their figures must not be mixed:

- `160`: the 80 + 80 files of the two lists, each against all others (most neural systems).
- `164`: all 164 files, each against all others; 77 works have two, 2 have three, 1 has four.
- `80x80`: the files of `list1.list` ask, those of `list2.list` answer (Ellis). hit@1 × 80 is the
  count of right answers that was first published with the data set.
"""

from pathlib import Path

from retrieval.benchmarks import published
from retrieval.benchmarks.base import (
    Benchmark,
    Card,
    Performance,
    audio_files,
    choose,
    read_lines,
    refuse_choice,
    require_counts,
    require_file,
    require_folder,
    require_unique,
)
from retrieval.errors import BenchmarkError

CARD = Card(
    name="covers80",
    title="Covers80",
    licence="for research; the recordings are in copyright",
    citation="D. P. W. Ellis, 'The covers80 cover song data set', 2007",
    source="https://labrosa.ee.columbia.edu/projects/coversongs/covers80/",
    layout=(
        "the folder `covers32k` with `list1.list` and `list2.list` (80 lines each, "
        "`Work/artist+album+track`) and `<Work>/<artist+album+track>.mp3`"
    ),
    conventions=("160", "164", "80x80"),
    expected={"160": (160, 80), "164": (164, 80), "80x80": (160, 80)},
    published=published.COVERS80,
)

# The works with more than two performances, so that a missing one has a name.
_LARGER_WORKS = {
    "All_Along_The_Watchtower": (
        "bob_dylan+Before_The_Flood_Disc_Two_+07-All_Along_the_Watchtower",
        "dave_matthews_band+Live_At_Red_Rocks_8_15_95_Disc_2+08-All_Along_The_Watchtower",
        "jimi_hendrix_experience+Electric_Ladyland+15-All_Along_The_Watchtower",
        "u2+Rattle_and_Hum+05-All_Along_The_Watchtower",
    ),
    "Let_It_Be": (
        "beatles+1+26-Let_It_Be",
        "beatles+Let_It_Be+06-Let_It_Be",
        "nick_cave+I_am_Sam+20-Let_It_Be",
    ),
    "Take_Me_To_The_River": (
        "al_green+Anthology+39-Take_Me_To_The_River",
        "annie_lennox+Medusa+02-Take_Me_To_The_River",
        "talking_heads+Stop_Making_Sense+09-Take_Me_To_The_River",
    ),
}


def load(root: Path, subset: str | None = None, convention: str | None = None) -> Benchmark:
    """Read Covers80 as LabROSA distributes it.

    Parameters
    ----------
    root : Path
        The folder `covers32k`, or the one that holds it.
    subset : None
        There is none.
    convention : str, optional
        `160` (the default), `164` or `80x80`.

    Returns
    -------
    Benchmark
        Names are `Work/artist+album+track`. Audio converted to another format is found as well.

    Raises
    ------
    BenchmarkError
        If a list is absent, the lists disagree, or the counts are not as published.
    """
    refuse_choice(CARD.name, subset, "subset")
    convention = choose(CARD.name, convention, CARD.conventions, "convention")
    root = require_folder(root, CARD)
    tree = root / "covers32k" if (root / "covers32k").is_dir() else root
    asking, answering = (_read_list(tree / name) for name in ("list1.list", "list2.list"))
    _require_agreement(asking, answering)
    files = _files(tree)
    names = [*asking, *answering]
    if convention == "164":
        names = _all_names(names, files)
    one_way = convention == "80x80"
    performances = tuple(
        Performance(
            name=name,
            work=name.split("/")[0],
            path=files.get(name),
            **_named_after(name),
            is_query=not one_way or name in asking,
            is_candidate=not one_way or name in answering,
        )
        for name in names
    )
    require_counts(CARD, convention, performances)
    known = set(names)
    return Benchmark(
        card=CARD,
        root=root,
        performances=performances,
        convention=convention,
        extra_files=tuple(path for name, path in files.items() if name not in known),
    )


def _read_list(path: Path) -> list[str]:
    names = [line.strip() for line in read_lines(require_file(path, CARD))]
    for number, name in enumerate(names, start=1):
        if name.count("/") != 1:
            raise BenchmarkError(
                f"expected `Work/artist+album+track`, found {name!r}", path, f"line {number}"
            )
    return names


def _require_agreement(asking: list[str], answering: list[str]) -> None:
    """Refuse lists that do not hold one performance of each work."""
    require_unique(CARD, [*asking, *answering])
    works = [sorted(name.split("/")[0] for name in names) for names in (asking, answering)]
    if works[0] != works[1]:
        odd = sorted(set(works[0]) ^ set(works[1])) or ["one named twice"]
        raise BenchmarkError(
            f"list1.list and list2.list of covers80 should name the same works once each, "
            f"but they disagree about {len(odd)}, {odd[0]!r} first"
        )


def _files(tree: Path) -> dict[str, Path]:
    """Find the audio of the tree by `Work/artist+album+track`, MP3 before other formats."""
    found = sorted(audio_files(tree), key=lambda path: path.suffix.lower() != ".mp3")
    files: dict[str, Path] = {}
    for path in found:
        files.setdefault(path.relative_to(tree).with_suffix("").as_posix(), path)
    return files


def _all_names(listed: list[str], files: dict[str, Path]) -> list[str]:
    """Join the lists with the performances that they leave out."""
    works = {name.split("/")[0] for name in listed}
    left_out = [
        f"{work}/{track}"
        for work, tracks in _LARGER_WORKS.items()
        for track in tracks
        if work in works
    ]
    names = list(dict.fromkeys([*listed, *left_out]))
    if len(names) < CARD.expected["164"][0]:
        names += [name for name in files if name.split("/")[0] in works and name not in names]
    return names


def _named_after(name: str) -> dict[str, str]:
    """Read the title and the artist out of `Work/artist+album+track`."""
    work, _, rest = name.partition("/")
    return {"title": work.replace("_", " "), "artist": rest.split("+")[0].replace("_", " ")}
