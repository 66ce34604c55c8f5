"""A scheduler of one's own for `nas-search --mode=serve`: asks for cells, evaluates them, tells.

    python experiments/external_worker.py --budget=36 --workdir=runs/served

Takes the options of --mode=serve. Put your own training in the place of `evaluate`; a killed run
goes on with the same command.
"""

import json
import subprocess
import sys
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

AT_ONCE = 4
COMMAND = [sys.executable, '-m', 'experiments.nas_main', '--mode=serve', *sys.argv[1:]]


def evaluate(cell):
    """Made-up figures, in place of a training on some machine."""
    objectives = {'error': 100 / len(cell), 'latency_ms': 0.01 * len(cell)}
    return {'cell': cell, 'objectives': objectives, 'seconds': 0.1}


def main():
    """Evaluates cells until the budget is spent; returns the exit code of the server."""
    server = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def request(**line):
        print(json.dumps(line), file=server.stdin, flush=True)
        # A server that has ended answers nothing; it has said why.
        return json.loads(server.stdout.readline() or sys.exit(server.wait()))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = set()
        while True:
            free = AT_ONCE - len(running)
            cells = request(ask=free)['cells'] if free else []
            running |= {pool.submit(evaluate, cell) for cell in cells}
            if not running:
                break
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for job in ended:
                print(json.dumps(request(tell=job.result())))
    server.stdin.close()
    return server.wait()


if __name__ == '__main__':
    sys.exit(main())
