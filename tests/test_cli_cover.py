import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from cli import app
from pemr import presets
from pemr.config import CoverConfig

RUNNER = CliRunner()


def run(*arguments):
    return RUNNER.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def small_preset(monkeypatch):
    """A cover preset that trains in a second."""
    base = presets.cover()
    small = replace(
        base,
        encoder=CoverConfig(n_stem=2, n_narrow=4, n_wide=4, dilations=(1,), dim=8, n_dims=8),
        finetune=replace(base.finetune, n_steps=2, n_cliques=4, n_crops=2, score_every=2),
    )
    monkeypatch.setattr(presets, "PRESETS", {**presets.PRESETS, "cover": lambda: small})


@pytest.fixture
def cliques(tmp_path, rng):
    """Five tunes, two performances each, as compact spectrograms in a table."""
    rows = ["path,clique"]
    for work in range(5):
        tune = rng.integers(30, 60, 40)
        for index in range(2):
            shown = np.full((84, 200), 60, np.uint8)
            shown[np.repeat(tune + index, 5), np.arange(200)] = 200
            np.save(tmp_path / f"{work}-{index}.npy", shown)
            rows.append(f"{work}-{index}.npy,{work}")
    (tmp_path / "cliques.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "cliques.csv"


def test_a_user_tunes_on_their_own_cliques_and_exports(cliques, tmp_path):
    out = tmp_path / "tuned"
    outcome = run("-q", "finetune", "--cliques", cliques, "--cliques", cliques,
                  "--dev", cliques, "--dev", cliques, "--settle", cliques.parent, "--out", out,
                  "--device", "cpu", "--json")  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    told = json.loads(outcome.stdout)
    assert told["steps"] == 2
    assert 0 < told["best score"] <= 1
    exported = run("export", "--checkpoint", out / "best", "--weights", tmp_path / "w")
    assert exported.exit_code == 0, exported.output
    assert (tmp_path / "w" / "cover.safetensors").is_file()


def test_a_catalog_is_made_and_searched_with_weights_of_ones_own(cliques, tone, tmp_path):
    tuned, catalog = tmp_path / "tuned", tmp_path / "catalog"
    run("-q", "finetune", "--cliques", cliques, "--out", tuned, "--device", "cpu")
    music = [tone(tmp_path / "music" / f"{seed}.wav", seed=seed, duration_s=25) for seed in (1, 2)]
    own = ("--embedder", tuned / "best", "--catalog", catalog)
    assert run("-q", "index", tmp_path / "music", *own).exit_code == 0
    found = run("-q", "search", music[0], *own, "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert told["verdict"] == "unknown"  # nothing was measured for these weights
    assert [row["path"] for row in told["candidates"]] == [str(music[1])]
    refused = run("-q", "search", music[0], "--catalog", catalog)
    assert refused.exit_code == 1
    assert "--embedder FOLDER" in refused.output


def test_training_on_nothing_is_a_usage_error(tmp_path):
    assert run("finetune", "--out", tmp_path / "c").exit_code == 2


def test_exporting_to_nowhere_is_a_usage_error(tmp_path):
    assert run("export", "--checkpoint", tmp_path).exit_code == 2


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("path,clique\n", "0 cliques have two performances"),
        ("file,work\na,b\n", "needs the columns path and clique"),
    ],
    ids=["too few", "columns"],
)
def test_bad_cliques_get_one_sentence(tmp_path, table, sentence):
    (tmp_path / "c.csv").write_text(table)
    outcome = run("-q", "finetune", "--cliques", tmp_path / "c.csv", "--out", tmp_path / "c")
    assert outcome.exit_code == 1
    assert sentence in outcome.output


def test_a_foreign_checkpoint_gets_one_sentence(cliques, tmp_path):
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "checkpoint.json").write_text("{}")
    outcome = run("-q", "finetune", "--cliques", cliques, "--out", tmp_path / "c",
                  "--init", tmp_path / "foreign", "--device", "cpu")  # fmt: skip
    assert outcome.exit_code == 1
    assert "is not of format" in outcome.output
