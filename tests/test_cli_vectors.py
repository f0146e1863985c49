"""The commands with a catalog whose vectors are in an engine by address."""

import json
from pathlib import Path

import pytest
import typer.main

import cli
from indexer.stores.qdrant.address import collection_address
from tests.engine import ADDRESS
from tests.test_cli import music, run  # noqa: F401 (a fixture)

NAMES = ("indexer", "service")


@pytest.fixture
def asked(engine, music, tmp_path):  # noqa: F811
    """Run a command on a catalog of music whose vectors are in an engine."""

    def ask(*arguments):
        return run("--quiet", *arguments, "--catalog", tmp_path)

    outcome = ask("index", music / "work 0", "--embedder", "ftm2d", "--vectors", ADDRESS)
    assert outcome.exit_code == 0, outcome.output
    assert engine.n_put == 2
    return ask


def test_no_option_is_needed_again(asked, engine, music):  # noqa: F811
    query = music / "work 0" / "0 'take'.wav"
    found = json.loads(asked("search", query, "--all", "--json").stdout)["candidates"]
    assert [one["path"] for one in found] == [str(music / "work 0" / "1 'take'.wav")]
    assert json.loads(asked("info", "--json").stdout)["vectors"] == ADDRESS
    assert asked("index", music / "work 1").exit_code == 0
    assert engine.n_put == 4


def test_vectors_are_made_anew_and_moved(asked, engine, music, tmp_path):  # noqa: F811
    engine.opened().delete()
    outcome = asked("search", music / "work 0" / "0 'take'.wav")
    assert (outcome.exit_code, outcome.stderr.count("\n")) == (1, 1)
    assert outcome.stderr.startswith(f"pemr: {ADDRESS}: it does not hold what the catalog put")
    repaired = json.loads(asked("repair", "--json").stdout)
    assert repaired == {"vectors": ADDRESS, "tracks": 2}
    moved = json.loads(asked("repair", "--vectors", "files", "--json").stdout)
    assert moved == {"vectors": "files", "tracks": 2}
    assert len(list(tmp_path.glob("vectors-*.bin"))) == 1
    assert "in files, which need no copy" in asked("repair", "--snapshot").stderr


def test_an_engine_that_is_not_there_is_one_sentence_and_exit_code_1(asked, monkeypatch, engine):
    monkeypatch.setattr(engine, "is_away", True)
    outcome = asked("repair")
    assert outcome.exit_code == 1
    assert outcome.stderr == f"pemr: {ADDRESS}: no server can be reached there\n"
    assert json.loads(asked("list", "--json").stdout)[0]["title"]


def test_the_deployment_says_what_the_commands_understand():
    yaml = pytest.importorskip("yaml")
    text = (Path(__file__).parents[1] / "docs" / "scale" / "compose.yaml").read_text()
    services = yaml.safe_load(text)["services"]
    asked = [one["command"] for name, one in services.items() if name in NAMES]
    assert len(asked) == len(NAMES)
    group = typer.main.get_command(cli.app)
    for name, *arguments in asked:
        known = {option for one in group.commands[name].params for option in one.opts}
        assert {one for one in arguments if one.startswith("--")} <= known
    address = collection_address(services["indexer"]["command"][-1])
    assert (address.n_shards, address.n_replicas) == (6, 2)
    nodes = {name for name, one in services.items() if "qdrant/qdrant" in one.get("image", "")}
    assert len(nodes) >= address.n_replicas
    for name in nodes:  # whichever is there answers under the name in the address
        assert services[name]["networks"]["default"]["aliases"] == [address.host]
    for name in NAMES:
        assert nodes < set(services[name]["depends_on"])
