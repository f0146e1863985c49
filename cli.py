"""pemr on the command line: parse, open, call, show.

The rooms are imported inside the commands, so that `pemr --help` does not pay for torch.
"""

from retrieval.reporting import terminal  # isort: split

terminal.begin()  # before what takes its time: an interrupt may come early

from contextlib import contextmanager, suppress  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Annotated, Any, TypeVar  # noqa: E402

import typer  # noqa: E402
from typer import Argument, Option  # noqa: E402
from typer.core import TyperGroup  # noqa: E402

from retrieval.reporting import options as opt  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from indexer import Address, Catalog, Event, Filter, Tally
    from pemr import Embedder
    from pemr.training.data import Prepared, Rejected
    from retrieval import Benchmark

Told = TypeVar("Told")


class _Commands(TyperGroup):
    """The one place where an error becomes a sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 (the context's class has moved before)
        from indexer.errors import IndexerError
        from pemr.errors import PemrError
        from retrieval.errors import RetrievalError

        try:
            return super().invoke(ctx)
        except (PemrError, IndexerError, RetrievalError) as error:
            if _verbosity >= 2:
                raise
            terminal.say(f"pemr: {error}")
            raise typer.Exit(1) from error
        except OSError as error:
            if _verbosity >= 2 or isinstance(error, BrokenPipeError):
                raise
            terminal.say(f"pemr: {error}")
            raise typer.Exit(1) from error
        except KeyboardInterrupt as interrupt:
            _say(terminal.INTERRUPTED)
            raise typer.Exit(130) from interrupt


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Find the other recordings of the same composition in a folder of music.",
    epilog="Start with: pemr index ~/Music   then: pemr search song.mp3",
)
_verbosity = 0
_quiet = False

Text = str | None
File = Path | None
Files = list[Path] | None


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        terminal.answer(f"pemr {version('pemr-covers')}\n")
        raise typer.Exit


@app.callback()
def main(
    quiet: Annotated[bool, Option("--quiet", "-q", help="Nothing but answers and errors.")] = False,
    verbose: Annotated[
        int, Option("--verbose", "-v", count=True, help="More; -vv with tracebacks.")
    ] = 0,
    version: Annotated[  # noqa: ARG001 (the callback of the option acts)
        bool, Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Set how much is said, for every command."""
    import logging

    global _verbosity, _quiet
    _verbosity, _quiet = verbose, quiet
    terminal.prepare_streams()
    terminal.obey_signals("" if quiet else f"{terminal.INTERRUPTED}\n")
    level = (
        logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    )
    handler = logging.StreamHandler()
    handler.setFormatter(terminal.SafeFormatter("pemr: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _say(sentence: str) -> None:
    """Tell people something; answers alone go to standard output."""
    if not _quiet:
        terminal.say(sentence)


def _embedder_for(
    where: "Path | Address", asked: str | None, device: str | None, batch_size: int | None = None
) -> "Embedder":
    """Load the embedder asked for, or else the catalog's, or else the best there is."""
    from indexer import Catalog, NoCatalogError
    from pemr import load_embedder, preset_of

    if asked is None:
        with suppress(NoCatalogError):
            asked = preset_of(Catalog.embedder_of(where))
    return load_embedder(asked, device, batch_size)


@contextmanager
def _asked(
    catalog: str | None, embedder: str | None, device: str | None
) -> "Iterator[tuple[Catalog, Embedder]]":
    """Open a catalog for reading, with the embedder that it was made with."""
    from indexer import Catalog, catalog_place

    where = catalog_place(catalog)
    encoder = _embedder_for(where, embedder, device)
    with Catalog.open(where, encoder.name) as opened:
        yield opened, encoder


def _watch(
    told: "Iterable[Told]",
    n_told: int | None,
    unit: str,
    say: "Callable[[Told], str] | None" = None,
) -> "Iterator[Told]":
    """Draw a bar along a long job, unless nothing is to be said."""
    return terminal.watch(told, n_told, unit, say, is_quiet=_quiet)


def _follow(events: "Iterable[Event]", n_files: int) -> "Tally":
    """Watch what becomes of the files of a job, and count it."""
    from indexer import Tally

    tally = Tally()
    for event in _watch(events, n_files, "tracks", lambda _: f"{tally.speed:.0f} s of audio/s"):
        tally.count(event)
    return tally


def _form(**asked: bool) -> str:
    """Name the form that was asked for; a table where none was."""
    return next((form for form, is_asked in asked.items() if is_asked), "table")


def _show(answer: Any, *, as_json: bool = False, as_csv: bool = False) -> None:  # noqa: ANN401
    """Print rows that a room made, or one row, as a table, JSON or CSV."""
    from retrieval import laid_out

    terminal.answer(laid_out(answer, _form(json=as_json, csv=as_csv)))


@app.command()
def index(
    folders: Annotated[list[Path], Argument(help="Folders of music, single files, or s3://….")],
    catalog: opt.CatalogPlace = None,
    embedder: opt.EmbedderName = None,
    device: opt.Device = None,
    prune: Annotated[bool, Option("--prune", help=opt.PRUNE)] = False,
    again: Annotated[bool, Option("--again", help="Decode what has no recording.")] = False,
    rescan: Annotated[bool, Option("--rescan", help=opt.RESCAN)] = False,
    strict: Annotated[bool, Option("--strict", help=opt.STRICT)] = False,
    vectors: opt.Vectors = None,
    ray: Annotated[Text, Option("--ray", metavar="ADDRESS", help=opt.RAY)] = None,
    workers: Annotated[int | None, Option("--workers", min=1, help=opt.RAY_WORKERS)] = None,
    jobs: Annotated[int | None, Option("--jobs", "-j", min=1, help=opt.DECODED)] = None,
    batch_size: Annotated[int | None, Option("--batch-size", min=1, help=opt.BATCH)] = None,
    as_json: opt.AsJson = False,
) -> None:
    """Add folders of music to the catalog, or bring it up to date with them.

    Only what is new or changed is decoded. Stop it at any time; the same command goes on.

    Example: pemr index ~/Music
    """
    from indexer import Catalog, Cluster, carry_out, catalog_place, find_files, plan
    from pemr import load_embedder

    where = catalog_place(catalog)
    encoder = _embedder_for(where, embedder, device, batch_size)
    load = partial(load_embedder, embedder or encoder.name, device, batch_size)
    cluster = Cluster(ray, load, workers) if ray else None
    next(find_files(folders), None)  # a wrong folder is told before a catalog is made
    with Catalog.write(where, encoder) as opened:
        opened.keep_vectors(vectors)
        planned = plan(opened, folders, again=again, rescan=rescan, n_jobs=jobs)
        told = carry_out(opened, encoder, planned, prune=prune, cluster=cluster)
        tally = _follow(told, planned.n_files)
    _show(tally.row(), as_json=as_json)
    if strict and (tally.skipped or tally.n_damaged):
        n_bad, n_damaged = len(tally.skipped), tally.n_damaged
        terminal.say(f"pemr: {n_bad} files failed, {n_damaged} are damaged (`pemr list --damaged`)")
        raise typer.Exit(1)


@app.command()
@opt.filtered
def search(
    query: Annotated[Path, Argument(help="A recording, in the catalog or not.")],
    wanted: "Filter",
    catalog: opt.CatalogPlace = None,
    embedder: opt.EmbedderName = None,
    top: Annotated[int, Option("--top", "-n", min=1, help="How many candidates.")] = 10,
    min_probability: Annotated[
        float, Option(min=0.0, max=1.0, help="What a candidate needs to be listed.")
    ] = 0.5,
    everything: Annotated[bool, Option("--all", help="List the unlikely ones too.")] = False,
    picture: Annotated[File, Option("--picture", help="Draw where the best one agrees.")] = None,
    without: opt.Without = None,
    only: opt.Only = "",
    device: opt.Device = None,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
    as_m3u: opt.AsM3u = False,
    all_copies: Annotated[bool, Option("--all-copies", help=opt.COPIES)] = False,
) -> None:
    """Find the performances of the query's work in the catalog, or say that there is none.

    A query that is in the catalog is not its own answer.

    Example: pemr search song.mp3 --top 5
    """
    from retrieval import chosen, copies, draw_best, judge, read_query, verdict_text
    from retrieval import search as rank_candidates

    with _asked(catalog, embedder, device) as (opened, encoder):
        ranking = chosen(encoder.ranking, without or (), only)
        asked = read_query(opened, encoder, query, ranking)
        candidates = rank_candidates(
            opened, asked, ranking, n_candidates=top, all_copies=all_copies, wanted=wanted
        )
        for copy in copies(opened, asked):
            _say(f"left out, a copy of the query: {copy.path}")
        verdict = judge(candidates, min_probability, everything=everything)
        if picture is not None:
            draw_best(opened, asked, verdict, ranking, name=query.name, out=picture)
            _say(f"wrote {picture}")
    terminal.answer(verdict_text(verdict, _form(m3u=as_m3u, json=as_json, csv=as_csv)))


@app.command()
def compare(
    first: Annotated[Path, Argument(help="A recording.")],
    second: Annotated[Path, Argument(help="Another one.")],
    embedder: opt.EmbedderName = None,
    device: opt.Device = None,
    as_json: opt.AsJson = False,
) -> None:
    """Ask whether two files are performances of one work, and where they agree; no catalog needed.

    Example: pemr compare studio.mp3 concert.mp3
    """
    from pemr import load_embedder
    from retrieval import agreement_text, compare_files, ranking_from

    encoder = load_embedder(embedder, device)
    found = compare_files(encoder, first, second, ranking_from(encoder.ranking))
    terminal.answer(agreement_text(found, _form(json=as_json)))


@app.command()
def setlist(
    source: Annotated[Path, Argument(help="A recording of any length; - for standard input.")],
    catalog: opt.CatalogPlace = None,
    embedder: opt.EmbedderName = None,
    device: opt.Device = None,
    min_probability: opt.MinProbability = 0.35,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
    as_cue: Annotated[bool, Option("--cue", help="Print a cue sheet.")] = False,
    picture: Annotated[File, Option("--picture", help="Draw it as a line of time.")] = None,
) -> None:
    """Find which works of the catalog occur in a concert, a mix or a broadcast, and when.

    Example: pemr setlist concert.mp3 --cue > concert.cue
    """
    from retrieval import draw_setlist, ranking_from, recognise, setlist_text

    with _asked(catalog, embedder, device) as (opened, encoder):
        heard = typer.get_binary_stream("stdin") if str(source) == "-" else source
        ranking = ranking_from(encoder.ranking)
        found = recognise(opened, encoder, heard, ranking, min_probability=min_probability)
    form = _form(cue=as_cue, json=as_json, csv=as_csv)
    terminal.answer(setlist_text(found, form, source.name))
    if picture is not None:
        draw_setlist(found, source.name, picture)
        _say(f"wrote {picture}")


@app.command("group")
def group_tracks(
    catalog: opt.CatalogPlace = None,
    embedder: opt.EmbedderName = None,
    min_probability: opt.MinProbability = 0.5,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
) -> None:
    """Group the whole catalog by works; what represents a group has a star.

    Only new tracks are compared. Stop it at any time; the same command goes on.

    Example: pemr group --csv > works.csv
    """
    from retrieval import group, group_rows, group_table, ranking_from

    with _asked(catalog, embedder, "cpu") as (opened, encoder):
        ranking = ranking_from(encoder.ranking)
        watch = partial(_watch, n_told=opened.n_sounding(), unit="tracks")
        found = group(opened, ranking, min_probability=min_probability, watch=watch)
    if not found:
        _say("no two tracks are likely to be of one work")
    rows = group_rows(found) if as_json or as_csv else group_table(found)
    _show(rows, as_json=as_json, as_csv=as_csv)


@app.command("serve")
def serve_page(
    catalog: opt.CatalogPlace = None,
    embedder: opt.EmbedderName = None,
    device: opt.Device = None,
    host: Annotated[str, Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, Option("--port", min=0, max=65535, help="0 for any.")] = 8765,
    token: Annotated[Text, Option(envvar="PEMR_TOKEN", help="What requests must carry.")] = None,
    max_upload: Annotated[int, Option("--max-upload", min=1, help="Largest upload, in MB.")] = 512,
) -> None:
    """Serve a web page to search the catalog and listen to what is found, until Ctrl-C.

    Example: pemr serve --port 8765
    """
    from indexer import catalog_place
    from pemr import load_embedder, opus_stream
    from retrieval import Place, serve

    where = catalog_place(catalog)
    load = partial(load_embedder, embedder or _embedder_for(where, None, device).name, device)
    place = Place(host=host, port=port, token=token, upload_mb=max_upload)
    serve(where, load, opus_stream, place, _say)


@app.command("list")
@opt.filtered
def list_tracks(
    wanted: "Filter",
    catalog: opt.CatalogPlace = None,
    duplicates: Annotated[bool, Option("--duplicates", help=opt.DUPLICATES)] = False,
    damaged: Annotated[bool, Option("--damaged", help=opt.DAMAGED)] = False,
    limit: Annotated[int | None, Option("--limit", min=1, help="List so many at most.")] = None,
    offset: Annotated[int, Option("--offset", min=0, help="Leave out so many before.")] = 0,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
    as_m3u: opt.AsM3u = False,
) -> None:
    """List the catalog's tracks in order of their paths; JSON and CSV say all that is known.

    Example: pemr list --artist Bach --m3u > bach.m3u
    """
    from indexer import Catalog, catalog_place, page
    from retrieval import tracks_text

    which = {"is_damaged": damaged, "is_copied": duplicates}
    with Catalog.open(catalog_place(catalog)) as opened:
        found = page(opened, wanted, **which, offset=offset, limit=limit)
    terminal.answer(tracks_text(found.tracks, _form(m3u=as_m3u, json=as_json, csv=as_csv)))
    if not found.tracks:
        _say("no such track")
    elif len(found.tracks) < found.n_tracks:
        _say(f"{len(found.tracks)} of {found.n_tracks} tracks")


@app.command("duplicates")
def duplicated(
    catalog: opt.CatalogPlace = None,
    exact: Annotated[bool, Option("--exact", help="Only the same packets; quick.")] = False,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
) -> None:
    """Group tracks that are one recording: copies of a file, and other encodings of it.

    Example: pemr duplicates --csv > duplicates.csv
    """
    from indexer import Catalog, catalog_place
    from retrieval import PLAIN, duplicate_rows, find_duplicates

    with Catalog.open(catalog_place(catalog)) as opened:
        watch = partial(_watch, n_told=opened.n_sounding(), unit="tracks")
        found = find_duplicates(opened, PLAIN, is_exact=exact, watch=watch)
    if not found:
        _say("no recording is in the catalog twice")
    _show(duplicate_rows(found), as_json=as_json, as_csv=as_csv)


@app.command()
def info(
    catalog: opt.CatalogPlace = None,
    system: Annotated[bool, Option("--system", help="Describe the installation instead.")] = False,
    as_json: opt.AsJson = False,
) -> None:
    """Describe the catalog, or the installation.

    Example: pemr info --system
    """
    from indexer import Catalog, catalog_place, stats_row

    if system:
        from pemr import embedder_names
        from retrieval import system_row

        row = {**system_row(), "embedders": ", ".join(embedder_names())}
    else:
        with Catalog.open(catalog_place(catalog)) as opened:
            row = {"catalog": str(opened.place), **stats_row(opened.stats())}
    _show(row, as_json=as_json)


@app.command()
def remove(
    paths: Annotated[list[Path], Argument(help="Files, or folders with all below them.")],
    catalog: opt.CatalogPlace = None,
) -> None:
    """Forget tracks; the files themselves stay.

    Example: pemr remove ~/Music/Podcasts
    """
    from indexer import Catalog, CatalogError, catalog_place

    with Catalog.write(catalog_place(catalog)) as opened:
        for path in paths:
            if not (n_removed := opened.remove(path)):
                raise CatalogError(opened.place, f"holds no track {path}")
            _say(f"removed {n_removed} from the catalog: {path}")


@app.command()
def reembed(
    catalog: opt.CatalogPlace = None,
    embedder: opt.EmbedderName = None,
    device: opt.Device = None,
    as_json: opt.AsJson = False,
) -> None:
    """Change the catalog over to another embedder; the old one answers until it is done.

    Stop it at any time; the same command goes on.

    Example: pemr reembed --embedder cover
    """
    from indexer import Catalog, catalog_place
    from indexer import reembed as change_over
    from pemr import load_embedder

    where = catalog_place(catalog)
    with Catalog.open(where) as opened:
        n_tracks = opened.stats().n_tracks
    tally = _follow(change_over(where, load_embedder(embedder, device)), n_tracks)
    _show(tally.row(), as_json=as_json)


@app.command()
def repair(
    catalog: opt.CatalogPlace = None,
    vectors: opt.Vectors = None,
    snapshot: Annotated[bool, Option("--snapshot", help=opt.SNAPSHOT)] = False,
    as_json: opt.AsJson = False,
) -> None:
    """Make what is searched anew from the database, or move it; nothing is decoded.

    Cut short, the same command goes on where it was.

    Example: pemr repair --vectors qdrant://localhost:6333/music
    """
    from indexer import Catalog, catalog_place

    with Catalog.write(catalog_place(catalog)) as opened:
        opened.keep_vectors(vectors)
        for _ in _watch(opened.refill(), None, "batches"):
            pass
        row = {"vectors": opened.vectors_at, "tracks": opened.n_sounding()}
        if snapshot:
            row["snapshot"] = opened.copied_vectors()
    _show(row, as_json=as_json)


@app.command()
def label(
    source: Annotated[Path, Argument(help="CSV with the columns path and work.")],
    catalog: opt.CatalogPlace = None,
) -> None:
    """Say which tracks are performances of which work.

    Example: pemr label works.csv
    """
    from indexer import Catalog, catalog_place
    from indexer import label as set_labels

    with Catalog.write(catalog_place(catalog)) as opened:
        unknown = set_labels(opened, source)
        n_labelled = opened.stats().n_labelled
    for path in unknown:
        _say(f"not in the catalog: {path}")
    _say(f"{n_labelled} tracks of the catalog are labelled")


def _show_report(
    told: "Iterable[Any]",
    data: "Benchmark",
    command: str,
    out: Path | None,
    picture: Path | None,
    *,
    as_json: bool,
) -> None:
    """Watch a measurement, print its figures and what they rest on, and write the files."""
    from retrieval import draw_scores, report_text, trace, write_report

    *_, report = _watch(told, len(data.present), "performances")
    if out is not None:
        for path in write_report(report, trace(command), out, data.root):
            _say(f"wrote {path}")
    if picture is not None:
        draw_scores(report, picture)
        _say(f"wrote {picture}")
    terminal.answer(report_text(report, _form(json=as_json)))


@app.command()
def evaluate(
    folder: Annotated[Path, Argument(help="A sub-folder for each work.")],
    embedder: opt.EmbedderName = None,
    without: opt.Without = None,
    only: opt.Only = "",
    device: opt.Device = None,
    fresh: opt.Fresh = False,
    out: opt.ReportFolder = None,
    picture: opt.ScoresPicture = None,
    as_json: opt.AsJson = False,
) -> None:
    """Measure how well the performances of a work find each other: `benchmark run folder`.

    Example: pemr evaluate ~/covers --out report
    """
    from pemr import load_embedder
    from retrieval import cache_folder, chosen, command_line, load_benchmark, measure

    options = {"--embedder": embedder, "--without": without, "--only": only or None}
    command = command_line("pemr evaluate", folder, options)
    data, encoder = load_benchmark("folder", folder), load_embedder(embedder, device)
    ranking = chosen(encoder.ranking, without or (), only)
    cache = cache_folder(data, encoder.name, fresh=fresh)
    told = measure(data, encoder, ranking, cache=cache)
    _show_report(told, data, command, out, picture, as_json=as_json)


benchmark = typer.Typer(no_args_is_help=True, help="Measure on data sets as they are distributed.")
app.add_typer(benchmark, name="benchmark")


@benchmark.command("run")
def benchmark_run(
    name: opt.BenchmarkName,
    root: opt.Root,
    subset: opt.Subset = None,
    convention: opt.Convention = None,
    embedder: opt.EmbedderName = None,
    without: opt.Without = None,
    only: opt.Only = "",
    embeddings: Annotated[File, Option("--embeddings", help=opt.EMBEDDINGS)] = None,
    device: opt.Device = None,
    fresh: opt.Fresh = False,
    out: opt.ReportFolder = None,
    picture: opt.ScoresPicture = None,
    as_json: opt.AsJson = False,
) -> None:
    """Rank a data set exactly and completely, and report every figure with its interval.

    Embeddings are kept in the user's cache folder, so a second run goes on where one was stopped.

    Example: pemr benchmark run covers80 --root covers80 --convention 160 --out report
    """
    from pemr import load_embedder
    from retrieval import cache_folder, chosen, command_line, load_benchmark, measure, measure_file

    data = load_benchmark(name, root, subset, convention)
    options: dict[str, object] = {"--subset": data.subset, "--convention": data.convention}
    if embeddings is not None:
        options |= {"--embeddings": embeddings.name}
        told: Iterable[Any] = measure_file(data, embeddings)
    else:
        options |= {"--embedder": embedder, "--without": without, "--only": only or None}
        encoder = load_embedder(embedder, device)
        ranking = chosen(encoder.ranking, without or (), only)
        cache = cache_folder(data, encoder.name, fresh=fresh)
        told = measure(data, encoder, ranking, cache=cache)
    command = command_line(f"pemr benchmark run {name} --root", root, options)
    _show_report(told, data, command, out, picture, as_json=as_json)


@benchmark.command("excerpts")
def benchmark_excerpts(
    name: opt.BenchmarkName,
    root: opt.Root,
    subset: opt.Subset = None,
    convention: opt.Convention = None,
    embedder: opt.EmbedderName = None,
    device: opt.Device = None,
    fresh: opt.Fresh = False,
    out: opt.RowsFile = None,
    as_json: opt.AsJson = False,
) -> None:
    """Measure excerpts of 5 to 90 s: the best match of two, and a random one against whole tracks.

    Example: pemr benchmark excerpts covers80 --root covers80
    """
    from pemr import load_embedder
    from retrieval import (
        cache_folder,
        command_line,
        excerpt_rows,
        load_benchmark,
        measure_excerpts,
        trace,
        write_rows,
    )

    data = load_benchmark(name, root, subset, convention)
    options = {"--subset": data.subset, "--convention": data.convention, "--embedder": embedder}
    command = command_line(f"pemr benchmark excerpts {name} --root", root, options)
    encoder = load_embedder(embedder, device)
    cache = cache_folder(data, encoder.name, fresh=fresh)
    told = measure_excerpts(data, encoder, cache=cache)
    rows = excerpt_rows(_watch(told, len(data.present), "performances"))
    if out is not None:
        write_rows(rows, encoder.name, trace(command), out)
    _show(rows, as_json=as_json)


@benchmark.command("list")
def benchmark_list(as_json: opt.AsJson = False, as_csv: opt.AsCsv = False) -> None:
    """List the data sets that can be measured on, with their licences and sources.

    Example: pemr benchmark list --csv
    """
    from retrieval import benchmark_rows

    _show(benchmark_rows(), as_json=as_json, as_csv=as_csv)


@benchmark.command("missing")
def benchmark_missing(
    name: opt.BenchmarkName,
    root: opt.Root,
    subset: opt.Subset = None,
    convention: opt.Convention = None,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
) -> None:
    """List what a data set names and its folder does not hold, and where to look for it.

    Nothing is downloaded.

    Example: pemr benchmark missing shs100k --root SHS100K --csv
    """
    from retrieval import load_benchmark, missing_rows

    chosen = load_benchmark(name, root, subset, convention)
    _show(missing_rows(chosen), as_json=as_json, as_csv=as_csv)
    n_missing, n_all = len(chosen.missing), len(chosen.performances)
    _say(f"{n_missing} of {n_all} performances are missing")


@benchmark.command("compare")
def benchmark_compare(
    first: Annotated[Path, Argument(help="A report.json.")],
    second: Annotated[Path, Argument(help="Another one of the same data set.")],
    as_json: opt.AsJson = False,
) -> None:
    """Say what the second report gains over the first, query by query.

    Example: pemr benchmark compare ftm2d/report.json cover/report.json
    """
    from retrieval import compare, comparison_text, read_report

    found = compare(read_report(first), read_report(second))
    terminal.answer(comparison_text(found, _form(json=as_json)))


def _usable(told: "Iterable[Prepared | Rejected]") -> "list[Prepared]":
    """Watch the decoding of a training set, and keep what can be used."""
    from pemr.training.data import Prepared

    return [one for one in _watch(told, None, "files") if isinstance(one, Prepared)]


@app.command()
def pretrain(
    folder: Annotated[Path, Argument(help="Folder of music; no labels are needed.")],
    out: opt.NewCheckpoint,
    preset: Annotated[str, Option("--preset", help="paper, paper-2021, cover or tiny.")] = "paper",
    split: Annotated[str | None, Option("--split", help=opt.SPLIT)] = None,
    cache: opt.Cache = None,
    device: opt.Device = None,
    workers: opt.Workers = None,
    batch_size: Annotated[
        int | None, Option("--batch-size", min=2, help="Recordings a step.")
    ] = None,
    seed: opt.Seed = None,
    log: Annotated[File, Option("--log", help="Folder for a TensorBoard log.")] = None,
    as_json: opt.AsJson = False,
) -> None:
    """Pretrain an encoder on any folder of music, as PEMR does.

    Stop it at any time; the same command goes on. Start it with torchrun for several GPUs.

    Example: pemr pretrain ~/Music --preset tiny --out checkpoint
    """
    from pemr.presets import named
    from pemr.training.journal import run_row
    from pemr.training.machine import find_machine
    from pemr.training.probing.parts import training_files
    from pemr.training.runs import pretrain_on

    config, machine = named(preset, batch_size, seed), find_machine(device, workers)
    cache = cache or out.with_name(f"{out.name}.cache")
    paths = training_files(folder, config.front_end, split)
    told = pretrain_on(paths, out, config, machine, cache=cache, log=log)
    row = run_row(_watch(told, None, "steps", str))
    if machine.is_first:
        _show({**row, "checkpoint": str(out)}, as_json=as_json)


@app.command()
def finetune(
    out: opt.NewCheckpoint,
    corpus: Annotated[
        Files, Option("--corpus", help="manifest.jsonl of a corpus; may be repeated.")
    ] = None,
    cliques: Annotated[Files, Option("--cliques", help=opt.CLIQUES)] = None,
    dev: Annotated[Files, Option("--dev", help=opt.DEV)] = None,
    init: Annotated[File, Option("--init", help=opt.INIT)] = None,
    settle: Annotated[File, Option("--settle", help=opt.SETTLE)] = None,
    preset: Annotated[str, Option("--preset", help="cover, or a variant of it.")] = "cover",
    cache: opt.Cache = None,
    device: opt.Device = None,
    workers: opt.Workers = None,
    batch_size: Annotated[int | None, Option("--batch-size", min=2, help="Cliques a step.")] = None,
    seed: opt.Seed = None,
    as_json: opt.AsJson = False,
) -> None:
    """Train the cover encoder on cliques: a corpus, or your own labelled recordings.

    Stop it at any time; the same command goes on. Start it with torchrun for several GPUs.

    Example: pemr finetune --cliques mine.csv --init shipped --preset cover-continued --out tuned
    """
    from pemr.presets import for_finetuning
    from pemr.training.journal import run_row
    from pemr.training.machine import find_machine
    from pemr.training.runs import CliqueFiles, finetune_on
    from pemr.training.start import continuing
    from retrieval import validation_score

    config = continuing(for_finetuning(preset, batch_size, seed), init)
    machine = find_machine(device, workers)
    cache = cache or out.with_name(f"{out.name}.cache")
    sources = [*(corpus or ()), *(cliques or ())]
    if not sources:
        raise typer.BadParameter("say what to train on: --corpus MANIFEST or --cliques CSV")
    files = CliqueFiles(training=sources, validation=dev or (), unlabelled=settle, cache=cache)
    told = finetune_on(files, out, config, machine, measure=validation_score, init=init)
    row = run_row(_watch(told, None, "steps", str))
    if machine.is_first:
        _show({**row, "checkpoint": str(out / "best")}, as_json=as_json)


@app.command()
def join(
    first: Annotated[Path, Argument(help="Checkpoint that pemr finetune wrote.")],
    second: Annotated[Path, Argument(help="Another, trained otherwise.")],
    corpus: Annotated[Path, Option("--corpus", help="manifest.jsonl of a corpus, to whiten on.")],
    out: opt.NewCheckpoint,
    device: opt.Device = None,
    workers: opt.Workers = None,
) -> None:
    """Make one encoder of two: both hear every segment, their embeddings side by side.

    Example: pemr join narrow/best wide/best --corpus train/manifest.jsonl --out joined
    """
    from pemr.training.cliques import read_manifest, usable
    from pemr.training.joining import join_checkpoints
    from pemr.training.machine import find_machine

    machine = find_machine(device, workers)
    join_checkpoints(first, second, usable(read_manifest(corpus)), out, machine)
    _say(f"wrote {out}")


@app.command()
def export(
    checkpoint: opt.CheckpointFolder,
    onnx: Annotated[File, Option("--onnx", help="ONNX file to write.")] = None,
    weights: Annotated[File, Option("--weights", help="Folder for half-precision weights.")] = None,
) -> None:
    """Write a fine-tuned encoder for other runtimes, or as weights to ship.

    Example: pemr export --checkpoint tuned/best --onnx cover.onnx
    """
    from pemr.export import export_onnx, export_weights

    if onnx is None and weights is None:
        raise typer.BadParameter("say what to write: --onnx FILE, --weights FOLDER")
    if onnx is not None:
        export_onnx(checkpoint, onnx)
        _say(f"wrote {onnx}")
    if weights is not None:
        _say(f"wrote {export_weights(checkpoint, weights)}")


@app.command()
def probe(
    dataset: Annotated[str, Argument(help="magnatagatune or gtzan.")],
    root: opt.Root,
    checkpoint: opt.CheckpointFolder,
    fine_tune: Annotated[bool, Option("--fine-tune", help="Train the encoder too.")] = False,
    labels: Annotated[float, Option(min=0.001, max=1.0, help="Share of the training clips.")] = 1.0,
    cache: opt.Cache = None,
    device: opt.Device = None,
    workers: opt.Workers = None,
    seed: Annotated[int, Option("--seed", help="Of every random draw.")] = 42,
    as_json: opt.AsJson = False,
) -> None:
    """Measure how well a pretrained encoder classifies music.

    Example: pemr probe gtzan --root ~/data/gtzan --checkpoint checkpoint --labels 0.1
    """
    from dataclasses import asdict

    from pemr.model.encoder import pretrained_encoder
    from pemr.training.data import prepare_files
    from pemr.training.machine import find_machine
    from pemr.training.probing.probe import MAX_EPOCHS, ProbeOptions
    from pemr.training.probing.probe import probe as train
    from pemr.training.probing.tagging import labelled_set

    labelled, (encoder, config) = labelled_set(dataset, root), pretrained_encoder(checkpoint)
    machine = find_machine(device, workers)
    cache = cache or checkpoint.with_name(f"{checkpoint.name}.{dataset}")
    told = prepare_files(labelled.paths, config.front_end, cache, machine.n_workers)
    options = ProbeOptions(fine_tune=fine_tune, label_share=labels, seed=seed)
    events = train(encoder, config, labelled, _usable(told), machine, options)
    *_, report = _watch(events, MAX_EPOCHS, "epochs", str)
    _show(asdict(report), as_json=as_json)


@app.command()
def mask(
    song: Annotated[Path, Argument(help="A recording.")],
    checkpoint: opt.CheckpointFolder,
    out: Annotated[Path, Option("--out", help="Picture to write: .png, .svg or .pdf.")],
    start: Annotated[float, Option("--start", min=0.0, help="Second to start at.")] = 0.0,
) -> None:
    """Draw what a pretrained model calls essential in a recording.

    Example: pemr mask song.mp3 --checkpoint checkpoint --out mask.png
    """
    from pemr.picture import draw_mask, masked_stretch

    draw_mask(masked_stretch(song, checkpoint, start), song.name, out)
    _say(f"wrote {out}")


corpus = typer.Typer(no_args_is_help=True, help="Make recordings of covers from scores.")
app.add_typer(corpus, name="corpus")


@corpus.command("demo")
def corpus_demo(
    folder: Annotated[Path, Argument(help="Where to write; a folder for each work.")],
    seed: Annotated[int, Option("--seed", help="Another seed, other performances.")] = 0,
    jobs: opt.Jobs = 2,
) -> None:
    """Write a dozen old tunes in four performances each, and some unrelated ones.

    Example: pemr corpus demo demo/music
    """
    from pemr.corpus.demo import N_FILES, write_demo

    list(_watch(write_demo(folder, seed, jobs), N_FILES, "files"))
    _say(f"{N_FILES} recordings in {folder}")


@corpus.command("music")
def corpus_music(
    out: Annotated[Path, Option("--out", help="Folder of the packed recordings.")],
    folder: Annotated[
        File, Option("--folder", help="Music of your own, in place of Debian's packages.")
    ] = None,
) -> None:
    """Pack real music to pretrain on: free music of Debian's games, or a folder of your own.

    Packages are downloaded and unpacked, never installed; licences.csv tells each one's licence.

    Example: pemr corpus music --out music
    """
    from pemr.corpus.music import gather, pack_folder

    told = [pack_folder(folder, out)] if folder else _watch(gather(out), None, "packages")
    for one in list(told):
        _say(str(one))


@corpus.command("build")
def corpus_build(
    scores: opt.Scores,
    out: Annotated[Path, Option("--out", help="Folder of the corpus.")],
    split: Annotated[str, Option("--split", help="train, dev, test or human.")] = "train",
    works: Annotated[int, Option("--works", min=1, help="Works to take.")] = 120,
    performances: Annotated[int, Option("--performances", min=1, help="Performances of each.")] = 4,
    noise: Annotated[
        int, Option("--noise", min=0, help="Further works of one performance each.")
    ] = 0,
    difficulty: Annotated[str, Option(help="standard, brutal or mixed.")] = "standard",
    seed: Annotated[int, Option("--seed", help="Another seed, another corpus.")] = 0,
    soundfont: opt.SoundFonts = None,
    audio: Annotated[bool, Option("--audio", help="Write FLAC beside the spectrograms.")] = False,
    sketch: Annotated[
        bool, Option("--sketch", help="Spectrograms from notes, without sound.")
    ] = False,
    cache: opt.Parsed = None,
    jobs: opt.Jobs = 2,
) -> None:
    """Turn scores into recordings of covers, with a manifest of what was done to each.

    Stop it at any time; the same command goes on.

    Example: pemr corpus build --scores scores --out corpora/dev --split dev --noise 120
    """
    from pemr.corpus.build import Order, build
    from pemr.corpus.notes.works import works as sort_into_works
    from pemr.corpus.sounding.soundfont import choose_fonts

    order = Order(
        split=split, n_works=works, n_performances=performances, n_noise=noise, seed=seed,
        difficulty=difficulty, fonts=() if sketch else choose_fonts(soundfont),
        has_audio=audio, is_sketched=sketch,
    )  # fmt: skip
    found = sort_into_works(scores, cache or out.parent, jobs)
    list(_watch(build(found, order, out, jobs), order.n_total, "files"))
    _say(f"{order.n_total} performances in {out}")


@corpus.command("play")
def corpus_play(
    folder: Annotated[Path, Argument(help="A corpus.")],
    work: Annotated[str, Argument(help="Name of a work, or the start of one.")],
    out: Annotated[Path, Option("--out", help="Folder for the FLAC files.")],
    scores: opt.Scores,
    soundfont: opt.SoundFonts = None,
    cache: opt.Parsed = None,
) -> None:
    """Write the performances of one work of a corpus as FLAC, to listen to.

    Example: pemr corpus play corpora/dev pop909-012 --scores scores --out listen
    """
    from pemr.corpus.build import play
    from pemr.corpus.notes.works import works as sort_into_works

    found = sort_into_works(scores, cache or folder.parent)
    for path in play(found, folder, work, out, soundfont):
        terminal.answer(f"{path}\n")


if __name__ == "__main__":
    app()
