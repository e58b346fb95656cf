"""What tests of files share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def names_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def refused(function: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """The sentence with which ``function`` refuses."""
    with pytest.raises(ValueError, match=r"\S") as caught:
        function(*arguments, **named)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert not sentence.endswith(".")
    return sentence
