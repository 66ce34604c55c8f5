"""Opens devices by their names on the command line."""

from nas.devices.base import Device
from nas.devices.command import CommandDevice
from nas.devices.onnx import OnnxDevice
from nas.devices.profile import DEVICES as PROFILES
from nas.devices.profile import ProfileDevice
from nas.devices.xla import PLATFORMS, XlaDevice

# Kind -> (class, what may follow its name, names of its whole-number options).
_KINDS = {
    'xla': (XlaDevice, PLATFORMS, ('batch', 'warmup', 'repeats', 'seconds', 'min_seconds')),
    'onnx': (OnnxDevice, (), ('threads', 'batch', 'warmup', 'repeats', 'min_seconds', 'timeout')),
    'command': (CommandDevice, ('TEMPLATE',), ('batch', 'timeout')),
    'profile': (ProfileDevice, PROFILES, ()),
}
ACCEPTED = (
    'xla[:cpu|gpu|tpu][,batch=N]',
    'onnx[:threads=N,batch=N]',
    'command[,batch=N,timeout=SECONDS]:TEMPLATE with {model} and {batch}',
    f'profile:{"|".join(PROFILES)}',
)


def open_device(spec: str) -> Device:
    """Opens a device by its name.

    Args:
        spec: 'xla', 'xla:gpu,batch=64', 'onnx:threads=1,batch=1', 'profile:phone',
            'command,timeout=60:ssh board time_onnx {model} {batch}'. Options of a command stand
            before the colon; everything after the colon is the command.

    Raises:
        ValueError: if a kind, variant or option does not exist, or the device is absent.
    """
    head, colon, tail = spec.partition(':')
    kind, *words = head.split(',')
    if kind not in _KINDS:
        raise ValueError(f'device {spec!r} is unknown; accepted: {"; ".join(ACCEPTED)}')
    make, variants, known = _KINDS[kind]
    if kind == 'command':
        variant = [tail] if colon else []
    else:
        words += tail.split(',') if colon else []
        variant = [word for word in words if '=' not in word]
        words = [word for word in words if '=' in word]
    if (
        len(variant) > 1
        or (variant and not variants)
        or (not variant and kind in ('command', 'profile'))
    ):
        raise ValueError(f'device {spec!r} cannot be read; accepted: {"; ".join(ACCEPTED)}')
    return make(*variant, **_options(spec, words, known))


def _options(spec: str, words: list[str], known: tuple[str, ...]) -> dict[str, int]:
    options = {}
    for word in words:
        name, _, value = word.partition('=')
        if name not in known or not value.isdecimal() or len(value) > 9 or name in options:
            accepted = ', '.join(f'{option}=N' for option in known) or 'none'
            raise ValueError(
                f'option {word!r} of device {spec!r} cannot be read; accepted: {accepted}'
            )
        options[name] = int(value)
    return options


def split_specs(text: str) -> list[str]:
    """Splits a comma-separated list of devices: 'xla,batch=4,onnx:threads=2' are two.

    A command takes all the rest of the list, since commands may hold commas.
    """
    specs = []
    for word in text.split(','):
        starts = word.partition(':')[0] in _KINDS
        if specs and (not starts or specs[-1].startswith('command')):
            specs[-1] += f',{word}'
        else:
            specs.append(word)
    return specs
