"""A saved view of an experiment, with which MLflow's page opens from a link.

MLflow's own first page shows neither losses nor the children of a folded sweep. A saved view is a
tag of the experiment: a name and the page's state, as deflated JSON. The format is internal to
MLflow; it was taken from a view saved in MLflow 3.17's page, which ignores it if it cannot read it.
"""

import base64
import json
import zlib

KEY = "by-loss"
SECTIONS = {
    "loss": (("LINE", "train/loss"), ("LINE", "val/loss"), ("BAR", "test/loss")),
    "cost": (("BAR", "time/per_step_us"), ("BAR", "time/train_s"), ("BAR", "params/total")),
}
# MLflow shows attributes first, among them the duration, then metrics, params and tags, each by the
# alphabet. These fit a page of 1,500 pixels; the data set's column alone takes 300 of them.
COLUMNS = (
    "metrics.`params/total`",
    "metrics.`test/loss`",
    "metrics.`train/loss`",
    "metrics.`val/loss`",
    "params.`optimizer.lr`",
    "params.`seed`",
    "tags.`backend`",
    "tags.`cell`",
)


def tag() -> dict[str, str]:
    """Return the experiment tag that holds the view."""
    packed = zlib.compress(json.dumps(_state()).encode(), 9)
    view = {
        "name": "Runs by val/loss",
        "createdAt": 0,
        "updatedAt": 0,
        "state": "deflate;" + base64.b64encode(packed).decode(),
    }
    return {f"mlflow.sharedViewState.{KEY}": json.dumps(view)}


def link(experiment: str, server: str = "http://127.0.0.1:5000") -> str:
    """Return the address of an experiment's runs, by its id, in this view."""
    page = f"{server}/#/experiments/{experiment}/runs"
    return f"{page}?workflowType=machine_learning&viewStateShareKey={KEY}"


def _state() -> dict[str, object]:
    """Return the page's state: all runs but sweeps' parents, best first.

    MLflow shows the runs of a folded sweep only where runs are sorted by a metric.
    """
    charts = [_chart(kind, name, key) for key, row in SECTIONS.items() for kind, name in row]
    shown = {"display": True, "isReordered": True, "deleted": False, "isGenerated": False}
    return {
        "searchFilter": "tags.kind = 'run'",
        "orderByKey": "metrics.`val/loss`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(COLUMNS),
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": charts,
        "compareRunSections": [{"uuid": key, "name": key, **shown} for key in SECTIONS],
        "isAccordionReordered": True,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
    }


def _chart(kind: str, name: str, section: str) -> dict[str, object]:
    """Return a chart: lines of losses over epochs, on a logarithmic axis, or bars of one value."""
    chart: dict[str, object] = {
        "uuid": name,
        "type": kind,
        "runsCountToCompare": 20,
        "metricSectionId": section,
        "deleted": False,
        "isGenerated": False,
        "displayName": name,
        "metricKey": name,
    }
    if kind == "LINE":
        chart |= {
            "selectedMetricKeys": [name],
            "scaleType": "log",
            "xAxisKey": "step",
            "xAxisScaleType": "linear",
            "yAxisKey": "metric",
            "yAxisExpressions": [],
            "lineSmoothness": 0,
            "range": {},
            "selectedXAxisMetricKey": "",
            "useGlobalXaxisKey": True,
        }
    return chart
