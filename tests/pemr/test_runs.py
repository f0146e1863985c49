"""Whole trainings, from files to the last step."""

from dataclasses import replace

from pemr import presets
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
