"""Pieces of furniture made of boxes.

Every piece is a function `(rng, ceiling) -> (width, depth, height, boxes)`. A box is
`(x0, x1, bottom, top, z0, z1, material)` in metres, with x along the width of the piece and z along
its depth, both from the middle of its footprint. The back is at -depth / 2; it stands against a
wall where there is one.
"""

from pano_depth.rooms import materials
from pano_depth.rooms.materials import between, pick


def _any(rng):
    return pick(rng, (materials.wood, materials.wood, materials.lacquer))(rng)


def legs(width, depth, height, thick, material):
    """Four legs in the corners of a footprint.

    Args:
        width, depth: of the footprint, metres.
        height: of the legs.
        thick: side of a leg.
        material: a material row.
    """
    x, z = width / 2, depth / 2
    return [
        (
            sx * x - (sx > 0) * thick,
            sx * x + (sx < 0) * thick,
            0.0,
            height,
            sz * z - (sz > 0) * thick,
            sz * z + (sz < 0) * thick,
            material,
        )
        for sx in (-1, 1)
        for sz in (-1, 1)
    ]


def desk(rng, ceiling):
    """A table or desk: top and four legs, sometimes with things on it."""
    width, depth, height = between(rng, 0.7, 1.8), between(rng, 0.5, 0.95), between(rng, 0.38, 0.8)
    wood = _any(rng)
    boxes = [
        (
            -width / 2,
            width / 2,
            height - between(rng, 0.025, 0.06),
            height,
            -depth / 2,
            depth / 2,
            wood,
        )
    ]
    boxes += legs(width - 0.06, depth - 0.06, height - 0.03, between(rng, 0.04, 0.08), wood)
    if rng.random() < 0.6:
        x, w = between(rng, -0.25, 0.2) * width, between(rng, 0.15, 0.3)
        boxes.append(
            (
                x,
                x + w,
                height,
                height + between(rng, 0.03, 0.35),
                -depth * 0.3,
                -depth * 0.3 + between(rng, 0.05, 0.25),
                _any(rng),
            )
        )
    if rng.random() < 0.5:
        x, w = between(rng, -0.45, 0.2) * width, between(rng, 0.2, 0.3)
        boxes.append(
            (
                x,
                x + w,
                height,
                height + between(rng, 0.01, 0.08),
                0.0,
                0.2,
                materials.picture(rng, w, 0.2),
            )
        )
    return width, depth, height, boxes


def chair(rng, ceiling):
    """Seat, back and four legs."""
    width, depth, seat = between(rng, 0.4, 0.5), between(rng, 0.4, 0.5), between(rng, 0.42, 0.48)
    height = seat + between(rng, 0.35, 0.6)
    frame, cover = _any(rng), pick(rng, (materials.fabric, materials.lacquer, materials.wood))(rng)
    boxes = legs(width, depth, seat - 0.04, 0.04, frame)
    boxes.append((-width / 2, width / 2, seat - 0.05, seat, -depth / 2, depth / 2, cover))
    boxes.append((-width / 2, width / 2, seat + 0.1, height, -depth / 2, -depth / 2 + 0.04, cover))
    return width, depth, height, boxes


def sofa(rng, ceiling):
    """Base, back, two arms, cushions."""
    width, depth, height = between(rng, 0.9, 2.3), between(rng, 0.8, 1.0), between(rng, 0.65, 0.9)
    cover = materials.fabric(rng)
    arm, seat = between(rng, 0.12, 0.22), between(rng, 0.38, 0.46)
    x, z = width / 2, depth / 2
    boxes = [
        (-x, x, 0.06, seat - 0.12, -z, z, cover),
        (-x + arm, x - arm, seat, height, -z, -z + 0.2, cover),
        (-x, -x + arm, 0.06, seat + 0.2, -z, z, cover),
        (x - arm, x, 0.06, seat + 0.2, -z, z, cover),
    ]
    if width > 1.4:
        boxes += [
            (-x + arm, -0.01, seat - 0.12, seat, -z, z + 0.02, cover),
            (0.01, x - arm, seat - 0.12, seat, -z, z + 0.02, cover),
        ]
    else:
        boxes.append((-x + arm, x - arm, seat - 0.12, seat, -z, z + 0.02, cover))
    if rng.random() < 0.7:
        left = between(rng, -x + arm, x - arm - 0.4)
        boxes.append(
            (left, left + 0.4, seat, seat + 0.35, -z + 0.2, -z + 0.32, materials.fabric(rng))
        )
    return width, depth, height, boxes


