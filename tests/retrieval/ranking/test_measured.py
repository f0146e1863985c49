import pytest

from retrieval.ranking.measured import for_cover, is_cover


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cover@1a2b3c4d", True),
        ("cover", True),
        ("cover-full@1a2b3c4d", True),
        ("ftm2d@r1", False),
        ("coverage@1a2b3c4d", False),
    ],
)
def test_the_preset_decides_and_not_the_weights(name, expected):
    assert is_cover(name) is expected
    assert for_cover(0.3, name) == (0.3 if expected else 0.0)
