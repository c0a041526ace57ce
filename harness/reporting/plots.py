"""Figures: loss curves of one run or of several backends, and predictions against the truth."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.intervals import over_replicas
from harness.core.losses import gives_logits
from harness.reporting.matplotlib_settings import default_settings
from harness.tasks import Bound

if TYPE_CHECKING:
    import pandas as pd

# One colour per backend, here and in MLflow's charts.
COLOURS = {"numpy": "#4c72b0", "torch": "#dd8452", "keras": "#7b3fa0", "jax": "#55a868"}
DPI = 110
SPLIT_COLOURS = {"train": "#8c8c8c", "val": "#4c72b0", "test": "#dd8452", "probe": "#c44e52"}


def figure(columns: int = 1, rows: int = 1, width: float = 6.4, height: float = 4.0) -> Any:
    """Return an empty figure, which needs no display, and its axes `(rows, columns)`.

    `width` and `height` are those of one panel, in inches. The caller draws and saves within
    `default_settings`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(drawing)
    return drawing, drawing.subplots(rows, columns, squeeze=False)


@cache
def panel(width: float, height: float) -> Any:
    """Return a figure with one panel and its axis.

    Margins and positions of the labels are fixed: fitting them to the numbers takes longer than all
    the rest.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(drawing)
    left, bottom, right, top = (1.0, 0.55, 0.15, 0.35)  # inches; ticks such as 0.00025 take 0.7
    drawing.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)
    axis = drawing.subplots()
    axis.xaxis.set_label_coords(0.5, -0.085)
    axis.yaxis.set_label_coords(-0.82 / (width - left - right), 0.5)
    return drawing, axis


def _empty_panel(width: float, height: float) -> Any:
    """Return the panel of that size, cleared of earlier drawings.

    New axes and ticks take half of the time of a figure, and a sweep draws hundreds.
    """
    from matplotlib.transforms import Bbox

    drawing, axis = panel(width, height)
    for artist in [*axis.lines, *axis.patches, *axis.collections, axis.get_legend()]:
        if artist is not None:
            artist.remove()
    if axis.get_yscale() != "linear":
        axis.set_yscale("linear")
    axis.xaxis.get_major_locator().set_params(integer=False, min_n_ticks=2)
    axis.dataLim, axis.ignore_existing_data_limits = Bbox.null(), True
    axis.autoscale(True)
    axis.set_prop_cycle(None)
    return drawing, axis


def _save(drawing: Any, path: Path) -> None:
    """Write a figure in 256 colours.

    The eye sees no difference; the file is a third as large and is written in half the time.
    """
    from PIL import Image

    drawing.canvas.draw()
    pixels = np.array(drawing.canvas.buffer_rgba())[..., :3]
    image = Image.fromarray(pixels).quantize(256, method=Image.Quantize.FASTOCTREE)
    image.save(path, "PNG", dpi=(DPI, DPI), compress_level=1)


@default_settings()
def draw_loss(
    path: Path, curves: dict[str, list[list[float]]], bound: Bound | None, title: str
) -> None:
    """Draw the loss curves of one run, with the 95 % interval of the mean over replicas.

    `curves` maps `train/loss` and `val/loss` to their values: a list per epoch, with one value per
    replica.
    """
    drawing, axis = _empty_panel(6.4, 4.0)
    for name, values in curves.items():
        colour = SPLIT_COLOURS[name.split("/")[0]]
        rows = [over_replicas("loss", row) for row in values]
        epochs = np.arange(1, len(rows) + 1)
        mark = "o" if len(rows) == 1 else None
        axis.plot(epochs, [r["loss"] for r in rows], color=colour, label=name, marker=mark)
        if "loss_lo" in rows[0]:
            # The interval may reach below the smallest loss of the replicas, even below 0.
            low = [max(r["loss_lo"], min(row)) for r, row in zip(rows, values, strict=True)]
            high = [r["loss_hi"] for r in rows]
            axis.fill_between(
                epochs, low, high, color=colour, alpha=0.2, linewidth=0, label="95 % of the mean"
            )
    if bound is not None and bound.loss > 0:
        label = f"best possible {bound.loss:.4g}"
        axis.axhline(bound.loss, color="black", linestyle="--", label=label)
    log_if_wide(axis, [v for values in curves.values() for row in values for v in row])
    whole_numbers(axis)
    axis.set(xlabel="epoch", ylabel="loss (original units)")
    axis.set_title(title, y=1.0)
    axis.legend(loc="upper right")
    _save(drawing, path)


@default_settings()
def draw_overlaid(path: Path, groups: dict[str, dict[str, "pd.DataFrame"]]) -> None:
    """Draw the loss curves of several backends, in one panel per group.

    Each backend has a colour; `train/loss` is dashed, `val/loss` solid. Curves that agree lie on
    top of each other, so each later backend is drawn thinner. `groups` maps title to backend to a
    table with a column per curve and a row per epoch.
    """
    columns = max(1, min(len(groups), 3 if len(groups) > 4 else 2))
    drawing, axes = figure(columns, max(1, -(-len(groups) // columns)), width=5.2, height=3.6)
    _fixed_margins(drawing, width=5.2, height=3.6)
    for axis in axes.flat[len(groups) :]:
        axis.set_visible(False)
    for axis, (title, runs) in zip(axes.flat, groups.items(), strict=False):
        for rank, (backend, curves) in enumerate(runs.items()):
            for name in curves.columns:
                dash = "-" if name == "val/loss" else "--"
                axis.plot(
                    curves.index,
                    curves[name],
                    color=COLOURS.get(backend, "#8172b3"),
                    linestyle=dash,
                    marker="o" if len(curves) == 1 else None,  # one epoch makes no line
                    linewidth=max(6.5 - 2.5 * rank, 1.2) if len(runs) > 1 else 1.5,
                    alpha=0.45 if rank == 0 and len(runs) > 1 else 0.9,
                    label=f"{backend} {name}",
                )
        log_if_wide(axis, [v for c in runs.values() for v in c.to_numpy().ravel()])
        whole_numbers(axis)
        axis.set(xlabel="epoch", ylabel="loss (original units)", title=title)
        axis.legend(fontsize=7, loc="upper right")
    drawing.savefig(path, dpi=DPI, format="png")


def _fixed_margins(drawing: Any, width: float, height: float) -> None:
    """Place the panels, each `width` by `height` inches, without a search, which doubles the time.

    A tick such as 0.00025 and the label beside it take 0.8 inches.
    """
    drawing.set_layout_engine(None)
    columns, rows = drawing.get_size_inches() / (width, height)
    left, bottom, right, top = (0.8, 0.5, 0.15, 0.35)  # inches, of each panel
    drawing.subplots_adjust(
        left=left / width / columns,
        right=1 - right / width / columns,
        bottom=bottom / height / rows,
        top=1 - top / height / rows,
        wspace=(left + right) / (width - left - right),
        hspace=(bottom + top) / (height - bottom - top),
    )


def whole_numbers(axis: Any) -> None:
    """Let the ticks of the horizontal axis be whole numbers."""
    axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def log_if_wide(axis: Any, values: list[float], which: str = "y") -> None:
    """Make an axis logarithmic if all values are positive and span more than a factor of 10."""
    finite = [v for v in values if np.isfinite(v)]
    if not finite or min(finite) <= 0 or max(finite) <= 10 * min(finite):
        return
    set_scale, ticks = {
        "x": (axis.set_xscale, axis.xaxis),
        "y": (axis.set_yscale, axis.yaxis),
    }[which]
    set_scale("log", subs=(2, 5))
    ticks.set_major_formatter("{x:g}")  # 0.01, since powers such as 10⁻² take long to draw
    ticks.set_minor_formatter("{x:g}" if max(finite) < 100 * min(finite) else "")


@default_settings()
def draw_predictions(path: Path, table: "pd.DataFrame", loss: str, title: str) -> None:
    """Draw predictions against targets.

    Labels of 0 and 1 get histograms of the predicted probabilities. Without targets, outputs are
    drawn over time steps.
    """
    drawing, axis = _empty_panel(5.0, 4.4)
    if bool(table["true"].isna().all()):
        _by_step(axis, table)
    elif gives_logits(loss) and bool(table["true"].dropna().isin((0, 1)).all()):
        _by_label(axis, table)
    else:
        _against_truth(axis, table)
    axis.set_title(title, y=1.0)
    _save(drawing, path)


def _against_truth(axis: Any, table: Any) -> None:
    for name, rows in table.groupby("split", sort=False):
        size = 30 if name == "probe" else 6
        axis.plot(
            rows["true"],
            rows["predicted"],
            "o",
            markersize=size**0.5,
            color=SPLIT_COLOURS[name],
            label=name,
        )
    ends = [table["true"].min(), table["true"].max()]
    axis.plot(ends, ends, color="black", linewidth=0.8, label="predicted = true")
    axis.set(xlabel="true", ylabel="predicted")
    axis.legend(loc="upper left")


def _by_label(axis: Any, table: "pd.DataFrame") -> None:
    for label, colour in ((0, "#4c72b0"), (1, "#dd8452")):
        rows = table.loc[table["true"] == label, "predicted"]
        axis.hist(rows, bins=np.linspace(0, 1, 31), alpha=0.6, color=colour, label=f"label {label}")
    axis.axvline(0.5, color="black", linewidth=0.8)
    axis.set(xlabel="predicted probability of label 1", ylabel="samples (all splits)")
    axis.legend(loc="upper center")  # the default, the best place, may take a second to find


def _by_step(axis: Any, table: "pd.DataFrame") -> None:
    for key, rows in table[table["sample"] == 0].groupby(["replica", "output"]):
        axis.plot(rows["time_step"], rows["predicted"], marker="o", label=str(key))
    whole_numbers(axis)
    axis.set(xlabel="time step", ylabel="output (sample 0)")
    axis.legend(title="(replica, output)", loc="upper left")
