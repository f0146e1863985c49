import json
from pathlib import Path

from indexer import Track, build, stats_row, track_rows, track_table


def test_rows_can_be_written_as_json(catalog, fake_embedder, tmp_path, tone):
    music = tmp_path / "music"
    for name, seed in (("Aria", 1), ("gone", 2), ("silence", -1)):
        tone(music / f"{name}.wav", seed=seed)
    list(build(catalog, fake_embedder, [music]))
    (music / "gone.wav").unlink()
    list(build(catalog, fake_embedder, [music]))
    rows = json.loads(json.dumps(track_rows(catalog.tracks())))
    assert [row["state"] for row in rows] == ["", "missing", "silent"]
    row = {name: value for name, value in rows[0].items() if value is not None}
    assert row.pop("added").startswith("20")
    assert row.pop("modified").endswith("Z")
    assert row == {
        "id": 1,
        "title": "Aria",
        "duration_s": 2.0,
        "state": "",
        "damage": "",
        "path": str(music / "Aria.wav"),
    }
    assert rows[0].keys() > track_table(catalog.tracks())[0].keys()


def test_every_fact_of_a_track_has_a_column():
    track = Track(
        id=1, path=Path("/a.mp3"), title="A", artist="B", album="C", duration_s=1.25,
        is_silent=False, is_missing=False, n_segments=3, audio_hash="x", damage="ends",
        album_artist="D", year=1966, track_number=3, isrc="GBAYE6900123", mb_recording="r",
        mb_release="l", mb_artist="a", mb_work="w", raw_tags=b"title=\xc4\xe3",
        added_s=1.5e9, modified_s=1e30,
    )  # fmt: skip
    (row,) = track_rows([track])
    assert None not in {value for name, value in row.items() if name != "modified"}
    assert (row["added"], row["modified"]) == ("2017-07-14T02:40:00Z", None)
    assert row["raw_tags"].encode("latin-1") == track.raw_tags
    assert row["state"] == "damaged"


def test_figures_can_be_written_as_json(catalog, fake_embedder, tmp_path, tone):
    tone(tmp_path / "music" / "a.wav", duration_s=36)
    list(build(catalog, fake_embedder, [tmp_path / "music"]))
    row = json.loads(json.dumps(stats_row(catalog.stats())))
    assert (row["tracks"], row["segments"], row["hours"]) == (1, 36, 0.01)
    assert row["folders"] == [str(tmp_path / "music")]
    assert row["size_mb"] > 0
