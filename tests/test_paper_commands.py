"""The commands of docs/paper.md that rank covers by PEMR's frozen feature, on a stand-in."""

import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import cli
from pemr import presets
from pemr.config import CoverConfig
from pemr.model.encoder import pretrained_encoder
from retrieval.benchmarks import shs100k

ROOT = Path(__file__).parents[1]


def run(*arguments: object):
    return CliRunner().invoke(cli.app, ["--quiet", *(str(a) for a in arguments)])


def run_script(name, monkeypatch, *arguments):
    """Run a script of scripts/bench within this process."""
    file = ROOT / "scripts" / "bench" / name
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "argv", [name, *(str(a) for a in arguments)])
    spec.loader.exec_module(module)
    module.main()


@pytest.fixture
def covers80(tmp_path, tone):
    """The tree that LabROSA distributes: 80 works, a pair of performances each."""
    tree = tmp_path / "covers80" / "covers32k"
    lists = {"list1.list": [], "list2.list": []}
    for work in range(80):
        for which, name in enumerate(lists):
            entry = f"Work_{work}/artist{which}+album+{work:02}"
            lists[name].append(entry)
            tone(tree / f"{entry}.mp3", seed=work, duration_s=2.1, sample_rate=4000)
    for name, entries in lists.items():
        (tree / name).write_text("\n".join(entries) + "\n")
    return tmp_path / "covers80"


@pytest.fixture
def short(monkeypatch):
    tiny = presets.tiny()
    tiny = replace(tiny, pretrain=replace(tiny.pretrain, n_steps=1, batch_size=4))
    monkeypatch.setattr(presets, "PRESETS", {**presets.PRESETS, "tiny": lambda: tiny})


def test_frozen_features_rank_covers80(covers80, short, tmp_path, monkeypatch):
    checkpoint, features = tmp_path / "pemr-shs", tmp_path / "covers80.npz"
    options = ("--preset", "tiny", "--device", "cpu")
    assert run("pretrain", covers80, *options, "--out", checkpoint).exit_code == 0
    asked = ("--root", covers80, "--checkpoint", checkpoint, "--out", features)
    asked += ("--music", covers80)
    run_script("frozen_features.py", monkeypatch, "covers80", *asked)
    with np.load(features) as stored:
        assert stored["embeddings"].shape == (160, len(stored["embeddings"][0]))
    outcome = run("benchmark", "run", "covers80", "--root", covers80, "--embeddings", features)
    assert outcome.exit_code == 0, outcome.output
    score = float(re.search(r"MAP (0\.\d+|1\.0+)", outcome.stdout)[1])
    assert score == pytest.approx(1.0)  # both of a pair are the same tone


@pytest.fixture
def shs100k_sub(tmp_path, tone, monkeypatch):
    """The lists of SHS100K with the authors' subset, and audio by set and version."""
    names = [f"{work}_{version}" for work in range(6) for version in (0, 3)]
    small = replace(shs100k.CARD, expected={"TEST_SUB": (12, 6)}, checksums={})
    monkeypatch.setattr(shs100k, "CARD", small)
    root = tmp_path / "shs100k"
    for name in names:
        seed = int(name.split("_")[0])
        tone(root / "audio" / f"{name}.wav", seed=seed, duration_s=22, sample_rate=4000)
    np.save(root / "SHS_TEST_SUB.npy", np.array(names))
    rows = [f"shs100k/audio/{name}.wav,{name.split('_')[0]}" for name in names]
    (tmp_path / "shs-train-sub.csv").write_text("\n".join(["path,clique", *rows]) + "\n")
    return root


def test_frozen_features_rank_the_subset_of_shs100k(shs100k_sub, short, tmp_path, monkeypatch):
    checkpoint, features = tmp_path / "pemr-shs", tmp_path / "shs.npz"
    options = ("--preset", "tiny", "--device", "cpu")
    assert run("pretrain", shs100k_sub / "audio", *options, "--out", checkpoint).exit_code == 0
    asked = ("--root", shs100k_sub, "--subset", "TEST_SUB", "--checkpoint", checkpoint)
    asked += ("--music", shs100k_sub / "audio", "--split", shs100k_sub / "SHS_TEST_SUB.npy")
    run_script("frozen_features.py", monkeypatch, "shs100k", *asked, "--out", features)
    asked = ("--root", shs100k_sub, "--subset", "TEST_SUB", "--embeddings", features)
    outcome = run("benchmark", "run", "shs100k", *asked)
    assert outcome.exit_code == 0, outcome.output
    score = float(re.search(r"MAP (0\.\d+|1\.0+)", outcome.stdout)[1])
    assert score == pytest.approx(1.0)  # the versions of a set are the same tone


