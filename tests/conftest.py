"""Every test runs on the CPU with four faked devices, so that data parallelism is tested on any machine."""

import jax

jax.config.update('jax_platforms', 'cpu')
jax.config.update('jax_num_cpu_devices', 4)
# A cached program would hide that a change no longer compiles.
jax.config.update('jax_enable_compilation_cache', False)
