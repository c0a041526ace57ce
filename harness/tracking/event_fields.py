"""The types of the fields of a journal's events, which may have been damaged or edited."""

from typing import Any

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
    "arguments": list,
    "jobs": int,
    "number": int,
    "folder": str,
    "command": str,
}
NUMERIC = ("metrics", "scalars")  # kinds of events whose values are numbers
STATUSES = ("FINISHED", "FAILED", "KILLED")


def is_valid(event: Any) -> bool:
    """Return whether an event has a kind, and whether its fields have the types they must have."""
    if not isinstance(event, dict) or "kind" not in event:
        return False
    if not all(_fits(value, FIELDS.get(name, object)) for name, value in event.items()):
        return False
    if event["kind"] in NUMERIC:
        return all(_are_numbers(value) for value in event.get("values", {}).values())
    return event["kind"] != "end" or event.get("status", "FINISHED") in STATUSES


def _fits(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _are_numbers(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(type(each) in (int, float) for each in values)
