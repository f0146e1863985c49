"""A small zoo of odd files: no traceback, a sentence for each bad one, true lengths."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from pemr.signal import audio

BENCH = Path(__file__).parents[1] / "scripts" / "bench"


@pytest.fixture(scope="module")
def zoo():
    sys.path.insert(0, str(BENCH))
    spec = importlib.util.spec_from_file_location("zoo", BENCH / "zoo.py")
    module = sys.modules["zoo"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(BENCH))


def test_nothing_goes_wrong_with_one_file_of_each_kind(zoo, tmp_path):
    keepers = zoo.Zoo(tmp_path / "zoo", seed=7)
    animals = list(keepers.animals(len(keepers.GOOD) + len(keepers.BAD)))
    found = zoo.judge(animals, tmp_path / "catalog")
    assert found["wrong"] == []
    assert found["good"] == len(keepers.GOOD)
    assert found["skipped"] >= 1


def test_the_same_seed_makes_the_same_files(zoo, tmp_path):
    one, same = (
        [a.path.read_bytes()[:2000] for a in zoo.Zoo(tmp_path / name, 3).animals(6)]
        for name in ("one", "same")
    )
    assert one == same


@pytest.mark.parametrize("codec", ["adpcm_ms", "adpcm_ima_wav"])
def test_codecs_of_whole_blocks_are_as_long_as_their_blocks(zoo, tmp_path, codec):
    path = tmp_path / "song.wav"
    duration_s = zoo.encode(path, codec, np.zeros(16_640, np.float32), 8_000, "mono")
    header = path.read_bytes()[:128]
    n_samples = int.from_bytes(header[header.index(b"fact") + 8 :][:4], "little")
    decoded_s = sum(len(block) for block in audio.blocks(path)) / audio.SAMPLE_RATE
    assert duration_s == pytest.approx(n_samples / 8_000)
    assert duration_s == pytest.approx(decoded_s, abs=1e-3)
    assert duration_s > 16_640 / 8_000
