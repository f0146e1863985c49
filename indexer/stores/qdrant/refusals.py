"""What goes wrong between here and a Qdrant server, as one sentence with a way out."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from qdrant_client import models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from indexer.errors import VectorStoreError
from indexer.stores.qdrant.address import API_KEY, CollectionAddress

_NO_QDRANT = "what answers there is no Qdrant server; look at the address"
_GOES_ON = "what was put is kept, and the same command goes on from there"


class AwayError(VectorStoreError):
    """Some parts of a collection have no server that would answer for them.

    Parameters
    ----------
    address : str
        Of the collection.
    said : str
        What a server that is there says of it.
    """

    def __init__(self, address: str, said: str) -> None:
        way_out = f"start their servers, then run this again: {_GOES_ON}"
        super().__init__(address, f"parts of the collection are away ({said}); {way_out}")
        self.said = said


@contextmanager
def telling(address: CollectionAddress) -> Iterator[None]:
    """Turn what goes wrong while a server is asked into a `VectorStoreError`.

    Parameters
    ----------
    address : CollectionAddress
        Whom is asked.

    Yields
    ------
    None
        While the caller asks.

    Raises
    ------
    VectorStoreError
        If it cannot be reached, does not answer in time, or refuses.
    AwayError
        If parts of the collection are away.
    """
    try:
        yield
    except ResponseHandlingException as error:
        raise VectorStoreError(str(address), _broken(address, error.source)) from error
    except UnexpectedResponse as error:
        text = _said(error)
        if "active replicas" in text or "read operations failed" in text:
            raise AwayError(str(address), text) from error
        raise VectorStoreError(str(address), _refused(address, error.status_code, text)) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise VectorStoreError(str(address), _NO_QDRANT) from error
    except ResourceExhaustedResponse as error:
        reason = f"the server is asked too much; wait, then run this again: {_GOES_ON}"
        raise VectorStoreError(str(address), reason) from error


def refuse_unfinished(address: CollectionAddress, result: models.UpdateResult) -> None:
    """Raise a `VectorStoreError` if a change was taken by a server, and not carried out yet."""
    if result.status != models.UpdateStatus.COMPLETED:
        reason = "the server is behind with what it was given; wait, then run this again"
        raise VectorStoreError(str(address), f"{reason}: {_GOES_ON}")


def _broken(address: CollectionAddress, source: Exception) -> str:
    if isinstance(source, httpx.ConnectError | httpx.ConnectTimeout):
        return f"no server can be reached there ({source}); start it, or look at the address"
    if isinstance(source, httpx.TimeoutException):
        return _late(address)
    if isinstance(source, httpx.TransportError):
        return f"the connection broke off ({source}); run this again: {_GOES_ON}"
    return _NO_QDRANT


def _late(address: CollectionAddress) -> str:
    return (
        f"no answer within {address.timeout_s} s; look after the server or the network, or "
        f"write ?timeout=SECONDS behind the address; {_GOES_ON}"
    )


def _refused(address: CollectionAddress, status: int | None, text: str) -> str:
    if status in {408, 504}:
        return _late(address)
    if status == 404 and "doesn't exist" in text:
        return "the collection is not there any more; `pemr repair` fills it anew"
    if status in {401, 403}:
        return f"the server refuses the key; put the right one into {API_KEY}"
    if status == 507 or "No space left" in text or "disk" in text.lower():
        return f"the server's disk is full; make room there, then run this again: {_GOES_ON}"
    if status in {502, 503}:
        return f"the server is not ready ({status}); wait, then run this again: {_GOES_ON}"
    return f"the server refuses: {text}"


def _said(error: UnexpectedResponse) -> str:
    """Read the sentence in a server's refusal."""
    try:
        status = json.loads(error.content)["status"]
        return str(status["error"] if isinstance(status, dict) else status)
    except (ValueError, KeyError, TypeError):
        return f"{error.status_code} {error.reason_phrase}"
