"""pemr on the command line: parse, open, call, show.

The rooms are imported inside the commands, so that `pemr --help` does not pay for torch.
"""

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from indexer import Event, Tally
    from pemr import Embedder
    from pemr.training.data import Prepared, Rejected
    from retrieval import Benchmark, Ranking, Report, Run, Scorer

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
            typer.echo(f"pemr: {error}", err=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as interrupt:
            typer.echo(
                "pemr: interrupted; what was done is kept, the same command goes on", err=True
            )
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

CatalogFolder = Annotated[
    Path | None,
    typer.Option(
        "--catalog",
        envvar="PEMR_CATALOG",
        help="Folder of the catalog. [default: the platform's user data folder]",
        show_default=False,
    ),
]
EmbedderName = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        help="ftm2d, cover, or the folder of a tuned checkpoint. "
        "[default: the catalog's, or the best]",
    ),
]
Device = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda, mps. [default: a GPU when there is one]")
]
Without = Annotated[
    list[str] | None,
    typer.Option(
        "--without", help="Leave out tempos, hubs, neighbours or alignment; may be repeated."
    ),
]
Only = Annotated[str, typer.Option("--only", help="Rank by alignment alone; every pair, so slow.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"pemr {version('pemr-covers')}")
        raise typer.Exit


@app.callback()
def main(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no chatter.")] = False,
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Say more; -vv shows tracebacks.")
    ] = 0,
    version: Annotated[  # noqa: ARG001 (the callback of the option acts)
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Set how much is said, for every command."""
    import logging

    global _verbosity, _quiet
    _verbosity, _quiet = verbose, quiet
    for stream in (sys.stdout, sys.stderr):  # file names may hold bytes that are no text
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")
    level = (
        logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    )
    logging.basicConfig(level=level, format="pemr: %(message)s", stream=sys.stderr, force=True)


def _catalog_folder(given: Path | None) -> Path:
    if given is not None:
        return given
    from platformdirs import user_data_path

    return user_data_path("pemr", appauthor=False)


def _embedder_for(folder: Path, asked: str | None, device: str | None) -> "Embedder":
    """Load the embedder asked for, or else the catalog's, or else the best there is."""
    from indexer import Catalog, NoCatalogError
    from pemr import load_embedder

    if asked is None:
        try:
            asked = Catalog.embedder_of(folder).partition("@")[0]
        except NoCatalogError:
            asked = None
    return load_embedder(asked, device)


def _follow(events: "Iterable[Event]", n_files: int) -> "Tally":
    """Draw a bar along a long job, say what was skipped, and count what happened."""
    from tqdm import tqdm

    from indexer import Tally

    tally = Tally()
    with tqdm(total=n_files, unit=" tracks", disable=True if _quiet else None) as bar:
        for event in events:
            tally.count(event)
            bar.update()
            bar.set_postfix_str(f"{tally.speed:.0f} s of audio/s", refresh=False)
    for skipped in tally.skipped:
        typer.echo(f"skipped {skipped.path}: {skipped.reason}", err=True)
    return tally


def _print_rows(
    rows: "Sequence[Mapping[str, Any]]", *, as_json: bool = False, as_csv: bool = False
) -> None:
    """Print rows that a room made: a table for people, JSON or CSV for programs."""
    if as_json:
        import json

        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False, default=str))
        return
    columns = list(rows[0]) if rows else []
    if as_csv:
        import csv

        writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return
    cells = [columns, *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        typer.echo("  ".join(map(str.ljust, line, widths)).rstrip())


def _print_row(row: "Mapping[str, Any]", *, as_json: bool) -> None:
    """Print one row upright: a line for each of its values."""
    if as_json:
        import json

        typer.echo(json.dumps(row, indent=1, ensure_ascii=False, default=str))
        return
    width = max(map(len, row))
    for key, value in row.items():
        typer.echo(f"{key.ljust(width)}  {_cell(value)}")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)


@app.command()
def index(
    folders: Annotated[list[Path], typer.Argument(help="Folders of music, or single files.")],
    catalog: CatalogFolder = None,
    embedder: EmbedderName = None,
    device: Device = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete tracks whose file is gone, not just mark them.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Decode what has no recording.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if files failed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add folders of music to the catalog, or bring it up to date with them.

    Only what is new or changed is decoded. Stop it at any time; the same command goes on.

    Example: pemr index ~/Music
    """
    from indexer import Catalog, carry_out, plan, scan

    folder = _catalog_folder(catalog)
    encoder = _embedder_for(folder, embedder, device)
    next(scan(folders), None)  # a wrong folder is told before a catalog is made
    with Catalog.open(folder, encoder.name, encoder.dim, create=True) as opened:
        planned = plan(opened, folders, again=again)
        tally = _follow(carry_out(opened, encoder, planned, prune=prune), planned.n_files)
    _print_row(tally.row(), as_json=as_json)
    if strict and tally.skipped:
        raise typer.Exit(1)


@app.command()
def search(
    query: Annotated[Path, typer.Argument(help="A recording, in the catalog or not.")],
    catalog: CatalogFolder = None,
    embedder: EmbedderName = None,
    top: Annotated[int, typer.Option("--top", "-n", min=1, help="How many candidates.")] = 10,
    without: Without = None,
    only: Only = "",
    device: Device = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    as_m3u: Annotated[bool, typer.Option("--m3u", help="Print a playlist.")] = False,
) -> None:
    """Rank the catalog's tracks as performances of the query's work.

    A query that is in the catalog is not its own answer.

    Example: pemr search song.mp3 --top 5
    """
    from indexer import Catalog
    from retrieval import candidate_rows, candidate_table, chosen, copies, m3u, read_query
    from retrieval import search as rank_candidates

    folder = _catalog_folder(catalog)
    encoder = _embedder_for(folder, embedder, device)
    ranking = chosen(encoder.ranking, without or (), only)
    with Catalog.open(folder, encoder.name, read_only=True) as opened:
        asked = read_query(opened, encoder, query, ranking)
        candidates = rank_candidates(opened, asked, ranking, n_candidates=top)
        for copy in copies(opened, asked):
            typer.echo(f"left out, a copy of the query: {copy.path}", err=True)
    if as_m3u:
        typer.echo(m3u(candidates), nl=False)
        return
    rows = candidate_rows(candidates) if as_json or as_csv else candidate_table(candidates)
    _print_rows(rows, as_json=as_json, as_csv=as_csv)


@app.command("list")
def list_tracks(
    catalog: CatalogFolder = None,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Only tracks that hold the same recording.")
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List the catalog's tracks in order of their paths.

    Example: pemr list --csv
    """
    from indexer import Catalog, duplicate_groups, track_rows

    with Catalog.open(_catalog_folder(catalog), read_only=True) as opened:
        if duplicates:
            tracks = [track for group in duplicate_groups(opened) for track in group]
        else:
            tracks = sorted(opened.tracks(), key=lambda track: bytes(track.path))
    _print_rows(track_rows(tracks), as_json=as_json, as_csv=as_csv)


@app.command()
def info(
    catalog: CatalogFolder = None,
    system: Annotated[
        bool, typer.Option("--system", help="Describe the installation instead of the catalog.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Describe the catalog, or the installation.

    Example: pemr info --system
    """
    from indexer import Catalog, stats_row

    if system:
        from pemr import embedder_names
        from retrieval import system_row

        row = {**system_row(), "embedders": ", ".join(embedder_names())}
    else:
        with Catalog.open(_catalog_folder(catalog), read_only=True) as opened:
            row = {"catalog": str(opened.path), **stats_row(opened.stats())}
    _print_row(row, as_json=as_json)


@app.command()
def remove(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders with all below them.")],
    catalog: CatalogFolder = None,
) -> None:
    """Forget tracks; the files themselves stay.

    Example: pemr remove ~/Music/Podcasts
    """
    from indexer import Catalog, CatalogError

    with Catalog.open(_catalog_folder(catalog)) as opened:
        for path in paths:
            if not (n_removed := opened.remove(path)):
                raise CatalogError(opened.path, f"holds no track {path}")
            typer.echo(f"removed {n_removed} from the catalog: {path}", err=True)


@app.command()
def reembed(
    catalog: CatalogFolder = None,
    embedder: EmbedderName = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Change the catalog over to another embedder; the old one answers until it is done.

    Stop it at any time; the same command goes on.

    Example: pemr reembed --embedder cover
    """
    from indexer import Catalog
    from indexer import reembed as change_over
    from pemr import load_embedder

    folder = _catalog_folder(catalog)
    with Catalog.open(folder, read_only=True) as opened:
        n_tracks = opened.stats().n_tracks
    tally = _follow(change_over(folder, load_embedder(embedder, device)), n_tracks)
    _print_row(tally.row(), as_json=as_json)


@app.command()
def label(
    source: Annotated[Path, typer.Argument(help="CSV with the columns path and work.")],
    catalog: CatalogFolder = None,
) -> None:
    """Say which tracks are performances of which work.

    Example: pemr label works.csv
    """
    from indexer import Catalog
    from indexer import label as set_labels

    with Catalog.open(_catalog_folder(catalog)) as opened:
        unknown = set_labels(opened, source)
        n_labelled = opened.stats().n_labelled
    for path in unknown:
        typer.echo(f"not in the catalog: {path}", err=True)
    typer.echo(f"{n_labelled} tracks of the catalog are labelled", err=True)


def _measure(
    benchmark: "Benchmark", encoder: "Embedder", ranking: "Ranking", command: str, *, fresh: bool
) -> "Report":
    """Embed what a benchmark names into its cache, and rank all of it."""
    from indexer import Catalog, carry_out
    from retrieval import cache_folder, catalog_scorer, embedding_plan, feature_scorer, trace

    run = trace(command, encoder.name, ranking)
    if not benchmark.card.has_audio:
        scorer = feature_scorer(benchmark, encoder, ranking)
        return _rank(benchmark, scorer, run)
    folder = cache_folder(benchmark, encoder.name, fresh=fresh)
    with Catalog.open(folder, encoder.name, encoder.dim, create=True) as cache:
        planned = embedding_plan(cache, benchmark)
        _follow(carry_out(cache, encoder, planned), planned.n_files)
        return _rank(benchmark, catalog_scorer(cache, benchmark, ranking, encoder), run)


def _rank(benchmark: "Benchmark", scorer: "Scorer", run: "Run") -> "Report":
    """Rank all candidates for all queries, with a bar."""
    from tqdm import tqdm

    from retrieval import prepare, rank_all, report_on

    trial = prepare(benchmark, scorer)
    ranked = []
    with tqdm(total=len(trial.queries), unit=" queries", disable=True if _quiet else None) as bar:
        for block in rank_all(trial):
            ranked.append(block)
            bar.update(len(block))
    return report_on(trial, ranked, run)


def _show_report(report: "Report", root: Path, out: Path | None, *, as_json: bool) -> None:
    """Print the figures and what they rest on, and write the files."""
    from retrieval import count_rows, final_line, heading, metric_rows, write_report

    if out is not None:
        for path in write_report(report, out, root):
            typer.echo(f"wrote {path}", err=True)
    if not as_json:
        typer.echo(heading(report))
    _print_rows(metric_rows(report), as_json=as_json)
    if not as_json:
        typer.echo()
        _print_rows(count_rows(report))
        typer.echo()
        typer.echo(final_line(report))


ReportFolder = Annotated[
    Path | None, typer.Option("--out", help="Write the report as JSON, Markdown and a web page.")
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Embed anew, as after a change of the code that embeds.")
]


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(help="A sub-folder for each work.")],
    embedder: EmbedderName = None,
    without: Without = None,
    only: Only = "",
    device: Device = None,
    fresh: Fresh = False,
    out: ReportFolder = None,
    as_json: AsJson = False,
) -> None:
    """Measure how well the performances of a work find each other: `benchmark run folder`.

    Example: pemr evaluate ~/covers --out report
    """
    from pemr import load_embedder
    from retrieval import chosen, command_line, load_benchmark

    options = {"--embedder": embedder, "--without": without, "--only": only or None}
    command = command_line("pemr evaluate", folder, options)
    benchmark = load_benchmark("folder", folder)
    encoder = load_embedder(embedder, device)
    ranking = chosen(encoder.ranking, without or (), only)
    report = _measure(benchmark, encoder, ranking, command, fresh=fresh)
    _show_report(report, benchmark.root, out, as_json=as_json)


benchmark = typer.Typer(no_args_is_help=True, help="Measure on data sets as they are distributed.")
app.add_typer(benchmark, name="benchmark")

BenchmarkName = Annotated[str, typer.Argument(help="One of `pemr benchmark list`.")]
BenchmarkRoot = Annotated[Path, typer.Option("--root", help="Where the data set lies.")]
Subset = Annotated[str | None, typer.Option("--subset", help="Part of it. [default: the test set]")]
Convention = Annotated[
    str | None, typer.Option("--convention", help="Who asks whom, or which feature is read.")
]


@benchmark.command("run")
def benchmark_run(
    name: BenchmarkName,
    root: BenchmarkRoot,
    subset: Subset = None,
    convention: Convention = None,
    embedder: EmbedderName = None,
    without: Without = None,
    only: Only = "",
    embeddings: Annotated[
        Path | None,
        typer.Option("--embeddings", help="Score this .npz or .h5 of any system instead of ours."),
    ] = None,
    device: Device = None,
    fresh: Fresh = False,
    out: ReportFolder = None,
    as_json: AsJson = False,
) -> None:
    """Rank a data set exactly and completely, and report every figure with its interval.

    Embeddings are kept in the user's cache folder, so a second run goes on where one was stopped.

    Example: pemr benchmark run covers80 --root covers80 --convention 160 --out report
    """
    from pemr import load_embedder
    from retrieval import chosen, command_line, load_benchmark, read_embeddings, trace

    data = load_benchmark(name, root, subset, convention)
    options: dict[str, object] = {"--subset": data.subset, "--convention": data.convention}
    start = f"pemr benchmark run {name} --root"
    if embeddings is not None:
        options["--embeddings"] = embeddings.name
        run = trace(command_line(start, root, options), embeddings.name)
        report = _rank(data, read_embeddings(embeddings), run)
    else:
        options |= {"--embedder": embedder, "--without": without, "--only": only or None}
        encoder = load_embedder(embedder, device)
        ranking = chosen(encoder.ranking, without or (), only)
        report = _measure(data, encoder, ranking, command_line(start, root, options), fresh=fresh)
    _show_report(report, data.root, out, as_json=as_json)


@benchmark.command("excerpts")
def benchmark_excerpts(
    name: BenchmarkName,
    root: BenchmarkRoot,
    subset: Subset = None,
    convention: Convention = None,
    embedder: EmbedderName = None,
    device: Device = None,
    fresh: Fresh = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the rows as JSON to this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure excerpts of 5 to 90 s: the best match of two, and a random one against whole tracks.

    Example: pemr benchmark excerpts covers80 --root covers80
    """
    from indexer import Catalog, carry_out
    from pemr import load_embedder
    from retrieval import (
        cache_folder,
        command_line,
        embedding_plan,
        excerpt_row,
        excerpt_scorers,
        load_benchmark,
        trace,
        write_rows,
    )

    chosen = load_benchmark(name, root, subset, convention)
    encoder = load_embedder(embedder, device)
    options = {"--subset": chosen.subset, "--convention": chosen.convention, "--embedder": embedder}
    run = trace(command_line(f"pemr benchmark excerpts {name} --root", root, options), encoder.name)
    folder = cache_folder(chosen, encoder.name, fresh=fresh)
    with Catalog.open(folder, encoder.name, encoder.dim, create=True) as cache:
        planned = embedding_plan(cache, chosen)
        _follow(carry_out(cache, encoder, planned), planned.n_files)
        rows = [
            excerpt_row(tau_s, scorer.protocol, _rank(chosen, scorer, run))
            for tau_s, scorer in excerpt_scorers(cache, encoder, chosen)
        ]
    if out is not None:
        write_rows(rows, run, out)
    _print_rows(rows, as_json=as_json)


@benchmark.command("list")
def benchmark_list(as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the data sets that can be measured on, with their licences and sources.

    Example: pemr benchmark list --csv
    """
    from retrieval import benchmark_rows

    _print_rows(benchmark_rows(), as_json=as_json, as_csv=as_csv)


@benchmark.command("missing")
def benchmark_missing(
    name: BenchmarkName,
    root: BenchmarkRoot,
    subset: Subset = None,
    convention: Convention = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List what a data set names and its folder does not hold, and where to look for it.

    Nothing is downloaded.

    Example: pemr benchmark missing shs100k --root SHS100K --csv
    """
    from retrieval import load_benchmark, missing_rows

    chosen = load_benchmark(name, root, subset, convention)
    _print_rows(missing_rows(chosen), as_json=as_json, as_csv=as_csv)
    n_missing, n_all = len(chosen.missing), len(chosen.performances)
    typer.echo(f"{n_missing} of {n_all} performances are missing", err=True)


@benchmark.command("compare")
def benchmark_compare(
    first: Annotated[Path, typer.Argument(help="A report.json.")],
    second: Annotated[Path, typer.Argument(help="Another one of the same data set.")],
) -> None:
    """Say what the second report gains over the first, query by query.

    Example: pemr benchmark compare ftm2d/report.json cover/report.json
    """
    from retrieval import changed_rows, compare, difference_rows, read_report

    comparison = compare(read_report(first), read_report(second))
    _print_rows(changed_rows(comparison))
    typer.echo()
    _print_rows(difference_rows(comparison))
    n_changed = len(comparison.changed)
    typer.echo(
        f"{n_changed} of {comparison.n_queries} queries changed; "
        f"{comparison.n_unpaired} were in one report only"
    )


Cache = Annotated[
    Path | None,
    typer.Option("--cache", help="Folder for decoded audio. [default: beside the checkpoint]"),
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Threads. [default: one a core]")
]
CheckpointFolder = Annotated[Path, typer.Option("--checkpoint", help="From pemr pretrain.")]


def _usable(told: "Iterable[Prepared | Rejected]") -> "list[Prepared]":
    """Draw a bar along the decoding of a training set, and say what cannot be used."""
    from tqdm import tqdm

    from pemr.training.data import Prepared

    usable = []
    for event in tqdm(told, unit=" files", disable=True if _quiet else None):
        if isinstance(event, Prepared):
            usable.append(event)
        else:
            typer.echo(f"skipped {event.path}: {event.reason}", err=True)
    return usable


def _train(events: "Iterable[Told]", n_events: int, unit: str) -> "list[Told]":
    """Draw a bar along a training, with its losses, and keep what it told."""
    from tqdm import tqdm

    told = []
    with tqdm(total=n_events, unit=unit, disable=True if _quiet else None) as bar:
        for event in events:
            told.append(event)
            bar.update()
            bar.set_postfix_str(str(event), refresh=False)
    return told


@app.command()
def pretrain(
    folder: Annotated[Path, typer.Argument(help="Folder of music; no labels are needed.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the checkpoint.")],
    preset: Annotated[
        str, typer.Option("--preset", help="paper, paper-2021, cover or tiny.")
    ] = "paper",
    cache: Cache = None,
    device: Device = None,
    workers: Workers = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=2, help="Recordings a step.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of every random draw.")] = None,
    log: Annotated[Path | None, typer.Option("--log", help="Folder for a TensorBoard log.")] = None,
    as_json: AsJson = False,
) -> None:
    """Pretrain an encoder on any folder of music, as PEMR does.

    Stop it at any time; the same command goes on. Start it with torchrun for several GPUs.

    Example: pemr pretrain ~/Music --preset tiny --out checkpoint
    """
    from pemr.presets import named
    from pemr.training.data import prepare
    from pemr.training.journal import logged, run_row
    from pemr.training.loop import train
    from pemr.training.machine import find_machine
    from pemr.training.pretrain import Pretraining

    config, machine = named(preset, batch_size, seed), find_machine(device, workers)
    cache = cache or out.with_name(f"{out.name}.cache")
    usable = _usable(prepare(folder, config.front_end, cache, machine.n_workers))
    events = train(Pretraining(usable, config), out, machine)
    if log and machine.is_first:
        events = logged(events, log)
    told = _train(events, config.pretrain.n_steps, " steps")
    if machine.is_first:
        _print_row({**run_row(told), "checkpoint": str(out)}, as_json=as_json)


@app.command()
def finetune(
    out: Annotated[Path, typer.Option("--out", help="Folder of the checkpoint.")],
    corpus: Annotated[
        list[Path] | None,
        typer.Option("--corpus", help="manifest.jsonl of a corpus; may be repeated."),
    ] = None,
    cliques: Annotated[
        list[Path] | None,
        typer.Option("--cliques", help="CSV with the columns path and clique; may be repeated."),
    ] = None,
    dev: Annotated[
        list[Path] | None,
        typer.Option(
            "--dev", help="Manifest, or CSV of cliques, to validate on; of several the mean counts."
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            "--init",
            help="Checkpoint to start from, pretrained or tuned; or shipped, the weights "
            "that come with pemr.",
        ),
    ] = None,
    settle: Annotated[
        Path | None,
        typer.Option(
            "--settle", help="Folder of music, no labels needed, whose batch statistics to take."
        ),
    ] = None,
    preset: Annotated[str, typer.Option("--preset", help="cover, or a variant of it.")] = "cover",
    cache: Cache = None,
    device: Device = None,
    workers: Workers = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=2, help="Cliques a step.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of every random draw.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train the cover encoder on cliques: a corpus, or your own labelled recordings.

    Stop it at any time; the same command goes on. Start it with torchrun for several GPUs.

    Example: pemr finetune --cliques mine.csv --init shipped --preset cover-continued --out tuned
    """
    from pemr.presets import for_finetuning
    from pemr.training.cliques import embedded, read_performances, usable
    from pemr.training.data import prepare
    from pemr.training.finetune import Finetuning
    from pemr.training.journal import run_row
    from pemr.training.loop import train
    from pemr.training.machine import find_machine
    from retrieval import validation_score

    config, machine = for_finetuning(preset, batch_size, seed), find_machine(device, workers)
    cache = cache or out.with_name(f"{out.name}.cache")
    sources = [*(corpus or ()), *(cliques or ())]
    if not sources:
        raise typer.BadParameter("say what to train on: --corpus MANIFEST or --cliques CSV")
    performances = [
        one for source in sources for one in read_performances(source, cache, machine.n_workers)
    ]
    judged = [read_performances(source, cache, machine.n_workers) for source in dev or ()]
    unlabelled = prepare(settle, config.front_end, cache, machine.n_workers) if settle else ()

    def score(embedder: "Embedder") -> float:
        return validation_score(
            [(embedded(embedder, one_set), [one.clique for one in one_set]) for one_set in judged]
        )

    task = Finetuning(
        cliques=usable(performances),
        config=config,
        score=score if judged else None,
        init=init,
        unlabelled=_usable(unlabelled),
    )
    told = _train(train(task, out, machine), config.finetune.n_steps, " steps")
    if machine.is_first:
        _print_row({**run_row(told), "checkpoint": str(out / "best")}, as_json=as_json)


@app.command()
def export(
    checkpoint: CheckpointFolder,
    onnx: Annotated[Path | None, typer.Option("--onnx", help="ONNX file to write.")] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Folder for half-precision weights.")
    ] = None,
) -> None:
    """Write a fine-tuned encoder for other runtimes, or as weights to ship.

    Example: pemr export --checkpoint tuned/best --onnx cover.onnx
    """
    from pemr.export import export_onnx, export_weights

    if onnx is None and weights is None:
        raise typer.BadParameter("say what to write: --onnx FILE, --weights FOLDER")
    if onnx is not None:
        export_onnx(checkpoint, onnx)
        typer.echo(f"wrote {onnx}", err=True)
    if weights is not None:
        typer.echo(f"wrote {export_weights(checkpoint, weights)}", err=True)


@app.command()
def probe(
    dataset: Annotated[str, typer.Argument(help="magnatagatune or gtzan.")],
    root: Annotated[Path, typer.Option("--root", help="Where the data set lies.")],
    checkpoint: CheckpointFolder,
    fine_tune: Annotated[
        bool, typer.Option("--fine-tune", help="Train the encoder too, not only a linear head.")
    ] = False,
    labels: Annotated[
        float, typer.Option("--labels", min=0.001, max=1.0, help="Share of the training clips.")
    ] = 1.0,
    cache: Cache = None,
    device: Device = None,
    workers: Workers = None,
    seed: Annotated[int, typer.Option("--seed", help="Of every random draw.")] = 42,
    as_json: AsJson = False,
) -> None:
    """Measure how well a pretrained encoder classifies music.

    Example: pemr probe gtzan --root ~/data/gtzan --checkpoint checkpoint --labels 0.1
    """
    from dataclasses import asdict

    from pemr.model.encoder import pretrained_encoder
    from pemr.training.data import prepare_files
    from pemr.training.machine import find_machine
    from pemr.training.probe import MAX_EPOCHS, ProbeOptions
    from pemr.training.probe import probe as train
    from pemr.training.tagging import labelled_set

    labelled, (encoder, config) = labelled_set(dataset, root), pretrained_encoder(checkpoint)
    machine = find_machine(device, workers)
    cache = cache or checkpoint.with_name(f"{checkpoint.name}.{dataset}")
    told = prepare_files(labelled.paths, config.front_end, cache, machine.n_workers)
    options = ProbeOptions(fine_tune=fine_tune, label_share=labels, seed=seed)
    events = train(encoder, config, labelled, _usable(told), machine, options)
    *_, report = _train(events, MAX_EPOCHS, " epochs")
    _print_row(asdict(report), as_json=as_json)


@app.command()
def mask(
    song: Annotated[Path, typer.Argument(help="A recording.")],
    checkpoint: CheckpointFolder,
    out: Annotated[Path, typer.Option("--out", help="Picture to write: .png, .svg or .pdf.")],
    start: Annotated[float, typer.Option("--start", min=0.0, help="Second to start at.")] = 0.0,
) -> None:
    """Draw what a pretrained model calls essential in a recording.

    Example: pemr mask song.mp3 --checkpoint checkpoint --out mask.png
    """
    from pemr.picture import draw_mask, masked_stretch

    draw_mask(masked_stretch(song, checkpoint, start), song.name, out)
    typer.echo(f"wrote {out}", err=True)


corpus = typer.Typer(no_args_is_help=True, help="Make recordings of covers from scores.")
app.add_typer(corpus, name="corpus")


@corpus.command("demo")
def corpus_demo(
    folder: Annotated[Path, typer.Argument(help="Where to write; a folder for each work.")],
    seed: Annotated[int, typer.Option("--seed", help="Another seed, other performances.")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")] = 2,
) -> None:
    """Write a dozen old tunes in four performances each, and some unrelated ones.

    Example: pemr corpus demo demo/music
    """
    from tqdm import tqdm

    from pemr.corpus.demo import N_FILES, write_demo

    written = write_demo(folder, seed, jobs)
    for _ in tqdm(written, total=N_FILES, unit=" files", disable=True if _quiet else None):
        pass
    typer.echo(f"{N_FILES} recordings in {folder}", err=True)


@corpus.command("build")
def corpus_build(
    scores: Annotated[Path, typer.Option("--scores", help="Folder of score archives.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the corpus.")],
    split: Annotated[str, typer.Option("--split", help="train, dev, test or human.")] = "train",
    works: Annotated[int, typer.Option("--works", min=1, help="Works to take.")] = 120,
    performances: Annotated[
        int, typer.Option("--performances", min=1, help="Performances of each.")
    ] = 4,
    noise: Annotated[
        int, typer.Option("--noise", min=0, help="Further works with one performance each.")
    ] = 0,
    difficulty: Annotated[
        str, typer.Option("--difficulty", help="standard, brutal or mixed.")
    ] = "standard",
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another corpus.")] = 0,
    soundfont: Annotated[
        list[Path] | None,
        typer.Option(
            "--soundfont",
            help="General MIDI SoundFont; may be repeated. [default: "
            "those in the usual places, or else the built-in synthesiser]",
        ),
    ] = None,
    audio: Annotated[
        bool, typer.Option("--audio", help="Write FLAC beside the spectrograms.")
    ] = False,
    sketch: Annotated[
        bool, typer.Option("--sketch", help="Draw spectrograms from the notes, without sound.")
    ] = False,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Where parsed scores are kept. [default: OUT/..]")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")] = 2,
) -> None:
    """Turn scores into recordings of covers, with a manifest of what was done to each.

    Stop it at any time; the same command goes on.

    Example: pemr corpus build --scores scores --out corpora/dev --split dev --noise 120
    """
    from tqdm import tqdm

    from pemr.corpus.build import Order, build, choose_fonts
    from pemr.corpus.notes.works import works as sort_into_works

    order = Order(
        split=split, n_works=works, n_performances=performances, n_noise=noise, seed=seed,
        difficulty=difficulty, fonts=() if sketch else choose_fonts(soundfont),
        has_audio=audio, is_sketched=sketch,
    )  # fmt: skip
    if not order.fonts and not sketch:
        typer.echo(
            "no SoundFont or no FluidSynth, so the built-in synthesiser plays; Debian has "
            "libfluidsynth3 and fluid-soundfont-gm",
            err=True,
        )
    found = sort_into_works(scores, cache or out.parent, jobs)
    made = build(found, order, out, jobs)
    for _ in tqdm(made, total=order.n_total, unit=" files", disable=True if _quiet else None):
        pass
    typer.echo(f"{order.n_total} performances in {out}", err=True)


@corpus.command("play")
def corpus_play(
    folder: Annotated[Path, typer.Argument(help="A corpus.")],
    work: Annotated[str, typer.Argument(help="Name of a work, or the start of one.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the FLAC files.")],
    scores: Annotated[Path, typer.Option("--scores", help="Folder of score archives.")],
    soundfont: Annotated[
        list[Path] | None, typer.Option("--soundfont", help="As the corpus was made with.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Where parsed scores are kept. [default: above]")
    ] = None,
) -> None:
    """Write the performances of one work of a corpus as FLAC, to listen to.

    Example: pemr corpus play corpora/dev pop909-012 --scores scores --out listen
    """
    from pemr.corpus.build import play
    from pemr.corpus.notes.works import works as sort_into_works

    found = sort_into_works(scores, cache or folder.parent)
    for path in play(found, folder, work, out, soundfont):
        typer.echo(path)


if __name__ == "__main__":
    app()
