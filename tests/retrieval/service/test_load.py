"""Many at once, everything that the document allows, and a process from its start to its end."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from indexer import Catalog, build
from retrieval import Place, candidate_rows, judge, read_query, search, serve
from retrieval.errors import ServiceError
from tests.conftest import FakeEmbedder, tone
from tests.retrieval.service.conftest import fake_opus

SERVER = """
import sys
from pathlib import Path
from retrieval import Place, serve
from tests.conftest import FakeEmbedder
from tests.retrieval.service.conftest import fake_opus
if __name__ == "__main__":
    say = lambda said: print(said.removeprefix('open '), flush=True)
    serve(Path(sys.argv[1]), FakeEmbedder, fake_opus, Place(port=0), say)
"""


def test_fifty_searches_while_a_writer_indexes(own_client, own_folder, tmp_path):
    embedder = FakeEmbedder()
    new = [tone(tmp_path / "new" / f"{seed}.wav", seed=100 + seed) for seed in range(20)]

    def write():
        with Catalog.write(own_folder, embedder) as catalog:
            return list(build(catalog, embedder, [new[0].parent]))

    def ask(number):
        body = {"track_id": number % 12 + 1, "top": 3, "everything": True}
        return own_client.post("/api/search", json=body)

    with ThreadPoolExecutor(16) as pool:
        writing = pool.submit(write)
        answers = list(pool.map(ask, range(50)))
        assert len(writing.result()) == 20
    assert {one.status_code for one in answers} == {200}
    after = ask(0).json()["candidates"]
    with Catalog.open(own_folder) as catalog:
        query = read_query(catalog, embedder, catalog.track(1).path)
        found = judge(search(catalog, query, n_candidates=3), everything=True)
        expected = candidate_rows(found.candidates)
    assert [{k: v for k, v in one.items() if k != "is_playable"} for one in after] == expected


def test_a_catalog_that_goes_away_is_told_and_found_again(own_client, own_folder):
    aside = own_folder.with_name("aside")
    own_folder.rename(aside)
    answer = own_client.get("/api/tracks")
    assert answer.status_code == 503
    assert "there is none here" in answer.json()["detail"]
    shutil.copytree(aside, own_folder)
    assert own_client.get("/api/tracks").status_code == 200


def test_sound_that_is_gone_is_told(own_client, own_folder):
    for file in (own_folder.parent / "music").glob("0*.wav"):
        file.unlink()
    assert own_client.get("/api/tracks/1/audio").status_code in {200, 410}
    gone = [own_client.get(f"/api/tracks/{number}/audio").status_code for number in range(1, 15)]
    assert 410 in gone


def test_everything_that_the_document_allows_is_answered(address):
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, settings

    schema = schemathesis.openapi.from_url(f"{address}/api/openapi.json")
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.endswith("/index") or operation.path == "/api/setlists":
            continue  # jobs have tests of their own

        @settings(
            max_examples=8, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def answered(case):
            answer = case.call(timeout=30)
            assert answer.status_code < 500, (case, answer.text)

        operation.schema.as_state_machine  # noqa: B018 (the document can be followed)
        from hypothesis import given

        given(case=operation.as_strategy())(answered)()


@pytest.fixture
def server(folder):
    made = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    yield made
    made.kill()
    made.wait()
    made.stdout.close()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_it_soon_and_well(server):
    address = server.stdout.readline().strip()
    with httpx.Client(base_url=address, timeout=60) as client:
        assert client.get("api/health").status_code == 200
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0  # a machine that does much else may take longer than 3 s


def test_a_port_in_use_is_told(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = Place(port=taken.getsockname()[1])
        with pytest.raises(ServiceError, match=r"in use; choose another with --port"):
            serve(folder, FakeEmbedder, fake_opus, place, partial(print))


def test_other_addresses_need_a_token():
    with pytest.raises(ServiceError, match="--token"):
        Place(host="0.0.0.0")
    with pytest.raises(ServiceError, match="eight"):
        Place(host="0.0.0.0", token="short")
    assert Place(host="0.0.0.0", token="long-enough").port == 8765
