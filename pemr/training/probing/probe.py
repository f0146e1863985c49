"""A pretrained encoder + a labelled set → how well its features classify music.

A linear head on the frozen encoder, or encoder and head tuned together: a task of
the training loop that keeps nothing on disk, with a validation after each epoch. A
clip's prediction is the mean over its consecutive pieces.

Letters: N clips, S pieces of a clip, C labels, B batch, D feature, F bins, T frames.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from pemr.config import ModelConfig
from pemr.errors import TrainingError
from pemr.training.data import Prepared
from pemr.training.loop import Step, Task, train
from pemr.training.machine import Machine, seed_of
from pemr.training.norms import settle_norms
from pemr.training.probing.classification import accuracy, macro_average_precision, macro_roc_auc
from pemr.training.probing.sources import Features, Source, Spectrograms
from pemr.training.probing.tagging import Clip, LabelledSet

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


@dataclass(frozen=True)
class _Pieces:
    """A random piece of each clip of a batch, and the clips' labels."""

    inputs: Tensor
    targets: Tensor
    paths: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Probing(Task[_Pieces]):
    """The training of a head, or of encoder and head."""

    config: ModelConfig
    model: nn.Module
    labelled: LabelledSet
    parts: tuple[UsableClips, UsableClips]  # to train on, and to validate on
    sources: Sequence[Source]
    options: ProbeOptions
    best: dict[str, Tensor] = field(default_factory=dict)  # weights with the best score
    schedules: list[ReduceLROnPlateau] = field(default_factory=list)  # one, once it is built
    unit = "clips"
    batch_size = _BATCH_SIZE

    @property
    def judged_every(self) -> int:
        """Steps of an epoch; a last one of a single clip would break batch statistics."""
        return max(1, round(len(self.parts[0].clips) / _BATCH_SIZE))

    @property
    def n_steps(self) -> int:
        """Steps of all epochs."""
        return self.options.max_epochs * self.judged_every

    @property
    def seed(self) -> int:
        """Of every random draw."""
        return self.options.seed

    @property
    def patience(self) -> float:
        """Epochs without gain until the end."""
        return _PATIENCE

    def build(self, machine: Machine) -> tuple[nn.Module, torch.optim.Optimizer]:  # noqa: ARG002
        """Give what is trained its optimiser, slower where validation no longer gains."""
        optimiser = torch.optim.Adam(_groups(self.model), lr=_HEAD_RATE, weight_decay=_WEIGHT_DECAY)
        self.schedules[:] = [ReduceLROnPlateau(optimiser, patience=_PLATEAU)]
        self.keep(self.model, 0, None)
        return self.model, optimiser

    def batches(self, machine: Machine) -> Callable[[int], _Pieces]:  # noqa: ARG002
        """Return a random piece of each clip of a step; each epoch has its own order."""
        targets = torch.from_numpy(self.labelled.targets(self.parts[0].clips))
        source = self.sources[0]

        @lru_cache(maxsize=2)
        def epoch(number: int) -> list[list[tuple[int, int]]]:
            rng = np.random.default_rng(seed_of(self.seed, 2, number))
            order = rng.permutation(len(self.parts[0].clips))
            return [
                [(int(clip), int(rng.integers(source.n_places(int(clip))))) for clip in batch]
                for batch in np.array_split(order, self.judged_every)
            ]

        def make(step: int) -> _Pieces:
            number, position = divmod(step, self.judged_every)
            drawn = epoch(number + 1)[position]
            inputs = torch.stack([source.piece(clip, place) for clip, place in drawn])
            paths = tuple(self.parts[0].clips[clip].path for clip, _ in drawn)
            return _Pieces(inputs, targets[[clip for clip, _ in drawn]], paths)

        return make

    def losses(
        self,
        model: nn.Module,
        batch: _Pieces,
        step: int,  # noqa: ARG002 (the batch decides)
        machine: Machine,  # noqa: ARG002 (as above)
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compare predictions with labels."""
        return _loss(model(batch.inputs), batch.targets, self.labelled.task), {}

    def judge(
        self,
        model: nn.Module,
        step: int,  # noqa: ARG002 (all are judged alike)
        machine: Machine,  # noqa: ARG002 (the sources know it)
    ) -> tuple[float, nn.Module]:
        """Score by the loss on validation clips."""
        targets = torch.from_numpy(self.labelled.targets(self.parts[1].clips))
        loss = _valid_loss(model, self.sources[1], targets, self.labelled.task)
        self.schedules[0].step(loss)
        return -loss, model

    def keep(self, model: nn.Module, step: int, out: Path | None) -> None:  # noqa: ARG002
        """Remember the best weights."""
        self.best.update(copy.deepcopy(model.state_dict()))


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
    training, valid, test = (
        _part(clips, by_path) for clips in (labelled.train, labelled.valid, labelled.test)
    )
    for name, part in (("train", training), ("valid", valid), ("test", test)):
        if not part.clips:
            raise TrainingError(f"no clip of the {name} part of {labelled.name} can be used")
    n_usable = sum(len(part.clips) for part in (training, valid, test))
    n_corrupt = len(labelled.paths) - n_usable
    training = _share(training, options)
    encoder = copy.deepcopy(encoder).to(machine.device)
    settle_norms(encoder, training.recordings, config, machine)
    model, sources = _model(encoder, (training, valid, test), labelled, config, machine, options)
    task = _Probing(
        config=config,
        model=model,
        labelled=labelled,
        parts=(training, valid),
        sources=sources,
        options=options,
    )
    n_epochs = 0
    for epoch in _epochs(task, machine):
        n_epochs = epoch.epoch
        yield epoch
    model.load_state_dict(task.best)
    predictions = _predict(model, sources[2], len(test.clips), labelled.task)
    yield ProbeReport(
        dataset=labelled.name,
        method="fine-tune" if options.fine_tune else "linear",
        label_share=options.label_share,
        seed=options.seed,
        n_train=len(training.clips),
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
) -> tuple[nn.Module, list[Source]]:
    """Build what is trained, and what it reads for each part."""
    head = nn.Linear(cast(int, encoder.dim), len(labelled.names)).to(machine.device)
    if options.fine_tune:
        spectrograms = [Spectrograms(part.recordings, config, machine) for part in parts]
        return nn.Sequential(encoder, head), list(spectrograms)
    return head, [Features(encoder, part.recordings, config, machine) for part in parts]


def _epochs(task: _Probing, machine: Machine) -> Iterator[Epoch]:
    """Train until the validation loss stops falling; one process does it all."""
    losses: list[float] = []
    for event in train(task, None, replace(machine, rank=0, world=1)):
        if isinstance(event, Step):
            losses.append(event.loss)
        else:
            yield Epoch(event.step // task.judged_every, float(np.mean(losses)), -event.score)
            losses.clear()


def _groups(model: nn.Module) -> list[dict[str, object]]:
    """Give the head its rate, and an encoder that is tuned a lower one."""
    if not isinstance(model, nn.Sequential):
        return [{"params": list(model.parameters())}]
    encoder, head = model
    return [
        {"params": list(encoder.parameters()), "lr": _ENCODER_RATE},
        {"params": list(head.parameters())},
    ]


def _loss(logits: Tensor, targets: Tensor, task: str) -> Tensor:
    targets = targets.to(logits.device)
    if task == "tags":
        return nn.functional.binary_cross_entropy_with_logits(logits, targets)
    return nn.functional.cross_entropy(logits, targets)


def _valid_loss(model: nn.Module, source: Source, targets: Tensor, task: str) -> float:
    """Average the loss over all pieces of all clips, each clip weighing the same."""
    model.eval()
    losses = []
    with torch.no_grad():
        for clip, target in enumerate(targets):
            logits = model(source.whole(clip))
            losses.append(float(_loss(logits, target.expand(len(logits), -1), task)))
    return float(np.mean(losses))


def _predict(model: nn.Module, source: Source, n_clips: int, task: str) -> NDArray[np.float64]:
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
