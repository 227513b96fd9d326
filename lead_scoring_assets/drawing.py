"""Drawing a picture as SVG: panels with axes, and lines, bands, dots and bars in them. What is drawn belongs to `plots`.

SVG, because text in it costs nothing: a plotting library spends a tenth of a second a picture on measuring its letters.
"""

import html
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

BLUE, RED, GREEN, GREY, INK = "#4f7cac", "#c0392b", "#2e8b57", "#999999", "#333333"
COLORS = (BLUE, RED, GREEN, GREY)
LETTER_PX = 6.2  # a wide letter of the panels' text

Span = tuple[float, float]


@dataclass
class Panel:
    """A rectangle of the picture, in pixels from its left and top edge, in which `x` and `y` are drawn to scale.

    A value that is not known (NaN) is a gap; one outside the panel's range lies on its edge.
    """

    left: float
    top: float
    width: float
    height: float
    x: Span
    y: Span
    parts: list[str] = field(default_factory=list)

    def across(self, value: float) -> float:
        return self.left + self.width * _share(value, self.x)

    def up(self, value: float) -> float:
        return self.top + self.height * (1 - _share(value, self.y))

    def line(self, x: Iterable[float], y: Iterable[float], color: str, *, dashed: bool = False) -> None:
        """Points joined in the order given; broken where one is not known."""
        stretches: list[list[str]] = [[]]
        for point in zip(x, y, strict=True):
            if _known(*point):
                stretches[-1].append(self._place(*point))
            else:
                stretches.append([])
        style = f'fill="none" stroke="{color}" stroke-width="1.4"' + (' stroke-dasharray="5 4"' if dashed else "")
        self.parts += [f'<polyline points="{" ".join(stretch)}" {style}/>' for stretch in stretches if stretch]

    def band(self, x: Iterable[float], low: Iterable[float], high: Iterable[float], color: str) -> None:
        known = [point for point in zip(x, low, high, strict=True) if _known(*point)]
        outline = [self._place(a, b) for a, _, b in known] + [self._place(a, b) for a, b, _ in reversed(known)]
        if outline:
            self.parts.append(f'<polygon points="{" ".join(outline)}" fill="{color}" fill-opacity="0.2"/>')

    def dots(self, x: Iterable[float], y: Iterable[float], color: str, radius: float = 2.5) -> None:
        self.parts += [
            f'<circle cx="{self.across(a):.1f}" cy="{self.up(b):.1f}" r="{radius}" fill="{color}"/>'
            for a, b in zip(x, y, strict=True)
            if _known(a, b)
        ]

    def box(self, x: Span, y: Span, color: str) -> None:
        """A bar between two values of `x` and two of `y`."""
        if _known(*x, *y):
            (left, right), (low, high) = sorted(map(self.across, x)), sorted(map(self.up, y))
            size = f'width="{right - left:.1f}" height="{high - low:.1f}"'
            self.parts.append(f'<rect x="{left:.1f}" y="{low:.1f}" {size} fill="{color}"/>')

    def frame(self, title: str = "") -> None:
        edge = f'width="{self.width:.1f}" height="{self.height:.1f}" fill="none" stroke="{GREY}"'
        self.parts.append(f'<rect x="{self.left:.1f}" y="{self.top:.1f}" {edge}/>')
        if title:
            self.parts.append(words(title, self.left + self.width / 2, self.top - 6, "middle", 12))

    def below(self, ticks: Mapping[float, str], along: str = "", *, slanted: bool = False) -> None:
        """What stands under the panel at each value of `x`, and what `x` is."""
        edge = self.top + self.height
        for value, text in ticks.items():
            x = self.across(value)
            self.parts.append(f'<path d="M{x:.1f} {edge:.1f}v4" stroke="{GREY}"/>')
            anchor = "end" if slanted else "middle"
            self.parts.append(words(text, x, edge + 15, anchor, 10, turned=-35 if slanted else 0))
        if along:
            self.parts.append(words(along, self.left + self.width / 2, edge + 31, "middle", 11))

    def beside(self, ticks: Mapping[float, str], along: str = "") -> None:
        """What stands left of the panel at each value of `y`, and what `y` is."""
        for value, text in ticks.items():
            y = self.up(value)
            self.parts.append(f'<path d="M{self.left:.1f} {y:.1f}h-4" stroke="{GREY}"/>')
            self.parts.append(words(text, self.left - 7, y + 3.5, "end", 10))
        if along:
            self.parts.append(words(along, self.left - 38, self.top + self.height / 2, "middle", 11, turned=-90))

    def legend(self, names: Mapping[str, str]) -> None:
        """Names and their colours, in the upper left corner."""
        for place, (name, color) in enumerate(names.items()):
            y = self.top + 13 + 13 * place
            self.parts.append(f'<path d="M{self.left + 8:.1f} {y - 4:.1f}h14" stroke="{color}" stroke-width="3"/>')
            self.parts.append(words(name, self.left + 27, y, "start", 10))

    def _place(self, x: float, y: float) -> str:
        return f"{self.across(x):.1f},{self.up(y):.1f}"


def ticks(span: Span, most: int = 6) -> dict[float, str]:
    """Round numbers in a range, one, two or five of a power of ten apart, and how each is written."""
    low, high = span
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return {number * step: f"{number * step:.6g}" for number in range(first, last + 1)}


def span_of(values: Iterable[float], *, room: float = 0.05) -> Span:
    """The range of what is known, with some room at both ends; never without length."""
    known = [float(value) for value in values if math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    more = (high - low) * room or max(abs(high), 1.0) * room
    return low - more, high + more


def words(text: str, x: float, y: float, anchor: str, size: int, *, turned: int = 0) -> str:
    """Text from, to or around a place (`anchor`), its baseline there; `turned`: degrees, clockwise."""
    turn = f' transform="rotate({turned} {x:.1f} {y:.1f})"' if turned else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{turn}>{html.escape(text)}</text>'


def picture(width: float, height: float, parts: Iterable[str], title: str = "") -> str:
    """The whole picture, on white so that it can be read on a dark page as well."""
    head = words(title, width / 2, 16, "middle", 13) if title else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" fill="{INK}">'
        f'<rect width="100%" height="100%" fill="white"/>{head}{"".join(parts)}</svg>'
    )


def _share(value: float, span: Span) -> float:
    return min(1.0, max(0.0, (value - span[0]) / (span[1] - span[0])))


def _known(*values: float) -> bool:
    return all(math.isfinite(value) for value in values)
