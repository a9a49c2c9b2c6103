"""Work spread over a Ray cluster. The only place that knows Ray."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from understudy.errors import MissingExtra
from understudy.io.installation import install_extra

Item = TypeVar("Item")
Result = TypeVar("Result")

# So often Ray runs a task again when the worker or the machine under it goes.
_RETRIES = 3


def map_on_ray(
    task: Callable[[Item], Result], items: Sequence[Item], workers: int | None
) -> Generator[tuple[Item, Result], None, None]:
    """As `map_unordered`, on the cluster that RAY_ADDRESS names, else on one of this machine.

    Every machine must reach the files that a task names under the same path: the footage, and for a
    merge the show. Raises MissingExtra.
    """
    try:
        import ray
    except ImportError:
        raise MissingExtra(
            "engine ray: Ray is not installed. Use --engine local, or run:"
            f" {install_extra('farm')}."
        ) from None
    if not ray.is_initialized():
        # It would send its makers what it is used for.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        ray.init(log_to_driver=False, include_dashboard=False)
    remote = ray.remote(num_cpus=1, max_retries=_RETRIES)(task)
    most = 2 * (workers or max(1, int(ray.cluster_resources().get("CPU", 1))))
    waiting, under_way = deque(range(len(items))), dict[Any, Item]()
    while waiting or under_way:
        while waiting and len(under_way) < most:
            # Asked for when its turn comes: not all may fit into memory at once.
            item = items[waiting.popleft()]
            under_way[remote.remote(item)] = item
        ready, _ = ray.wait(list(under_way))
        for reference in ready:
            try:
                result = ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            yield under_way.pop(reference), result
