"""A catalog that is read by many threads while other processes write to it."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from indexer import AudioFile, Catalog, Embedded, KeptRecording, repair, searched
from indexer.tags import Tags

DIM = 8
ROOT = Path(__file__).parents[2]


def store(catalog, name, vectors):
    embedded = Embedded(
        vectors=vectors,
        spans_s=np.zeros((len(vectors), 2)),
        recording=KeptRecording.without_frames(20.0),
    )
    return catalog.store(
        AudioFile(Path("/music") / name, 1, 1, f"hash of {name}"), Tags(name), embedded
    )


ADDING = """
import sys
from pathlib import Path
import numpy as np
from indexer import AudioFile, Catalog, Embedded, KeptRecording, repair, searched
from indexer.tags import Tags

folder, n_before, n_after = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
repair.EXACT_LENGTH = searched.EXACT_LENGTH = int(sys.argv[4])
repair._MOST_CHANGES = 5
with Catalog.write(folder) as catalog:
    for number in range(n_before, n_after):
        vectors = np.random.default_rng(number).normal(size=(3, 8)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        nothing = KeptRecording.without_frames(20.0)
        file = AudioFile(Path("/music") / str(number), 1, 1, str(number))
        catalog.store(file, Tags(str(number)), Embedded(vectors, np.zeros((3, 2)), nothing))
        if number % 5 == 0:
            catalog.delete([number])
        if number % 8 == 0:
            catalog.flush()
"""


def add_elsewhere(folder, n_before, n_after, exact_length=5_000):
    """Store some tracks from another process, each the only one near to itself."""
    return subprocess.Popen(
        [sys.executable, "-c", ADDING, str(folder), *map(str, (n_before, n_after, exact_length))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture
def folder(tmp_path, fake_embedder):
    with Catalog.write(tmp_path / "catalog", fake_embedder):
        pass
    assert add_elsewhere(tmp_path / "catalog", 0, 8).wait() == 0
    return tmp_path / "catalog"


def sounding(catalog):
    return set(catalog.track_embeddings()[0].tolist())


def finds_itself(catalog, track_id):
    """Whether a track is the nearest to its own vectors, all seen at one moment."""
    with catalog.snapshot():
        vectors = catalog.embeddings(track_id)
        (nearest,) = catalog.nearest([vectors], 1).tolist()
        return nearest == track_id and len(catalog.tracks()) == catalog.n_sounding()


@pytest.mark.parametrize("exact_length", [5_000, 6], ids=["compared whole", "searched in steps"])
def test_a_reader_in_threads_sees_what_another_process_adds_and_merges(
    folder, exact_length, monkeypatch
):
    for module in (repair, searched):
        monkeypatch.setattr(module, "EXACT_LENGTH", exact_length)
    with Catalog.open(folder) as reader, ThreadPoolExecutor(8) as pool:
        before = sounding(reader)
        process = add_elsewhere(folder, 8, 40, exact_length)
        while process.poll() is None:
            assert all(pool.map(lambda id_: finds_itself(reader, id_), [*before, *before]))
        assert process.returncode == 0
        after = set(pool.submit(sounding, reader).result())
        assert len(after) > len(before)
        assert after == {track.id for track in reader.tracks()}
        assert all(pool.map(lambda id_: finds_itself(reader, id_), after))


def test_a_vector_file_that_a_writer_made_anew_is_picked_up(folder, monkeypatch):
    with Catalog.open(folder) as reader:
        sounding(reader)
        assert add_elsewhere(folder, 8, 16).wait() == 0
        monkeypatch.setattr(repair, "rebuilt", lambda *_: pytest.fail("made again"))
        assert sounding(reader) == {track.id for track in reader.tracks()}
        assert reader._held.state.path(folder).is_file()
        assert not reader._held.searched.n_changed


def test_what_is_not_yet_in_a_vector_file_is_read_once(catalog, unit, monkeypatch):
    monkeypatch.setattr(repair, "is_outdated", lambda *_: False)
    for number in range(5):
        store(catalog, f"{number}", unit(2, DIM))
    catalog.flush()
    with Catalog.open(catalog.path) as reader:
        sounding(reader)
        main = reader._held.searched.main
        new = store(catalog, "new", unit(2, DIM))
        catalog.delete([1])
        catalog.flush()
        assert sounding(reader) == {2, 3, 4, 5, new}
        assert reader._held.searched.main is main
        store(catalog, "newest", unit(2, DIM))
        assert len(sounding(reader)) == 6


def test_a_track_that_fell_silent_twice_is_still_gone(catalog, unit, monkeypatch):
    monkeypatch.setattr(repair, "is_outdated", lambda *_: False)
    ids = [store(catalog, f"{number}", unit(2, DIM)) for number in range(3)]
    catalog.flush()
    for _ in range(2):
        store(catalog, "0", np.zeros((0, DIM), np.float32))
    with Catalog.open(catalog.path) as reader:
        assert sounding(reader) == set(ids[1:])


def test_a_vector_file_that_is_gone_is_made_again_in_memory(folder):
    with Catalog.open(folder) as reader:
        for file in folder.glob("vectors-*.bin"):
            file.unlink()
        assert sounding(reader) == {track.id for track in reader.tracks()}


def test_a_snapshot_is_the_affair_of_one_thread(folder):
    with Catalog.open(folder) as reader, ThreadPoolExecutor(1) as pool, reader.snapshot():
        n_before = len(reader.tracks())
        assert add_elsewhere(folder, 8, 9).wait() == 0
        assert len(reader.tracks()) == n_before
        assert len(pool.submit(reader.tracks).result()) == n_before + 1


def test_snapshots_nest(folder):
    with Catalog.open(folder) as reader:
        with reader.snapshot(), reader.snapshot():
            reader.tracks()
        with reader.snapshot():
            assert reader.tracks()


def test_a_reader_has_no_way_to_write(folder):
    with Catalog.open(folder) as reader:
        assert not any(hasattr(reader, name) for name in ("store", "delete", "remove", "flush"))


def test_no_thread_waits_until_another_has_its_answer(folder):
    n_threads = 24
    all_are_in = threading.Barrier(n_threads, timeout=20)

    def ask(_number):
        with reader.snapshot():
            all_are_in.wait()
            return reader.n_sounding()

    with Catalog.open(folder) as reader, ThreadPoolExecutor(n_threads) as pool:
        assert set(pool.map(ask, range(n_threads))) == {len(reader.tracks())}
