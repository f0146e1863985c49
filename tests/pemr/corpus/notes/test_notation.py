"""ABC and MusicXML of a few bars, read as they sound."""

import io
import zipfile

import pytest

from pemr.corpus.notes.notation import lead_sheet, tune, tunes
from pemr.errors import ScoreError

SCALE = [60, 62, 64, 65, 67, 69, 71, 72]
BOOK = """% a book
X:1
T:First
M:4/4
L:1/4
K:C
CDEF|GABc|]

X:12
T:Second
M:6/8
L:1/8
Q:3/8=100
K:Ador
ABc def|
"""


def abc(body, head="M:4/4\nL:1/4\nK:C\n"):
    return tune("x/1", f"X:1\nT:Tune\n{head}{body}\n")


def pitches(score):
    return [note.pitch for note in score.melody]


def test_a_file_is_cut_into_its_tunes():
    assert [number for number, _ in tunes(BOOK.encode())] == ["1", "12"]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_titles_may_have_accents(encoding):
    _, text = next(tunes("X:1\nT:Café\nM:4/4\nK:C\nCDEF|".encode(encoding)))
    assert tune("x", text).title == "Café"


def test_a_tune_says_what_it_is():
    first, second = (tune(number, text) for number, text in tunes(BOOK.encode()))
    assert (first.title, pitches(first), first.n_beats) == ("First", SCALE, 8.0)
    assert (second.tonic, second.mode) == (9, "minor")
    assert (second.beats_per_bar, second.beat_unit) == (6, 8)
    assert second.tempo_bpm == 300.0


@pytest.mark.parametrize(
    ("body", "played"),
    [
        ("CDEF:|GABc|", [60, 62, 64, 65, 60, 62, 64, 65, 67, 69, 71, 72]),
        ("C4|:D4:|E4|", [60, 62, 62, 64]),
        ("C4::D4:|", [60, 60, 62, 62]),
        ("|:C4|1D4:|2E4|F4|", [60, 62, 60, 64, 65]),
        ("C4|D4:|\n|:E4|F4:|", [60, 62, 60, 62, 64, 65, 64, 65]),
    ],
    ids=["from the start", "inside", "back to back", "two endings", "two parts"],
)
def test_repeats_are_written_out(body, played):
    assert pitches(abc(body)) == played


def test_a_pickup_is_measured():
    assert abc("G|CDEF|GABc|").pickup == 1.0
    assert abc("CDEF|GABc|").pickup == 0.0


def test_ties_join_and_grace_notes_vanish():
    score = abc("C4-|C2{d}E2|")
    assert [(note.start, note.duration, note.pitch) for note in score.melody] == [
        (0.0, 6.0, 60),
        (6.0, 2.0, 64),
    ]


def test_accidentals_hold_for_the_bar():
    assert pitches(abc("F^FFz|F4|")) == [65, 66, 66, 65]


def test_four_voices_are_soprano_to_bass():
    voices = {"S": "cdef|", "A": "GGGG|", "T": "E2x2|", "B": "C4|"}
    body = "\n".join(f"[V: {name}] {line}" for name, line in voices.items())
    score = abc(body)
    assert pitches(score) == [72, 74, 76, 77]
    assert [voice[0].pitch for voice in score.voices] == [72, 67, 64, 60]


def test_voices_of_unequal_length_are_not_four_parts():
    score = abc("[V: S] cdef|cdef|\n[V: A] G4|\n[V: T] E4|\n[V: B] C4|")
    assert score.voices == ()
    assert pitches(score) == [72, 74, 76, 77] * 2


def test_a_tune_without_notes_is_refused():
    with pytest.raises(ScoreError, match="no notes"):
        abc("")


MEASURE = """<measure number="{n}">{head}{notes}</measure>"""
NOTE = """<note><pitch><step>{}</step><octave>4</octave></pitch><duration>1</duration></note>"""
HARMONY = """<harmony><root><root-step>{}</root-step></root><kind>{}</kind></harmony>"""
HEAD = """<attributes><divisions>1</divisions><key><fifths>0</fifths></key>
<time><beats>4</beats><beat-type>4</beat-type></time></attributes>"""


def sheet(*measures):
    """Pack measures as a compressed MusicXML file, the first with metre and key."""
    body = "".join(
        MEASURE.format(n=n, head=HEAD if n == 1 else "", notes=notes)
        for n, notes in enumerate(measures, 1)
    )
    xml = f"""<?xml version="1.0"?><score-partwise version="3.1">
    <work><work-title>Sheet</work-title></work>
    <part-list><score-part id="P1"><part-name>Song</part-name></score-part></part-list>
    <part id="P1">{body}</part></score-partwise>"""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("song.xml", xml)
    return packed.getvalue()


def bar(letters):
    return "".join(NOTE.format(letter) for letter in letters)


def test_a_lead_sheet_has_melody_and_chords():
    data = sheet(
        HARMONY.format("C", "major") + bar("CDEF"), HARMONY.format("G", "dominant") + bar("GABG")
    )
    score = lead_sheet("x/1", data)
    assert score.title == "Sheet"
    assert pitches(score) == [60, 62, 64, 65, 67, 69, 71, 67]
    assert [(c.start, c.duration, c.root, c.quality) for c in score.chords] == [
        (0.0, 4.0, 0, "maj"),
        (4.0, 4.0, 7, "7"),
    ]
    assert (score.tonic, score.mode, score.n_beats) == (0, "major", 8.0)


def test_a_lead_sheet_repeats_with_its_chords():
    end = '<barline location="right"><repeat direction="backward"/></barline>'
    data = sheet(HARMONY.format("C", "major") + bar("CDEF") + end, bar("GGGG"))
    score = lead_sheet("x/1", data)
    assert pitches(score) == [60, 62, 64, 65] * 2 + [67] * 4
    assert [chord.start for chord in score.chords] == [0.0, 4.0]


def test_a_lead_sheet_that_is_no_zip_file_is_refused():
    with pytest.raises(zipfile.BadZipFile):
        lead_sheet("x/1", b"<xml>")
