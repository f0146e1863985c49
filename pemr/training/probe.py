"""A pretrained encoder + a labelled set → how well its features classify music.

A linear head on the frozen encoder, or encoder and head tuned together. A clip's
prediction is the mean over its consecutive pieces.

Letters: N clips, S pieces of a clip, C labels, B batch, D feature, F bins, T frames.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pemr.config import ModelConfig
from pemr.errors import TrainingError
from pemr.signal.crops import crop_length, pieces
from pemr.training.classification import accuracy, macro_average_precision, macro_roc_auc
from pemr.training.data import Prepared
from pemr.training.machine import Machine, seed_of
from pemr.training.norms import pieces_of, settle_norms
from pemr.training.tagging import Clip, LabelledSet

_BATCH_SIZE = 64
MAX_EPOCHS = 300
_HEAD_RATE = 3e-3
_ENCODER_RATE = 3e-4  # paper.md §11
_WEIGHT_DECAY = 1e-6
_PLATEAU, _PATIENCE = 5, 10  # epochs without gain until the rate drops, and until the end


@dataclass(frozen=True)
class UsableClips:
    """Clips of a part of a set whose audio decodes, with their recordings."""

    clips: tuple[Clip, ...]
    recordings: tuple[Prepared, ...]


@dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    """What is asked of a probe."""

    fine_tune: bool = False
    label_share: float = 1.0  # of the training clips
    seed: int = 42
    max_epochs: int = MAX_EPOCHS

    def __post_init__(self) -> None:
        if not 0.0 < self.label_share <= 1.0:
            raise ValueError(f"label_share is {self.label_share}, but it must be in 0..1")


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to."""

    epoch: int
    train_loss: float
    valid_loss: float

    def __str__(self) -> str:
        return f"loss {self.train_loss:.4f}, on validation clips {self.valid_loss:.4f}"


@dataclass(frozen=True, kw_only=True)
class ProbeReport:
    """What a probe found; a score that the task does not have is None."""

    dataset: str
    method: str  # linear, or fine-tune
    label_share: float
    seed: int
    n_train: int
    n_valid: int
    n_test: int
    n_missing: int
    n_corrupt: int
    n_epochs: int
    roc_auc: float | None = None  # macro, over tags
    pr_auc: float | None = None
    accuracy: float | None = None


