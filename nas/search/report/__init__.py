"""What people see of a search: its table, its pictures, its page, and how these name things.

`words` writes numbers with their units, `picks` names the outstanding cells and the rule behind
each of them, `noise` tells how far errors may be off, `figure` draws pareto.png, `chart` the points
of the page, `drawing` a cell, `page` puts report.html together.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['chart', 'drawing', 'figure', 'noise', 'page', 'picks', 'words'],
    submod_attrs={'picks': ['standouts']},
)
