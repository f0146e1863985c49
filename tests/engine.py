"""A Qdrant in this process in place of a server, for catalogs whose vectors are at an address."""

import pytest

from indexer import afar
from indexer.errors import VectorStoreError

ADDRESS = "qdrant://in.process:6333/tracks"


@pytest.fixture
def engine(monkeypatch):
    """The class of engines that a catalog connects to: it counts what is put, and can be away."""
    qdrant_client = pytest.importorskip("qdrant_client", reason="the extra [qdrant] is absent")
    from indexer.stores.qdrant.address import CollectionAddress, collection_address
    from indexer.stores.qdrant.points import QdrantEngine

    client = qdrant_client.QdrantClient(":memory:")

    class InProcess(QdrantEngine):
        is_away = False
        n_put = 0

        def __init__(self, address: CollectionAddress) -> None:
            if InProcess.is_away:
                raise VectorStoreError(str(address), "no server can be reached there")
            super().__init__(client, address)

        @classmethod
        def opened(cls) -> "InProcess":
            return cls(collection_address(ADDRESS))

        def put(self, points):
            InProcess.n_put += len(points)
            super().put(points)

        def close(self) -> None:
            """Stay: the next one who connects asks the same client."""

    monkeypatch.setattr(afar, "connect", InProcess)
    return InProcess
