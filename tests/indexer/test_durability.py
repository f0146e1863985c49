"""A build that is killed and started again ends where an undisturbed one does."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer import Catalog, build, kept, reembed, repair, searched
from indexer.mapped import Draft, opened

ROOT = Path(__file__).parents[2]
KILLED = 86  # what the child says when it is cut short
CHILD = """
import importlib.util, os, sys
from itertools import count
from pathlib import Path
from sqlalchemy import Engine, event
from indexer import Catalog, build, reembed

fakes = importlib.util.module_from_spec(
    spec := importlib.util.spec_from_file_location("conftest", "tests/conftest.py")
)
sys.modules["conftest"] = fakes
spec.loader.exec_module(fakes)
what, folder, fuse = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
steps = count(1)

def tick(*_):
    if next(steps) == fuse:
        os._exit(86)

def ticking(function):
    def call(*args, **options):
        tick()
        result = function(*args, **options)
        tick()
        return result
    return call

event.listen(Engine, "before_cursor_execute", tick)
event.listen(Engine, "commit", tick)
os.replace = ticking(os.replace)
os.fsync = ticking(os.fsync)
Path.unlink = ticking(Path.unlink)
fakes.FakeEmbedder.listen = ticking(fakes.FakeEmbedder.listen)
fakes.FakeEmbedder.embed = ticking(fakes.FakeEmbedder.embed)
if what == "build":
    embedder = fakes.FakeEmbedder()
    with Catalog.write(folder / "catalog", embedder) as catalog:
        list(build(catalog, embedder, [folder / "music"]))
else:
    list(reembed(folder / "catalog", fakes.FakeEmbedder("other", 16)))
print(next(steps))
"""


def run_child(what: str, folder: Path, fuse: int) -> bool:
    """Run a job with a fuse of so many steps; whether it got to its end."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, what, str(folder), str(fuse)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, KILLED}, done.stderr
    return done.returncode == 0


def content(folder: Path) -> dict[str, list]:
    """All that a catalog says, by file name and without what may differ between two folders."""
    with Catalog.open(folder / "catalog") as catalog:
        tracks = {track.id: track.path.name for track in catalog.tracks()}
        ids, _ = catalog.track_embeddings()
        near = {id_: catalog.nearest([catalog.embeddings(id_)], 3) for id_ in ids.tolist()}
        return {
            "tracks": [
                (track.id, track.path.name, replace(track, path=Path()))
                for track in catalog.tracks()
            ],
            "vectors": [catalog.embeddings(id_).tobytes() for id_ in tracks],
            "spans": [catalog.segments(id_).tolist() for id_ in tracks],
            "chroma": [one.chroma.tobytes() for one in catalog.pitches_of([*tracks])],
            "recordings": [
                kept and kept["spectrogram"].tobytes() for kept in catalog.recordings_of([*tracks])
            ],
            "skipped": [(one.file.path.name, one.reason) for one in catalog.skipped()],
            "near": [[tracks[id_] for id_ in near[own].tolist()] for own in ids.tolist()],
            "hubness": catalog.neighbours(ids).hubness().round(6).tolist(),
            "embedder": [catalog.embedder_name, catalog.dim],
        }


def lay_out(folder: Path, tone) -> None:
    """Make music of every kind that a build tells apart."""
    for seed in range(6):
        tone(folder / "music" / f"{seed}.wav", seed=seed, duration_s=2.5 + seed)
    tone(folder / "music" / "copy of 3.wav", seed=3, duration_s=5.5)
    tone(folder / "music" / "silence.wav", seed=-1)
    (folder / "music" / "bad.mp3").write_text("text")


def change(folder: Path, tone) -> None:
    """Rename, move away, touch, replace and add."""
    music = folder / "music"
    (music / "1.wav").rename(music / "renamed.wav")
    (music / "2.wav").unlink()
    os.utime(music / "3.wav", ns=(0, 0))
    tone(music / "4.wav", seed=44)
    tone(music / "new.wav", seed=45)


def index(folder: Path, fake_embedder) -> None:
    with Catalog.write(folder / "catalog", fake_embedder) as catalog:
        list(build(catalog, fake_embedder, [folder / "music"]))


@pytest.mark.parametrize("fuse", [17, 75, 130])
def test_a_first_build_that_is_killed_again_and_again(tmp_path, tone, fake_embedder, fuse):
    for name in ("calm", "killed"):
        lay_out(tmp_path / name, tone)
    index(tmp_path / "calm", fake_embedder)
    for _ in range(3):
        if run_child("build", tmp_path / "killed", fuse):
            break
    index(tmp_path / "killed", fake_embedder)
    assert content(tmp_path / "killed") == content(tmp_path / "calm")


