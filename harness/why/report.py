"""The results of `python -m harness.why`: tables, a report, a figure, and a run in MLflow."""

import base64
import html
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.config.serialise import flat_params
from harness.reporting.html_style import STYLE
from harness.system.durable_files import Content, write_files
from harness.tracking import provenance
from harness.tracking.mlflow_store import NOTE
from harness.tracking.run_log import RunLog
from harness.why.answer import Answer, Outcome, Question
from harness.why.plot import draw_waterfall
from harness.why.sentences import (
    caption,
    headline,
    interplay,
    levels,
    number,
    percent,
    plus_minus,
    sentence,
    side_name,
)

FORMAT = 1  # of why.json; counted up when a field changes its meaning
EXPERIMENT = "why"
ABOUT = "Why two ways of training the same network train differently: every setting's part."


def begin(record: RunLog, question: Question, command: str) -> None:
    """Record the start: both sides' settings, as `a.KEY` and `b.KEY` where they differ."""
    a, b = flat_params(question.a), flat_params(question.b)
    params: dict[str, Any] = {key: a[key] for key in a if key in b and a[key] == b[key]}
    for name, settings in (("a", a), ("b", b)):
        params |= {f"{name}.{k}": v for k, v in settings.items() if k not in params}
    tags = {"kind": "why", "task": question.a.task.name, "cell": question.a.model.cell}
    tags |= provenance.tags([], record.directory, Path(question.a.results))
    tags |= {"command": command, "mlflow.source.name": command}
    tags[NOTE] = f"Repeat it with\n\n    {command}"
    name = f"{question.a.task.name}·{side_name(question.a)}→{side_name(question.b)}"
    record.start(
        name=name,
        experiment=question.a.tracking.experiment_or(EXPERIMENT),
        note=ABOUT,
        params=params,
        tags=tags,
    )


def finish(record: RunLog, question: Question, answer: Answer, command: str) -> None:
    """Write every file, and the metrics that MLflow shows."""
    folder = record.directory
    sentences = [sentence(question, outcome) for outcome in answer.outcomes]
    record.write("tags", values={NOTE: f"{sentences[0]}\n\nRepeat it with\n\n    {command}"})
    for prefix, outcome in zip(("why", "why/mean"), answer.outcomes, strict=True):
        record.write("scalars", values=_metrics(prefix, question, outcome))
    facts: dict[str, Any] = {"format": FORMAT}
    facts |= {"command": command, "seeds": question.a.seeds, "seconds": answer.seconds}
    facts |= {"trained_by": question.backend.name, "method": question.design.method}
    facts |= {"idle": [{"setting": i.player.name, "reason": i.reason} for i in question.idle]}
    facts |= {"outcomes": [_facts(question, o) for o in answer.outcomes], "sentences": sentences}
    facts |= provenance.machine()
    tables = [records(question, o).assign(measure=o.name, **_interplay(o)) for o in answer.outcomes]
    files: dict[str, Content] = {
        "why.json": json.dumps(facts, indent=2, ensure_ascii=False),
        "why.csv": partial(pd.concat(tables).to_csv, index=False),
        "coalitions.csv": partial(_coalitions(question, answer).to_csv, index=False),
    }
    drawn = [outcome for outcome in answer.outcomes if outcome.significant]
    if drawn:
        title = headline(question)
        files["why.png"] = lambda path: draw_waterfall(path, question, drawn, title)
    write_files({folder / name: content for name, content in files.items()})
    _write_report(folder, question, answer, command, bool(drawn))
    for path in [*files, "report.md", "report.html"]:
        record.file(path)


def records(question: Question, outcome: Outcome) -> pd.DataFrame:
    """Return a table with one row per setting, largest part first, then the frameworks and the gap.

    There are shares only if there is a gap, and parts only if it was divided.
    """
    parts, rows = outcome.parts, []
    for i in outcome.ranked() if len(parts.mean) else []:
        player = question.players[i]
        rows.append(
            {
                "setting": player.name,
                "a": player.a,
                "b": player.b,
                "alone_from_a": float(outcome.alone_a[i].mean()),
                "alone_from_b": float(outcome.alone_b[i].mean()),
                "part": float(parts.mean[i]),
                "half": float(parts.half[i]),
                "half_seeds": float(parts.seeds[i]),
                "half_sampling": float(parts.sampling[i]),
            }
        )
    framework = {"setting": "(framework)"}
    framework |= {"a": question.a.backend.name, "b": question.b.backend.name}
    rows.append(framework | dict(zip(("part", "half"), outcome.framework, strict=True)))
    rows.append({"setting": "(gap)", "part": outcome.gap, "half": outcome.half})
    table = pd.DataFrame(rows)
    table["share"] = table["part"] / outcome.gap if outcome.significant else np.nan
    table["share_half"] = table["half"] / abs(outcome.gap) if outcome.significant else np.nan
    table["within_noise"] = table["part"].abs() <= table["half"]
    return table


