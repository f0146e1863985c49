"""Folders into the catalog: scan → embed → store, file by file, in the order of the scan.

A file that the catalog knows by size and date is left alone. Any other is hashed: a recording
that is known by its hash is only described anew, or copied; what is left is embedded. Each file
is stored in a transaction of its own, so a run that is cut short loses only what it was doing,
and the next one goes on from there to the same end. Into a catalog on a server any number of
processes may index the same folders: they share the files out.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from indexer.address import Address
from indexer.claimed import ClaimedRun
from indexer.cluster import Cluster, ClusterRun
from indexer.embedder import Embedder
from indexer.errors import ClusterError
from indexer.events import Event
from indexer.reader import Reader
from indexer.remote import find_files
from indexer.run import Plan, Run, is_complete, likeness
from indexer.scan import AudioFile, absolute, is_remote
from indexer.writer import Writer


def plan(
    catalog: Reader,
    folders: Iterable[Path],
    *,
    again: bool = False,
    rescan: bool = False,
    n_jobs: int | None = None,
) -> Plan:
    """Scan folders and count what a build would have to do; nothing is read but names.

    Parameters
    ----------
    catalog : Reader
        What is known already.
    folders : iterable of Path
        Where to look.
    again : bool
        Whether tracks of which the catalog keeps no recording are to be decoded again.
    rescan : bool
        Whether every file is to be read, though its size and date are as they were: what was
        changed in place, with its date set back, is found only so.
    n_jobs : int, optional
        How many files are to be decoded at once; as many as there are cores, up to eight, if not
        given.

    Returns
    -------
    Plan
        For `carry_out`.

    Raises
    ------
    FolderError
        If a folder is missing, unreadable, or holds no audio.
    """
    folders = tuple(absolute(folder) for folder in folders)
    found = tuple(find_files(folders))
    files = [file for file in found if isinstance(file, AudioFile)]
    same = {likeness(known.file) for known in catalog.known() if is_complete(known, again)}
    same |= {likeness(skipped.file) for skipped in catalog.skipped()}
    n_unchanged = sum(likeness(file) in same for file in files)
    return Plan(folders, found, len(files), n_unchanged, again, rescan, n_jobs)


def build(
    catalog: Writer, embedder: Embedder, folders: Iterable[Path], *, prune: bool = False
) -> Iterator[Event]:
    """Bring the catalog up to date with some folders: `carry_out` of their `plan`."""
    yield from carry_out(catalog, embedder, plan(catalog, folders), prune=prune)


def carry_out(
    catalog: Writer,
    embedder: Embedder,
    plan: Plan,
    *,
    prune: bool = False,
    cluster: Cluster | None = None,
) -> Iterator[Event]:
    """Bring the catalog up to date with what was found.

    Parameters
    ----------
    catalog : Writer
        From `Catalog.write`.
    embedder : Embedder
        The one that the catalog was opened with.
    plan : Plan
        What was found.
    prune : bool
        Whether tracks whose file is gone are deleted, and not just marked.
    cluster : Cluster or None
        Where to embed, if not here; the catalog must be on a server.

    Yields
    ------
    Event
        One per file found, after it was stored by this process or another, then one per track
        whose file is gone.

    Raises
    ------
    CatalogWriteError
        If the catalog cannot be written; what was stored before is safe.
    ClusterError
        If the cluster cannot be reached, or its workers fail.
    FolderError
        If tracks are to be deleted and all of a folder's files are gone: its disk is probably
        not mounted.
    """
    catalog.add_roots(folder for folder in plan.folders if _is_folder(folder))
    if cluster is not None and not isinstance(catalog.place, Address):
        raise ClusterError("--ray needs a catalog on a server: --catalog postgresql://USER@HOST/DB")
    if isinstance(catalog.place, Address):
        with catalog.claiming(plan.folders) as claims:
            here = (catalog, embedder, plan, claims)
            run: Run = ClaimedRun(*here) if cluster is None else ClusterRun(*here, cluster)
            yield from run.files()
    else:
        run = Run(catalog, embedder, plan)
        yield from run.files()
    yield from run.vanished(prune=prune)


def _is_folder(folder: Path) -> bool:
    return is_remote(folder) or folder.is_dir()
