"""What the tests of rounds share."""

from __future__ import annotations

import pytest

from tests.driven_loop import Loop


@pytest.fixture
def loop(db: None) -> Loop:
    """A project ready for round 1."""
    return Loop()
