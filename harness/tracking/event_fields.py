"""The types of the fields of a journal's events, which may have been damaged or edited."""

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
    "arguments": list,
    "jobs": int,
    "number": int,
    "folder": str,
    "command": str,
}
NUMERIC = ("metrics", "scalars")  # kinds of events whose values are numbers
STATUSES = ("FINISHED", "FAILED", "KILLED")


def is_valid(content: Any) -> bool:
    """Return whether a line of JSON is an event whose fields have the types they must have."""
    if not isinstance(content, dict) or "kind" not in content:
        return False
    event = cast("dict[str, Any]", content)
    if not all(_fits(value, FIELDS.get(name, object)) for name, value in event.items()):
        return False
    if event["kind"] in NUMERIC:
        return all(_are_numbers(value) for value in event.get("values", {}).values())
    return event["kind"] != "end" or event.get("status", "FINISHED") in STATUSES


def _fits(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _are_numbers(value: Any) -> bool:
    values = cast("list[Any]", value) if isinstance(value, list) else [value]
    return all(type(each) in (int, float) for each in values)
