"""Whole trainings, from files to the last step."""

import wave
from dataclasses import replace

import numpy as np
import pytest

from pemr import presets
from pemr.errors import TrainingError
from pemr.training.data import Prepared, Rejected
from pemr.training.loop import Step
from pemr.training.machine import Machine
from pemr.training.probing.parts import training_files
from pemr.training.runs import pretrain_on


def test_files_are_told_by_name_then_every_step(tone, tmp_path):
    for seed in range(4):
        path = tmp_path / "music" / f"{seed}.wav"
        tone(path, seed=seed, duration_s=2.5, sample_rate=4000)
    (tmp_path / "music" / "notes.mp3").write_text("no sound")
    tiny = presets.tiny()
    config = replace(tiny, pretrain=replace(tiny.pretrain, n_steps=2, batch_size=4))
    out, cache = tmp_path / "out", tmp_path / "cache"
    paths = training_files(tmp_path / "music", config.front_end)
    told = list(pretrain_on(paths, out, config, Machine(), cache=cache, log=None))
    assert [type(one) for one in told] == [Prepared] * 4 + [Rejected] + [Step] * 2
    assert str(told[4]) == "notes.mp3"
    assert [one.progress for one in told[5:]] == [(1, 2)] * 2
    assert [type(one) for one in pretrain_on(
        paths, out, config, Machine(), cache=cache, log=None
    )] == [Prepared] * 4 + [Rejected]  # fmt: skip


@pytest.mark.parametrize(
    ("sounds", "reasons"),
    [
        ([(1.0, 1)], ["shorter than one crop"]),
        ([(2.5, 0), (2.5, 0)], ["silent from end to end"] * 2),
        ([(2.5, 1)], []),
    ],
    ids=["short", "silent", "one"],
)
def test_a_folder_that_fills_no_batch_is_refused_after_saying_why(tmp_path, sounds, reasons):
    config = presets.tiny()
    for i, (duration_s, level) in enumerate(sounds):
        noise = np.random.default_rng(i).integers(-999, 999, int(duration_s * 4000))
        with wave.open(str(tmp_path / f"{i}.wav"), "wb") as file:
            file.setparams((1, 2, 4000, 0, "NONE", ""))
            file.writeframes((level * noise).astype(np.int16).tobytes())
    paths = training_files(tmp_path, config.front_end)
    told = pretrain_on(
        paths, tmp_path / "out", config, Machine(), cache=tmp_path / "cache", log=None
    )
    seen = [next(told) for _ in sounds]
    assert [one.reason for one in seen if isinstance(one, Rejected)] == reasons
    with pytest.raises(TrainingError, match=r"[01] usable recordings do not fill one batch of 16"):
        next(told)
