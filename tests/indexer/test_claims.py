"""Several processes that index the same folders into one catalog on a server."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from indexer import Added, Catalog, Unchanged, Updated, build, carry_out, claimed, plan
from indexer.claims import LostClaimError
from indexer.scan import AudioFile
from indexer.tags import Tags
from indexer.writer import MovedTrackError
from tests.conftest import FakeEmbedder
from tests.indexer.conftest import by_two_at_once
from tests.indexer.test_reader import store

ROOT = Path(__file__).parents[2]
CHILD = """
import os, sys
from pathlib import Path
from indexer import Address, Catalog, build
from tests.conftest import FakeEmbedder

class Mortal(FakeEmbedder):
    def embed(self, recordings, *, tempo=1.0):
        if len(self.heard) >= int(sys.argv[3]):
            os._exit(9)
        return super().embed(recordings, tempo=tempo)

with Catalog.write(Address(sys.argv[1]), Mortal()) as catalog:
    for event in build(catalog, Mortal(), [Path(sys.argv[2])]):
        print(event.path, flush=True)
"""


@pytest.fixture
def address(server, fake_embedder):
    address = server.emptied()
    Catalog.write(address, fake_embedder).close()
    return address


def content(address):
    """What a catalog holds, without the ids."""
    with Catalog.open(address) as catalog:
        return {
            track.path: catalog.embeddings(track.id).tobytes() for track in catalog.tracks()
        }, len(catalog.tracks())


def calm(server, many):
    """What one process alone makes of the same files."""
    address = server.fresh()
    embedder = FakeEmbedder()
    with Catalog.write(address, embedder) as catalog:
        list(build(catalog, embedder, [many]))
    return content(address)


def test_two_at_once_do_every_file_once(server, address, many):
    embedders, found = by_two_at_once(address, many)
    heard = Counter(path for embedder in embedders for path in embedder.heard)
    assert (len(heard), set(heard.values())) == (27, {1})  # copies are no work
    added = [event.path for events in found for event in events if isinstance(event, Added)]
    assert sorted(added) == sorted(many.rglob("*.wav"))
    for events in found:
        assert sorted(event.path for event in events) == sorted(many.rglob("*.wav"))
    assert content(address) == calm(server, many)


def test_one_that_dies_loses_nothing(server, address, many, fake_embedder):
    arguments = [sys.executable, "-c", CHILD, address.text, str(many), "12"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with Catalog.write(address, fake_embedder) as catalog:
        died = subprocess.run(arguments, env=environment, check=False, capture_output=True)
        assert died.returncode == 9, died.stderr
        done = len(died.stdout.splitlines())
        events = list(build(catalog, fake_embedder, [many]))
    assert 0 < done < 12
    assert sum(isinstance(event, Added) for event in events) == 30 - done
    assert content(address) == calm(server, many)


def test_who_is_done_waits_for_the_last_files_of_others(address, many, fake_embedder, monkeypatch):
    with Catalog.write(address) as other, Catalog.write(address, fake_embedder) as catalog:
        held = other.claiming([many])
        claims = held.__enter__()
        claims.offer(sorted(many.rglob("*.wav")))
        slow, slept = claims.take(2), []

        def sleep(seconds):
            slept.append(seconds)
            held.__exit__(None, None, None)  # the other ends without having done them

        monkeypatch.setattr(claimed.time, "sleep", sleep)
        events = [event.path for event in build(catalog, fake_embedder, [many])]
    assert len(slept) == 1
    assert set(events[-2:]) == set(slow)
    assert len(events) == 30


def test_an_interrupted_build_gives_back_what_it_took(address, many, fake_embedder):
    with Catalog.write(address, fake_embedder) as catalog, Catalog.write(address) as other:
        events = build(catalog, fake_embedder, [many])
        next(events)
        events.close()
        with other.claiming([many]) as claims:
            assert len(claims.take(100)) == 29


def test_nothing_is_taken_but_what_lies_below_the_own_folders(address, tmp_path):
    names = ["a/1.wav", "a/b/2.wav", "a.wav", "ab/3.wav", "c.wav"]
    with (
        Catalog.write(address) as one,
        one.claiming([tmp_path / "a", tmp_path / "c.wav"]) as claims,
    ):
        claims.offer(tmp_path / name for name in names)
        taken = claims.take(100)
    assert [str(path.relative_to(tmp_path)) for path in taken] == ["a/1.wav", "a/b/2.wav", "c.wav"]


def test_many_offers_are_counted_so_that_none_are_sorted_to_take_some(server, address, tmp_path):
    with Catalog.write(address) as one, one.claiming([tmp_path]) as claims:
        claims.offer(tmp_path / f"{number}.wav" for number in range(20_000))
        counted = "SELECT reltuples FROM pg_class WHERE relname = 'claim'"
        assert server.execute(counted, "shared") == [(20_000.0,)]
        assert claims.take(1) == [tmp_path / "0.wav"]


def test_a_file_that_was_offered_and_deleted_since_is_dropped(address, many, fake_embedder):
    with Catalog.write(address, fake_embedder) as catalog:
        with catalog.claiming([many]) as claims:
            claims.offer([many / "gone.wav"])
        events = list(build(catalog, fake_embedder, [many]))
        with catalog.claiming([many]) as claims:
            assert not claims.are_left()
    assert len(events) == 30


def test_a_file_that_only_another_found_is_done(address, many, fake_embedder, tone):
    late = tone(many / "late.wav", seed=99)
    with Catalog.write(address, fake_embedder) as catalog:
        with catalog.claiming([many]) as claims:
            claims.offer([late])
        late.rename(many / "hidden")
        events = build(catalog, fake_embedder, [many])
        first = next(events)  # the scan is over
        (many / "hidden").rename(late)
        assert late in {first.path, *(event.path for event in events)}


def test_what_was_taken_over_is_not_stored(server, address, unit):
    folders, path = [Path("/music")], Path("/music/x")
    with (
        Catalog.write(address) as one,
        Catalog.write(address) as other,
        one.claiming(folders) as claims,
        other.claiming(folders) as others,
    ):
        claims.offer([path])
        assert claims.take(1) == [path]
        assert others.take(1) == []
        held = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE objid = {claims._me}"
        server.execute(held, "shared")  # as where the network was away for long
        assert others.take(1) == [path]
        with pytest.raises(LostClaimError):
            store(one, "x", unit(1, 8))
        assert one.tracks() == []
        store(other, "x", unit(1, 8))
        claims.offer([path.with_name("y")])
        assert claims.take(1) == [path.with_name("y")]  # it has come back to life
        assert others.take(1) == []
        assert len(one.tracks()) == 1


def test_copies_are_not_embedded_at_once(address):
    folders, paths = [Path("/music")], [Path("/music/a"), Path("/music/b")]
    with (
        Catalog.write(address) as one,
        Catalog.write(address) as other,
        one.claiming(folders) as claims,
        other.claiming(folders) as others,
    ):
        claims.offer(paths)
        assert claims.take(1) + others.take(1) == paths
        assert claims.reserve(paths[0], "same")
        assert not others.reserve(paths[1], "same")
        others.put_back(paths[1], "same")
        assert others.take(1) == []
        claims.drop(paths[0])
        assert others.take(1) == paths[1:]
        assert others.reserve(paths[1], "same")


def test_one_track_is_not_given_to_two_new_names(address, fake_embedder, tone, tmp_path):
    """Two processes find two new names of one file that is gone."""
    old = tone(tmp_path / "m" / "old.wav", seed=1)
    with Catalog.write(address, fake_embedder) as catalog:
        list(build(catalog, fake_embedder, [tmp_path / "m"]))
        (track,) = catalog.tracks()
        first, second = (
            AudioFile(tmp_path / "m" / name, 1, 1, track.audio_hash) for name in ("1.wav", "2.wav")
        )
        catalog.describe(track.id, first, Tags("first"), old)
        with pytest.raises(MovedTrackError):
            catalog.describe(track.id, second, Tags("second"), old)
        tone(tmp_path / "m" / "1.wav", seed=1)
        old.unlink()
        tone(tmp_path / "m" / "2.wav", seed=1)
        events = {
            event.path.name: type(event)
            for event in build(catalog, fake_embedder, [tmp_path / "m"])
        }
    assert events == {"1.wav": Updated, "2.wav": Added}
    assert len(fake_embedder.heard) == 1


def test_what_another_stored_since_the_scan_is_left_alone(address, many, fake_embedder):
    other = FakeEmbedder()
    with Catalog.write(address, fake_embedder) as slow, Catalog.write(address, other) as quick:
        planned = plan(slow, [many])
        list(build(quick, other, [many]))
        events = list(carry_out(slow, fake_embedder, planned))
    assert {type(event) for event in events} == {Unchanged}
    assert fake_embedder.heard == []
