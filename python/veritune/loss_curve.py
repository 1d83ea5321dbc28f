"""The proved losses of a run as a small picture: a line in a box, for the HTML report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT, MARGIN = 600, 140, 6


@dataclass(frozen=True)
class Curve:
    """A line of points, left to right, in a picture of WIDTH times HEIGHT units.

    Attributes:
        points: ``x,y`` of each step, separated by blanks.
        label: what the picture shows, for who does not see it.
    """

    points: str
    label: str
    width: int = WIDTH
    height: int = HEIGHT


def curve(losses: list[dict[str, Any]]) -> Curve | None:
    """Returns the curve of a verdict's losses; None of fewer than two."""
    if len(losses) < 2:
        return None
    units = [int(item["units"]) for item in losses]
    low, high = min(units), max(units)
    span = max(1, high - low)
    across, down = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN
    points = (
        f"{MARGIN + across * i / (len(units) - 1):.1f},{MARGIN + down * (high - value) / span:.1f}"
        for i, value in enumerate(units)
    )
    greatest, least = (value / 2 ** int(losses[0]["fractionBits"]) for value in (high, low))
    return Curve(" ".join(points), f"mean loss of {len(units)} steps, between {least:.4f} and {greatest:.4f} nats")
