"""The options that several commands share: how they are written, and what their help says."""

import inspect
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

Text = str | None
File = Path | None
Files = list[Path] | None
_CATALOG = "Folder, or postgresql://USER@HOST/DATABASE. (default: in the user's data folder)"
_EMBEDDER = "ftm2d, cover, or a tuned checkpoint's folder. (default: the catalog's, or the best)"
_WITHOUT = "Leave out tempos, hubs, neighbours or alignment; may be repeated."
PRUNE = "Delete tracks whose file is gone, not just mark them."
RESCAN = "Read all files, though size and date are as they were."
BATCH = "Segments that the encoder sees at once. (default: 64)"
DECODED = "Files decoded at once. (default: one for each core, up to 8)"
STRICT = "Exit with 1 if files failed or are damaged."
SNAPSHOT = "Have the engine copy its files when it is done, and name the copy."
COPIES = "Answer with each of the tracks that hold the same audio."
DAMAGED = "Only tracks of which not all could be decoded."
DUPLICATES = "Only tracks that hold the same recording."
EMBEDDINGS = "Score this .npz or .h5 of any system instead of ours."
CLIQUES = "CSV with the columns path and clique; may be repeated."
DEV = "Manifest, or CSV of cliques, to validate on; of several the mean counts."
INIT = "Checkpoint to start from, pretrained or tuned; or shipped, the weights that come with pemr."
SPLIT = "magnatagatune or gtzan: its training part alone; or a list of files, .csv, .npy or text."
SETTLE = "Folder of music, no labels needed, whose batch statistics to take."
RAY = "Embed on this Ray cluster; local for one of this machine. Needs a catalog on a server."
RAY_WORKERS = "Workers of the cluster. (default: one a GPU, or for eight cores)"
_FONTS = (
    "General MIDI; may be repeated. (default: those in the usual places, or else our synthesiser)"
)
CatalogPlace = Annotated[Text, Option("--catalog", envvar="PEMR_CATALOG", help=_CATALOG)]
_VECTORS = "Where vectors are searched from now on: qdrant://HOST:6333/COLLECTION, or files."
Vectors = Annotated[Text, Option("--vectors", metavar="ADDRESS", help=_VECTORS)]
EmbedderName = Annotated[Text, Option("--embedder", help=_EMBEDDER)]
Device = Annotated[
    Text, Option("--device", help="cpu, cuda, mps. (default: a GPU if there is one)")
]
Without = Annotated[list[str] | None, Option("--without", help=_WITHOUT)]
Only = Annotated[str, Option("--only", help="Rank by alignment alone; every pair, so slow.")]
AsJson = Annotated[bool, Option("--json", help="Print JSON instead of a table.")]
AsCsv = Annotated[bool, Option("--csv", help="Print CSV instead of a table.")]
AsM3u = Annotated[bool, Option("--m3u", help="Print a playlist.")]
_LIKELY = "How likely an answer must be to be named."
MinProbability = Annotated[float, Option("--min-probability", min=0.0, max=1.0, help=_LIKELY)]
ScoresPicture = Annotated[
    File, Option("--picture", help="Draw the scores of covers and of others.")
]
ReportFolder = Annotated[File, Option("--out", help="Write JSON, Markdown and a web page here.")]
RowsFile = Annotated[File, Option("--out", help="Write the rows as JSON to this file.")]
Fresh = Annotated[bool, Option("--fresh", help="Embed anew, as after a change of the embedder.")]
BenchmarkName = Annotated[str, Argument(help="One of `pemr benchmark list`.")]
Root = Annotated[Path, Option("--root", help="Where the data set lies.")]
Subset = Annotated[Text, Option("--subset", help="Part of it. (default: the test set)")]
Convention = Annotated[Text, Option("--convention", help="Who asks whom, or by which feature.")]
CheckpointFolder = Annotated[Path, Option("--checkpoint", help="From pemr pretrain.")]
NewCheckpoint = Annotated[Path, Option("--out", help="Folder of the checkpoint.")]
_CACHE = "Folder for decoded audio. (default: beside the checkpoint)"
Cache = Annotated[File, Option("--cache", help=_CACHE)]
Workers = Annotated[int | None, Option("--workers", min=1, help="Threads. (default: one a core)")]
Seed = Annotated[int | None, Option("--seed", help="Of every random draw.")]
Scores = Annotated[Path, Option("--scores", help="Folder of score archives.")]
SoundFonts = Annotated[Files, Option("--soundfont", help=_FONTS)]
Parsed = Annotated[File, Option("--cache", help="Of parsed scores. (default: above the corpus)")]
Jobs = Annotated[int, Option("--jobs", "-j", min=1, help="Processes.")]
_TITLE = "Only titles with this in them; all names in whole or in part, and may be repeated."
_DURATION = "Only so long, in seconds or M:SS: 2:30..6:00, ..90."
_ADDED = "Only what came into the catalog then, in UTC: 2026-11-28, 2026-11, 2026-11-01.."
_MBID = "Only of this MusicBrainz recording, release, artist or work; may be repeated."
_ISRC = "Only recordings with this code; may be repeated."
_FOLDER = "Only files in this folder, at any depth; may be repeated."
_CHOSEN = partial(Option, rich_help_panel="Which tracks")
FILTERS: dict[str, Any] = {
    "titles": _CHOSEN("--title", help=_TITLE),
    "artists": _CHOSEN("--artist", help="Only by this artist, of the track or of its album."),
    "not_artists": _CHOSEN("--not-artist", help="Not by this artist."),
    "album_artists": _CHOSEN("--album-artist", help="Only of albums by this artist."),
    "albums": _CHOSEN("--album", help="Only of this album."),
    "not_albums": _CHOSEN("--not-album", help="Not of this album."),
    "years": _CHOSEN("--year", metavar="YEARS", help="Only of these: 1966, 1960..1979, 1960.."),
    "durations": _CHOSEN("--duration", metavar="RANGE", help=_DURATION),
    "added": _CHOSEN("--added", metavar="DAYS", help=_ADDED),
    "isrcs": _CHOSEN("--isrc", metavar="CODE", help=_ISRC),
    "mbids": _CHOSEN("--mbid", metavar="ID", help=_MBID),
    "folders": _CHOSEN("--in", metavar="FOLDER", help=_FOLDER),
}
"""An option for every wish of `indexer.Filter`, by its name there."""
_RANGES = {"years", "durations", "added"}


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command have the options that choose tracks, and hand it their `Filter` as `wanted`.

    Parameters
    ----------
    command : callable
        Takes `wanted`, and options of its own.

    Returns
    -------
    callable
        To be offered as the command.
    """

    @wraps(command)
    def offered(**given: Any) -> None:  # noqa: ANN401 (whatever the command's options are)
        from indexer import Filter  # noqa: PLC0415 (a help page does not pay for it)

        wishes: dict[str, Any] = {name: given.pop(name) for name in FILTERS}
        for name in FILTERS.keys() - _RANGES:
            wishes[name] = tuple(wishes[name] or ())
        command(wanted=Filter(**wishes), **given)

    own = inspect.signature(command)
    chosen = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default="" if name in _RANGES else None,
            annotation=Annotated[str if name in _RANGES else list[str] | None, option],
        )
        for name, option in FILTERS.items()
    ]
    kept = [one for name, one in own.parameters.items() if name != "wanted"]
    taken = [*kept, *chosen]
    offered.__signature__ = own.replace(parameters=taken)  # type: ignore[attr-defined]
    offered.__annotations__ = {one.name: one.annotation for one in taken} | {"return": None}
    return offered
