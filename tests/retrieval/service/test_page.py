"""The page in a real browser: Debian's Chromium, driven by Selenium; skipped where either lacks."""

import shutil
import time
import wave
from dataclasses import replace

import httpx
import pytest

from indexer import Catalog, build
from retrieval.ranking.calibrate import Calibration
from retrieval.ranking.ranking import PLAIN
from retrieval.service.desk import Desk
from retrieval.service.limits import Limits
from retrieval.service.shelf import Shelf
from retrieval.service.work.hearing import Apart
from tests.conftest import FakeEmbedder, tone
from tests.retrieval.service.conftest import fake_opus, served

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
WICKED = "<img src=x onerror=document.title=1>"
SURE = Calibration(intercept=-3.0, embedding=8.0, alignment=1.0, n_tracks=0.0, n_segments=0.0)

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="no browser here: install chromium and chromium-driver"
)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A catalog with two recordings of the same sound, served."""
    place = tmp_path_factory.mktemp("page")
    tone(place / "music" / "first.wav", seed=1, duration_s=40)
    tone(place / "music" / f"{WICKED}.wav", seed=1, duration_s=50)
    for seed in range(2, 5):
        tone(place / "music" / f"{seed}.wav", seed=seed, duration_s=40)
    embedder = FakeEmbedder()
    with Catalog.write(place / "catalog", embedder) as catalog:
        list(build(catalog, embedder, [place / "music"]))
    ranking = replace(PLAIN, calibration=SURE)
    desk = Desk(Shelf(place / "catalog", "fake"), Apart(FakeEmbedder), ranking, fake_opus)
    with served(desk, Limits()) as found:
        yield found
    desk.close()


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for one in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-proxy-server", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
    ):  # fmt: skip
        options.add_argument(one)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield made
    made.quit()


def until(found, what):
    """Wait for something true, and return it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if got := found():
            return got
        time.sleep(0.1)
    raise AssertionError(f"never came: {what}")


def all_of(browser, selector):
    return browser.find_elements("css selector", selector)


def playing(browser):
    return browser.execute_script(
        "return ['a', 'b'].filter(x => !document.getElementById('audio-' + x).paused)"
    )


@pytest.fixture
def found(browser, address, tmp_path):
    """The page after a file was given to it."""
    browser.get(address)
    file = tone(tmp_path / "asked.wav", seed=1, duration_s=45)
    until(lambda: "tracks" in all_of(browser, "#health")[0].text, "the state of the server")
    all_of(browser, "#file")[0].send_keys(str(file))
    until(lambda: all_of(browser, "#spans button"), "an alignment")
    return browser


def test_a_file_is_given_and_its_covers_are_listed(found):
    rows = [row.text for row in all_of(found, "#candidates button")]
    assert len(rows) == 5
    assert any(WICKED in row for row in rows[:2]), rows
    assert found.title == "pemr"


def test_a_span_is_played_in_both_and_the_other_is_heard_on_a_key(found):
    all_of(found, "#spans button")[0].click()
    until(lambda: playing(found) == ["a", "b"], "both playing")
    assert until(lambda: all_of(found, "#spans [aria-pressed=true]"), "the chosen span")
    found.find_element("tag name", "body").send_keys("x")
    until(lambda: playing(found) == ["b"], "the candidate alone")
    all_of(found, "#plot")[0].click()
    until(lambda: playing(found) == ["a", "b"], "both, from where the picture was clicked")
    found.find_element("tag name", "body").send_keys(" ")
    until(lambda: playing(found) == [], "a pause")


def test_a_group_is_confirmed_and_stored(found, address):
    all_of(found, "[data-view=groups]")[0].click()
    until(lambda: all_of(found, ".group"), "a group")
    name = all_of(found, ".group input")[0]
    name.clear()
    name.send_keys("Our <b>work</b>")
    all_of(found, ".group .confirm")[0].click()
    until(lambda: all_of(found, ".group.done"), "a confirmation")
    labels = httpx.get(f"{address}/api/labels", trust_env=False).json()
    assert {one["work"] for one in labels} == {"Our <b>work</b>"}
    assert len(labels) >= 2


def test_a_long_recording_becomes_a_line_of_time(found, tmp_path):
    all_of(found, "[data-view=setlist]")[0].click()
    mixed = tmp_path / "mix.wav"
    pieces = [tone(tmp_path / f"{seed}.wav", seed=seed, duration_s=40) for seed in (2, 3)]
    join(pieces, mixed)
    all_of(found, "#long")[0].send_keys(str(mixed))
    until(lambda: len(all_of(found, "#entries li")) >= 2, "two entries")
    named = [entry.text for entry in all_of(found, "#entries li")]
    assert "2" in named[0], named
    assert "0:00" in named[0], named
    assert any("3" in entry and "0:40" in entry for entry in named[1:]), named
    assert len(all_of(found, "#timeline button")) == len(named)
    all_of(found, "#timeline button")[1].click()
    script = "return document.getElementById('long-audio').currentTime"
    until(lambda: found.execute_script(script) >= 39, "the sound from there on")


def join(pieces, out):
    """Write WAV files one after the other."""
    with wave.open(str(out), "wb") as written:
        for place, path in enumerate(pieces):
            with wave.open(str(path), "rb") as read:
                if not place:
                    written.setparams(read.getparams())
                written.writeframes(read.readframes(read.getnframes()))


def test_nothing_is_loaded_from_elsewhere_or_refused(found, address):
    names = found.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in names if not name.startswith((address, "blob:"))] == []
    errors = [one["message"] for one in found.get_log("browser") if one["level"] == "SEVERE"]
    assert errors == []


def test_it_fits_a_phone(found):
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    found.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert found.execute_script("return document.documentElement.scrollWidth") <= 390
    found.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
