"""Fields of configuration dataclasses that say what they mean; flags are made of them (`experiments.flags`)."""

import dataclasses


def option(default, help):
    """A dataclass field with a default and the sentence that its flag shows.

    Args:
      default: an immutable value.
      help: what the option means, with its unit.

    Returns:
      A `dataclasses.field`.
    """
    return dataclasses.field(default=default, metadata={'help': help})
