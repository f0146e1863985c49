"""The commands with a catalog on a PostgreSQL server."""

import json

import pytest

from tests.test_cli import melody, music, run, write_wav  # noqa: F401 (a fixture)


@pytest.fixture(scope="module")
def asked(server, music, tmp_path_factory):  # noqa: F811
    """Run a command on a catalog of music on a server."""
    address = server.fresh().text

    def ask(*arguments):
        return run(*arguments, "--catalog", address)

    outcome = ask("--quiet", "index", music, "--embedder", "ftm2d", "--json")
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["added"] == 8
    return ask


def test_what_is_on_a_server_is_searched_listed_and_described(asked, music):  # noqa: F811
    query = music / "work 0" / "0 'take'.wav"
    found = json.loads(asked("search", query, "--all", "--json").stdout)["candidates"]
    assert found[0]["path"] == str(music / "work 0" / "1 'take'.wav")
    assert len(json.loads(asked("list", "--json").stdout)) == 8
    info = json.loads(asked("info", "--json").stdout)
    assert (info["tracks"], info["catalog"].startswith("postgresql://pemr@127")) == (8, True)
    assert "secret" not in info["catalog"]


def test_what_is_on_a_server_is_labelled_removed_and_changed_over(asked, music, tmp_path):  # noqa: F811
    kept = music / "work 1" / "0 'take'.wav"
    (tmp_path / "works.csv").write_text(f"path,work\n{kept},Hymn\n")
    assert "1 tracks" in asked("label", tmp_path / "works.csv").stderr
    assert asked("reembed", "--embedder", "ftm2d").exit_code == 0
    new = tmp_path / "new" / "new.wav"
    write_wav(new, melody([60, 64, 67] * 20))
    assert json.loads(asked("index", new.parent, "--json").stdout)["added"] == 1
    assert asked("remove", new.parent).exit_code == 0
    assert len(json.loads(asked("list", "--json").stdout)) == 8


def test_what_is_searched_is_made_anew_from_a_server(asked, music):  # noqa: F811
    query = music / "work 0" / "0 'take'.wav"
    before = asked("search", query, "--all", "--json").stdout
    assert json.loads(asked("repair", "--json").stdout) == {"vectors": "files", "tracks": 7}
    assert asked("search", query, "--all", "--json").stdout == before
    outcome = asked("repair", "--snapshot")
    assert (outcome.exit_code, "need no copy" in outcome.stderr) == (1, True)


def test_tracks_on_a_server_are_chosen_by_what_they_say(asked, music):  # noqa: F811
    folder = music / "work 1"
    listed = json.loads(asked("list", "--in", folder, "--duration", "..10:00", "--json").stdout)
    assert {row["path"].rpartition("/")[0] for row in listed} == {str(folder)}
    query = music / "work 0" / "0 'take'.wav"
    found = json.loads(asked("search", query, "--in", folder, "--all", "--json").stdout)
    assert {row["path"] for row in found["candidates"]} == {row["path"] for row in listed}


def test_a_server_that_is_not_there_is_one_sentence_and_exit_code_1(music):  # noqa: F811
    pytest.importorskip("psycopg")
    for command in (("list",), ("search", music / "odd" / "second.wav"), ("index", music)):
        outcome = run(*command, "--catalog", "postgresql://me:secret@127.0.0.1:1/x")
        assert outcome.exit_code == 1
        assert outcome.stderr.startswith("pemr: catalog postgresql://me@127.0.0.1:1/x: its server")
        assert (outcome.stderr.count("\n"), "secret" in outcome.stderr) == (1, False)
