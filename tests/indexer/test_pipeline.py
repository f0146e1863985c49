import threading
import time
from functools import partial

import numpy as np
import pytest

from indexer import Catalog, carry_out, plan
from indexer.pipeline import embed_all


@pytest.fixture
def files(tmp_path, tone):
    return [tone(tmp_path / f"{seed}.wav", seed=seed, duration_s=1.5 + seed) for seed in range(7)]


@pytest.fixture
def embed_files(fake_embedder):
    """Embed files that come with what goes with them."""

    def run(jobs):
        heard = (
            (payload, None if path is None else partial(fake_embedder.listen, path))
            for payload, path in jobs
        )
        return embed_all(fake_embedder, heard)

    return run


def test_recordings_come_in_the_order_asked_whatever_their_length(embed_files, files):
    jobs = [(path.name, path) for path in reversed(files)]
    assert [name for name, _ in embed_files(jobs)] == [name for name, _ in jobs]


def test_a_recording_is_what_it_would_be_alone(fake_embedder, embed_files, files):
    for path, embedded in embed_files([(path, path) for path in files]):
        (alone,) = fake_embedder.embed([fake_embedder.listen(path)])
        np.testing.assert_array_equal(embedded.vectors, alone)
        assert len(embedded.spans_s) == len(embedded.vectors)
        assert embedded.spans_s[-1, 1] == embedded.recording.duration_s
        assert embedded.recording.chroma.shape == (12, 5 * len(embedded.vectors))


def test_several_recordings_are_embedded_at_once(fake_embedder, embed_files, files, monkeypatch):
    sizes = []
    really = fake_embedder.embed

    def embed(recordings):
        time.sleep(0.05)  # time enough for the readers to get ahead
        sizes.append(len(recordings))
        return really(recordings)

    monkeypatch.setattr(fake_embedder, "embed", embed)
    list(embed_files([(path, path) for path in files]))
    assert sum(sizes) == len(files)
    assert max(sizes) > 1


def test_what_has_no_file_passes_through_in_its_turn(embed_files, files):
    jobs = [("a", None), ("b", files[0]), ("c", None)]
    found = list(embed_files(jobs))
    assert [name for name, _ in found] == ["a", "b", "c"]
    assert found[0][1] is found[2][1] is None


def test_silence_has_no_vectors_but_a_length(embed_files, tmp_path, tone):
    path = tone(tmp_path / "silence.wav", seed=-1, duration_s=3)
    ((_, embedded),) = embed_files([(0, path)])
    assert embedded.vectors.shape == (0, 8)
    assert embedded.spans_s.shape == (0, 2)
    assert embedded.recording.duration_s == 3


def test_a_bad_file_hands_back_its_error(fake_embedder, embed_files, tmp_path, files):
    bad = tmp_path / "bad.wav"
    bad.write_text("text")
    gone = tmp_path / "gone.wav"
    jobs = [(path, path) for path in (files[0], bad, gone, files[1])]
    found = dict(embed_files(jobs))
    assert isinstance(found[bad], fake_embedder.file_errors)
    assert isinstance(found[gone], FileNotFoundError)
    assert len(found[files[1]].vectors) == 3


def test_files_are_taken_only_a_little_ahead(embed_files, files, monkeypatch):
    monkeypatch.setattr("indexer.pipeline.n_readers", lambda: 2)
    taken = []

    def jobs():
        for number in range(50):
            taken.append(number)
            yield number, files[0]

    results = embed_files(jobs())
    next(results)
    assert len(taken) <= 5
    results.close()


def test_readers_go_home_when_the_caller_leaves(embed_files, files):
    results = embed_files([(path, path) for path in files * 5])
    next(results)
    results.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("reader-")]


@pytest.mark.parametrize("n_threads", [1, 3])
def test_so_many_recordings_are_made_at_once_as_is_said(fake_embedder, n_threads):
    busy, most, lock = 0, 0, threading.Lock()

    def hear():
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.05)
        with lock:
            busy -= 1
        raise OSError("nothing to hear")

    list(embed_all(fake_embedder, ((n, hear) for n in range(9)), n_threads))
    assert most == n_threads


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_an_index_decodes_so_many_files_at_once_as_is_said(
    files, tmp_path, fake_embedder, n_jobs, monkeypatch
):
    busy, most, lock, really = 0, 0, threading.Lock(), fake_embedder.listen

    def listen(path):
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.05)
        with lock:
            busy -= 1
        return really(path)

    monkeypatch.setattr(fake_embedder, "listen", listen)
    with Catalog.write(tmp_path / "catalog", fake_embedder) as catalog:
        planned = plan(catalog, [files[0].parent], n_jobs=n_jobs)
        assert len(list(carry_out(catalog, fake_embedder, planned))) == len(files)
    assert most == n_jobs