def shown(question: Question, outcome: Outcome, errors: bool = True) -> pd.DataFrame:
    """Return the table of `records` as text; `errors` adds the errors of the shares."""
    table = pd.DataFrame(
        {
            "setting": row["setting"].strip("()"),
            "A": _text(row.get("a")),
            "B": _text(row.get("b")),
            "alone\nfrom A": _number(row.get("alone_from_a")),
            "alone\nfrom B": _number(row.get("alone_from_b")),
            "part": plus_minus(row["part"], row["half"]),
            "share": _share(row, errors) if outcome.significant else "",
        }
        for row in records(question, outcome).to_dict("records")
    )
    if question.same_framework:
        table.loc[table["setting"] == "framework", ["part", "share"]] = ["the same", ""]
    return table


def _share(row: Any, errors: bool) -> str:
    """Return a share as text, in brackets if it is within the noise."""
    share = percent(row["share"], row["share_half"] if errors else 0.0)
    return f"({share})" if row["within_noise"] else share


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: float | None) -> str:
    return "" if value is None or np.isnan(value) else number(value)


def acting_table(question: Question) -> pd.DataFrame:
    """Return the settings that differ and act, and the frameworks."""
    names = {"setting": "framework", "A": question.a.backend.name, "B": question.b.backend.name}
    rows = [{"setting": p.name, "A": p.a, "B": p.b} for p in question.players]
    return pd.DataFrame([*rows, names])


def idle_table(question: Question) -> pd.DataFrame:
    """Return the settings that differ but cannot act."""
    return pd.DataFrame(
        {"setting": i.player.name, "A": i.player.a, "B": i.player.b, "why": i.reason}
        for i in question.idle
    )


def _coalitions(question: Question, answer: Answer) -> pd.DataFrame:
    """Return the settings that were B's in each training, and its mean losses over seeds."""
    rows = []
    for mask, value in answer.values.items():
        names = "; ".join(player.name for player in question.members(mask))
        rows.append({"b": names} | dict(zip(question.measures, value.mean(axis=1), strict=True)))
    return pd.DataFrame(rows)


def _metrics(prefix: str, question: Question, outcome: Outcome) -> dict[str, Any]:
    """Return the gap of each replica and, if the gap is significant, the shares."""
    values: dict[str, Any] = {f"{prefix}/gap": (outcome.b - outcome.a).tolist()}
    if outcome.significant and len(outcome.parts.mean):
        for player, part in zip(question.players, outcome.parts.mean, strict=True):
            name = player.name.replace(" and ", "_and_")
            values[f"{prefix}/share/{name}"] = outcome.share(part)
        values[f"{prefix}/share/framework"] = outcome.share(outcome.framework[0])
    return values | {f"{prefix}/{name}": value for name, value in _interplay(outcome).items()}


def _interplay(outcome: Outcome) -> dict[str, float]:
    """Return the interplay from both sides; nothing if the gap was not divided."""
    if not len(outcome.parts.mean):
        return {}
    return dict(zip(("interplay_from_a", "interplay_from_b"), outcome.interplay(), strict=True))


def _facts(question: Question, outcome: Outcome) -> dict[str, Any]:
    table = records(question, outcome)
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    sides = {"a": outcome.a.tolist(), "b": outcome.b.tolist()}  # by seed
    facts = {
        "measure": outcome.name,
        "losses": sides,
        "beyond_noise": outcome.significant,
        "parts": rows,
    }
    return facts | _interplay(outcome)


def _write_report(
    folder: Path, question: Question, answer: Answer, command: str, picture: bool
) -> None:
    """Write `report.md` and `report.html` with equal contents; the second needs no other file."""
    text = [f"# {headline(question)}"]
    page = [f"<h1>{html.escape(headline(question))}</h1>"]

    def add(table: pd.DataFrame | None, *paragraphs: str) -> None:
        text.extend(paragraphs)
        page.extend(f"<p>{html.escape(p)}</p>" for p in paragraphs)
        if table is not None and len(table):
            text.append(_markdown(table))
            page.append(table.to_html(index=False, border=0))

    for outcome in answer.outcomes:
        add(shown(question, outcome), sentence(question, outcome), levels(outcome))
        if answer.divided:
            add(None, interplay(outcome))
    add(None, caption(question, answer))
    if picture:
        text.append("![from A's loss to B's](why.png)")
        encoded = base64.b64encode((folder / "why.png").read_bytes()).decode()
        page.append(f"<img alt=\"from A's loss to B's\" src='data:image/png;base64,{encoded}'>")
    if question.idle:
        add(idle_table(question), "These differ, too, but play no part here:")
    text.append(f"Repeat it with\n\n    {command}")
    page.append(f"<p>Repeat it with <code>{html.escape(command)}</code></p>")
    head = "<!doctype html><html lang='en'><meta charset='utf-8'><title>Why</title>"
    whole = f"{head}<style>{STYLE}</style>\n" + "\n".join(page) + "</html>\n"
    files = {folder / "report.md": "\n\n".join(text) + "\n", folder / "report.html": whole}
    write_files(files)


def _markdown(table: pd.DataFrame) -> str:
    names = [str(name).replace("\n", " ") for name in table.columns]
    rows = [names, ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)
