"""What folders mean: splits and classes, from the names of the images alone.

One rule for folders and tars, in memory and streamed. It is the one of torchvision's `ImageFolder`
and of Keras: the first folder is the class, whatever lies below it. If the first folders are
`train` and `val` or `test`, they are the splits, and the classes are the folders in them.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

TRAIN, VALIDATION, TEST = 'train', 'validation', 'test'
# What folders are called, in any case. Keras, torchvision, Roboflow and Kaggle differ.
ROLES = {'train': TRAIN, 'training': TRAIN, 'test': TEST, 'testing': TEST}
ROLES |= {name: VALIDATION for name in ('val', 'valid', 'validation')}
ROLES |= {f'{name}_set': role for name, role in ROLES.items()}
ACCEPTED = (
    'accepted: PATH/train/<class>/x.jpg and PATH/val/<class>/x.jpg or PATH/test/<class>/x.jpg, or'
    ' PATH/<class>/x.jpg; images may lie deeper in the folder of their class'
)


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """One split.

    Attributes:
        folder: its name in the data set; '' if there are no splits.
        names: of its images, below the data set, ordered by class and then by folder and name.
        labels: [N] int32, the class of each.
    """

    folder: str
    names: tuple[str, ...]
    labels: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Labelled:
    """A data set by its names.

    Attributes:
        classes: names of the classes, sorted.
        parts: by role: 'train' and 'test' and maybe 'validation', or 'train' alone if there are no
            splits.
        notes: what is worth a remark.
    """

    classes: tuple[str, ...]
    parts: dict[str, Part]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return sum(len(part.names) for part in self.parts.values())


def label(where, names: Iterable[str], folders: Iterable[str] = ()) -> Labelled:
    """Finds the splits, classes and labels of images.

    Args:
        where: the data set, for messages.
        names: of the images, with `/` between folders, in any order.
        folders: all visible folders, so that those without images are noticed.

    Raises:
        ValueError: images lie in no folder of a class; a class has no images, or has them in one
            split only; there is one class only, or as many classes as images; or it cannot be told
            whether `train` and its like are splits. The message names the file or folder.
    """
    # A slash sorts before every other character: folder by folder, as people see them.
    ordered = sorted(names, key=lambda name: name.replace('/', '\0'))
    if not ordered:
        raise ValueError(f'{where} holds no images; {ACCEPTED}')
    tops = _grouped(ordered, 0)
    if stray := tops.get(''):
        raise ValueError(f'{where}: image {stray[0]} lies in no folder of a class; {ACCEPTED}')
    known = sorted({*tops, *(name.partition('/')[0] for name in folders)})
    splits = _splits(where, tops, known)
    notes = []
    if splits:
        found = {
            role: (folder, _classes_in(where, folder, tops.get(folder, ()), folders))
            for role, folder in splits.items()
        }
        unread = [name for name in known if name not in splits.values()]
        notes += [f'folder {name} of {where} is not read' for name in unread]
        _check_same(where, found)
    else:
        found = {TRAIN: ('', _classes_in(where, '', ordered, folders))}
        notes += [f'folder {name} is taken as a class' for name in known if name.lower() in ROLES]
    classes = tuple(found[TRAIN][1])
    _check_count(where, *found[TRAIN])
    parts = {role: _part(folder, members) for role, (folder, members) in found.items()}
    return Labelled(classes, parts, tuple(notes))


def _grouped(names: Sequence[str], depth: int) -> dict[str, list[str]]:
    """Names by the folder at a depth; '' for those that lie in no folder there."""
    groups: dict[str, list[str]] = {}
    for name in names:
        pieces = name.split('/', depth + 1)
        groups.setdefault(pieces[depth] if len(pieces) > depth + 1 else '', []).append(name)
    return groups


def _splits(where, tops: dict[str, list[str]], known: Sequence[str]) -> dict[str, str]:
    """{role: folder} of the splits; {} if the first folders are classes."""
    named = [name for name in known if name.lower() in ROLES]
    nested = [name for name in named if any(image.count('/') > 1 for image in tops.get(name, ()))]
    others = [name for name in tops if name not in named]
    if not named or not nested and others:
        return {}
    roles = {}
    for name in named:
        role = ROLES[name.lower()]
        if role in roles:
            raise ValueError(
                f'{where} has the folders {roles[role]} and {name}, which are the same split; '
                'rename or move one of them'
            )
        roles[role] = name
    train = roles.get(TRAIN)
    if others and (train is None or len(roles) < 2):
        raise ValueError(
            f'{where}: folder {nested[0]} may be a split or a class, since {others[0]} lies beside'
            f' it; rename it if it is a class, or move {others[0]}; {ACCEPTED}'
        )
    if others:
        raise ValueError(
            f'{where}: image {tops[others[0]][0]} is in neither split, {train} or'
            f' {next(name for role, name in roles.items() if role != TRAIN)}; {ACCEPTED}'
        )
    if train is None:
        raise ValueError(f'{where} has a folder {named[0]}, but none called train; {ACCEPTED}')
    if len(roles) < 2:
        raise ValueError(
            f'{where} has a folder {train}, but none of val, validation, test; {ACCEPTED}'
            f' (PATH/{train} alone is read as classes, and a fifth of them held out as the test)'
        )
    if TEST not in roles or VALIDATION in roles and TEST in roles and roles[TEST] not in nested:
        # What is there is scored on. The test images of ImageNet and many others have no classes.
        roles[TEST] = roles.pop(VALIDATION)
    return {role: roles[role] for role in (TRAIN, VALIDATION, TEST) if role in roles}


def _classes_in(where, folder: str, names: Sequence[str], folders: Iterable[str]):
    """{class: names} of a split, or of the whole data set for ''; both sorted."""
    depth = 1 if folder else 0
    below = f'{folder}/' if folder else ''
    if not names:
        raise ValueError(f'{where}: {folder} holds no images; {ACCEPTED}')
    groups = _grouped(names, depth)
    if stray := groups.get(''):
        raise ValueError(f'{where}: image {stray[0]} lies in no folder of a class; {ACCEPTED}')
    for name in sorted(folders):
        pieces = name[len(below) :].split('/') if name.startswith(below) else ()
        if len(pieces) == 1 and pieces[0] and pieces[0] not in groups:
            raise ValueError(
                f'{where}: class folder {name} holds no images; fill or remove it, or begin its '
                'name with a dot'
            )
    return {name: groups[name] for name in sorted(groups)}


def _check_same(where, found: dict) -> None:
    """Raises ValueError if a split lacks a class of another one."""
    folder, classes = found[TRAIN]
    for other, others in (found[role] for role in found if role != TRAIN):
        if classes.keys() == others.keys():
            continue
        strange = min(classes.keys() ^ others.keys())
        if strange in others:
            lack = f'image {others[strange][0]} is of class {strange!r}, which has no training'
        else:
            lack = f'class {strange!r} has images in {folder}, but {other}/{strange} has no'
        raise ValueError(
            f'{where}: {folder} and {other} have different classes, among them {strange!r}: {lack}'
            ' images'
        )


def _check_count(where, folder: str, classes: dict[str, list[str]]) -> None:
    """Raises ValueError for one class only, or as many classes as images."""
    (first, names), images = next(iter(classes.items())), sum(map(len, classes.values()))
    if len(classes) == 1:
        deeper = not folder and any(name.count('/') > 1 for name in names)
        hint = f'; if the classes are the folders in it, give {where}/{first}' if deeper else ''
        raise ValueError(
            f'{where} has one class only, {first!r}; accepted: at least two classes{hint}'
        )
    if images == len(classes) and not folder:
        raise ValueError(
            f'{where} has as many classes as images, {images}, so its folders are probably'
            f' not classes; {ACCEPTED}'
        )


def _part(folder: str, members: dict[str, list[str]]) -> Part:
    counts = [len(names) for names in members.values()]
    names = tuple(name for group in members.values() for name in group)
    return Part(folder, names, np.repeat(np.arange(len(counts), dtype=np.int32), counts))
