"""The commands that train: pretrain, probe, mask, from a folder to a figure."""

import csv
import inspect
import json
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

import cli
from pemr import presets
from pemr.training.probing import probe as probe_module
from pemr.training.probing.tagging import GENRES

RUNNER = CliRunner()


def run(*arguments: object, flags=("--quiet",)):
    return RUNNER.invoke(cli.app, [*flags, *(str(a) for a in arguments)])


@pytest.fixture(autouse=True)
def short_runs(monkeypatch):
    """Two steps, and two epochs without a gain, are enough to go all the way."""
    tiny = presets.tiny()
    tiny = replace(tiny, pretrain=replace(tiny.pretrain, n_steps=2, batch_size=4))
    monkeypatch.setattr(presets, "PRESETS", {**presets.PRESETS, "tiny": lambda: tiny})
    monkeypatch.setattr(probe_module, "_PATIENCE", 2)


@pytest.fixture
def music(tmp_path, tone):
    for i in range(5):
        tone(tmp_path / "music" / f"{i}.wav", seed=i, duration_s=2.5, sample_rate=4000)
    return tmp_path / "music"


@pytest.fixture
def checkpoint(music, tmp_path):
    outcome = run("pretrain", music, "--preset", "tiny", "--out", tmp_path / "c", "--device", "cpu")
    assert outcome.exit_code == 0, outcome.output
    return tmp_path / "c"


def test_pretraining_tells_speed_and_waiting(music, tmp_path):
    (music / "notes.mp3").write_text("no sound")
    own = ("--preset", "tiny", "--out", tmp_path / "c", "--device", "cpu", "--json")
    outcome = run("pretrain", music, *own, flags=())
    assert outcome.exit_code == 0
    assert "skipped" in outcome.stderr
    row = json.loads(outcome.stdout)
    assert row["steps"] == 2
    assert row["steps per second"] > 0
    assert 0 <= row["share of time waiting for data"] <= 1
    assert (tmp_path / "c" / "checkpoint.json").is_file()


def test_the_same_command_again_has_nothing_to_do(checkpoint, music):
    outcome = run("pretrain", music, "--preset", "tiny", "--out", checkpoint, "--json")
    assert outcome.exit_code == 0
    assert json.loads(outcome.stdout) == {"checkpoint": str(checkpoint)}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--preset", "huge"], "no preset is called 'huge'"),
        (["--preset", "tiny", "--batch-size", "50"], "5 usable recordings do not fill one batch"),
    ],
    ids=["preset", "too few"],
)
def test_what_cannot_be_trained_is_one_sentence(music, tmp_path, arguments, sentence):
    outcome = run("pretrain", music, "--out", tmp_path / "c", "--device", "cpu", *arguments)
    assert outcome.exit_code == 1
    assert sentence in outcome.stderr


def test_of_a_labelled_set_only_its_training_part_is_pretrained_on(magnatagatune, tmp_path):
    own = ("--preset", "tiny", "--out", tmp_path / "c", "--device", "cpu")
    outcome = run("pretrain", magnatagatune, *own, "--split", "magnatagatune")
    assert outcome.exit_code == 0, outcome.output
    assert len(list((tmp_path / "c.cache").glob("*.npy"))) == 2 * 12 - 2  # folders 0 to b
    (tmp_path / "none").touch()
    outcome = run("pretrain", magnatagatune, *own, "--split", tmp_path / "none")
    assert "names no file of" in outcome.stderr


def test_a_checkpoint_of_another_preset_is_not_overwritten(checkpoint, music):
    outcome = run(
        "pretrain", music, "--preset", "tiny", "--out", checkpoint, "--seed", 1, "--device", "cpu"
    )
    assert outcome.exit_code == 1
    assert "other settings" in outcome.stderr


