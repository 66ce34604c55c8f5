"""Times an ONNX file in a process of its own.

    python -m nas.devices.onnx_worker FILE INPUTS THREADS WARMUP REPEATS MIN_SECONDS

INPUTS is an npy file with what one call is fed with. Prints one JSON line. The process loads only
NumPy and ONNX Runtime, so that its memory is that of a deployed network.
"""

import json
import resource
import sys

import numpy as np
import onnxruntime

from nas.devices.timing import quietest_round


def peak_bytes() -> int:
    """Peak resident memory of this process."""
    try:
        with open('/proc/self/status') as lines:
            # Unlike ru_maxrss, which on Linux starts at the size of the parent process.
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith('VmHWM'))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == 'darwin' else peak * 1024


def time_model(
    path: str, inputs: str, threads: int, warmup: int, repeats: int, min_seconds: int
) -> dict[str, float | int]:
    """Times calls of a network with one input.

    Args:
        path: the ONNX file.
        inputs: npy file of the array, of any shape and type, that each call gets.
        threads: threads of ONNX Runtime.
        warmup, repeats, min_seconds: see `quietest_round`.

    Returns:
        {'p10_ms', 'latency_ms', 'p90_ms', 'repeats', 'memory_mb', 'baseline_mb'}; the memories are
        peaks, with the network and before it was loaded.
    """
    baseline = peak_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    (source,) = session.get_inputs()
    feed = {source.name: np.load(inputs)}
    times = quietest_round(
        lambda: session.run(None, feed), warmup=warmup, repeats=repeats, min_seconds=min_seconds
    )
    low, median, high = np.percentile(times, (10, 50, 90)).tolist()
    return {
        'p10_ms': low,
        'latency_ms': median,
        'p90_ms': high,
        'repeats': repeats,
        'memory_mb': peak_bytes() / 1e6,
        'baseline_mb': baseline / 1e6,
    }


if __name__ == '__main__':
    print(json.dumps(time_model(*sys.argv[1:3], *map(int, sys.argv[3:]))))
