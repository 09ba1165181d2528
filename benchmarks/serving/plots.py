"""Two small plots as SVG text, so that nothing need be installed to draw or to see them."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log10

FONT = 'font-family="sans-serif" font-size="12"'
INK, OURS, OTHERS = "#444", "#1f6feb", "#9aa4b2"
WIDTH = 760

Point = tuple[float, float]


def bars(title: str, values: Mapping[str, float], *, ours: str) -> str:
    """Horizontal bars on a logarithmic axis, one for each name."""
    left, right, top, step = 230, 90, 36, 26
    low = log10(min(values.values())) - 0.3
    scale = (WIDTH - left - right) / (log10(max(values.values())) - low)
    parts = [_text(8, 20, title, weight="bold")]
    for row, (name, value) in enumerate(values.items()):
        y, length = top + row * step, (log10(value) - low) * scale
        colour = OURS if name == ours else OTHERS
        parts.append(_text(left - 8, y + 14, name, anchor="end"))
        parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="18" fill="{colour}"/>')
        parts.append(_text(left + length + 6, y + 14, f"{value:,.0f}"))
    return _svg(top + step * len(values) + 8, parts)


def panels(figures: Sequence[tuple[str, str, Sequence[tuple[str, Sequence[Point]]]]]) -> str:
    """Curves on two logarithmic axes; each panel is (title, what x is, [(name of a curve, points)])."""
    width, height = WIDTH // 2, 230
    parts: list[str] = []
    for index, (title, unit, curves) in enumerate(figures):
        x0, y0 = (index % 2) * width, (index // 2) * height
        parts.append(f'<g transform="translate({x0},{y0})">')
        parts += _panel(title, unit, curves, width, height)
        parts.append("</g>")
    return _svg(height * ((len(figures) + 1) // 2), parts)


def _panel(title: str, unit: str, curves: Sequence[tuple[str, Sequence[Point]]], width: int, height: int) -> list[str]:
    left, right, top, bottom = 56, 16, 44, 40
    xs = [x for _, points in curves for x, _ in points]
    ys = [y for _, points in curves for _, y in points]
    (x_low, x_high), (y_low, y_high) = _span(xs), _span(ys, room=0.5)

    def at(x: float, y: float) -> Point:
        across = (log10(x) - x_low) / (x_high - x_low) * (width - left - right)
        up = (log10(y) - y_low) / (y_high - y_low) * (height - top - bottom)
        return left + across, height - bottom - up

    parts = [
        _text(left, 18, title, weight="bold"),
        _text((left + width - right) / 2, height - 8, unit, anchor="middle"),
    ]
    frame = f'x="{left}" y="{top}" width="{width - left - right}" height="{height - top - bottom}"'
    parts.append(f'<rect {frame} fill="none" stroke="#ccc"/>')
    parts += [_text(at(x, ys[0])[0], height - bottom + 15, _short(x), anchor="middle") for x in sorted(set(xs))]
    parts += [_text(left - 5, at(xs[0], y)[1] + 4, _short(y), anchor="end") for y in (min(ys), max(ys))]
    for number, (name, points) in enumerate(curves):
        colour = (OURS, "#d9822b", "#2d8a4e")[number]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in (at(x, y) for x, y in points))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(left + number * 150, 36, name, colour=colour))
    return parts


def _span(values: Sequence[float], room: float = 0.0) -> Point:
    low, high = log10(min(values)) - room, log10(max(values)) + room
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _short(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", colour: str = INK) -> str:
    placed = f'x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}"'
    return f"<text {placed} {FONT}>{escape(text)}</text>"


def _svg(height: float, parts: Sequence[str]) -> str:
    size = f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
    background = f'<rect width="{WIDTH}" height="{height:.0f}" fill="#fff"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', background, *parts, "</svg>", ""])
