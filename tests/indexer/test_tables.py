import json

from indexer import build, stats_row, track_rows


def test_rows_can_be_written_as_json(catalog, fake_embedder, tmp_path, tone):
    music = tmp_path / "music"
    for name, seed in (("Aria", 1), ("gone", 2), ("silence", -1)):
        tone(music / f"{name}.wav", seed=seed)
    list(build(catalog, fake_embedder, [music]))
    (music / "gone.wav").unlink()
    list(build(catalog, fake_embedder, [music]))
    rows = json.loads(json.dumps(track_rows(catalog.tracks())))
    assert rows[0] == {
        "title": "Aria",
        "artist": None,
        "album": None,
        "duration_s": 2.0,
        "state": "",
        "damage": "",
        "path": str(music / "Aria.wav"),
    }
    assert [row["state"] for row in rows] == ["", "missing", "silent"]


def test_figures_can_be_written_as_json(catalog, fake_embedder, tmp_path, tone):
    tone(tmp_path / "music" / "a.wav", duration_s=36)
    list(build(catalog, fake_embedder, [tmp_path / "music"]))
    row = json.loads(json.dumps(stats_row(catalog.stats())))
    assert (row["tracks"], row["segments"], row["hours"]) == (1, 36, 0.01)
    assert row["folders"] == [str(tmp_path / "music")]
    assert row["size_mb"] > 0
