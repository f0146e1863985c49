"""POP909 and hymns, as small MIDI files made here."""

import io

import mido
import pytest

from pemr.corpus.notes.midi import hymn, pop909_song
from pemr.errors import ScoreError

TICKS = 480


def midi(tracks, metre=(4, 4), tempo=500_000, type_=1):
    """Write tracks of (name, channel, [(start, length, pitch)]), times in quarters."""
    file = mido.MidiFile(ticks_per_beat=TICKS, type=type_)
    head = mido.MidiTrack()
    head.append(mido.MetaMessage("time_signature", numerator=metre[0], denominator=metre[1]))
    head.append(mido.MetaMessage("set_tempo", tempo=tempo))
    file.tracks.append(head)
    for name, channel, notes in tracks:
        events = [(s + d, "note_off", p) for s, d, p in notes] + [
            (s, "note_on", p) for s, _, p in notes
        ]
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
        now = 0
        for time, kind, pitch in sorted(events):
            tick = round(time * TICKS)
            track.append(
                mido.Message(kind, note=pitch, channel=channel, velocity=64, time=tick - now)
            )
            now = tick
        file.tracks.append(track)
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


SOPRANO = [(float(i), 1.0, p) for i, p in enumerate([72, 74, 76, 77, 79, 77, 76, 74, 72])]
ALTO = [(float(i), 1.0, p) for i, p in enumerate([67, 67, 67, 69, 71, 69, 67, 65, 64])]
TENOR = [(float(i), 1.0, p) for i, p in enumerate([64, 62, 60, 60, 62, 62, 60, 59, 60])]
BASS = [(float(i), 1.0, p) for i, p in enumerate([48, 47, 48, 53, 55, 50, 52, 55, 48])]


@pytest.fixture
def song():
    """Beats every half second after a second of silence, the song from the third beat on."""
    beats = "".join(f"{1 + i / 2} {float(i % 2 == 0)} {float(i % 4 == 2)}\n" for i in range(24))
    melody = [(4.0 + i, 0.5, 60 + i) for i in range(8)]
    return {
        "001.mid": midi([("MELODY", 0, melody), ("BRIDGE", 1, melody[:2]), ("PIANO", 2, melody)]),
        "beat_midi.txt": beats.encode(),
        "chord_midi.txt": b"0 1.5 N\n2 4 Eb:maj/3\n4 6 F#:hdim7\n6 7 A:sus4(b7)\n",
        "key_audio.txt": b"0.0 3.0 C:maj\n3.0 90.0 G#:min\n",
    }


def test_seconds_become_beats(song):
    score = pop909_song("pop909/001", song)
    # The first note sounds at 2 s, which is the third beat and a downbeat.
    assert [note.start for note in score.melody] == [float(i) for i in range(8)]
    assert {note.duration for note in score.melody} == {0.5}
    assert score.tempo_bpm == 120.0
    assert (score.beats_per_bar, score.beat_unit) == (4, 4)
    assert len(score.second_melody) == 2
    assert len(score.accompaniment) == 8


def test_chord_names_are_read(song):
    chords = pop909_song("pop909/001", song).chords
    assert [(c.start, c.root, c.quality, c.bass) for c in chords] == [
        (0.0, 3, "maj", 7),
        (4.0, 6, "m7b5", 6),
        (8.0, 9, "7sus4", 9),
    ]


def test_the_key_is_the_one_that_lasts(song):
    score = pop909_song("pop909/001", song)
    assert (score.tonic, score.mode) == (8, "minor")


def test_six_beats_to_a_downbeat_are_two_bars_of_a_waltz(song):
    waltz = "".join(f"{1 + i / 2} {float(i % 3 == 0)} {float(i % 6 == 2)}\n" for i in range(24))
    assert pop909_song("pop909/001", song | {"beat_midi.txt": waltz.encode()}).beats_per_bar == 3


def test_a_change_of_tempo_moves_no_beat(song):
    file = mido.MidiFile(file=io.BytesIO(song["001.mid"]))
    file.tracks[0].append(mido.MetaMessage("set_tempo", tempo=1_000_000, time=8 * TICKS))
    out = io.BytesIO()
    file.save(file=out)
    starts = [n.start for n in pop909_song("pop909/001", song | {"001.mid": out.getvalue()}).melody]
    # From the fifth note on they are a second, so two beats, apart.
    assert starts == [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0]


def test_a_hymn_on_two_channels_has_four_voices():
    score = hymn(
        "h/1", midi([("Old Tune ... SA TB", 0, SOPRANO + ALTO), ("Words of It", 1, TENOR + BASS)])
    )
    parts = [[note.pitch for note in voice] for voice in score.voices]
    assert parts == [[p for _, _, p in part] for part in (SOPRANO, ALTO, TENOR, BASS)]
    assert [note.pitch for note in score.melody] == parts[0]
    assert (score.tonic, score.mode) == (0, "major")
    assert score.title == "Old Tune ... SA TB / Words of It"


def test_a_played_hymn_keeps_its_texture():
    late = [(s + 0.03, d, p) for part in (SOPRANO, ALTO, TENOR, BASS) for s, d, p in part]
    score = hymn("h/1", midi([("Piano", 0, late)], metre=(3, 4), tempo=600_000))
    assert [note.pitch for note in score.melody] == [p for _, _, p in SOPRANO]
    assert [note.start for note in score.melody] == [float(i) for i in range(9)]
    assert len(score.accompaniment) == 27
    assert score.voices == ()
    assert (score.beats_per_bar, score.tempo_bpm) == (3, 100.0)


def test_silent_bars_before_a_hymn_are_dropped():
    later = [(s + 9.0, d, p) for s, d, p in SOPRANO]
    assert hymn("h/1", midi([("Piano", 0, later)])).melody[0].start == 1.0


def test_eighths_are_the_beats_of_six_eight():
    score = hymn("h/1", midi([("Piano", 0, SOPRANO)], metre=(6, 8), tempo=500_000))
    assert (score.beats_per_bar, score.beat_unit, score.tempo_bpm) == (6, 8, 240.0)
    assert score.melody[1].start == 2.0


def test_a_hymn_of_silence_is_refused():
    with pytest.raises(ScoreError, match="nothing sounds"):
        hymn("h/1", midi([("Piano", 0, [])]))


def test_what_is_no_midi_is_refused():
    with pytest.raises(EOFError):
        hymn("h/1", b"")
