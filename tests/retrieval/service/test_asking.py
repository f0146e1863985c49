"""Searches and jobs over HTTP."""

import time
from dataclasses import fields, replace

import httpx
import pytest

from indexer import Catalog, Filter
from retrieval import candidate_rows, judge, read_query, search
from retrieval.ranking.calibrate import Calibration
from retrieval.ranking.ranking import PLAIN
from retrieval.service.desk import Chosen, Desk
from retrieval.service.limits import Limits
from retrieval.service.shelf import Shelf
from retrieval.service.work.hearing import Apart
from tests.conftest import FakeEmbedder, tone
from tests.retrieval.service.conftest import EndlessEmbedder, fake_opus, served

SURE = Calibration(intercept=-3.0, embedding=8.0, alignment=1.0, n_tracks=0.0, n_segments=0.0)


def plain(rows):
    return [{k: v for k, v in row.items() if k != "is_playable"} for row in rows]


def ended(client, job):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        told = client.get(f"/api/jobs/{job['id']}").json()
        if told["state"] != "running":
            return told
        time.sleep(0.05)
    raise AssertionError("the job did not end")


def test_a_search_by_id_answers_as_the_command_line_does(client, folder):
    told = client.post("/api/search", json={"track_id": 1, "top": 5}).json()
    with Catalog.open(folder) as catalog:
        query = read_query(catalog, FakeEmbedder(), catalog.track(1).path)
        verdict = judge(search(catalog, query, n_candidates=5))
    assert plain(told["candidates"]) == candidate_rows(verdict.candidates)
    assert told["verdict"] == verdict.word
    assert told["query"]["id"] == "1"


def test_a_file_that_is_sent_is_searched_and_kept_for_alignments(client, tmp_path):
    file = tone(tmp_path / "query.wav", seed=3, duration_s=12)
    with file.open("rb") as sent:
        told = client.post("/api/search", files={"file": ("../../q.wav", sent)}, data={"top": "3"})
    assert told.status_code == 200
    answer = told.json()
    assert len(answer["candidates"]) == 3
    assert answer["query"]["name"] == "../../q.wav"
    assert answer["copies"][0]["path"].endswith("03.wav")
    key = answer["query"]["id"]
    aligned = client.get(f"/api/alignments/{key}/4").json()
    assert aligned["spans"]
    picture = client.get(aligned["picture"])
    assert picture.content.startswith(b"\x89PNG")
    assert float(picture.headers["x-query-seconds"]) > 0
    export = client.get("/api/export", params={"query": key, "format": "m3u"})
    assert export.text.startswith("#EXTM3U")


def test_answers_can_be_sifted_by_words(client):
    told = client.post("/api/search", json={"track_id": 1, "text": "07.wav"}).json()
    assert [one["title"] for one in told["candidates"]] == ["07"]


def test_answers_are_chosen_by_tags_before_they_are_ranked(client, tmp_path):
    wish = {"titles": ["07", "08"], "not_artists": ["nobody"], "durations": "..1:00"}
    told = client.post("/api/search", json={"track_id": 1, "everything": True, **wish}).json()
    assert {row["title"] for row in told["candidates"]} == {"07", "08"}
    with tone(tmp_path / "query.wav", seed=3, duration_s=12).open("rb") as sent:
        form = {"titles": ["07", "08"], "everything": "true", "years": ""}
        answer = client.post("/api/search", files={"file": ("q.wav", sent)}, data=form).json()
    assert {row["title"] for row in answer["candidates"]} == {"07", "08"}
    address = "/api/tracks?titles=07&titles=08&added=2000.."
    assert client.get(address).json()["total"] == 2
    assert client.get("/api/tracks", params={"added": "..1999"}).json()["total"] == 0
    refused = client.post("/api/search", json={"track_id": 1, "years": "sixties"})
    assert (refused.status_code, "sixties" in refused.json()["detail"]) == (422, True)


def test_what_a_request_may_wish_is_what_a_filter_takes_but_folders():
    assert {*Chosen.model_fields, "folders"} == {field.name for field in fields(Filter)}


def test_a_query_that_is_not_kept_any_more_is_gone(client):
    assert client.get("/api/alignments/q-0123456789abcdef/1").status_code == 410


def test_what_is_no_sound_is_told_in_a_sentence(client):
    answer = client.post("/api/search", files={"file": ("a.mp3", b"no music at all")})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "no sound in here"


def test_groups_need_a_calibration(client):
    answer = client.get("/api/groups")
    assert answer.status_code == 422
    assert "calibration" in answer.json()["detail"]


def test_a_folder_of_the_catalog_is_indexed_by_its_id(own_client, own_folder):
    (root,) = own_client.get("/api/roots").json()
    tone(own_folder.parent / "music" / "new.wav", seed=77, duration_s=12)
    answer = own_client.post(f"/api/roots/{root['id']}/index")
    assert answer.status_code == 202
    told = ended(own_client, answer.json())
    assert told["state"] == "done", told
    assert told["result"]["added"] == 1
    assert told["done"] == told["total"]
    assert own_client.get("/api/tracks", params={"text": "new.wav"}).json()["total"] == 1
    assert own_client.post("/api/roots/0123456789abcdef/index").status_code == 404


def test_a_job_can_be_cancelled(own_client):
    (root,) = own_client.get("/api/roots").json()
    job = own_client.post(f"/api/roots/{root['id']}/index").json()
    own_client.delete(f"/api/jobs/{job['id']}")
    assert ended(own_client, job)["state"] in {"cancelled", "done"}


def test_a_setlist_is_stopped_while_it_listens_and_keeps_no_song_waiting(own_folder, tmp_path):
    ranking = replace(PLAIN, calibration=SURE)
    desk = Desk(Shelf(own_folder, "fake"), Apart(EndlessEmbedder, limit_s=20.0), ranking, fake_opus)
    file = tone(tmp_path / "hours.wav", seed=3, duration_s=12)
    with (
        served(desk, Limits()) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        job = client.post("/api/setlists", files={"file": file.read_bytes()}).json()
        wait_for(lambda: client.get(f"/api/jobs/{job['id']}").json()["done"] >= 24)
        assert client.post("/api/search", files={"file": file.read_bytes()}).status_code == 200
        assert client.get(f"/api/jobs/{job['id']}").json()["state"] == "running"
        client.delete(f"/api/jobs/{job['id']}")
        assert ended(client, job)["state"] == "cancelled"
        again = client.post("/api/setlists", files={"file": file.read_bytes()}).json()
        wait_for(lambda: client.get(f"/api/jobs/{again['id']}").json()["done"] >= 24)
    desk.close()


def wait_for(found):
    until = time.monotonic() + 60
    while not found():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"top": 3}', b'{"track_id": "x"}'])
def test_wrong_questions_are_refused(client, body):
    answer = client.post("/api/search", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
