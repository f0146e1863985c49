import errno
from pathlib import Path

import faiss
import numpy as np
import pytest

from indexer.vectors import VectorIndex


def unit(rng, *shape):
    drawn = rng.standard_normal(shape).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


def filled(ids, vectors) -> VectorIndex:
    index = VectorIndex(vectors.shape[1])
    index.add(np.asarray(ids), vectors)
    return index


def slow_search(ids, vectors, query, n_hits):
    scored = sorted(
        (-float(np.dot(vector, query)), int(id_)) for id_, vector in zip(ids, vectors, strict=True)
    )
    return [id_ for _, id_ in scored[:n_hits]]


def test_search_agrees_with_sorting_all_scores(rng):
    ids, vectors, queries = rng.permutation(1000)[:200], unit(rng, 200, 16), unit(rng, 7, 16)
    found, scores = filled(ids, vectors).search(queries, 20)
    assert found.tolist() == [slow_search(ids, vectors, query, 20) for query in queries]
    assert (np.diff(scores) <= 0).all()


def test_a_vector_finds_itself_with_score_1(rng):
    vectors = unit(rng, 50, 8)
    ids, scores = filled(range(50), vectors).search(vectors, 1)
    assert ids[:, 0].tolist() == list(range(50))
    np.testing.assert_allclose(scores, 1, atol=1e-6)


def test_asking_for_more_than_there_is_gives_what_there_is(rng):
    ids, scores = filled([5, 3, 9], unit(rng, 3, 4)).search(unit(rng, 2, 4), 10)
    assert ids.shape == scores.shape == (2, 3)
    assert set(ids.ravel()) == {3, 5, 9}


def test_an_empty_index_answers_with_nothing(rng):
    ids, scores = VectorIndex(4).search(unit(rng, 2, 4), 10)
    assert ids.shape == scores.shape == (2, 0)


@pytest.mark.parametrize("n_hits", [1, 3, 7])
def test_equal_scores_come_in_order_of_id_also_at_the_cut(rng, n_hits):
    vectors = np.repeat(np.eye(4, dtype=np.float32)[:2], 10, axis=0)
    order = rng.permutation(20)
    ids, _ = filled(np.arange(20)[order], vectors[order]).search(np.eye(4, dtype="f")[:1], n_hits)
    assert ids.tolist() == [list(range(n_hits))]


def test_an_id_cannot_be_added_twice(rng):
    index = filled([1, 2], unit(rng, 2, 4))
    with pytest.raises(ValueError, match="twice"):
        index.add(np.array([2]), unit(rng, 1, 4))
    with pytest.raises(ValueError, match="twice"):
        index.add(np.array([7, 7]), unit(rng, 2, 4))
    assert len(index) == 2


@pytest.mark.parametrize("shape", [(3, 4), (2, 5), (2,)])
def test_vectors_of_another_shape_are_refused(rng, shape):
    with pytest.raises(ValueError, match="shape"):
        VectorIndex(4).add(np.arange(2), unit(rng, *shape))


def test_queries_of_another_length_are_refused(rng):
    with pytest.raises(ValueError, match="shape"):
        filled([1], unit(rng, 1, 4)).search(unit(rng, 2, 5), 1)


def test_a_removed_vector_is_never_found(rng):
    vectors = unit(rng, 10, 4)
    index = filled(range(10), vectors)
    assert index.remove(np.array([3, 77])) == 1
    assert 3 not in index.search(vectors, 10)[0]
    assert sorted(index.ids.tolist()) == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_ids_and_vectors_go_together_after_a_removal(rng):
    vectors = unit(rng, 10, 4)
    index = filled(range(10), vectors)
    index.remove(np.array([0, 5]))
    np.testing.assert_array_equal(index.vectors, vectors[index.ids])


def test_a_copy_on_a_gpu_answers_with_the_same_ids(rng, monkeypatch):
    """Without a GPU the copy stays in memory; what is tested is what is done around it."""
    copies = []

    def copy(flat):
        copies.append(faiss.clone_index(flat))
        return copies[-1]

    vectors, queries = unit(rng, 40, 4), unit(rng, 5, 4)
    index = filled(range(100, 140), vectors)
    on_cpu = index.search(queries, 7)[0]
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", copy)
    np.testing.assert_array_equal(index.search(queries, 7)[0], on_cpu)
    index.search(queries, 3)
    assert len(copies) == 1
    index.remove(on_cpu[0, :1])
    assert on_cpu[0, 0] not in index.search(queries, 7)[0]
    index.add(on_cpu[0, :1], vectors[on_cpu[0, :1] - 100])
    np.testing.assert_array_equal(index.search(queries, 7)[0], on_cpu)
    assert len(copies) == 3


def test_a_list_too_long_for_a_gpu_is_made_on_the_cpu(rng, monkeypatch):
    vectors = unit(rng, 3000, 4)
    index = filled(range(3000), vectors)
    on_cpu = index.search(vectors[:1], 2500)[0]
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.delattr(faiss, "index_cpu_to_all_gpus")
    np.testing.assert_array_equal(index.search(vectors[:1], 2500)[0], on_cpu)


def test_an_index_read_back_answers_the_same(rng, tmp_path):
    index, queries = filled(range(30), unit(rng, 30, 4)), unit(rng, 5, 4)
    index.write(tmp_path / "a.faiss")
    again = VectorIndex.read(tmp_path / "a.faiss", 4)
    assert again is not None
    np.testing.assert_array_equal(again.search(queries, 9)[0], index.search(queries, 9)[0])
    again.add(np.array([99]), unit(rng, 1, 4))


@pytest.mark.parametrize("content", [b"", b"rubbish", None])
def test_a_file_that_is_no_index_reads_as_none(tmp_path, content):
    if content is not None:
        (tmp_path / "a.faiss").write_bytes(content)
    assert VectorIndex.read(tmp_path / "a.faiss", 4) is None


def test_a_truncated_index_reads_as_none(rng, tmp_path):
    path = tmp_path / "a.faiss"
    filled(range(30), unit(rng, 30, 4)).write(path)
    path.write_bytes(path.read_bytes()[:-40])
    assert VectorIndex.read(path, 4) is None


def test_an_index_of_other_vectors_reads_as_none(rng, tmp_path):
    filled(range(3), unit(rng, 3, 4)).write(tmp_path / "a.faiss")
    assert VectorIndex.read(tmp_path / "a.faiss", 5) is None


def test_a_write_that_fails_leaves_the_old_file(rng, tmp_path, monkeypatch):
    path = tmp_path / "a.faiss"
    filled(range(3), unit(rng, 3, 4)).write(path)
    before = path.read_bytes()

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        filled(range(9), unit(rng, 9, 4)).write(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.faiss"]
