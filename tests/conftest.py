"""What several test files are handed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from browsing import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, closed after each file: its event loop would stand in the way of others."""
    with chromium() as opened:
        yield opened