def bookcase(rng, ceiling):
    """A carcass with boards and blocks of books."""
    width, depth = between(rng, 0.6, 1.5), between(rng, 0.25, 0.4)
    height = between(rng, 0.9, min(2.2, ceiling - 0.1))
    wood = _any(rng)
    rows = max(2, round(height / 0.4))
    pitch = height / rows
    x, z = width / 2, depth / 2
    boxes = [
        (-x, -x + 0.025, 0.0, height, -z, z, wood),
        (x - 0.025, x, 0.0, height, -z, z, wood),
        (-x, x, 0.0, height, -z, -z + 0.015, wood),
        (-x, x, height - 0.025, height, -z, z, wood),
    ]
    for row in range(min(rows, 4)):
        bottom = row * pitch + 0.02
        boxes.append((-x, x, bottom - 0.025, bottom, -z, z, wood))
        if rng.random() < 0.8:
            left = -x + 0.03 + between(rng, 0.0, 0.3) * width * (rng.random() < 0.5)
            right = x - 0.03
            if rng.random() < 0.75:
                top = bottom + pitch * between(rng, 0.6, 0.85)
                boxes.append(
                    (
                        left,
                        right,
                        bottom,
                        top,
                        -z,
                        z - between(rng, 0.02, 0.1),
                        materials.books(rng, 1.0),
                    )
                )
            else:
                boxes.append(
                    (
                        left,
                        left + 0.4 * width,
                        bottom,
                        bottom + 0.6 * pitch,
                        -z,
                        z - 0.05,
                        _any(rng),
                    )
                )
    return width, depth, height, boxes


def bed(rng, ceiling):
    """Frame, mattress, headboard, pillow, blanket."""
    width, depth, height = between(rng, 0.9, 1.8), between(rng, 1.95, 2.1), between(rng, 0.7, 1.1)
    wood = _any(rng)
    sheet = materials.material(
        rng, materials.colour(rng, saturation=(0.0, 0.15), value=(0.8, 0.97))
    )
    x, z, top = width / 2, depth / 2, between(rng, 0.42, 0.6)
    boxes = [
        (-x, x, 0.1, top - 0.2, -z, z, wood),
        (-x, x, 0.0, height, -z, -z + 0.06, wood),
        (-x + 0.02, x - 0.02, top - 0.2, top, -z + 0.06, z - 0.02, sheet),
        (
            -x - 0.01,
            x + 0.01,
            top - 0.15,
            top + 0.04,
            -z + between(rng, 0.6, 1.1),
            z,
            materials.fabric(rng),
        ),
    ]
    pillow = materials.fabric(rng)
    for side in (-1, 1) if width > 1.3 else (0,):
        boxes.append(
            (
                side * width / 4 - 0.28,
                side * width / 4 + 0.28,
                top,
                top + 0.12,
                -z + 0.1,
                -z + 0.5,
                pillow,
            )
        )
    return width, depth, height, boxes


def wardrobe(rng, ceiling):
    """A tall or half-high cabinet with panelled fronts."""
    width, depth = between(rng, 0.6, 2.0), between(rng, 0.4, 0.65)
    height = between(rng, 0.7, min(2.3, ceiling - 0.05))
    body = materials.colour(rng, hue=(0.04, 0.12), saturation=(0.05, 0.6), value=(0.3, 0.95))
    front = materials.panels(
        rng, body, width, height, max(1, round(width / 0.5)), pick(rng, (1, 1, 2, 3, 4))
    )
    x, z = width / 2, depth / 2
    return (
        width,
        depth,
        height,
        [
            (-x, x, 0.0, height, -z, z - 0.02, materials.material(rng, body)),
            (-x + 0.005, x - 0.005, 0.06, height - 0.005, z - 0.02, z, front),
        ],
    )


