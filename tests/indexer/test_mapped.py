import errno

import numpy as np
import pytest

from indexer.mapped import Draft, opened
from indexer.vectors import CoarseCodes


def write(path, **arrays):
    with Draft(path) as draft:
        for name, blocks in arrays.items():
            draft.put(name, blocks)
        draft.commit({"token": 7})


@pytest.fixture
def path(tmp_path):
    rows = np.arange(18).reshape(6, 3) / 2
    write(tmp_path / "a.bin", one=[np.arange(5)], two=[rows[:2], rows[2:]])
    return tmp_path / "a.bin"


def test_arrays_come_back_as_they_were_given(path):
    found = opened(path)
    assert found.facts == {"token": 7}
    np.testing.assert_array_equal(found.arrays["one"], np.arange(5))
    np.testing.assert_array_equal(found.arrays["two"], np.arange(18).reshape(6, 3) / 2)
    assert found.is_sound(["one", "two"])
    assert not found.arrays["two"].flags.writeable


def test_empty_arrays_keep_their_shape(tmp_path):
    write(tmp_path / "a.bin", none=[np.zeros((0, 4), np.int8)])
    found = opened(tmp_path / "a.bin")
    assert found.arrays["none"].shape == (0, 4)
    assert found.is_sound(["none"])


def test_bytes_that_are_poured_in_come_back(tmp_path):
    with Draft(tmp_path / "a.bin") as draft:
        draft.put("one", [np.arange(3, dtype=np.int8)])
        draft.pour("two", lambda take: [take(piece) for piece in (b"pour", b"", b"ed")])
        draft.commit({})
    found = opened(tmp_path / "a.bin")
    assert found.arrays["two"].tobytes() == b"poured"
    assert found.is_sound(["one", "two"])


def test_a_disk_that_is_full_while_codes_are_poured_in_is_told(tmp_path, unit, monkeypatch):
    codes = CoarseCodes.of(unit(300, 8))
    with Draft(tmp_path / "a.bin") as draft:
        monkeypatch.setattr(draft, "_file", Full(draft._file))
        with pytest.raises(OSError, match="No space"):
            draft.pour("codes", codes.write_to)
    assert list(tmp_path.iterdir()) == []


class Full:
    """A file on a disk that has room for a hundred bytes."""

    def __init__(self, file):
        self.file, self.left = file, 100

    def write(self, piece):
        self.left -= len(piece)
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(piece)

    def tell(self):
        return self.file.tell()

    def close(self):
        self.file.close()


@pytest.mark.parametrize("n_kept", [0, 3, 100, -1, -30])
def test_a_file_that_was_cut_short_is_none(path, n_kept):
    path.write_bytes(path.read_bytes()[:n_kept])
    assert opened(path) is None


@pytest.mark.parametrize("content", [b"rubbish", b"rubbish" * 100, None])
def test_a_file_that_is_none_of_ours_is_none(tmp_path, content):
    if content is not None:
        (tmp_path / "a.bin").write_bytes(content)
    assert opened(tmp_path / "a.bin") is None


def test_damage_is_found_in_the_array_that_has_it(path):
    damaged = bytearray(path.read_bytes())
    damaged[70] ^= 1  # the first array ends before 64
    path.write_bytes(damaged)
    found = opened(path)
    assert found.is_sound(["one"])
    assert not found.is_sound(["one", "two"])


def test_a_write_that_fails_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(path, one=[np.zeros(1000)])
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["a.bin"]


def test_a_draft_without_a_commit_leaves_nothing(tmp_path):
    with Draft(tmp_path / "b.bin") as draft:
        draft.put("one", [np.zeros(3)])
    assert list(tmp_path.iterdir()) == []
