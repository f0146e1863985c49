"""Commands in terminals that lack something, and commands that are told to stop."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SAYS = """
import sys
from retrieval.reporting import terminal
terminal.begin()
terminal.prepare_streams()
terminal.obey_signals("ended at once\\n")
"""


def run(code, *, shell="", **environment):
    """Run Python, perhaps with its streams redirected by a shell; bytes come back."""
    command = [sys.executable, "-c", SAYS + code]
    if shell:
        command = ["sh", "-c", f'exec "$0" "$@" {shell}', *command]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=False)


def test_a_latin_1_terminal_gets_escapes_and_no_traceback():
    done = run(
        "terminal.answer('é 日 \\U0001f3b5 \\udcff\\n'); terminal.say('日')",
        PYTHONIOENCODING="latin-1",
    )
    assert (done.returncode, done.stderr) == (0, b"\\u65e5\n")
    assert done.stdout == b"\xe9 \\u65e5 \\ud83c\\udfb5 \xff\n"
    assert json.loads('"\\u65e5 \\ud83c\\udfb5"') == "日 🎵"


def test_bytes_that_are_no_text_go_out_as_they_are():
    done = run("terminal.answer('caf\\udce9\\n')", PYTHONIOENCODING="utf-8")
    assert done.stdout == b"caf\xe9\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_full_disk_behind_standard_output_is_an_error():
    code = "from retrieval import RetrievalError\ntry:\n    terminal.answer('x' * 9)\n"
    done = run(
        f"{code}except RetrievalError as error:\n    terminal.say(error)", shell=">/dev/full"
    )
    assert done.returncode == 0
    assert done.stderr == b"the answer cannot be written: no space left on device\n"


def test_closed_standard_output_is_an_error():
    done = run("terminal.answer('x')", shell=">&-")
    assert b"OutputError: the answer cannot be written" in done.stderr


def test_with_standard_error_closed_no_file_takes_its_number():
    code = "import os; print(os.open('/', os.O_RDONLY) > 2); terminal.say('unheard')"
    done = run(code, shell="2>&-")
    assert (done.returncode, done.stdout) == (0, b"True\n")


def test_warnings_are_one_line_each():
    code = """
import logging
handler = logging.StreamHandler()
handler.setFormatter(terminal.SafeFormatter("pemr: %(message)s"))
logging.basicConfig(handlers=[handler])
logging.warning("%s is odd", "a\\x1b[31m\\nb")
"""
    assert run(code).stderr == b"pemr: a\\x1b[31m\\nb is odd\n"


def started(code):
    process = subprocess.Popen(
        [sys.executable, "-c", SAYS + code], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    return process


WAITS = "import time\ntry:\n    print('ready', flush=True)\n    time.sleep(60)\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_is_an_interrupt(number):
    process = started(f"{WAITS}except KeyboardInterrupt:\n    exit(7)")
    process.send_signal(number)
    assert process.communicate(timeout=30) == (b"", b"")
    assert process.returncode == 7


def test_a_second_signal_ends_it_at_once_without_a_traceback():
    code = f"{WAITS}finally:\n    print('tidying', flush=True)\n"
    process = started(f"{code}    time.sleep(60)")
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == b"tidying\n"
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    assert process.communicate(timeout=30)[1] == b"ended at once\n"
    assert process.returncode == 130


def test_an_interrupt_before_the_command_has_begun_shows_no_traceback():
    done = run("raise KeyboardInterrupt")
    assert (done.returncode, done.stderr) == (130, b"ended at once\n")


def test_what_nohup_ignores_stays_ignored():
    code = (
        "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\nterminal.obey_signals('')\n"
    )
    done = run(f"{code}print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)")
    assert done.stdout == b"True\n"
