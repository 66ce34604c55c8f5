"""Batches of streamed images, which threads decode a few batches before a step takes them.

Pillow decodes and resamples without holding Python's lock, so threads use all processors. The
content of a batch depends only on its request, not on the number of threads or hosts, and a resumed
run goes on with the same batches.
"""

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent import futures
from typing import Any, NamedTuple

import numpy as np

from nas.datasets.streamed import StreamedImages


class Request(NamedTuple):
    """The examples that this process contributes to a batch.

    Attributes:
        indices: [b] of the examples in their split.
        numbers: [b] of the examples in the global batch.
        draw: (seed, step) of the crops in training, or None for the middle of the images.
    """

    indices: np.ndarray
    numbers: np.ndarray
    draw: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class StreamedData:
    """A split of a data set that is decoded while it is used; `batches.place` makes it.

    Attributes:
        images: the split.
        resident: the part that lies on the devices, which steps take.
        ahead: number of batches that are decoded in advance.
        threads: number of decoding threads; None for a few more than there are processors, 32 at
            most.
    """

    images: StreamedImages
    resident: Any
    ahead: int = 3
    threads: int | None = None

    @property
    def examples(self) -> int:
        """Number of examples."""
        return len(self.images)

    def supply(self, requests: Iterable[Request]) -> Iterator[dict[str, np.ndarray]]:
        """Decodes batches.

        Args:
            requests: of the batches, in order; `ahead` of them are taken before they are needed.

        Yields:
            {'images': [b, S, S, C] uint8, 'labels': [b] int32} of each request.

        Raises:
            Unreadable: an image cannot be read; the message names it. Earlier batches have been
                yielded.
        """
        waiting = deque()
        with futures.ThreadPoolExecutor(self.threads, thread_name_prefix='decode') as pool:
            try:
                for request in requests:
                    waiting.append(self._begin(pool, request))
                    if len(waiting) > self.ahead:
                        yield _finish(*waiting.popleft())
                while waiting:
                    yield _finish(*waiting.popleft())
            finally:
                pool.shutdown(cancel_futures=True)

    def _begin(self, pool: futures.Executor, request: Request) -> tuple[dict, list[futures.Future]]:
        """Starts a batch that threads fill; returns it, and what to wait for before it is used."""
        count = len(request.indices)
        batch = {
            'images': np.empty((count, *self.images.images.shape[1:]), np.uint8),
            'labels': np.empty(count, np.int32),
        }

        def fill(place, index, number):
            seed = None if request.draw is None else (*request.draw, number)
            batch['images'][place], batch['labels'][place] = self.images.example(index, seed)

        examples = zip(request.indices.tolist(), request.numbers.tolist())
        return batch, [pool.submit(fill, place, *example) for place, example in enumerate(examples)]


def _finish(batch: dict, filled: list[futures.Future]) -> dict:
    for future in filled:
        future.result()
    return batch