def test_a_pretrained_cover_encoder_is_tuned_on_the_subset(shs100k_sub, tmp_path, monkeypatch):
    base = presets.cover()
    small = replace(
        base,
        encoder=CoverConfig(n_stem=2, n_narrow=4, n_wide=4, dilations=(1,), dim=8, n_dims=8),
        pretrain=replace(base.pretrain, n_steps=1, batch_size=4),
        finetune=replace(base.finetune, n_steps=2, n_cliques=4, n_crops=2, score_every=2),
    )
    monkeypatch.setattr(presets, "PRESETS", {**presets.PRESETS, "cover": lambda: small})
    pretrained, tuned = tmp_path / "pemr-cover", tmp_path / "cover"
    options = ("--preset", "cover", "--device", "cpu")
    outcome = run("pretrain", shs100k_sub / "audio", *options, "--out", pretrained)
    assert outcome.exit_code == 0, outcome.output
    cliques = ("--cliques", tmp_path / "shs-train-sub.csv", "--dev", tmp_path / "shs-train-sub.csv")
    outcome = run("finetune", *cliques, "--init", pretrained, *options, "--out", tuned)
    assert outcome.exit_code == 0, outcome.output
    assert (tuned / "best").exists()


def test_the_paper_s_encoder_is_tuned_on_the_subset(shs100k_sub, tmp_path, monkeypatch):
    base = presets.tiny()
    small = replace(
        base,
        pretrain=replace(base.pretrain, n_steps=1, batch_size=4),
        finetune=replace(base.finetune, n_steps=8, n_cliques=4, n_crops=2, score_every=4),
    )
    monkeypatch.setattr(presets, "PRESETS", {**presets.PRESETS, "tiny": lambda: small})
    pretrained, tuned = tmp_path / "pemr-shs", tmp_path / "fcn"
    options = ("--preset", "tiny", "--device", "cpu")
    outcome = run("pretrain", shs100k_sub / "audio", *options, "--out", pretrained)
    assert outcome.exit_code == 0, outcome.output
    table = tmp_path / "shs-train-sub.csv"
    cliques = ("--cliques", table, "--dev", table, "--init", pretrained)
    outcome = run("finetune", *cliques, *options, "--out", tuned)
    assert outcome.exit_code == 0, outcome.output
    before, _ = pretrained_encoder(pretrained)
    after, _ = pretrained_encoder(tuned / "best")
    assert not torch.equal(before.stages[0][0].weight, after.stages[0][0].weight)
    refused = run("finetune", "--corpus", tmp_path / "manifest.jsonl", *options, "--out", tuned)
    assert "reads sound" in refused.stderr
    features = tmp_path / "shs.npz"
    asked = ("--root", shs100k_sub, "--subset", "TEST_SUB", "--checkpoint", tuned / "best")
    asked += ("--music", shs100k_sub / "audio", "--out", features)
    run_script("frozen_features.py", monkeypatch, "shs100k", *asked)
    with np.load(features) as stored:
        assert len(stored["embeddings"]) == 12


def test_every_command_of_the_paper_s_page_exists():
    page = (ROOT / "docs" / "paper.md").read_text()
    for line in re.findall(r"^(pemr .+|scripts/\S+ .+)$", page, flags=re.MULTILINE):
        if line.startswith("scripts/"):
            assert (ROOT / line.split()[0]).is_file()
            continue
        words = [word for word in line.split()[1:3] if re.fullmatch(r"[a-z]+", word)]
        command = words[:2] if words[0] in {"benchmark", "corpus"} else words[:1]
        outcome = CliRunner().invoke(cli.app, [*command, "--help"], env={"COLUMNS": "300"})
        assert outcome.exit_code == 0, line
        for option in re.findall(r"--[a-z-]+", line):
            assert option in outcome.stdout, f"{option} in: {line}"