def kitchen(rng, ceiling):
    """A counter with drawers, a worktop and cabinets above it."""
    width, depth, height = between(rng, 1.2, 2.8), 0.62, 0.9
    body = materials.colour(rng, saturation=(0.0, 0.5), value=(0.4, 0.97))
    x, z = width / 2, depth / 2
    columns = max(2, round(width / 0.6))
    boxes = [
        (
            -x,
            x,
            0.1,
            height - 0.04,
            -z,
            z - 0.02,
            materials.panels(rng, body, width, height - 0.14, columns, pick(rng, (1, 2, 3))),
        ),
        (-x, x, height - 0.04, height, -z, z, _any(rng)),
        (-x, x, height, 1.45, -z, -z + 0.012, materials.tiles(rng)),
        (-x, x, 0.0, 0.1, -z, z - 0.08, materials.material(rng, (0.02, 0.02, 0.02))),
    ]
    if rng.random() < 0.75:
        top = min(2.2, ceiling - 0.05)
        boxes.append(
            (
                -x,
                x * pick(rng, (1.0, 0.3)),
                1.45,
                top,
                -z,
                -z + 0.35,
                materials.panels(rng, body, width, top - 1.45, columns, 1),
            )
        )
    return width, depth, 1.45, boxes


def television(rng, ceiling):
    """A low board with a screen on it."""
    width, depth, height = between(rng, 1.0, 1.9), between(rng, 0.35, 0.45), between(rng, 0.35, 0.6)
    x, z, screen = width / 2, depth / 2, between(rng, 0.35, 0.6)
    wood = _any(rng)
    dark = materials.material(rng, (0.01, 0.01, 0.012))
    low = height + 0.06
    boxes = [
        (-x, x, 0.08, height, -z, z, wood),
        (-x + 0.05, x - 0.05, 0.0, 0.08, -z + 0.05, z - 0.05, dark),
        (-screen * 0.9, screen * 0.9, low, low + screen, -0.03, 0.02, dark),
        (-0.15, 0.15, height, low, -0.08, 0.08, dark),
    ]
    return width, depth, height + screen, boxes


def cartons(rng, ceiling):
    """A stack of boxes or a pouffe."""
    width, depth, height = between(rng, 0.3, 0.7), between(rng, 0.3, 0.7), between(rng, 0.25, 0.6)
    cover = pick(rng, (materials.fabric, materials.lacquer, materials.wood, materials.carpet))
    boxes = [(-width / 2, width / 2, 0.0, height, -depth / 2, depth / 2, cover(rng))]
    if rng.random() < 0.4:
        upper = between(rng, 0.15, 0.4)
        boxes.append(
            (
                -width * 0.4,
                width * 0.3,
                height,
                height + upper,
                -depth * 0.35,
                depth * 0.4,
                cover(rng),
            )
        )
        height += upper
    return width, depth, height, boxes


# What stands against the walls and what stands free, by the use of a room.
ROOM_USES = {
    'living': (
        (sofa, sofa, bookcase, television, wardrobe, bookcase, cartons),
        (desk, chair, sofa, cartons, chair),
    ),
    'bedroom': ((bed, wardrobe, wardrobe, bookcase, desk, chair), (cartons, chair, bed)),
    'office': ((desk, bookcase, bookcase, wardrobe, desk, cartons), (desk, chair, chair)),
    'kitchen': ((kitchen, kitchen, wardrobe, cartons), (desk, chair, chair, chair)),
    'hall': ((wardrobe, cartons, chair), (cartons,)),
}
