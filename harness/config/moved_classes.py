"""The present modules of classes that configurations of earlier versions name elsewhere."""

MOVED = {
    "harness.optimizers": "harness.core.optimizers",  # up to 0.4
    "harness.tasks.arrays": "harness.tasks.synthetic",
    "harness.tasks.shapes": "harness.tasks.curves",
}


def present_name(target: str) -> str:
    """Return the present name of a class that an earlier version may have named.

    `harness.optimizers.Adam` becomes `harness.core.optimizers.Adam`.
    """
    module, dot, name = target.rpartition(".")
    return f"{MOVED.get(module, module)}{dot}{name}"
