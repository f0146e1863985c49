"""Where a benchmark's embeddings are kept between runs: a catalog outside the data set."""

import hashlib
import os
import re
import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from indexer import AudioFile, Plan, Writer, cache_root, plan
from retrieval.benchmarks.base import Benchmark
from retrieval.errors import BenchmarkError


def cache_folder(benchmark: Benchmark, embedder_name: str, *, fresh: bool = False) -> Path:
    """Name the folder of the catalog for a data set and an embedder.

    Parameters
    ----------
    benchmark : Benchmark
        Its name and root decide.
    embedder_name : str
        With the hash of its weights, so that new weights never meet old embeddings.
    fresh : bool, optional
        Whether to delete what is there, as is needed after a change of the code that embeds.

    Returns
    -------
    Path
        In `$PEMR_CACHE`, or the user's cache folder.
    """
    above = cache_root(os.environ.get("PEMR_CACHE"))
    root = hashlib.sha256(os.fsencode(benchmark.root)).hexdigest()[:12]
    embedder = re.sub(r"[^\w.@-]", "_", embedder_name)
    name = f"{benchmark.card.name}-{root}-{embedder}-{version('pemr-covers')}"
    folder = above / "benchmarks" / name
    if fresh and folder.is_dir():
        shutil.rmtree(folder)
    return folder


def embedding_plan(catalog: Writer, benchmark: Benchmark) -> Plan:
    """Plan to embed what the benchmark names and nothing else that lies beside it.

    Parameters
    ----------
    catalog : Writer
        Of the cache.
    benchmark : Benchmark
        Of audio.

    Returns
    -------
    Plan
        For `indexer.carry_out`; what is embedded already takes no time.

    Raises
    ------
    BenchmarkError
        If it ships no audio, or none of its audio is there.
    """
    if not benchmark.card.has_audio:
        raise BenchmarkError(f"{benchmark.card.name} ships features, and this needs audio")
    wanted = {performance.path for performance in benchmark.present}
    if not wanted:
        raise BenchmarkError(
            f"none of the {len(benchmark.performances)} performances of "
            f"{benchmark.card.name} is here; it expects {benchmark.card.layout}",
            benchmark.root,
        )
    inside = {path for path in wanted if path and path.is_relative_to(benchmark.root)}
    outside = sorted(path for path in wanted if path and path not in inside)
    whole = plan(catalog, [benchmark.root, *outside] if inside else outside)
    found = tuple(file for file in whole.found if file.path in wanted)
    known = {(k.file.path, k.file.size_bytes, k.file.mtime_ns) for k in catalog.known()}
    same = [
        isinstance(file, AudioFile) and (file.path, file.size_bytes, file.mtime_ns) in known
        for file in found
    ]
    return replace(whole, found=found, n_files=len(found), n_unchanged=sum(same))
