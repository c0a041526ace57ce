"""Where classes are now that configurations of earlier versions name by another module."""

MOVED = {
    "harness.optimizers": "harness.core.optimizers",  # up to 0.4
    "harness.tasks.arrays": "harness.tasks.synthetic",
    "harness.tasks.shapes": "harness.tasks.curves",
}


def present_name(target: str) -> str:
    """`harness.core.optimizers.Adam` for the `harness.optimizers.Adam` of an earlier version."""
    module, dot, name = target.rpartition(".")
    return f"{MOVED.get(module, module)}{dot}{name}"