@pytest.mark.parametrize("fuse", [35, 70])
def test_a_later_build_that_is_killed_again_and_again(tmp_path, tone, fake_embedder, fuse):
    for name in ("calm", "killed"):
        lay_out(tmp_path / name, tone)
        index(tmp_path / name, fake_embedder)
        change(tmp_path / name, tone)
    index(tmp_path / "calm", fake_embedder)
    for _ in range(2):
        if run_child("build", tmp_path / "killed", fuse):
            break
    index(tmp_path / "killed", fake_embedder)
    assert content(tmp_path / "killed") == content(tmp_path / "calm")


@pytest.mark.parametrize("fuse", [90, 260, 325])
def test_a_change_of_embedder_that_is_killed(tmp_path, tone, fake_embedder, fuse):
    for name in ("calm", "killed"):
        lay_out(tmp_path / name, tone)
        index(tmp_path / name, fake_embedder)
    old = content(tmp_path / "killed")
    other = type(fake_embedder)("other", 16)
    list(reembed(tmp_path / "calm" / "catalog", other))
    run_child("reembed", tmp_path / "killed", fuse)
    new = content(tmp_path / "calm")
    assert content(tmp_path / "killed") in (old, new)  # never a mixture, always an answer
    list(reembed(tmp_path / "killed" / "catalog", other))
    assert content(tmp_path / "killed") == new
    assert not (tmp_path / "killed" / "catalog" / "reembed").exists()


def test_a_catalog_whose_vector_files_are_lost_answers_the_same(tmp_path, tone, fake_embedder):
    lay_out(tmp_path, tone)
    index(tmp_path, fake_embedder)
    before = content(tmp_path)
    for path in (tmp_path / "catalog").glob("*.bin"):
        path.unlink()
    fake_embedder.heard.clear()
    assert content(tmp_path) == before
    index(tmp_path, fake_embedder)
    assert len(list((tmp_path / "catalog").glob("*.bin"))) == 1
    assert fake_embedder.heard == []
    assert content(tmp_path) == before


@pytest.mark.parametrize("damage", [b"", b"rubbish", None])
def test_damaged_vector_files_are_not_believed(tmp_path, tone, fake_embedder, damage):
    lay_out(tmp_path, tone)
    index(tmp_path, fake_embedder)
    before = content(tmp_path)
    for path in (tmp_path / "catalog").glob("*.bin"):
        path.write_bytes(path.read_bytes()[:-7] if damage is None else damage)
    assert content(tmp_path) == before


def test_a_large_vector_file_of_an_older_version_is_made_anew(
    tmp_path, tone, fake_embedder, monkeypatch, caplog
):
    for module in (kept, repair, searched):
        monkeypatch.setattr(module, "EXACT_LENGTH", 2)
    lay_out(tmp_path, tone)
    index(tmp_path, fake_embedder)
    before = content(tmp_path)
    (path,) = (tmp_path / "catalog").glob("vectors-*.bin")
    found = opened(path)
    values = np.zeros((len(found.arrays["values"]), fake_embedder.dim), np.int8)
    with Draft(path) as draft:  # a byte for each value
        for name, array in (found.arrays | {"values": values}).items():
            draft.put(name, [array])
        draft.commit(found.facts)
    assert caplog.text == ""
    assert content(tmp_path) == before
    assert "`pemr repair` makes it on disk" in caplog.text
    caplog.clear()
    fake_embedder.heard.clear()
    Catalog.write(tmp_path / "catalog", fake_embedder).close()
    assert content(tmp_path) == before
    assert (caplog.text, fake_embedder.heard) == ("", [])


def test_vector_files_of_another_history_are_not_believed(tmp_path, tone, fake_embedder):
    """A database put back from a backup may meet younger files of the same number."""
    lay_out(tmp_path, tone)
    index(tmp_path, fake_embedder)
    before = content(tmp_path)
    (vectors,) = (tmp_path / "catalog").glob("vectors-*.bin")
    with Catalog.write(tmp_path / "other", fake_embedder) as other:
        tone(tmp_path / "more" / "a.wav", seed=90)
        list(build(other, fake_embedder, [tmp_path / "more"]))
    next((tmp_path / "other").glob("vectors-*")).replace(vectors)
    assert content(tmp_path) == before


def test_the_order_of_threads_changes_nothing(tmp_path, tone, fake_embedder, monkeypatch):
    for name, n_readers in (("one", 1), ("many", 8)):
        lay_out(tmp_path / name, tone)
        monkeypatch.setattr(sys.modules["indexer.pipeline"], "n_readers", lambda n=n_readers: n)
        index(tmp_path / name, fake_embedder)
    assert content(tmp_path / "one") == content(tmp_path / "many")
