"""Looking things up over HTTP."""

import csv
import io

import pytest

from indexer import Catalog
from tests.retrieval.service.conftest import N_TRACKS


def test_health_says_what_is_served(client):
    told = client.get("/api/health").json()
    assert told["status"] == "ok"
    assert told["tracks"] == N_TRACKS + 2
    assert told["embedder"] == "fake"


def test_tracks_are_filtered_sorted_and_paged(client):
    told = client.get("/api/tracks", params={"sort": "path", "limit": 5, "offset": 2}).json()
    assert told["total"] == N_TRACKS + 2
    assert [one["title"] for one in told["tracks"]] == ["02", "03", "04", "05", "06"]
    last = client.get("/api/tracks", params={"descending": True, "limit": 1}).json()["tracks"]
    assert last[0]["title"] == "other.aiff"
    assert client.get("/api/tracks", params={"text": "07.WAV music"}).json()["total"] == 1
    assert client.get("/api/tracks", params={"state": "missing"}).json()["total"] == 0


def test_a_track_has_the_row_of_the_command_line_and_an_id(client, folder):
    row = client.get("/api/tracks/1").json()
    assert row["id"] == 1
    assert {"title", "artist", "album", "duration_s", "state", "damage", "path"} <= row.keys()
    assert row["is_playable"] is True
    assert client.get("/api/tracks/9999").status_code == 404


def test_sound_comes_in_ranges(client):
    whole = client.get("/api/tracks/1/audio")
    assert whole.headers["content-type"] == "audio/wav"
    part = client.get("/api/tracks/1/audio", headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole.content[100:200]
    assert part.headers["content-range"].startswith("bytes 100-199/")
    beyond = client.get("/api/tracks/1/audio", headers={"Range": "bytes=99999999-"})
    assert beyond.status_code == 416


def test_sound_from_a_second_on_is_transcoded(client):
    told = client.get("/api/tracks/1/audio", params={"start_s": 3})
    assert told.headers["content-type"] == "audio/ogg"
    assert told.content.endswith(b" from 3.0")
    assert client.get("/api/tracks/1/audio", params={"start_s": 3000}).status_code == 416


def test_labels_and_their_export_are_what_the_commands_read(client, folder, desk):
    body = {
        "labels": [{"track_id": 1, "work": "A work, <b>bold</b>"}, {"track_id": 2, "work": "é"}]
    }
    assert client.post("/api/labels", json=body).json() == {"labelled": 2}
    works = {one["id"]: one["work"] for one in client.get("/api/labels").json()}
    assert works == {1: "A work, <b>bold</b>", 2: "é"}
    answer = client.get("/api/export")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["work"] for row in rows] == [row["clique"] for row in rows]
    assert "attachment" in answer.headers["content-disposition"]


def test_a_label_for_no_track_is_refused_whole(client):
    body = {"labels": [{"track_id": 1, "work": "x"}, {"track_id": 999, "work": "x"}]}
    assert client.post("/api/labels", json=body).status_code == 404
    assert "x" not in {one["work"] for one in client.get("/api/labels").json()}


def test_labels_wait_for_another_writer_with_a_sentence(client, folder):
    with Catalog.write(folder):
        answer = client.post("/api/labels", json={"labels": [{"track_id": 1, "work": "x"}]})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert "another pemr is writing" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["", "index.html"])
def test_the_page_is_served(client, name):
    answer = client.get(f"/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
