"""How much sharper geometry makes what the networks say, clip by clip.

    python experiments/benchmarks/depth/sharpening.py [--clips=sample,rooms:10,hard] [--height=256]
        [--frames=24] [--stages=networks,bundle,sweep] [--output=FOLDER]

Each clip is reconstructed from its frames alone by the networks, by the networks with an adjusted
path (`bundle`), and with swept depth too (`sweep`); the frames' true depth and path score them.
Options of a reconstruction are flags too (`--adapt=600`, `--checkpoint=PATH`, ...). `--output`
gets sharpening.md and sharpening.jsonl; the same command goes on from there.
"""

import pathlib
import sys

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

from absl import flags as absl_flags

from common import runtime
from experiments import entry, flags
from experiments.benchmarks.depth.support import clips, jobs, scores
from pano_depth import ReconstructConfig

# What a stage decides, and what belongs to the clips.
SET_HERE = ('adjust', 'refine', 'ordered', 'mask', 'output_height', 'max_frames', 'every')

CLIPS = absl_flags.DEFINE_list('clips', ['sample', 'hard'], clips.HELP)
FRAMES = absl_flags.DEFINE_integer('frames', 24, 'At most so many frames a clip.', lower_bound=2)
HEIGHT = absl_flags.DEFINE_integer('height', 256, 'Rows of frames and results.', lower_bound=64)
OUTPUT = absl_flags.DEFINE_string('output', None, 'Folder of the results; none without it.')
STAGE_NAMES = absl_flags.DEFINE_list('stages', list(jobs.STAGES), 'Which are run.')


def main() -> None:
    """Runs all stages on all clips and prints the table."""
    chosen = jobs.stages(STAGE_NAMES.value)
    config = flags.build(ReconstructConfig, output_height=HEIGHT.value)
    runtime.start(flags.build(runtime.RuntimeConfig), join=False)
    folder = pathlib.Path(OUTPUT.value) if OUTPUT.value else None
    rows = scores.Rows(folder and folder / 'sharpening.jsonl')
    found = []
    for group in clips.expand(CLIPS.value):
        for name, make in clips.find(group, FRAMES.value, HEIGHT.value).items():
            for stage, values in chosen.items():
                key = {'clips': group, 'clip': name, 'stage': stage}
                key |= {'frames': FRAMES.value, 'height': HEIGHT.value}
                found.append(jobs.measure(rows, key, make, jobs.configured(config, **values)))
    text = scores.table(found, ('clips', 'stage'))
    print(text)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'sharpening.md').write_text(text + '\n')


flags.define(ReconstructConfig, skip=SET_HERE)
flags.define(runtime.RuntimeConfig)

if __name__ == '__main__':
    entry.run(main)
