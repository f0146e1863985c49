"""An address becomes a client of a Qdrant server, which asks again where a connection breaks."""

import os
import warnings

import httpx
from qdrant_client import QdrantClient

from indexer.stores.qdrant.address import API_KEY, CollectionAddress


class PatientTransport(httpx.HTTPTransport):
    """Sends a request once more where its connection breaks off or is refused.

    A server closes connections that nobody used for a while, and of the nodes behind one name one
    may have gone. Whatever is asked here may be asked twice: points are put under their ids.
    """

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and read the head of its answer."""
        try:
            return super().handle_request(request)
        except (httpx.NetworkError, httpx.RemoteProtocolError):
            return super().handle_request(request)


def client_of(address: CollectionAddress) -> QdrantClient:
    """Make a client, with the key from the environment; nothing is asked yet.

    Parameters
    ----------
    address : CollectionAddress
        Where the server is.

    Returns
    -------
    QdrantClient
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `connected` tells what they would
        return QdrantClient(
            host=address.host,
            port=address.port,
            https=address.is_safe,
            api_key=os.environ.get(API_KEY) or None,
            timeout=address.timeout_s,
            check_compatibility=False,
            transport=PatientTransport(),
        )
