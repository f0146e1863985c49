"""Files and a config → a whole training: what is decoded, then every step."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pemr.config import Config
from pemr.embed import Embedder
from pemr.training.cliques import Member, read_performances, usable
from pemr.training.data import Prepared, Rejected, prepare, prepare_files
from pemr.training.finetune import Finetuning, tuning
from pemr.training.journal import logged
from pemr.training.labelled import embedded
from pemr.training.loop import Scored, Step, train
from pemr.training.machine import Machine
from pemr.training.pretrain import Pretraining
from pemr.training.probing.covers import NamingWorks

Labelled = tuple[list[NDArray[np.float32]], list[str]]
"""Embeddings of performances, (S, D) each, and the clique of each."""

Told = Prepared | Rejected | Step | Scored


@dataclass(frozen=True, kw_only=True)
class CliqueFiles:
    """What a fine-tuning is made of.

    Parameters
    ----------
    training : sequence of Path
        Manifests of corpora, or CSVs with the columns path and clique.
    validation : sequence of Path
        The same, to be scored on; of several the mean counts. Without any the last weights are
        the best.
    unlabelled : Path, optional
        Folder of music whose batch statistics the best encoders take.
    cache : Path
        Folder for what is decoded.
    """

    training: Sequence[Path]
    validation: Sequence[Path] = ()
    unlabelled: Path | None = None
    cache: Path


def pretrain_on(
    paths: Sequence[Path],
    out: Path,
    config: Config,
    machine: Machine,
    *,
    cache: Path,
    log: Path | None,
) -> Iterator[Told]:
    """Pretrain on recordings, whatever of them can be used.

    Parameters
    ----------
    paths : sequence of Path
        From `pemr.training.probing.parts.training_files`.
    out : Path
        Folder of the checkpoint.
    config : Config
        The recipe.
    machine : Machine
        What it runs on.
    cache : Path
        Folder for what is decoded.
    log : Path or None
        Folder for a TensorBoard log.

    Yields
    ------
    Prepared or Rejected, then Step
        What became of each file, and of each step.

    Raises
    ------
    TrainingError
        If it cannot start or go on.
    """
    recordings = []
    for told in prepare_files(paths, config.front_end, cache, machine.n_workers):
        yield told
        if isinstance(told, Prepared):
            recordings.append(told)
    steps = train(Pretraining(recordings, config), out, machine)
    yield from logged(steps, log) if log and machine.is_first else steps


def finetune_on(
    files: CliqueFiles,
    out: Path,
    config: Config,
    machine: Machine,
    *,
    measure: Callable[[Sequence[Labelled]], float],
    init: Path | None = None,
) -> Iterator[Told]:
    """Train the cover encoder, or the paper's, on cliques, validated as it goes.

    Parameters
    ----------
    files : CliqueFiles
        What to train on.
    out : Path
        Folder of the checkpoint.
    config : Config
        The recipe.
    machine : Machine
        What it runs on.
    measure : callable
        Returns one figure for the embeddings and cliques of every validation set; higher is
        better.
    init : Path, optional
        As for `Finetuning`.

    Yields
    ------
    Prepared or Rejected, then Step or Scored
        What became of each unlabelled file, of each step, and of each validation.

    Raises
    ------
    TrainingError
        If it cannot start or go on.
    """

    def read(source: Path) -> list[Member]:
        return read_performances(source, config, files.cache, machine.n_workers)

    cliques = usable(one for source in files.training for one in read(source))
    judged = [read(source) for source in files.validation]
    if config.encoder.kind == "fcn":
        naming = NamingWorks(
            cliques=cliques, config=config, judged=judged, measure=measure, init=init
        )
        yield from train(naming, out, machine)
        return

    def score(embedder: Embedder) -> float:
        return measure(
            [(embedded(embedder, members), [one.clique for one in members]) for members in judged]
        )

    unlabelled = []
    if files.unlabelled:
        for told in prepare(files.unlabelled, config.front_end, files.cache, machine.n_workers):
            yield told
            if isinstance(told, Prepared):
                unlabelled.append(told)
    task = Finetuning(
        cliques=cliques,
        config=config,
        score=score if judged else None,
        init=init,
        unlabelled=unlabelled,
    )
    yield from train(tuning(task, files.unlabelled), out, machine)
