from indexer import build, duplicate_groups


def test_recordings_are_grouped_by_their_audio(catalog, fake_embedder, tmp_path, tone):
    for name, seed in (("c", 1), ("a", 1), ("b", 2), ("d", 3), ("e", 2), ("f", 1)):
        tone(tmp_path / "m" / f"{name}.wav", seed=seed)
    list(build(catalog, fake_embedder, [tmp_path / "m"]))
    groups = [[track.path.stem for track in group] for group in duplicate_groups(catalog)]
    assert groups == [["a", "c", "f"], ["b", "e"]]


def test_a_catalog_without_copies_has_no_groups(catalog):
    assert duplicate_groups(catalog) == []
