"""A sweep as a file: its cells as a table, a heat map and the frontier as a picture, both as a page."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from html import escape

from distill_core.errors import ExportError
from distill_core.settings import AUTO
from distill_core.sweeps.axes import Value
from distill_core.sweeps.events import CellShown, FrontierPoint, Spread, SweepShown, TrialEnded
from distill_core.wording import cosine_error

_CELL_WIDTH, _CELL_HEIGHT, _LEFT, _TOP = 110, 34, 150, 60
_PLOT_WIDTH, _PLOT_HEIGHT = 520, 280
_FONT = 'font-family="sans-serif" font-size="12"'


def sweep_content(sweep: SweepShown, suffix: str) -> bytes:
    """Return the content of a file of a sweep.

    Args:
        sweep: As it stands.
        suffix: `.csv`, `.svg` or `.html`.

    Raises:
        ExportError: It is none of these.
    """
    writers: dict[str, Callable[[SweepShown], str]] = {".csv": _csv, ".svg": sweep_svg, ".html": _html}
    if suffix not in writers:
        raise ExportError(
            f"There is no export of a sweep to {suffix or 'a file without a suffix'}.",
            f"Take {', '.join(writers)}.",
        )
    return writers[suffix](sweep).encode()


def rows_of(sweep: SweepShown) -> Iterator[dict[str, object]]:
    """Yield the cells as flat rows, of the same columns each."""
    names = list(dict.fromkeys(name for cell in sweep.cells for name in cell.settings))
    for cell in sweep.cells:
        row: dict[str, object] = {"cell": cell.number}
        row |= {name: value_words(cell.settings[name]) if name in cell.settings else "" for name in names}
        row |= {"state": cell.state, "seeds": cell.seeds, "done": cell.done}
        for name in ("cosine", "skill", "agreement", "behind_best"):
            spread: Spread | None = getattr(cell, name)
            for part in ("mean", "low", "high"):
                row[f"{name}_{part}"] = "" if spread is None else getattr(spread, part)
        for name in ("p90_us", "lda_p90_us", "machine", "parameters", "size_bytes", "train_seconds"):
            row[name] = getattr(cell, name) if getattr(cell, name) is not None else ""
        row["on_frontier"] = any(point.cell == cell.number for point in sweep.frontier)
        yield row | {"runs": " ".join(cell.runs), "why": cell.why}


def value_words(value: Value) -> str:
    """Return a value of a setting as it is typed."""
    if isinstance(value, bool):
        return str(value).lower()
    return AUTO if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def settings_words(cell: CellShown | FrontierPoint | TrialEnded) -> str:
    """Return the settings of a cell in one line, such as `memory H 2 L 1 cosine-weight 0.5`."""
    short = {"student": "", "heads": "H ", "layers": "L "}
    settings = cell.settings.items()
    return " ".join(f"{short.get(n, n.replace('_', '-') + ' ')}{value_words(v)}" for n, v in settings)


def heat_axes(sweep: SweepShown) -> tuple[str, str]:
    """Return the two settings that a heat map shows: those with several values, H and L first."""
    varying = [name for name, values in sweep.axes.items() if len(values) > 1]
    order = [name for name in ("heads", "layers", *varying, "student") if name in {*varying, "student"}]
    first, *others = dict.fromkeys(order)
    return first, others[0] if others else "student"


def _csv(sweep: SweepShown) -> str:
    rows = list(rows_of(sweep))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["cell"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def sweep_svg(sweep: SweepShown) -> str:
    """Return the heat map of 1 - cos over two settings, and the frontier of error against latency."""
    across, down = heat_axes(sweep)
    columns, rows = (_values(sweep, name) for name in (across, down))
    height = _TOP + _CELL_HEIGHT * len(rows) + 60
    width = max(_LEFT + _CELL_WIDTH * len(columns) + 20, _LEFT + _PLOT_WIDTH + 20)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height + _PLOT_HEIGHT + 80}">',
        '<rect width="100%" height="100%" fill="white"/>',
        _text(10, 20, f"{sweep.name}: 1 - cosine, mean over the seeds, best of the other settings"),
        _text(10, 40, f"{across} across, {down} down"),
        *_heat_map(sweep, (across, columns), (down, rows)),
        *_scatter(sweep, height),
        "</svg>",
    ]
    return "\n".join(parts)


def _heat_map(
    sweep: SweepShown, across: tuple[str, list[Value]], down: tuple[str, list[Value]]
) -> Iterator[str]:
    errors: dict[tuple[Value, Value], float] = {}
    for cell in sweep.cells:
        if cell.cosine is not None:
            key = cell.settings.get(across[0]), cell.settings.get(down[0])
            errors[key] = min(errors.get(key, 2.0), 1.0 - cell.cosine.mean)
    low, high = min(errors.values(), default=0.0), max(errors.values(), default=1.0)
    for column, value in enumerate(across[1]):
        yield _text(_LEFT + column * _CELL_WIDTH + 6, _TOP - 6, value_words(value))
    for line, value in enumerate(down[1]):
        y = _TOP + line * _CELL_HEIGHT
        yield _text(10, y + 22, value_words(value))
        for column, other in enumerate(across[1]):
            error = errors.get((other, value))
            if error is None:
                continue
            shade = 0.0 if high == low else (error - low) / (high - low)
            color = f"rgb({int(90 + 150 * shade)},{int(190 - 90 * shade)},{int(120 - 20 * shade)})"
            x = _LEFT + column * _CELL_WIDTH
            size = f'width="{_CELL_WIDTH - 4}" height="{_CELL_HEIGHT - 4}"'
            yield f'<rect x="{x}" y="{y}" {size} fill="{color}"/>'
            yield _text(x + 6, y + 20, cosine_error(error))


def _scatter(sweep: SweepShown, top: int) -> Iterator[str]:
    timed = [cell for cell in sweep.cells if cell.cosine is not None and cell.p90_us]
    yield _text(
        10, top, "1 - cosine (down) against p90 in us (across); filled: not beaten in error, latency, bytes"
    )
    if not timed:
        return
    best = {point.cell for point in sweep.frontier}
    errors = [1.0 - cell.cosine.mean for cell in timed if cell.cosine]
    times = [cell.p90_us or 0.0 for cell in timed]
    for cell, error, time in zip(timed, errors, times, strict=True):
        x = _LEFT + _PLOT_WIDTH * _share(time, times)
        y = top + 20 + _PLOT_HEIGHT * (1 - _share(error, errors))
        fill = "#205080" if cell.number in best else "none"
        told = escape(f"{settings_words(cell)}: {cosine_error(error)}, {time:.1f} us")
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="#205080">'
        yield f"<title>{told}</title></circle>"
    bottom = top + _PLOT_HEIGHT + 50
    yield _text(_LEFT, bottom, f"{min(times):.1f} us")
    yield _text(_LEFT + _PLOT_WIDTH - 60, bottom, f"{max(times):.1f} us")
    yield _text(10, top + 30, cosine_error(max(errors)))
    yield _text(10, top + 20 + _PLOT_HEIGHT, cosine_error(min(errors)))


def _html(sweep: SweepShown) -> str:
    rows = [{name: value for name, value in row.items() if value != ""} for row in rows_of(sweep)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{escape(_figure(row.get(name, '')))}</td>" for name in names) + "</tr>"
        for row in rows
    )
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(sweep.name)}</title>\n'
        "<style>body{font-family:sans-serif}td,th{padding:2px 8px;text-align:right}</style>\n"
        f"<h1>{escape(sweep.name)}</h1>\n<p>{sweep.done} of {sweep.trials} runs, {escape(sweep.state)}.</p>\n"
        f"{sweep_svg(sweep)}\n<table><tr>{head}</tr>\n{body}\n</table></html>\n"
    )


def _values(sweep: SweepShown, name: str) -> list[Value]:
    return list(dict.fromkeys(cell.settings.get(name) for cell in sweep.cells))


def _share(value: float, values: Sequence[float]) -> float:
    low, high = min(values), max(values)
    return 0.5 if high == low else (value - low) / (high - low)


def _figure(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _text(x: float, y: float, words: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {_FONT}>{escape(words)}</text>'
