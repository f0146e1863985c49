"""A folder of music becomes a catalog that can be searched.

The door of the room; what lies behind it is loaded when it is asked for, so that importing the
room is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexer.address import Address
    from indexer.catalog import Catalog
    from indexer.cluster import Cluster
    from indexer.duplicates import duplicate_groups
    from indexer.embedder import Embedder
    from indexer.errors import (
        CatalogError,
        CatalogWriteError,
        ClusterError,
        DamagedCatalogError,
        FilterError,
        FolderError,
        ForeignEmbedderError,
        IndexerError,
        LabelError,
        NewerSchemaError,
        NoCatalogError,
        VectorStoreError,
    )
    from indexer.events import Added, Event, Missing, Removed, Skipped, Tally, Unchanged, Updated
    from indexer.filters import Filter
    from indexer.ingest import build, carry_out, plan
    from indexer.labels import label, read_rows
    from indexer.pages import Page, page
    from indexer.places import cache_root, catalog_place
    from indexer.reader import Reader
    from indexer.records import (
        FRAME_RATE,
        N_ROWS,
        CatalogStats,
        Embedded,
        KeptRecording,
        Recording,
        Track,
    )
    from indexer.reembedding import reembed
    from indexer.remote import find_files
    from indexer.run import Plan
    from indexer.scan import AUDIO_SUFFIXES, AudioFile, find_audio, hash_audio
    from indexer.tables import stats_row, track_rows, track_table
    from indexer.writer import Writer

__all__ = [
    "AUDIO_SUFFIXES",
    "FRAME_RATE",
    "N_ROWS",
    "Added",
    "Address",
    "AudioFile",
    "Catalog",
    "CatalogError",
    "CatalogStats",
    "CatalogWriteError",
    "Cluster",
    "ClusterError",
    "DamagedCatalogError",
    "Embedded",
    "Embedder",
    "Event",
    "Filter",
    "FilterError",
    "FolderError",
    "ForeignEmbedderError",
    "IndexerError",
    "KeptRecording",
    "LabelError",
    "Missing",
    "NewerSchemaError",
    "NoCatalogError",
    "Page",
    "Plan",
    "Reader",
    "Recording",
    "Removed",
    "Skipped",
    "Tally",
    "Track",
    "Unchanged",
    "Updated",
    "VectorStoreError",
    "Writer",
    "build",
    "cache_root",
    "carry_out",
    "catalog_place",
    "duplicate_groups",
    "find_audio",
    "find_files",
    "hash_audio",
    "label",
    "page",
    "plan",
    "read_rows",
    "reembed",
    "stats_row",
    "track_rows",
    "track_table",
]

_HOMES = {
    "address": "Address",
    "ingest": "build carry_out plan",
    "catalog": "Catalog",
    "cluster": "Cluster",
    "duplicates": "duplicate_groups",
    "embedder": "Embedder",
    "errors": "CatalogError CatalogWriteError ClusterError DamagedCatalogError FilterError "
    "FolderError ForeignEmbedderError IndexerError LabelError NewerSchemaError NoCatalogError "
    "VectorStoreError",
    "filters": "Filter",
    "events": "Added Event Missing Removed Skipped Tally Unchanged Updated",
    "labels": "label read_rows",
    "pages": "Page page",
    "places": "cache_root catalog_place",
    "reembedding": "reembed",
    "remote": "find_files",
    "run": "Plan",
    "reader": "Reader",
    "records": "FRAME_RATE N_ROWS CatalogStats Embedded KeptRecording Recording Track",
    "scan": "AUDIO_SUFFIXES AudioFile find_audio hash_audio",
    "tables": "stats_row track_rows track_table",
    "writer": "Writer",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a door opens on anything)
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
