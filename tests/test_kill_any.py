"""A few kills of every job that writes: nothing lost, no ghosts, no other answers."""

import importlib.util
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "scripts" / "bench"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    spec = importlib.util.spec_from_file_location("kill_any", BENCH / "kill_any.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_killed_loses_nothing_and_answers_as_before(bench, tmp_path):
    found = bench.measure(tmp_path, 10, "fake", seed=1)
    assert found["went wrong"] == "nothing"


def test_what_is_not_as_it_should_be_would_be_seen(bench, tmp_path):
    stage = bench.Stage("prune", tmp_path, bench.embedder_of("fake"), 2.0)
    stage.reset()
    assert list(bench.faults(stage)) == []
    with bench.Catalog.write(stage.catalog) as writer:
        stage.before["06.wav"]["hash"] = "other"
        lost = [track for track in writer.tracks() if track.path.name in {"00.wav", "01.wav"}]
        writer.delete([track.id for track in lost])
    del stage.before["05.wav"]
    assert sorted(bench.faults(stage)) == ["ghost", "lost", "lost", "wrong track", "wrong track"]
    assert stage.finish() == []
    del stage.after["10.wav"]
    assert stage.finish() == ["another end"]
