"""The fields of a journal's events and their types: a line may have been damaged or edited."""

from typing import Any, cast

FIELDS: dict[str, type | tuple[type, ...]] = {
    "kind": str,
    "time": int,
    "name": str,
    "experiment": str,
    "note": str,
    "params": dict,
    "tags": dict,
    "parent": (str, type(None)),
    "store": (dict, type(None)),
    "process": dict,
    "id": str,
    "step": int,
    "values": dict,
    "state": str,
    "digest": str,
    "path": str,
    "bytes": int,
    "sha256": str,
    "epoch": int,
    "status": str,
    "error": (str, type(None)),
    "pruned": bool,
    "source": dict,
    "cost": dict,
    "shapes": dict,
    "text": str,
    "arguments": list,
    "varying": list,
    "jobs": int,
    "items": list,
    "hydra": list,
    "options": list,
    "results": str,
    "reused": bool,
    "journal": str,
    "to": str,
    "ids": list,
    "number": int,
    "folder": str,
    "command": str,
}
NEEDED: dict[str, tuple[str, ...]] = {  # the fields without which an event of a kind says nothing
    "sweep": ("arguments", "varying", "jobs"),
    "resumed": ("process",),
    "submitted": ("to", "ids"),
    "job": ("number", "folder"),
    "refused": ("name", "command"),
    "start": ("name", "experiment", "note", "params", "tags"),
    "tags": ("values",),
    "metrics": ("step", "values"),
    "scalars": ("values",),
    "system": ("step", "values"),
    "dataset": ("name", "digest", "source", "shapes"),
    "file": ("path",),
    "checkpoint": ("path", "epoch"),
    "table": ("path",),
    "model": ("path",),
    "summary": ("text",),
    "end": ("status",),
}
NUMERIC = ("metrics", "scalars", "system")  # kinds of events whose values are numbers
STATUSES = ("FINISHED", "FAILED", "KILLED")


def is_valid(content: Any) -> bool:
    """Return whether a line of JSON is an event with the fields of its kind, of their types."""
    if not isinstance(content, dict):
        return False
    event = cast("dict[str, Any]", content)
    if not all(_fits(value, FIELDS.get(name, object)) for name, value in event.items()):
        return False
    kind = event.get("kind", "")
    if not event.keys() >= {"kind", "time", *NEEDED.get(kind, ())}:
        return False
    if kind in NUMERIC:
        return _are_numbers(event["values"], per_replica=kind == "metrics")
    return kind != "end" or event["status"] in STATUSES


def _fits(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _are_numbers(values: dict[str, Any], per_replica: bool) -> bool:
    """Return whether all values are numbers or lists of them; lists of one length for replicas."""
    lists = [cast("list[Any]", v) if isinstance(v, list) else [v] for v in values.values()]
    if per_replica and not all(isinstance(value, list) for value in values.values()):
        return False
    if per_replica and len({len(each) for each in lists}) > 1:
        return False
    return all(type(each) in (int, float) for row in lists for each in row)
