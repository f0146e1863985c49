"""Other people's embeddings, distances and scores."""

import numpy as np
import pytest

from retrieval.errors import EmbeddingsFileError
from retrieval.measuring.foreign import read_embeddings

NAMES = ["3_0", "3_1", "40/ñ ♪"]
IDS = np.array(NAMES)
VECTORS = np.array([[3.0, 0], [6.0, 0.1], [0, 2]])


def write(folder, ending, **arrays):
    path = folder / f"peer{ending}"
    if ending == ".npz":
        np.savez(path, **arrays)
        return path
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            strings = np.asarray(values).dtype.kind == "U"
            file[name] = [str(v).encode() for v in values] if strings else values
    return path


@pytest.mark.parametrize("ending", [".npz", ".h5"])
def test_embeddings_are_compared_by_cosine(tmp_path, ending):
    scorer = read_embeddings(write(tmp_path, ending, ids=np.array(NAMES), embeddings=VECTORS))
    assert list(scorer.names) == NAMES
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    np.testing.assert_allclose(
        scorer.score(np.array([0, 2]), np.arange(3)), (unit @ unit.T)[[0, 2]], atol=1e-6
    )


@pytest.mark.parametrize("ending", [".npz", ".h5"])
def test_distances_are_turned_over(tmp_path, ending):
    distances = np.array([[0, 1, 2], [1, 0, 3], [2, 3, 0]])
    scorer = read_embeddings(write(tmp_path, ending, ids=np.array(NAMES), distances=distances))
    assert scorer.score(np.array([1]), np.array([0, 2])).tolist() == [[-1, -3]]


def test_scores_are_taken_as_they_are(tmp_path):
    path = write(tmp_path, ".npz", ids=np.array(NAMES), scores=np.eye(3))
    assert read_embeddings(path).score(np.array([2]), np.arange(3)).tolist() == [[0, 0, 1]]


def test_numbers_may_be_ids(tmp_path):
    path = write(tmp_path, ".npz", ids=np.array([1, 2, 3]), embeddings=VECTORS)
    assert list(read_embeddings(path).names) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"embeddings": VECTORS}, r"found `embeddings`"),
        ({"ids": IDS}, r"found `ids`"),
        ({}, "found nothing"),
        (
            {"ids": IDS, "embeddings": VECTORS, "scores": np.eye(3)},
            "expected `ids` with one of",
        ),
        ({"ids": IDS, "embeddings": VECTORS[:2]}, r"shape \(3, D\) for 3 ids, not \(2, 2\)"),
        ({"ids": IDS, "embeddings": VECTORS[0]}, r"not \(2,\)"),
        ({"ids": IDS, "distances": np.ones((3, 2))}, r"shape \(3, 3\) for 3 ids"),
        (
            {"ids": np.array(["a", "b", "a"]), "embeddings": VECTORS},
            "1 performances more than once",
        ),
        ({"ids": np.array([NAMES]), "embeddings": VECTORS}, r"not of shape \(1, 3\)"),
        ({"ids": IDS, "embeddings": VECTORS * np.nan}, "3 rows of `embeddings` hold NaN"),
        ({"ids": IDS, "scores": np.diag([np.inf] * 3)}, "3 rows of `scores` hold NaN or inf"),
        (
            {"ids": IDS, "embeddings": VECTORS * [[1], [0], [1]]},
            "1 embeddings are all zero, that of '3_1'",
        ),
        ({"ids": IDS, "embeddings": VECTORS.astype(str)}, "not numbers"),
    ],
)
def test_file_that_does_not_fit_is_refused_with_the_reason(tmp_path, arrays, reason):
    with pytest.raises(EmbeddingsFileError, match=reason):
        read_embeddings(write(tmp_path, ".npz", **arrays))


@pytest.mark.parametrize("name", ["absent.npz", "broken.npz", "broken.h5", "wrong.csv"])
def test_file_that_cannot_be_read_is_one_sentence(tmp_path, name):
    if not name.startswith("absent"):
        (tmp_path / name).write_bytes(b"\x00broken")
    with pytest.raises(
        EmbeddingsFileError, match=r"cannot be read|expected a file with the ending"
    ):
        read_embeddings(tmp_path / name)


def test_pickled_objects_are_not_loaded(tmp_path):
    np.savez(tmp_path / "peer.npz", ids=np.array(NAMES, object), embeddings=VECTORS)
    with pytest.raises(EmbeddingsFileError, match="cannot be read"):
        read_embeddings(tmp_path / "peer.npz")
