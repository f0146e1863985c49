"""Machine code that was kept is used where it is sound, and made again where it is not."""

import importlib.util
import logging
import os

import pytest

from pemr.signal import kernels as those_of_pemr
from retrieval.ranking.matching import kernels

SOURCE = """
from {module} import compiled

@compiled
def doubled(number):
    return 2 * number
"""
ROOMS = pytest.mark.parametrize("module", [kernels, those_of_pemr], ids=["retrieval", "pemr"])


def loaded(path):
    """Import a file anew, as another run would."""
    spec = importlib.util.spec_from_file_location(f"loaded_{os.urandom(4).hex()}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.doubled


@pytest.fixture
def made(tmp_path, module):
    source = tmp_path / "source.py"
    source.write_text(SOURCE.format(module=module.__name__))
    assert loaded(source)(21) == 42
    assert {path.suffix for path in (tmp_path / "__pycache__").iterdir()} == {".nbi", ".nbc"}
    return source


def hits(function):
    return sum(function.stats.cache_hits.values())


@ROOMS
def test_what_was_compiled_is_used_again(made):
    again = loaded(made)
    assert again(21) == 42
    assert hits(again) == 1


@ROOMS
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("how", ["a byte", "zeros", "rubbish", "nothing", "half"])
def test_a_damaged_file_of_the_cache_is_made_again(made, suffix, how, rng):
    (path,) = (made.parent / "__pycache__").glob(f"*{suffix}")
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[int(rng.integers(len(content)))] ^= 255
    path.write_bytes(
        {
            "a byte": damaged,
            "zeros": bytes(len(content)),
            "rubbish": rng.bytes(len(content)),
            "nothing": b"",
            "half": content[: len(content) // 2],
        }[how]
    )
    function = loaded(made)
    assert function(21) == 42
    assert hits(function) == 0
    healed = loaded(made)
    assert healed(21) == 42
    assert hits(healed) == 1


@ROOMS
def test_a_full_disk_costs_only_the_cache(tmp_path, module, monkeypatch, caplog):
    source = tmp_path / "source.py"
    source.write_text(SOURCE.format(module=module.__name__))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module._CheckedFile, "_save_data", full)
    with caplog.at_level(logging.DEBUG, logger=module.__name__):
        assert loaded(source)(21) == 42
    assert "not kept" in caplog.text


@ROOMS
def test_a_place_that_cannot_be_written_costs_only_the_cache(module, monkeypatch, caplog):
    def nowhere(*_):
        raise RuntimeError("no locator available")

    monkeypatch.setattr(module, "_CheckedCache", nowhere)
    with caplog.at_level(logging.DEBUG, logger=module.__name__):
        doubled = module.compiled(lambda number: 2 * number)
    assert doubled(21) == 42
    assert "not kept" in caplog.text


def test_sums_may_be_taken_in_another_order_where_that_is_said():
    assert those_of_pemr.compiled(lambda x: x + 1.0, fastmath=True).targetoptions["fastmath"]
