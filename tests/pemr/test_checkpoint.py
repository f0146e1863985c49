"""A checkpoint is either the old or the new one, and never something else."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pemr.errors import CheckpointError
from pemr.model import checkpoint as module
from pemr.model.checkpoint import (
    Checkpoint,
    is_checkpoint,
    load,
    load_trained,
    save,
    weights_hash,
)
from pemr.presets import paper, tiny


@pytest.fixture
def trained():
    """A module and an optimiser after two steps."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(2):
        optimiser.zero_grad()
        model(torch.randn(4, 3)).square().mean().backward()
        optimiser.step()
    return model, optimiser


@pytest.fixture
def checkpoint(trained):
    model, optimiser = trained
    return Checkpoint(
        config=tiny(),
        step=2,
        weights=model.state_dict(),
        optimiser=optimiser.state_dict(),
        randomness={"seed": 42, "step": 2},
        data="abc",
    )


def test_what_is_saved_is_what_is_loaded(tmp_path, checkpoint):
    save(tmp_path / "c", checkpoint)
    loaded = load(tmp_path / "c", with_optimiser=True)
    assert loaded.config == checkpoint.config
    assert (loaded.step, loaded.data) == (2, "abc")
    assert loaded.randomness == {"seed": 42, "step": 2}
    for name, value in checkpoint.weights.items():
        assert torch.equal(loaded.weights[name], value)


def test_provenance_names_commit_date_and_versions(tmp_path, checkpoint):
    save(tmp_path, checkpoint)
    assert {"commit", "date", "pemr", "torch", "numpy"} <= set(load(tmp_path).provenance)
    assert torch.__version__.startswith(load(tmp_path).provenance["torch"])


def test_an_optimiser_goes_on_as_if_it_had_never_stopped(tmp_path, trained, checkpoint):
    model, optimiser = trained
    save(tmp_path, checkpoint)
    loaded = load(tmp_path, with_optimiser=True)
    twin = torch.nn.Linear(3, 2)
    twin.load_state_dict(loaded.weights)
    twin_optimiser = torch.optim.Adam(twin.parameters(), lr=0.5)
    twin_optimiser.load_state_dict(loaded.optimiser)
    x = torch.randn(4, 3)
    for m, o in ((model, optimiser), (twin, twin_optimiser)):
        o.zero_grad()
        m(x).square().mean().backward()
        o.step()
    assert torch.equal(model.weight, twin.weight)


def test_a_new_checkpoint_replaces_the_old_files(tmp_path, checkpoint):
    save(tmp_path, checkpoint)
    before = {p.name for p in tmp_path.iterdir()}
    save(tmp_path, replace(checkpoint, step=3, weights={"weight": torch.ones(2)}))
    after = {p.name for p in tmp_path.iterdir()}
    assert len(before) == len(after) == 4
    assert load(tmp_path).step == 3


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, checkpoint, monkeypatch):
    save(tmp_path, checkpoint)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"No space left on device.*still there"):
        save(tmp_path, replace(checkpoint, step=9, weights={"weight": torch.ones(2)}))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("fatal", range(1, 5))
def test_dying_at_any_write_leaves_a_whole_checkpoint(tmp_path, checkpoint, monkeypatch, fatal):
    save(tmp_path, checkpoint)
    n_calls = 0
    real = os.fsync

    def dies(descriptor):
        nonlocal n_calls
        n_calls += 1
        if n_calls == fatal:
            raise KeyboardInterrupt
        real(descriptor)

    monkeypatch.setattr(module.os, "fsync", dies)
    with pytest.raises(KeyboardInterrupt):
        save(
            tmp_path,
            replace(checkpoint, step=9, weights={"weight": torch.ones(2)}, randomness={"seed": 1}),
        )
    assert load(tmp_path, with_optimiser=True).step == 2


@pytest.mark.parametrize("part", ["weights", "optimiser", "random"])
def test_a_damaged_file_is_named(tmp_path, checkpoint, part):
    save(tmp_path, checkpoint)
    file = next(tmp_path.glob(f"{part}-*"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"damaged.*{part}"):
        load(tmp_path, with_optimiser=True)


def test_a_missing_file_is_damage(tmp_path, checkpoint):
    save(tmp_path, checkpoint)
    next(tmp_path.glob("weights-*")).unlink()
    with pytest.raises(CheckpointError, match="damaged"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "cannot be read"),
        (b"[]", "not of format"),
        (b'{"format": 99}', "not of format"),
        (b'{"format": 1, "config": {"preset": "other"}}', "damaged"),
    ],
    ids=["torn", "foreign", "newer", "incomplete"],
)
def test_a_foreign_index_is_refused(tmp_path, content, sentence):
    (tmp_path / "checkpoint.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=sentence):
        load(tmp_path)


def test_no_checkpoint_is_a_sentence(tmp_path):
    assert not is_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="there is none"):
        load(tmp_path)


def test_another_preset_is_refused(tmp_path, checkpoint):
    save(tmp_path, checkpoint)
    with pytest.raises(CheckpointError, match="preset 'tiny', not 'paper'"):
        load(tmp_path, preset=paper().preset)


def test_the_weights_hash_changes_with_the_weights_alone(tmp_path, checkpoint):
    save(tmp_path / "a", checkpoint)
    save(tmp_path / "b", replace(checkpoint, step=5))
    save(tmp_path / "c", replace(checkpoint, weights={"weight": torch.ones(2)}))
    assert weights_hash(tmp_path / "a") == weights_hash(tmp_path / "b")
    assert weights_hash(tmp_path / "a") != weights_hash(tmp_path / "c")


def test_nothing_is_pickled(tmp_path, checkpoint):
    save(tmp_path, checkpoint)
    for file in tmp_path.iterdir():
        if file.suffix == ".json":
            json.loads(file.read_text())
        else:
            assert file.suffix == ".safetensors"
    assert not list(Path(tmp_path).glob("*.pt"))


def test_a_model_is_loaded_though_its_training_is_not_known(tmp_path, checkpoint):
    save(tmp_path, checkpoint)
    index = json.loads((tmp_path / "checkpoint.json").read_text())
    index["config"]["pretrain"] = {"a later field": 1}
    del index["config"]["disguise"]
    (tmp_path / "checkpoint.json").write_text(json.dumps(index))
    trained = load_trained(tmp_path)
    assert trained.config.encoder == checkpoint.config.encoder
    assert trained.training == index["config"]
    assert (trained.provenance["step"], trained.provenance["data"]) == (2, "abc")
    assert torch.equal(trained.weights["weight"], checkpoint.weights["weight"])
    with pytest.raises(CheckpointError, match="its config"):
        load(tmp_path)


@pytest.mark.parametrize("spoil", ["encoder", "weights"])
def test_a_model_that_is_damaged_is_refused(tmp_path, checkpoint, spoil):
    save(tmp_path, checkpoint)
    if spoil == "weights":
        next(tmp_path.glob("weights-*")).write_bytes(b"")
    else:
        index = json.loads((tmp_path / "checkpoint.json").read_text())
        index["config"]["encoder"]["surprise"] = 1
        (tmp_path / "checkpoint.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"damaged|config"):
        load_trained(tmp_path)
