"""What `--help` says, as a terminal shows it."""

import typer
from typer.testing import CliRunner

import cli


def test_no_word_of_the_help_is_taken_for_markup():
    for command in typer.main.get_command(cli.app).commands.values():
        for each in getattr(command, "commands", {"": command}).values():
            for option in each.params:
                assert "[" not in (getattr(option, "help", "") or ""), (each.name, option.name)
    words = CliRunner().invoke(cli.app, ["search", "--help"]).stdout.replace("│", " ").split()
    assert "(default: a GPU if there is one)" in " ".join(words)
