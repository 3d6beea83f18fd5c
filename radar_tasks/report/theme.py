"""How charts look, in light, dark and print: colours that the colour-blind can tell apart, and Vega-Lite's config.

Colours are those of Okabe and Ito (2008, "Color Universal Design"), lightened on dark ground. Charts name styles and
take colours by position only, so that one chart serves every theme.
"""

from __future__ import annotations

from typing import Any, Literal

Mode = Literal["light", "dark"]

FONT = "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"

CATEGORY: dict[Mode, list[str]] = {
    "light": ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6b6b6b", "#000000"],
    "dark": ["#56B4E9", "#F39A4A", "#2FC79B", "#E59CC4", "#F0D442", "#8FB8FF", "#B5B5B5", "#FFFFFF"],
}
"""By position: perception and reasoning, or the first run, the second, ..."""

LEGEND_SHAPES = (
    "M0-7A7 7 0 1 1 0 7A7 7 0 1 1 0-7Z",
    "M-6.5-6.5H6.5V6.5H-6.5Z",
    "M0-7.5L8 6.5H-8Z",
    "M0-9L7 0L0 9L-7 0Z",
    "M-8-2.7H-2.7V-8H2.7V-2.7H8V2.7H2.7V8H-2.7V2.7H-8Z",
    "M0 7.5L8-6.5H-8Z",
    "M7.5 0L-6.5 8V-8Z",
    "M-7.5 0L6.5 8V-8Z",
)
"""SVG paths of the charts' shapes (`radar_tasks.report.charts.figure.SHAPES`), in a box from -10 to 10."""

INK: dict[Mode, dict[str, str]] = {
    "light": {"text": "#1c2733", "muted": "#56616d", "grid": "#e6e9ed", "axis": "#98a2ad", "chance": "#6b7580"},
    "dark": {"text": "#e8edf2", "muted": "#a9b4bf", "grid": "#2b343e", "axis": "#66717d", "chance": "#97a2ad"},
}

GROUND_TEXT: dict[Mode, str] = {"light": "#ffffff", "dark": "#0f1317"}
"""Text on the first colour."""

BACKGROUND: dict[Mode, str] = {"light": "#ffffff", "dark": "#161b21"}


def config(mode: Mode, background: str | None = None) -> dict[str, Any]:
    """Vega-Lite's `config` of a theme; transparent unless a background is given."""
    ink = INK[mode]
    return {
        "background": background or "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "range": {"category": CATEGORY[mode], "heatmap": [BACKGROUND[mode], CATEGORY[mode][0]]},
        "title": {
            "anchor": "start",
            "frame": "group",
            "color": ink["text"],
            "fontSize": 17,
            "fontWeight": 600,
            "subtitleColor": ink["muted"],
            "subtitleFontSize": 12.5,
            "subtitlePadding": 5,
            "offset": 14,
        },
        "axis": {
            "labelColor": ink["muted"],
            "labelFontSize": 12.5,
            "labelPadding": 6,
            "titleColor": ink["text"],
            "titleFontSize": 13,
            "titleFontWeight": 500,
            "titlePadding": 10,
            "gridColor": ink["grid"],
            "domainColor": ink["axis"],
            "tickColor": ink["axis"],
            "tickSize": 4,
        },
        "axisX": {"grid": False, "tickCount": 6, "labelFlush": False},
        "axisY": {"domain": False, "ticks": False, "tickCount": 5, "labelLimit": 210},
        "header": {"labelColor": ink["text"], "labelFontSize": 14, "titleColor": ink["muted"]},
        "legend": {
            "labelColor": ink["text"],
            "labelFontSize": 13,
            "titleColor": ink["muted"],
            "titleFontSize": 12,
            "orient": "top",
            "symbolSize": 110,
            "symbolStrokeWidth": 2.5,
        },
        "line": {"strokeWidth": 2.75, "strokeCap": "round", "strokeJoin": "round"},
        "rule": {"color": ink["chance"]},
        "text": {"color": ink["chance"]},
        "point": {"filled": True, "size": 52, "opacity": 1},
        "style": {
            "band": {"opacity": 0.17, "strokeWidth": 0},
            "label": {"fontSize": 13, "fontWeight": 600, "align": "left", "baseline": "middle", "dx": 10},
            "chance": {"strokeDash": [5, 4], "strokeWidth": 1.5},
            "chance-label": {"fontSize": 12.5, "fontStyle": "italic", "align": "left", "baseline": "middle", "dx": 14},
            "faint-line": {"strokeWidth": 1, "opacity": 0.5, "color": ink["chance"]},
            "crowd-line": {"strokeWidth": 1.6},
            "crowd-point": {"size": 16},
            "phase-point": {"size": 30},
            "crowd-label": {
                "fontSize": 10.5,
                "fontWeight": 600,
                "align": "left",
                "baseline": "middle",
                "dx": 7,
                "limit": 130,
            },
            "cell-label": {"fontSize": 10.5, "color": ink["text"]},
            "cell-label-full": {"fontSize": 10.5, "color": GROUND_TEXT[mode]},
            "whisker": {"strokeWidth": 2.25, "strokeCap": "round"},
        },
    }