@pytest.fixture
def magnatagatune(tmp_path, tone):
    """A stand-in with the layout of the distributed archive: two clips in each folder."""
    root, rows, info = tmp_path / "mtat", [], []
    for j, folder in enumerate("0123456789abcdef"):
        for i in range(2):
            path = f"{folder}/clip-{i}-0-29.mp3"
            tone(root / path, seed=7 * j + i, duration_s=4.5, sample_rate=4000)
            rows.append([2 * j + i, i, 1 - i, *([0] * 186), path])
            info.append([2 * j + i, path])
    (root / "0" / "clip-0-0-29.mp3").write_bytes(b"")
    (root / "1" / "clip-0-0-29.mp3").write_bytes(b"torn")
    tags = [f"tag {i}" for i in range(188)]
    for name, header, lines in (
        ("annotations_final.csv", ["clip_id", *tags, "mp3_path"], rows),
        ("clip_info_final.csv", ["clip_id", "mp3_path"], info),
    ):
        with (root / name).open("w", newline="") as stream:
            writer = csv.writer(stream, delimiter="\t", quoting=csv.QUOTE_ALL)
            writer.writerows([header, *lines])
    return root


@pytest.fixture
def gtzan(tmp_path, tone):
    from torchaudio.datasets import gtzan as lists

    for part in (lists.filtered_train, lists.filtered_valid, lists.filtered_test):
        for seed, genre in enumerate(GENRES):
            name = next(name for name in part if name.startswith(genre))
            file = tmp_path / "gtzan" / "genres" / genre / f"{name}.wav"
            tone(file, seed=seed, duration_s=4.5, sample_rate=4000)
    return tmp_path / "gtzan"


@pytest.mark.parametrize("extra", [[], ["--fine-tune"], ["--labels", "0.5"]], ids=str)
def test_magnatagatune_end_to_end(checkpoint, magnatagatune, extra):
    outcome = run(
        *("probe", "magnatagatune", "--root", magnatagatune, "--checkpoint", checkpoint),
        *("--device", "cpu", "--json", *extra),
    )
    assert outcome.exit_code == 0, outcome.output
    row = json.loads(outcome.stdout)
    assert (row["n_missing"], row["n_corrupt"]) == (1, 1)
    assert (row["n_valid"], row["n_test"]) == (2, 6)
    assert 0 <= row["roc_auc"] <= 1
    assert 0 <= row["pr_auc"] <= 1


def test_gtzan_end_to_end(checkpoint, gtzan):
    outcome = run(
        *("probe", "gtzan", "--root", gtzan, "--checkpoint", checkpoint),
        *("--device", "cpu", "--json"),
    )
    assert outcome.exit_code == 0, outcome.output
    row = json.loads(outcome.stdout)
    assert (row["n_train"], row["n_valid"], row["n_test"], row["n_missing"]) == (10, 10, 10, 900)
    assert 0 <= row["accuracy"] <= 1


def test_an_unknown_data_set_is_said(checkpoint, tmp_path):
    outcome = run("probe", "fma", "--root", tmp_path, "--checkpoint", checkpoint)
    assert outcome.exit_code == 1
    assert "there are: magnatagatune, gtzan" in outcome.stderr


def test_the_mask_of_a_song_is_drawn(checkpoint, music, tmp_path):
    outcome = run(
        "mask", music / "0.wav", "--checkpoint", checkpoint, "--out", tmp_path / "mask.png"
    )
    assert outcome.exit_code == 0, outcome.output
    assert (tmp_path / "mask.png").stat().st_size > 10_000


def test_a_log_is_written_when_asked_for(music, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    outcome = run(
        *("pretrain", music, "--preset", "tiny", "--out", tmp_path / "c"),
        *("--device", "cpu", "--log", tmp_path / "log"),
    )
    assert outcome.exit_code == 1
    assert "pemr-covers[log]" in outcome.stderr


@pytest.mark.parametrize(
    ("command", "own"),
    [
        (cli.pretrain, {"folder", "split", "log"}),
        (cli.finetune, {"corpus", "cliques", "dev", "init", "settle"}),
    ],
    ids=["pretrain", "finetune"],
)
def test_training_offers_only_what_differs_by_machine(command, own):
    shared = {"out", "preset", "cache", "device", "workers", "batch_size", "seed", "as_json"}
    assert set(inspect.signature(command).parameters) == shared | own
