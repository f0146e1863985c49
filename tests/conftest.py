"""Fixtures that several rooms' tests share."""

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def rng():
    """A random generator that starts the same in every test."""
    return np.random.default_rng(20091121)


@pytest.fixture(scope="session")
def shared_data():
    """The folder of third-party data, where there is one; else the test is skipped."""
    folder = Path(os.environ.get("PEMR_DATA", Path(__file__).parents[1] / "../shared/data"))
    if not folder.is_dir():
        pytest.skip("needs the data folder; PEMR_DATA names it")
    return folder.resolve()
