"""A catalog on a PostgreSQL server, lent to every call."""

from indexer import Catalog, build
from retrieval.finding.links import Links, read_links, write_links
from retrieval.ranking.ranking import PLAIN
from retrieval.service.shelf import Shelf
from tests.conftest import FakeEmbedder, tone


def test_a_catalog_on_a_server_is_lent_and_seen_to_change(server, tmp_path):
    address, embedder = server.emptied(), FakeEmbedder()
    tone(tmp_path / "a.wav", seed=1)
    with Catalog.write(address, embedder) as catalog:
        list(build(catalog, embedder, [tmp_path]))
    shelf = Shelf(address, "fake")
    before = shelf.stamp()
    with shelf.reader() as catalog:
        assert [track.path.name for track in catalog.tracks()] == ["a.wav"]
        (track,) = catalog.tracks()
        write_links(catalog, PLAIN, Links(asked={track.id: track.audio_hash}))
        assert read_links(catalog, PLAIN).asked == {track.id: track.audio_hash}
    assert shelf.stamp() == before
    with Catalog.write(address) as catalog:
        catalog.set_labels({track.id: "Ode"})
    assert shelf.stamp() != before
    with shelf.reader() as catalog:
        assert catalog.labels() == {track.id: "Ode"}
    shelf.close()
