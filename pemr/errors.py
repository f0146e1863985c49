"""What can go wrong in this room.

::

    PemrError
    ├── AudioError
    │   ├── UnreadableAudioError
    │   └── NoAudioStreamError
    ├── UnknownEmbedderError
    ├── UnknownPresetError
    ├── UnfitEmbedderError
    ├── CheckpointError
    ├── TrainingError
    │   ├── LossNotFiniteError
    │   └── BatchTooLargeError
    └── CorpusError
        └── ScoreError

A leaf carries its data; the sentence is built from it: the fact first, then
the way out.
"""

from collections.abc import Sequence
from pathlib import Path

_N_NAMED = 5  # files of a batch


class PemrError(Exception):
    """Any error of this room that the user can do something about."""


class AudioError(PemrError):
    """One audio file cannot be used.

    Parameters
    ----------
    path : Path
        The file.
    reason : str
        What is wrong with it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class UnreadableAudioError(AudioError):
    """The file cannot be opened or holds nothing that decodes."""


class NoAudioStreamError(AudioError):
    """The file opens, but there is no sound in it."""

    def __init__(self, path: Path, reason: str = "no audio stream in this file") -> None:
        super().__init__(path, reason)


class UnknownEmbedderError(PemrError):
    """No embedder goes by this name.

    Parameters
    ----------
    name : str
        What was asked for.
    known : tuple of str
        What there is.
    """

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name, known)
        self.name = name
        self.known = known

    def __str__(self) -> str:
        known = ", ".join(self.known)
        return f"no embedder is called {self.name!r}; there are: {known}, or a checkpoint's folder"


class UnfitEmbedderError(PemrError):
    """The embedder reads something else than what there is; the message says what would do."""


class UnknownPresetError(PemrError):
    """No preset goes by this name.

    Parameters
    ----------
    name : str
        What was asked for.
    known : tuple of str
        What there is.
    """

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name, known)
        self.name = name
        self.known = known

    def __str__(self) -> str:
        return f"no preset is called {self.name!r}; there are: {', '.join(self.known)}"


class CheckpointError(PemrError):
    """A checkpoint is damaged, foreign, or of another preset.

    Parameters
    ----------
    path : Path
        The checkpoint.
    reason : str
        What is wrong with it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"checkpoint {self.path}: {self.reason}"


class _PlacedError(PemrError):
    """Something is wrong, perhaps with a file or folder.

    Parameters
    ----------
    reason : str
        What is wrong.
    where : Path, optional
        With which file or folder.
    """

    def __init__(self, reason: str, where: Path | None = None) -> None:
        super().__init__(reason, where)
        self.reason = reason
        self.where = where

    def __str__(self) -> str:
        return self.reason if self.where is None else f"{self.where}: {self.reason}"


class TrainingError(_PlacedError):
    """Training cannot start or go on, for a reason and perhaps because of a file or folder."""


class LossNotFiniteError(TrainingError):
    """The loss of a step is infinite, or no number.

    Parameters
    ----------
    step : int
        Which, from 1.
    paths : sequence of Path
        What was trained on in it.
    checkpoint : Path or None
        What was saved before, if anything was.
    parts : sequence of str
        Which parts of it are not finite, where it has several.
    """

    def __init__(
        self,
        step: int,
        paths: Sequence[Path],
        checkpoint: Path | None,
        parts: Sequence[str] = (),
    ) -> None:
        names = ", ".join(str(path) for path in paths[:_N_NAMED])
        n_more = len(paths) - _N_NAMED
        which = f" ({', '.join(parts)})" if parts else ""
        more = f" and {n_more} more" if n_more > 0 else ""
        kept = f"the checkpoint in {checkpoint} is from before"
        super().__init__(
            f"the loss of step {step}{which} is not finite, on {names}{more}; "
            f"{kept if checkpoint else 'nothing was saved'}; "
            "look at these files, or lower the learning rate"
        )
        self.step = step
        self.parts = parts
        self.paths = paths
        self.checkpoint = checkpoint


class BatchTooLargeError(TrainingError):
    """A batch does not fit into the memory of the GPU.

    Parameters
    ----------
    batch_size : int
        Of the batch.
    unit : str
        What there are so many of.
    n_fitting : int
        How many may fit.
    total_bytes : int
        Memory of the GPU.
    """

    def __init__(self, batch_size: int, unit: str, n_fitting: int, total_bytes: int) -> None:
        super().__init__(
            f"{batch_size} {unit} in a batch do not fit into the GPU's "
            f"{total_bytes / 2**30:.0f} GiB; about {n_fitting} may: use --batch-size {n_fitting}"
        )
        self.batch_size = batch_size
        self.unit = unit
        self.n_fitting = n_fitting
        self.total_bytes = total_bytes


class CorpusError(_PlacedError):
    """The corpus cannot be made or read, for a reason and perhaps because of a file or folder."""


class ScoreError(CorpusError):
    """One score cannot be used.

    Parameters
    ----------
    source : str
        Where it comes from, for example ``"pop909/012"``.
    reason : str
        What is wrong with it.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(reason)
        self.args = (source, reason)  # what it is made of again in another process
        self.source = source

    def __str__(self) -> str:
        return f"score {self.source}: {self.reason}"
