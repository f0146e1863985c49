"""LilyPond lead sheets: pitches told from those before, repeats, and chords written once."""

import pytest

from pemr.corpus.notes.lilypond import jazz_sheet
from pemr.corpus.notes.scores import QUALITIES, clean
from pemr.corpus.notes.symbols import quality_of
from pemr.errors import ScoreError


def sheet(melody, chords="", key="ef", relative="f'", before=""):
    return (
        f'headerTitle = "A \\"new\\" tune"\n{before}\n'
        f"refrainChords = \\chordmode {{ {chords} }}\nrefrainKey = {key}\n"
        f"refrainMelody = \\relative {relative} {{\n  \\time 4/4\n  \\key \\refrainKey \\major\n"
        f'  \\clef \\whatClef\n  \\tempoFour "Ballad [1958]" 79\n  {melody}\n}}\n'
    ).encode()


def read(*args, **options):
    return jazz_sheet("leadsheets/a", sheet(*args, **options))


def pitches(melody, **options):
    return [note.pitch for note in read(melody, **options).melody]


def times(melody, **options):
    return [(note.start, note.duration) for note in read(melody, **options).melody]


def symbols(*args):
    return [(c.start, c.duration, c.root, c.quality) for c in read(*args).chords]


def test_each_pitch_is_the_nearest_of_its_name():
    assert pitches("f4 c g' g, bf, c''") == [65, 60, 67, 55, 46, 72]


def test_names_are_english():
    assert pitches("fs4 ef bff cx dss") == [66, 63, 57, 62, 64]


def test_a_length_holds_until_another_is_written():
    assert times("c4. d8 e f2") == [(0, 1.5), (1.5, 0.5), (2, 0.5), (2.5, 2)]
    assert times("r1*3/4 c8*3 d") == [(3, 1.5), (4.5, 1.5)]


def test_tied_notes_are_one():
    assert times("c2~ c8 d4.") == [(0, 2.5), (2.5, 1.5)]


def test_a_tuplet_takes_the_time_of_fewer():
    assert times(r"\tuplet 3/2 { c4 d e } f4")[1:] == [
        pytest.approx((2 / 3, 2 / 3)),
        pytest.approx((4 / 3, 2 / 3)),
        (2, 1),
    ]


def test_of_notes_together_the_highest_sounds_and_the_first_refers():
    assert pitches("<c e g>4 d") == [67, 62]
    assert times("<c e>2 d") == [(0, 2), (2, 2)]


def test_of_voices_the_first_sounds():
    score = read(r"<< { c2 d } \\ { e,4 f g a } >> b1")
    assert [(n.start, n.pitch) for n in score.melody] == [(0, 60), (2, 62), (4, 59)]


def test_what_is_drawn_is_not_played():
    plain = pitches("c4 d e f")
    drawn = (
        r'\sectNoBreak "A1 { b4 }" c4-. ( d ) \markup { \bold \box "b4 c4" } \bar "||" e'
        r" \override Stem.length = #7 \once \ottava #1 f \fermata % b4 a4"
        "\n %{ g1 g1 %} \\afterwards #(if (a) (b))"
    )
    assert pitches(drawn) == plain


def test_grace_notes_take_no_time_and_refer():
    assert times(r"\acciaccatura d8 c4 \grace { e16 f } g4") == [(0, 1), (1, 1)]
    assert pitches(r"\grace c''8 d4") == [86]


def test_a_rest_at_a_height_is_a_rest():
    assert times(r"b'8\rest c4. d2") == [(0.5, 1.5), (2, 2)]


def test_repeats_are_written_out_with_their_endings_and_their_chords():
    melody = r"\repeat volta 2 { c1 } \alternative { { d1 } { e1 } } f1"
    score = read(melody, "c1 d1:m e1:m7 f1")
    assert [note.pitch for note in score.melody] == [60, 62, 60, 64, 65]
    assert [(c.root, c.quality) for c in score.chords] == [
        (0, "maj"), (2, "min"), (0, "maj"), (4, "min7"), (5, "maj"),
    ]  # fmt: skip


def test_endings_may_stand_within_what_is_repeated():
    melody = r"\repeat volta 3 { c1 \alternative { \volta 1,2 { d1 } \volta 3 { e1 } } }"
    assert pitches(melody) == [60, 62, 60, 62, 60, 64]


def test_a_pickup_stands_before_the_first_bar():
    score = read(r"\partial 4. c8 d e | f1", "s4. f1")
    assert score.pickup == 1.5
    assert [(c.start, c.root) for c in score.chords] == [(1.5, 5)]


def test_a_slash_goes_on_with_the_chord():
    assert symbols("c1 d1", r"c2 \chordSlash 2 g1:7/b") == [(0, 4, 0, "maj"), (4, 4, 7, "7")]
    assert read("c1 d1", "c1 g1:7/b").chords[1].bass == 11


def test_key_tempo_and_title_are_read():
    score = read("c4 d e f")
    assert (score.tonic, score.mode, score.tempo_bpm) == (3, "major", 79)
    assert score.title == 'A \\"new\\" tune'


def test_chords_may_stand_under_another_name():
    text = sheet("c1 d1").replace(b"refrainChords", b"refrainHLChords")
    named = text.replace(b"{  }", b"{ c1:m g1:7 }", 1) + b"refrainChords = \\refrainHLChords\n"
    assert [chord.quality for chord in jazz_sheet("a", named).chords] == ["min", "7"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"refrainChords = \\chordmode { c1 }\n", "chords alone"),
        (sheet(""), "0 notes"),
        (sheet("c1 c1 c1 d1 c1 c1 c1 c1 c1 c1"), "one or two pitches"),
        (b"refrainMelody = \\relative f' { c4 d", "chords alone"),
        (b"", "chords alone"),
    ],
)
def test_what_has_no_melody_is_refused(text, reason):
    with pytest.raises(ScoreError, match=reason):
        clean(jazz_sheet("leadsheets/a", text))


@pytest.mark.parametrize(
    ("symbol", "quality"),
    [
        ("", "maj"), ("m", "min"), ("7", "7"), ("m7", "min7"), ("maj7", "maj7"), ("6", "6"),
        ("m6", "min6"), ("m7.5-", "m7b5"), ("7.9-", "7"), ("9", "9"), ("dim7", "dim7"),
        ("7.5+", "aug7"), ("13", "7"), ("m9", "min9"), ("sus7", "7sus4"), ("maj9", "maj9"),
        ("m7+", "minmaj7"), ("m9.7+", "minmaj7"), ("7.9-.5+", "aug7"), ("aug", "aug"),
        ("5+", "aug"), ("sus", "sus4"), ("5", "5"), ("6.9", "6"), ("dim", "dim"), ("11", "7"),
        ("maj", "maj"), ("min7", "min7"), ("m11.5-", "m7b5"), ("9sus4", "7sus4"), ("7sus", "7sus4"),
        ("1.3-.5+", "min"), ("odd", "maj"),
    ],
)  # fmt: skip
def test_symbols_become_qualities(symbol, quality):
    assert quality_of(symbol) == quality
    assert quality in QUALITIES
