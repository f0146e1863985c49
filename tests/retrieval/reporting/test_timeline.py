"""A setlist as a picture."""

import struct

import pytest

from retrieval import Setlist, draw_setlist
from retrieval.errors import PictureError
from retrieval.finding.setlist import Entry
from tests.retrieval.finding.test_listing import named

pytest.importorskip("matplotlib")


@pytest.fixture
def setlist():
    entries = (
        named(0.0, 200.0, "A song that costs $5 or $6", "Them"),
        Entry(start_s=200.0, end_s=300.0, candidate=None),
        named(300.0, 640.0, "一番の歌\n", None),
    )
    return Setlist(duration_s=640.0, entries=entries)


@pytest.mark.filterwarnings("ignore:Glyph .* missing")
def test_a_row_is_drawn_for_each_entry(setlist, tmp_path):
    draw_setlist(setlist, "a set.mp3", tmp_path / "three.png")
    longer = Setlist(duration_s=640.0, entries=setlist.entries * 10)
    draw_setlist(longer, "a set.mp3", tmp_path / "thirty.png")
    heights = [
        struct.unpack(">I", (tmp_path / name).read_bytes()[20:24])[0]
        for name in ("three.png", "thirty.png")
    ]
    assert heights[1] > 3 * heights[0]


@pytest.mark.filterwarnings("ignore:Glyph .* missing")
@pytest.mark.parametrize("name", ["absent/out.png", "out.no-such-format"])
def test_a_picture_that_cannot_be_written_is_told(setlist, tmp_path, name):
    with pytest.raises(PictureError, match="cannot be written"):
        draw_setlist(setlist, "a set.mp3", tmp_path / name)
