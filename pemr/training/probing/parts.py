"""A folder of music and what it says of its parts → the recordings that may be trained on."""

import csv
import logging
from pathlib import Path

import numpy as np

from pemr.errors import TrainingError
from pemr.signal.crops import FrontEnd
from pemr.training.data import music_of
from pemr.training.probing.tagging import SETS, labelled_set

log = logging.getLogger(__name__)


def training_files(folder: Path, front_end: FrontEnd, split: str | None = None) -> list[Path]:
    """Return the files of a folder that belong to its training part.

    Parameters
    ----------
    folder : Path
        Searched with all its sub-folders.
    front_end : MelConfig or SemitoneConfig
        Says which files it takes.
    split : str, optional
        A data set of `pemr probe`, whose training part is taken; or the path of a list: CSV
        with the column `path`, relative to it; `.npy` of names; or text with a name, or set and
        version with a tab between, in each line, as SHS100K has it. A name is that of a file,
        with or without its ending, or its path in the folder. Without one all files are taken.

    Returns
    -------
    list of Path
        In order of their names.

    Raises
    ------
    TrainingError
        If the list cannot be read, or names nothing in the folder.
    """
    if split is None:
        return music_of(folder, front_end)
    if split in SETS:
        return sorted(clip.path for clip in labelled_set(split, folder).train)
    names = _names(Path(split))
    chosen, found = [], set()
    for path in music_of(folder, front_end):
        inner = path.relative_to(folder)
        known = {str(path.resolve()), path.name, path.stem, str(inner), str(inner.with_suffix(""))}
        if known & names:
            chosen.append(path)
            found |= known & names
    if not chosen:
        raise TrainingError(f"names no file of {folder}", Path(split))
    if names - found:
        log.warning("%d of %d names of %s have no file", len(names - found), len(names), split)
    return chosen


def _names(source: Path) -> set[str]:
    try:
        if source.suffix.lower() == ".npy":
            return {str(name) for name in np.load(source, allow_pickle=False)}
        text = source.read_text(encoding="utf-8")
        if source.suffix.lower() == ".csv":
            paths = (row["path"] for row in csv.DictReader(text.splitlines()))
            return {str((source.parent / path).resolve()) for path in paths}
    except (OSError, ValueError, KeyError, TypeError) as error:
        known = ", ".join(SETS)
        reason = f"is no list of recordings ({error!r}), nor one of: {known}"
        raise TrainingError(reason, source) from error
    return {"_".join(line.split("\t")) for line in text.splitlines() if line.strip()}
