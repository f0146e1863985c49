"""Options that several commands share."""

import inspect
from dataclasses import fields

import pytest
from typer import Typer
from typer.testing import CliRunner

from indexer import Filter
from retrieval.reporting.options import FILTERS, filtered

GIVEN = [
    "--title", "a", "--artist", "b", "--artist", "c", "--not-artist", "d", "--album-artist", "e",
    "--album", "f", "--not-album", "g", "--year", "1960..", "--duration", "..90",
    "--added", "2026", "--isrc", "GBAYE6600123", "--in", "/music",
    "--mbid", "b10bbbfc-cf9e-42e0-be17-e2c3e1d2600d",
]  # fmt: skip


@pytest.fixture
def asked():
    app, heard = Typer(), []

    @app.command()
    @filtered
    def command(place: str, wanted: Filter, loud: bool = False) -> None:
        """Hear what is wanted."""
        heard.append((place, wanted, loud))

    def run(*arguments):
        outcome = CliRunner().invoke(app, ["here", *arguments])
        assert outcome.exit_code == 0, outcome.output
        return heard[-1]

    return run


def test_every_wish_of_a_filter_has_an_option():
    assert list(FILTERS) == [field.name for field in fields(Filter)]


def test_what_is_wished_for_arrives_as_a_filter_beside_the_commands_own_options(asked):
    assert asked("--loud", *GIVEN) == (
        "here",
        Filter(
            titles=("a",),
            artists=("b", "c"),
            not_artists=("d",),
            album_artists=("e",),
            albums=("f",),
            not_albums=("g",),
            years="1960..",
            durations="..90",
            added="2026",
            isrcs=("GBAYE6600123",),
            mbids=("b10bbbfc-cf9e-42e0-be17-e2c3e1d2600d",),
            folders=("/music",),
        ),
        True,
    )


def test_without_a_wish_the_filter_is_empty(asked):
    assert asked() == ("here", Filter(), False)


def test_a_command_keeps_its_name_and_help(asked):
    def listing(wanted: Filter) -> None:
        """List."""

    offered = filtered(listing)
    assert (offered.__name__, inspect.getdoc(offered)) == ("listing", "List.")
    assert "wanted" not in inspect.signature(offered).parameters
