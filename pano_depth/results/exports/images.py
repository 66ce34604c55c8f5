"""The images of an export and their masks: panoramas, or what cameras at their place show."""

import pathlib
from collections.abc import Callable

import numpy as np

from pano_depth.footage import media
from pano_depth.results.exports import names
from pano_depth.results.exports.views import View


class Images:
    """Writes `images/NAME`, and a mask in `masks/` where there is one: 0 is left out.

    If one image has a mask, all have one, as nerfstudio wants.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        views: list[View],
        images: list[str],
        mask_name: Callable[[str], str],
    ):
        """Makes the folder.

        Args:
            folder: an empty directory.
            views: the cameras at each place.
            images: names of the panoramas.
            mask_name: the name of the mask of an image of a name.
        """
        self._folder, self.views, self._names, self._mask_name = folder, views, images, mask_name
        self._without = []
        self.masks = False
        (folder / 'images').mkdir()

    def of(self, at: int) -> list[tuple[View, str]]:
        """The cameras at a place, with the names of their images."""
        return [(view, names.view_name(view.name, self._names[at])) for view in self.views]

    def add(self, at: int, image: np.ndarray, mask: np.ndarray | None) -> None:
        """Writes the images of a panorama.

        Args:
            at: its number.
            image: [H, 2H, 3] uint8.
            mask: [h, 2h] bool of any size, False where the image does not count; or None.
        """
        for view, name in self.of(at):
            media.write_image(self._folder / 'images' / name, view.image(image))
            if mask is None:
                self._without.append((view, name))
            else:
                self._write_mask(name, view.nearest(mask))

    def finish(self) -> None:
        """Gives images without a mask one that leaves nothing out, if others have a mask."""
        for view, name in self._without if self.masks else ():
            self._write_mask(name, np.ones((view.height, view.width), bool))

    def _write_mask(self, name, mask):
        self.masks = True
        (self._folder / 'masks').mkdir(exist_ok=True)
        grey = np.where(mask, 255, 0).astype(np.uint8)
        media.write_image(self._folder / 'masks' / self._mask_name(name), grey)
