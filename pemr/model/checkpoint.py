"""Weights + config + provenance ↔ a folder on disk.

::

    checkpoint.json               config, step, randomness, provenance, the files and their hashes
    weights-<hash>.safetensors
    optimiser-<hash>.safetensors
    random-<hash>.json

Nothing is pickled. A file is named after its content, so new ones never touch
the old ones, and `checkpoint.json` is replaced last: a checkpoint is always
either the old or the new one, whenever the process dies or the disk fills up.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Generic, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from pemr.config import Config, ModelConfig, from_json, model_from_json, to_json
from pemr.errors import CheckpointError

FORMAT = 1

_INDEX = "checkpoint.json"
_SUFFIXES = {"weights": ".safetensors", "optimiser": ".safetensors", "random": ".json"}
_PARTIAL = ".partial"
_GROUPS = "param_groups"
_DAMAGE = (OSError, ValueError, KeyError, safetensors.SafetensorError)

C = TypeVar("C", bound=ModelConfig)


@dataclass(frozen=True, kw_only=True)
class Checkpoint(Generic[C]):
    """A training run at one step.

    Parameters
    ----------
    config : Config
        The run, in full; or what of it is known.
    step : int
        Steps taken so far.
    weights : dict of str to Tensor
        State of the model.
    optimiser : dict
        State of the optimiser as torch gives it; empty when not asked for.
    randomness : dict of str to int
        What the random draws of the next step are a function of.
    data : str
        Fingerprint of the training data.
    provenance : dict of str to str
        Commit, date and library versions; filled in by `save`.
    """

    config: C
    step: int
    weights: Mapping[str, Tensor]
    optimiser: Mapping[str, Any] = field(default_factory=dict)
    randomness: Mapping[str, int] = field(default_factory=dict)
    data: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What embedding needs of a checkpoint, whatever the training was.

    Parameters
    ----------
    config : ModelConfig
        Front end and encoder.
    weights : dict of str to Tensor
        State of the model.
    training : dict
        The run's whole config as it was stored, unread.
    provenance : dict
        Step, fingerprint of the data, commit, date and library versions.
    """

    config: ModelConfig
    weights: Mapping[str, Tensor]
    training: Mapping[str, Any]
    provenance: Mapping[str, Any]