class _Source(Protocol):
    """Gives a head, or an encoder with its head, its input for each clip."""

    def draw(self, clips: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """One random piece of each clip."""

    def whole(self, clip: int) -> Tensor:
        """All pieces of one clip."""


class _Features:
    """Features of the frozen encoder, computed once."""

    def __init__(
        self,
        encoder: nn.Module,
        recordings: Sequence[Prepared],
        config: ModelConfig,
        machine: Machine,
    ) -> None:
        encoder.eval()
        with torch.no_grad(), machine.autocast():
            self._features: list[Tensor] = [
                encoder(pieces_of(recording, config).to(machine.device)).float()
                for recording in recordings
            ]

    def draw(self, clips: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        chosen = (self._features[clip] for clip in clips)
        return torch.stack([features[rng.integers(len(features))] for features in chosen])

    def whole(self, clip: int) -> Tensor:
        return self._features[clip]


class _Spectrograms:
    """Pieces of the recordings themselves, for an encoder that learns too."""

    def __init__(
        self, recordings: Sequence[Prepared], config: ModelConfig, machine: Machine
    ) -> None:
        self._recordings = recordings
        self._config = config
        self._device = machine.device

    def draw(self, clips: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        return torch.stack([self._crop(int(clip), rng) for clip in clips]).to(self._device)

    def whole(self, clip: int) -> Tensor:
        return pieces_of(self._recordings[clip], self._config).to(self._device)

    def _crop(self, clip: int, rng: np.random.Generator) -> Tensor:
        stored = np.load(self._recordings[clip].cached, mmap_mode="r")
        length = crop_length(self._config.front_end)
        start = rng.integers(stored.shape[-1] - length + 1)
        return pieces(stored[..., start : start + length], self._config.front_end)[0]


def probe(
    encoder: nn.Module,
    config: ModelConfig,
    labelled: LabelledSet,
    recordings: Sequence[Prepared],
    machine: Machine,
    options: ProbeOptions,
) -> Iterator[Epoch | ProbeReport]:
    """Train a head on labelled clips and test it.

    Parameters
    ----------
    encoder : Module
        Pretrained; left as it is, for a copy is used.
    config : ModelConfig
        What the encoder was pretrained with.
    labelled : LabelledSet
        Clips and labels.
    recordings : sequence of Prepared
        Clips whose audio decodes; the others are counted as corrupt.
    machine : Machine
        Where to compute.
    options : ProbeOptions
        What is asked.

    Yields
    ------
    Epoch
        After each epoch.
    ProbeReport
        At the end.

    Raises
    ------
    TrainingError
        If a part of the set has no clip left.
    """
    torch.manual_seed(options.seed)
    by_path = {recording.path: recording for recording in recordings}
    train, valid, test = (
        _part(clips, by_path) for clips in (labelled.train, labelled.valid, labelled.test)
    )
    for name, part in (("train", train), ("valid", valid), ("test", test)):
        if not part.clips:
            raise TrainingError(f"no clip of the {name} part of {labelled.name} can be used")
    n_usable = sum(len(part.clips) for part in (train, valid, test))
    n_corrupt = len(labelled.paths) - n_usable
    train = _share(train, options)
    encoder = copy.deepcopy(encoder).to(machine.device)
    settle_norms(encoder, train.recordings, config, machine)
    model, sources = _model(encoder, (train, valid, test), labelled, config, machine, options)
    best, n_epochs = copy.deepcopy(model.state_dict()), 0
    for epoch, is_best in _fit(model, sources[:2], (train, valid), labelled, options):
        best = copy.deepcopy(model.state_dict()) if is_best else best
        n_epochs = epoch.epoch
        yield epoch
    model.load_state_dict(best)
    predictions = _predict(model, sources[2], len(test.clips), labelled.task)
    yield ProbeReport(
        dataset=labelled.name,
        method="fine-tune" if options.fine_tune else "linear",
        label_share=options.label_share,
        seed=options.seed,
        n_train=len(train.clips),
        n_valid=len(valid.clips),
        n_test=len(test.clips),
        n_missing=labelled.n_missing,
        n_corrupt=n_corrupt,
        n_epochs=n_epochs,
        **_scores(predictions, labelled.targets(test.clips), labelled.task),
    )


def _part(clips: Sequence[Clip], recordings: Mapping[Path, Prepared]) -> UsableClips:
    usable = tuple(clip for clip in clips if clip.path in recordings)
    return UsableClips(usable, tuple(recordings[clip.path] for clip in usable))


def _share(part: UsableClips, options: ProbeOptions) -> UsableClips:
    """Keep a random share of the clips, the same for the same seed."""
    n_kept = max(1, round(options.label_share * len(part.clips)))
    order = np.random.default_rng(seed_of(options.seed, 1)).permutation(len(part.clips))
    kept = sorted(order[:n_kept])
    return UsableClips(tuple(part.clips[i] for i in kept), tuple(part.recordings[i] for i in kept))


def _model(
    encoder: nn.Module,
    parts: tuple[UsableClips, ...],
    labelled: LabelledSet,
    config: ModelConfig,
    machine: Machine,
    options: ProbeOptions,
) -> tuple[nn.Module, list[_Source]]:
    """Build what is trained, and what it reads for each part."""
    head = nn.Linear(cast(int, encoder.dim), len(labelled.names)).to(machine.device)
    if options.fine_tune:
        spectrograms = [_Spectrograms(part.recordings, config, machine) for part in parts]
        return nn.Sequential(encoder, head), list(spectrograms)
    return head, [_Features(encoder, part.recordings, config, machine) for part in parts]


def _fit(
    model: nn.Module,
    sources: Sequence[_Source],
    parts: tuple[UsableClips, UsableClips],
    labelled: LabelledSet,
    options: ProbeOptions,
) -> Iterator[tuple[Epoch, bool]]:
    """Train until the validation loss stops falling; tell whether an epoch is the best yet."""
    targets = [torch.from_numpy(labelled.targets(part.clips)) for part in parts]
    optimiser = torch.optim.Adam(_groups(model), lr=_HEAD_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, patience=_PLATEAU)
    best_loss, best_epoch = float("inf"), 0
    for number in range(1, options.max_epochs + 1):
        rng = np.random.default_rng(seed_of(options.seed, 2, number))
        model.train()
        losses = []
        for batch in _batches(rng.permutation(len(parts[0].clips))):
            loss = _loss(model(sources[0].draw(batch, rng)), targets[0][batch], labelled.task)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(loss.detach()))
        valid_loss = _valid_loss(model, sources[1], targets[1], labelled.task)
        schedule.step(valid_loss)
        is_best = valid_loss < best_loss
        if is_best:
            best_loss, best_epoch = valid_loss, number
        yield Epoch(number, float(np.mean(losses)), valid_loss), is_best
        if number - best_epoch >= _PATIENCE:
            return


def _groups(model: nn.Module) -> list[dict[str, object]]:
    """Give the head its rate, and an encoder that is tuned a lower one."""
    if not isinstance(model, nn.Sequential):
        return [{"params": list(model.parameters())}]
    encoder, head = model
    return [
        {"params": list(encoder.parameters()), "lr": _ENCODER_RATE},
        {"params": list(head.parameters())},
    ]


def _batches(order: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cut an epoch into batches; a last one of a single clip would break batch statistics."""
    n_batches = max(1, round(len(order) / _BATCH_SIZE))
    yield from np.array_split(order, n_batches)


def _loss(logits: Tensor, targets: Tensor, task: str) -> Tensor:
    targets = targets.to(logits.device)
    if task == "tags":
        return nn.functional.binary_cross_entropy_with_logits(logits, targets)
    return nn.functional.cross_entropy(logits, targets)


def _valid_loss(model: nn.Module, source: _Source, targets: Tensor, task: str) -> float:
    """Average the loss over all pieces of all clips, each clip weighing the same."""
    model.eval()
    losses = []
    with torch.no_grad():
        for clip, target in enumerate(targets):
            logits = model(source.whole(clip))
            losses.append(float(_loss(logits, target.expand(len(logits), -1), task)))
    return float(np.mean(losses))


def _predict(model: nn.Module, source: _Source, n_clips: int, task: str) -> NDArray[np.float64]:
    """Average the probabilities over the pieces of each clip, (N, C)."""
    model.eval()
    rows = []
    with torch.no_grad():
        for clip in range(n_clips):
            logits = model(source.whole(clip)).double()
            chances = logits.sigmoid() if task == "tags" else logits.softmax(dim=1)
            rows.append(chances.mean(dim=0).cpu().numpy())
    return np.array(rows)


def _scores(
    predictions: NDArray[np.float64], targets: NDArray[np.float32], task: str
) -> dict[str, float]:
    is_positive = targets > 0.5
    if task == "genres":
        return {"accuracy": accuracy(predictions, is_positive)}
    return {
        "roc_auc": macro_roc_auc(predictions, is_positive),
        "pr_auc": macro_average_precision(predictions, is_positive),
    }
