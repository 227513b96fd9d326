"""Small pictures as inline SVG: sharp on any screen, readable without a script, no library."""

import html
from collections.abc import Mapping, Sequence
from math import isfinite

BLUE, GREY, BAND = "#2f5d8a", "#8a8f98", "#2f5d8a22"
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BOTTOM, _TOP = 680, 190, 44, 36, 24, 10


def shares_over_time(
    keys: Sequence[str], value: Sequence[float], band: Sequence[tuple[float, float]], dashed: Sequence[float], alt: str
) -> str:
    """A line of shares with the band of its interval, and a dashed one beside it, over periods; NaN is a gap."""
    known = [number for pair in band for number in pair if isfinite(number)]
    known += [number for number in (*value, *dashed) if isfinite(number)]
    top = _nice(max(known, default=1.0))
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(keys) - 1)

    def place(i: int, share: float) -> str:
        return f"{_LEFT + i * step:.1f},{_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share / top):.1f}"

    whole = [i for i, (low, high) in enumerate(band) if isfinite(low) and isfinite(high)]
    outline = [place(i, band[i][1]) for i in whole] + [place(i, band[i][0]) for i in reversed(whole)]
    parts = [f'<polygon points="{" ".join(outline)}" fill="{BAND}"/>'] if whole else []
    for tick in (0, top / 2, top):
        y = place(0, tick).split(",")[1]
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#e3e5e8"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y}" dy="4" text-anchor="end">{tick:.1%}</text>')
    for line, style in ((dashed, f'stroke="{GREY}" stroke-dasharray="5 4"'), (value, f'stroke="{BLUE}"')):
        points = " ".join(place(i, share) for i, share in enumerate(line) if isfinite(share))
        parts.append(f'<polyline points="{points}" fill="none" stroke-width="2" {style}/>')
    corners = [place(i, share).split(",") for i, share in enumerate(value) if isfinite(share)]
    parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{BLUE}"/>' for x, y in corners]
    every = max(1, -(-len(keys) // 8))
    parts += [
        f'<text x="{_LEFT + i * step:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{html.escape(key)}</text>'
        for i, key in enumerate(keys)
        if (len(keys) - 1 - i) % every == 0
    ]
    return _svg(parts, _HEIGHT, alt)


def bars(values: Mapping[str, float], alt: str) -> str:
    """Horizontal bars of counts, each with its share of the first."""
    first, largest = next(iter(values.values()), 0.0), max([*values.values(), 1.0])
    parts = []
    for i, (name, value) in enumerate(values.items()):
        y, width = 8 + 30 * i, (_WIDTH - 300) * value / largest
        parts.append(f'<text x="130" y="{y + 15}" text-anchor="end">{html.escape(name)}</text>')
        parts.append(f'<rect x="140" y="{y}" width="{max(width, 1):.1f}" height="22" rx="2" fill="{BLUE}"/>')
        told = f"{value:,.0f}" + (f" ({value / first:.0%})" if first and i else "")
        parts.append(f'<text x="{148 + width:.1f}" y="{y + 15}">{told}</text>')
    return _svg(parts, 12 + 30 * len(values), alt)


def _nice(top: float) -> float:
    """A round end for an axis of shares that reaches `top`."""
    for limit in (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8):
        if top <= limit:
            return limit
    return 1.0


def _svg(parts: Sequence[str], height: int, alt: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{html.escape(alt)}" '
        f'font-size="12" fill="#3c4149">{"".join(parts)}</svg>'
    )