def save(path: Path, checkpoint: Checkpoint[Any]) -> None:
    """Write a checkpoint, atomically replacing the one that is there.

    Parameters
    ----------
    path : Path
        Folder; made when absent.
    checkpoint : Checkpoint
        What to keep.

    Raises
    ------
    CheckpointError
        If it cannot be written, for example on a full disk. The checkpoint
        that was there before is untouched.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        files = {}
        for part, content in _serialised(checkpoint).items():
            digest = hashlib.sha256(content).hexdigest()
            files[part] = [f"{part}-{digest[:16]}{_SUFFIXES[part]}", digest]
            _write(path / files[part][0], content)
        index = {
            "format": FORMAT,
            "step": checkpoint.step,
            "config": to_json(checkpoint.config),
            "data": checkpoint.data,
            "provenance": _provenance(),
            "files": files,
        }
        _write(path / _INDEX, json.dumps(index, indent=1).encode())
    except OSError as error:
        reason = f"cannot be written ({error}); what was saved before is still there"
        raise CheckpointError(path, reason) from error
    finally:
        _remove_strays(path)


def load(
    path: Path, *, preset: str | None = None, with_optimiser: bool = False
) -> Checkpoint[Config]:
    """Read a training run onto the CPU, to go on with it.

    Parameters
    ----------
    path : Path
        Folder that `save` wrote.
    preset : str, optional
        Name of the only preset that is welcome.
    with_optimiser : bool
        Whether to read what only the resumption of a training needs.

    Returns
    -------
    Checkpoint

    Raises
    ------
    CheckpointError
        If there is none, or it is damaged, foreign, or of another preset.
    """
    index = _read_index(path)
    config = _parsed(path, index, from_json)
    if preset is not None and config.preset != preset:
        raise CheckpointError(path, f"is of preset {config.preset!r}, not {preset!r}")
    try:
        weights = _read_weights(path, index)
        optimiser: dict[str, Any] = {}
        if with_optimiser:
            optimiser = _read_optimiser(_verified(path, index, "optimiser"))
        randomness = json.loads(_verified(path, index, "random").read_bytes())
    except _DAMAGE as error:
        raise CheckpointError(path, f"is damaged ({error}); use another copy") from error
    return Checkpoint(
        config=config,
        step=index["step"],
        weights=weights,
        optimiser=optimiser,
        randomness=randomness,
        data=index["data"],
        provenance=index["provenance"],
    )


def load_trained(path: Path) -> TrainedModel:
    """Read what embedding needs of a checkpoint onto the CPU.

    Parameters
    ----------
    path : Path
        Folder that `save` wrote.

    Returns
    -------
    TrainedModel

    Raises
    ------
    CheckpointError
        If there is none, or it is damaged, or of another front end or encoder
        than this version of the program knows.
    """
    index = _read_index(path)
    config = _parsed(path, index, model_from_json)
    try:
        weights = _read_weights(path, index)
    except _DAMAGE as error:
        raise CheckpointError(path, f"is damaged ({error}); use another copy") from error
    told = {"step": index["step"], "data": index["data"], **index["provenance"]}
    return TrainedModel(config=config, weights=weights, training=index["config"], provenance=told)


def is_checkpoint(path: Path) -> bool:
    """Return whether a folder holds a checkpoint, without reading its weights."""
    return (path / _INDEX).is_file()


def weights_hash(path: Path) -> str:
    """Return the SHA-256 of a checkpoint's weights, without loading them.

    Parameters
    ----------
    path : Path
        Folder that `save` wrote.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    CheckpointError
        If there is no checkpoint, or its index is damaged.
    """
    index = _read_index(path)
    digest: str = index["files"]["weights"][1]
    return digest


def _read_index(path: Path) -> dict[str, Any]:
    """Read the index, checked as far as it goes without reading another file."""
    try:
        index = json.loads((path / _INDEX).read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(path, f"there is none: no {_INDEX} in this folder") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(path, f"{_INDEX} cannot be read ({error})") from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise CheckpointError(path, f"{_INDEX} is not of format {FORMAT} of this program")
    try:
        _ = index["config"], index["step"], index["data"], index["files"]["weights"][1]
        _ = {**index["provenance"]}
    except (KeyError, TypeError, IndexError) as error:
        raise CheckpointError(path, f"{_INDEX} is damaged ({error!r})") from error
    return index


def _parsed(path: Path, index: dict[str, Any], parse: Callable[[dict[str, Any]], C]) -> C:
    try:
        return parse(index["config"])
    except (TypeError, ValueError) as error:
        reason = f"its config is not one that this version of the program knows ({error})"
        raise CheckpointError(path, reason) from error


def _read_weights(path: Path, index: Mapping[str, Any]) -> dict[str, Tensor]:
    return safetensors.torch.load_file(_verified(path, index, "weights"))


def _serialised(checkpoint: Checkpoint[Any]) -> dict[str, bytes]:
    """Content of the files that the index points at, by part."""
    weights = {
        name: value.detach().cpu().contiguous() for name, value in checkpoint.weights.items()
    }
    return {
        "weights": safetensors.torch.save(weights),
        "optimiser": _pack_optimiser(checkpoint.optimiser),
        "random": json.dumps(dict(checkpoint.randomness)).encode(),
    }


def _pack_optimiser(state: Mapping[str, Any]) -> bytes:
    """Flatten torch's nested state: tensors by "index.name", the rest as metadata."""
    tensors = {
        f"{index}.{name}": torch.as_tensor(value).detach().cpu().contiguous()
        for index, values in state.get("state", {}).items()
        for name, value in values.items()
    }
    groups = json.dumps(state.get(_GROUPS, []))
    return safetensors.torch.save(tensors, metadata={_GROUPS: groups})


def _read_optimiser(file: Path) -> dict[str, Any]:
    state: dict[int, dict[str, Tensor]] = {}
    with safetensors.safe_open(file, framework="pt") as stored:
        for key in stored.keys():  # noqa: SIM118 (not a mapping)
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = stored.get_tensor(key)
        groups = json.loads(stored.metadata()[_GROUPS])
    return {"state": state, _GROUPS: groups}


def _verified(path: Path, index: Mapping[str, Any], part: str) -> Path:
    """Find the file of a part, if its content is still what was written."""
    name, digest = index["files"][part]
    file = path / Path(name).name
    if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
        raise ValueError(f"{name} is not what was written")
    return file


def _write(file: Path, content: bytes) -> None:
    """Write a file so that it is there in whole or not at all."""
    partial = file.with_name(file.name + _PARTIAL)
    with partial.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)


def _remove_strays(path: Path) -> None:
    """Remove what the index does not point at, left by an older or a broken-off save."""
    try:
        index = _read_index(path)
        kept = {name for name, _ in index["files"].values()}
    except CheckpointError:
        kept = set()
    for part, suffix in _SUFFIXES.items():
        for file in (*path.glob(f"{part}-*{suffix}"), *path.glob(f"*{_PARTIAL}")):
            if file.name not in kept:
                file.unlink(missing_ok=True)


def _provenance() -> dict[str, str]:
    libraries = {name: version(name) for name in ("torch", "torchaudio", "numpy")}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"commit": _commit(), "date": now, "pemr": _own_version(), **libraries}


def _own_version() -> str:
    try:
        return version("pemr-covers")
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """Commit of the working copy that this file lies in; empty for an installed package."""
    git = Path(__file__).parents[2] / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        return (git / head.removeprefix("ref: ")).read_text().strip()
    except OSError:
        return ""
