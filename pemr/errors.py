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
    │   └── LossNotFiniteError
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


class TrainingError(PemrError):
    """Training cannot start or go on; the message says why and what was kept."""


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
    """

    def __init__(self, step: int, paths: Sequence[Path], checkpoint: Path | None) -> None:
        super().__init__(step, paths, checkpoint)
        self.step = step
        self.paths = paths
        self.checkpoint = checkpoint

    def __str__(self) -> str:
        names = ", ".join(str(path) for path in self.paths[:_N_NAMED])
        n_more = len(self.paths) - _N_NAMED
        more = f" and {n_more} more" if n_more > 0 else ""
        kept = f"the checkpoint in {self.checkpoint} is from before"
        return (
            f"the loss of step {self.step} is not finite, on {names}{more}; "
            f"{kept if self.checkpoint else 'nothing was saved'}; "
            "look at these files, or lower the learning rate"
        )


class CorpusError(PemrError):
    """The corpus cannot be made or read; the message says why."""


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
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"score {self.source}: {self.reason}"
