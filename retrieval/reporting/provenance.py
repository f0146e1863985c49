"""Where a figure comes from: the code, the machine, the libraries, the day."""

import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from retrieval.ranking.ranking import Ranking

_LIBRARIES = (
    "pemr-covers",
    "numpy",
    "torch",
    "torchaudio",
    "faiss-gpu",
    "faiss-cpu",
    "numba",
    "av",
)


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Where figures come from.

    Parameters
    ----------
    command : str
        What prints them again.
    commit : str or None
        Of the code; None when it does not run from a repository.
    hardware, date : str
        What it ran on, and when (yyyy-mm-dd).
    versions : dict from str to str
        Of Python and the libraries that decide.
    """

    command: str
    commit: str | None
    hardware: str
    date: str
    versions: dict[str, str]


def trace(command: str) -> Trace:
    """Write down what is needed to judge a figure, and to print it again.

    Parameters
    ----------
    command : str
        What the user typed, without paths of this machine.

    Returns
    -------
    Trace
        As of now, here.
    """
    return Trace(
        command=command,
        commit=commit(),
        hardware=hardware(),
        date=datetime.now(UTC).date().isoformat(),
        versions={"python": platform.python_version(), **_versions()},
    )


def run_values(trace: Trace, embedder: str, ranking: Ranking | None) -> dict[str, Any]:
    """Write as JSON values where figures come from: what ran, and what decided the order."""
    return {
        "command": trace.command,
        "commit": trace.commit,
        "embedder": embedder,
        "ranking": ranking.values() if ranking else {},
        "hardware": trace.hardware,
        "date": trace.date,
        "versions": trace.versions,
    }


def command_line(start: str, root: Path, options: Mapping[str, object]) -> str:
    """Write a command as anyone could type it, with `DATA` for where the data set lies.

    Parameters
    ----------
    start : str
        The command up to its root.
    root : Path
        Of the data set; only its last part is kept.
    options : mapping
        Values by their flags; None and False are left out, True is the flag alone, a
        list is the flag for each of its values.

    Examples
    --------
    >>> options = {"--without": ["hubs", "tempos"], "--fresh": True, "--out": None}
    >>> command_line("pemr evaluate", Path("/home/me/anthems"), options)
    'pemr evaluate DATA/anthems --without hubs --without tempos --fresh'
    """
    words = [start, shlex.quote(f"DATA/{root.resolve().name}")]
    for flag, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None and one is not False:
                words += [flag] if one is True else [flag, shlex.quote(str(one))]
    return " ".join(words)


def commit(folder: Path = Path(__file__).parents[2]) -> str | None:
    """Name the commit of the code, with a plus sign when files differ from it.

    Returns
    -------
    str or None
        None when the code does not run from a git repository.
    """
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return None
    head = _output(git, "-C", str(folder), "rev-parse", "--short=10", "HEAD")
    changes = _output(git, "-C", str(folder), "status", "--porcelain", "--untracked-files=no")
    return head + ("+" if changes else "") if head else None


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (git)
    return done.stdout.strip() if done.returncode == 0 else ""


def hardware() -> str:
    """Say how many cores this process may use, and of what kind."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    n_cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return f"{n_cores} CPU core{'s' if n_cores > 1 else ''}, {platform.machine()}"


def system_row() -> dict[str, str]:
    """Describe the installation as one row: Python, system, cores and library versions."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "hardware": hardware(),
        **_versions(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
