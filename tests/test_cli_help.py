"""What `--help` says, as a terminal shows it."""

from dataclasses import fields

import typer
from typer.testing import CliRunner

import cli
from pemr import Embedder
from retrieval.finding.setlist import NAMED


def test_no_word_of_the_help_is_taken_for_markup():
    for command in typer.main.get_command(cli.app).commands.values():
        for each in getattr(command, "commands", {"": command}).values():
            for option in each.params:
                assert "[" not in (getattr(option, "help", "") or ""), (each.name, option.name)
    words = CliRunner().invoke(cli.app, ["search", "--help"]).stdout.replace("│", " ").split()
    assert "(default: a GPU if there is one)" in " ".join(words)


def test_help_tells_the_defaults_that_the_rooms_have():
    commands = typer.main.get_command(cli.app).commands
    told = {
        option.name: option for name in ("index", "setlist") for option in commands[name].params
    }
    assert told["min_probability"].default == NAMED
    batch_size = next(each.default for each in fields(Embedder) if each.name == "batch_size")
    assert told["batch_size"].help.endswith(f"(default: {batch_size})")
