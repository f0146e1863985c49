"""Free music: what its licence says, and what is packed of it."""

import subprocess
import zipfile

import numpy as np
import pytest

from pemr.corpus import music
from pemr.corpus.music import TABLE, gather, is_free, licence_of_sound, pack_folder
from pemr.errors import CorpusError

COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2004 Somebody
License: GPL-2+

Files: data/music/*.ogg
 data/sounds/*
Copyright: 2005 A Band
License: {}

License: GPL-2+
 A long text about music.
"""


def test_the_licence_of_sounds_goes_before_that_of_everything():
    assert licence_of_sound(COPYRIGHT.format("CC-BY-SA-3.0")) == "CC-BY-SA-3.0"
    assert licence_of_sound("Files: *\nLicense: GPL-2+\n") == "GPL-2+"
    assert not licence_of_sound("This program is free software.")


@pytest.mark.parametrize(
    ("licence", "free"),
    [
        ("GPL-2+", True),
        ("CC-BY-SA-3.0, public-domain", True),
        ("CC0-1.0", True),
        ("CC-BY-4.0 or other-terms", True),
        ("CC-BY-NC-3.0", False),
        ("CC-BY-ND-4.0", False),
        ("GPL-2+ and non-free", False),
        ("", False),
    ],
)
def test_every_one_of_several_licences_has_to_be_free(licence, free):
    assert is_free(licence) is free


def test_a_folder_is_packed_without_what_is_short_or_silent(tmp_path, tone):
    tone(tmp_path / "mine" / "a" / "long.wav", duration_s=21.0)
    tone(tmp_path / "mine" / "short.wav", duration_s=2.0)
    (tmp_path / "mine" / "broken.ogg").write_bytes(b"no sound")
    found = pack_folder(tmp_path / "mine", tmp_path / "out")
    assert (found.n_recordings, found.licence) == (1, "your own")
    with np.load(tmp_path / "out" / "mine" / "a" / "long.npz") as kept:
        assert len(kept["spectrogram"]) == 84
        assert kept["harmony"].shape == (36, kept["spectrogram"].shape[1])
    assert "mine,your own,1,21.0," in (tmp_path / "out" / TABLE).read_text()


def test_a_folder_without_music_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="holds no music of 20 s"):
        pack_folder(tmp_path / "empty", tmp_path / "out")


def test_packages_are_unpacked_once_and_those_that_are_not_free_left_out(
    tmp_path, tone, monkeypatch
):
    asked = []

    def run(command, place):
        if command[0] == "apt-get":
            asked.append(command[-1])
            if command[-1] == "absent":
                raise subprocess.CalledProcessError(100, command)
            (place / f"{command[-1]}.deb").touch()
            return
        package = command[2].removesuffix(".deb")
        told = place / "unpacked" / "usr" / "share" / "doc" / package / "copyright"
        told.parent.mkdir(parents=True)
        told.write_text(COPYRIGHT.format("CC-BY-NC-3.0" if package == "bound" else "CC0-1.0"))
        tone(place / "song.wav", duration_s=21.0)
        games = place / "unpacked" / "usr" / "share" / "games"
        games.mkdir(parents=True)
        with zipfile.ZipFile(games / "music.pk3", "w") as archive:  # as many games have it
            archive.write(place / "song.wav", "song.wav")

    monkeypatch.setattr(music, "_run", run)
    packages = ("free-music", "bound", "absent")
    for _ in range(2):
        free, bound, absent = gather(tmp_path / "out", packages)
        assert (free.n_recordings, free.licence) == (1, "CC0-1.0")
        assert bound.left_out == "its licence does not allow it"
        assert not bound.n_recordings
        assert absent.left_out == "cannot be downloaded and unpacked"
    assert asked == ["free-music", "bound", "absent", "absent"]
    assert [path.stem for path in tmp_path.rglob("*.npz")] == ["song"]
