"""The engine of `hydra/launcher=ray`: units as tasks of a Ray cluster.

Ray's own retries are off, since the sweep's driver has its own. What the machine of a task has
written is brought back before its result, see `shipping.py`.
"""

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from typing import Any

import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)
from ray.util.queue import Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.core.errors import ConfigError, first_line
from harness.sweeps.engines import ray_worker
from harness.sweeps.engines.shipping import Piece, shipment
from harness.sweeps.jobs import FailedFast
from harness.sweeps.units import WorkUnit
from harness.sweeps.work import Losses

log = logging.getLogger(__name__)

LOOK = 0.2  # seconds between two looks at tasks and at what they have sent
GRACE = 30.0  # seconds in which tasks close their runs after a stop
DEATHS = (WorkerCrashedError, NodeDiedError, ObjectLostError, OutOfMemoryError)

Result = Losses | str | None  # see `ray_worker.work`


class Stopped(Exception):
    """A task has closed its runs, since its process was asked to stop."""


class CutOff(Exception):
    """What tasks have sent may be lost: their queue, an actor, did not answer or has died."""


class RayCluster:
    """A connected cluster; each unit needs `resources`: `CPU`, and perhaps `GPU` and `memory`."""

    def __init__(self, resources: Mapping[str, float]) -> None:
        self._resources = resources
        self._pieces = _queue()
        options: dict[str, Any] = {"max_retries": 0, "num_cpus": resources["CPU"]}
        options |= {"num_gpus": resources.get("GPU", 0), "memory": resources.get("memory")}
        self._task: Any = ray.remote(**options)(ray_worker.work)
        self._futures: dict[Any, Future[Losses]] = {}
        self._closes = threading.Event()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def slots(self) -> int:
        """The units that fit on the cluster at once; at least one, for which Ray waits."""
        return max(1, slots(self._resources))

    def submit(self, unit: WorkUnit) -> "Future[Losses]":
        """Let some node carry out a unit."""
        future: Future[Losses] = Future()
        future.set_running_or_notify_cancel()
        ref = self._task.remote(unit, shipment(unit), self._resources["CPU"], self._pieces.put)
        self._futures[ref] = future
        return future

    @staticmethod
    def how_it_died(error: BaseException) -> str | None:
        """Return how a task's process ended; None if it did not end."""
        if isinstance(error, OutOfMemoryError):
            return "was killed by Ray, since its node had no memory left"
        if isinstance(error, NodeDiedError | ObjectLostError):
            return "was lost with its Ray node"
        if isinstance(error, CutOff):
            return "was cut off from the sweep"
        if isinstance(error, Stopped):
            return "was asked to stop, but not by the sweep"
        return "has ended unexpectedly" if isinstance(error, DEATHS) else None

    def stop(self) -> None:
        """Let the tasks close their runs, and end; those that do not are killed."""
        futures = list(self._futures.values())
        for force in (False, True):
            for ref in list(self._futures):
                ray.cancel(ref, force=force)
            wait(futures, timeout=GRACE)
        self.close()

    def close(self) -> None:
        """Leave the cluster, and end it if this process has started it."""
        self._closes.set()
        self._listener.join()
        ray.shutdown()

    def _listen(self) -> None:
        """Write what tasks send, and settle the futures of those that are done."""
        try:
            while not self._closes.is_set():
                refs = list(self._futures)
                done, _ = ray.wait(refs, timeout=LOOK) if refs else ([], [])
                if not refs:
                    time.sleep(LOOK)
                try:
                    self._receive()
                except RayActorError:
                    self._give_up_running()
                    continue
                for ref in done:
                    _settle(self._futures.pop(ref), ref)
        except Exception as error:  # of the disk here, or of the whole cluster
            for future in self._futures.values():
                future.set_exception(_explained(error))

    def _give_up_running(self) -> None:
        """End all tasks, so that their units are carried out again, with another queue."""
        running, self._pieces = dict(self._futures), _queue()
        for ref, future in running.items():
            ray.cancel(ref, force=True)
            del self._futures[ref]
            future.set_exception(CutOff())

    def _receive(self) -> None:
        for piece in self._pieces.get_nowait_batch(self._pieces.qsize()):
            if isinstance(piece, Piece):
                piece.write()
            else:
                log.info("%s", piece)


def _queue() -> Queue:
    """Return a queue on this machine, to which tasks on all nodes can send.

    An actor that needs no resource may begin on any node, whatever its strategy says: only for one
    that needs some does Ray ask the node of its program. A node's own name is such a resource.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    own = {f"node:{ray.util.get_node_ip_address()}": 0.001}
    return Queue(actor_options={"num_cpus": 0, "resources": own, "scheduling_strategy": here})


def slots(resources: Mapping[str, float]) -> int:
    """Return how many units that need these resources fit on the living nodes at once."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    needs = [(name, each) for name, each in resources.items() if each]
    return sum(min(int(node.get(name, 0) // each) for name, each in needs) for node in nodes)


def _settle(future: "Future[Losses]", ref: Any) -> None:
    try:
        result: Result = ray.get(ref)
    except Exception as error:
        future.set_exception(_explained(error))
        return
    if result is None:
        future.set_exception(Stopped())
    elif isinstance(result, str):
        future.set_exception(FailedFast(result))
    else:
        future.set_result(result)


def _explained(error: Exception) -> Exception:
    """Return the error of our own code, and Ray's own in one line, but for deaths of processes."""
    if isinstance(error, RayTaskError) and isinstance(error.cause, Exception):
        return CutOff() if isinstance(error.cause, RayActorError) else error.cause
    if isinstance(error, RayError) and not isinstance(error, DEATHS):
        return ConfigError(f"hydra/launcher=ray: {first_line(error)}")
    return error
