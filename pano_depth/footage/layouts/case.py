"""A file about which is decided: the decision by its metadata, by its pictures, or by a name."""

from pano_depth.footage import spherical
from pano_depth.footage.layouts import by_tracks, coverage, graphs, looks, mesh, seams
from pano_depth.footage.layouts.decision import Decision
from pano_depth.footage.layouts.faces import GOOGLE_TURNED
from pano_depth.footage.layouts.refusals import refuse
from pano_depth.footage.layouts.table import LAYOUTS, PROJECTIONS, check_fits, fits

INSTA360 = '.insv'
_EYES = {'top-bottom': 'top_bottom', 'left-right': 'left_right', 'right-left': 'right_left'}
# Standard deviation up to which a frame is of one colour, grey values.
_EMPTY = 2.0
# What ffmpeg calls projections that Apple's files have.
_HALVES = {'half equirectangular': 'half_equirect', 'fisheye': 'fisheye180'}


class Case:
    """A file about which is decided.

    Attributes:
        path: `pathlib.Path` of the file, which messages name.
        height, width: of its frames, as shown, in pixels.
        look: function that gives a few of them, [h, w, 3] uint8.
        fov: degrees across a fisheye circle by the user, or None.
        found: `Spherical` of the file, or None.
        eyes: how its metadata say that frames hold two eyes, or None.
        stereo: the same by the user, else by the metadata.
        said: whether the metadata count for that.
        down: which way is down by the metadata, or None.
    """

    def __init__(self, path, height, width, stereo, look, fov=None, found=None):
        self.path, self.height, self.width = path, height, width
        self.look, self.fov, self.found = look, fov, found
        self.eyes = _EYES.get(found.stereo) if found is not None else None
        self.said = self.eyes is not None and stereo is None
        self.stereo = stereo or self.eyes
        self.down = None if found is None else found.down

    @property
    def size(self):
        """(height, width) of one eye."""
        return graphs.eye_size(self.height, self.width, self.stereo)

    @property
    def aspect(self):
        """Width over height of the frames."""
        return self.width / self.height

    def frames(self):
        """A few frames of the file that show something, if any does; one eye of each."""
        height, width = graphs.eye_size(*(frames := self.look())[0].shape[:2], self.stereo)
        start = frames[0].shape[1] - width if self.stereo == 'right_left' else 0
        frames = [frame[:height, start : start + width] for frame in frames]
        # A film that begins in black is not told by its beginning.
        return [frame for frame in frames if frame.std(axis=(0, 1)).max() > _EMPTY] or frames

    def decision(self, name, conversion, why='', valid=None, override=True):
        """A `Decision` with a note."""
        note = f'{self.path} is read as {LAYOUTS[name].text}{why}: panoramas of '
        note += f'{conversion.width}x{conversion.height} pixels'
        if self.said:
            note += f', of the left eye (its metadata say {self.found.stereo})'
        if override:
            note += '; --projection=equirect takes its pixels as they are'
        found = spherical.as_equirect(self.found)
        return Decision(name, conversion, found, (note,), None, valid, self.down)

    def named(self, name, options='', why=' (--projection)', override=False):
        """The decision for a layout of this name."""
        layout = LAYOUTS[name]
        check_fits(layout, *self.size, str(self.path))
        fov, turns = self.fov, ('', '')
        if name == 'dual_fisheye':
            insta360 = self.path.suffix.lower() in (INSTA360, '.insp')
            fov, turns, more = by_tracks.measure(self.frames(), fov, may_turn=insta360)
            why += more
        elif name == 'fisheye180':
            fov = fov or 180.0
        if any(turns):
            conversion = graphs.turned_circles(self.height, self.width, fov, turns)
        else:
            conversion = graphs.one_picture(
                name, self.height, self.width, stereo=self.stereo, fov=fov, options=options
            )
        valid = None
        if name == 'fisheye180':
            valid = coverage.of_circle(conversion.height, fov)
        elif name == 'half_equirect':
            valid = coverage.of_half(conversion.height)
        return self.decision(name, conversion, why, valid, override)

    def by_metadata(self):
        """The decision by what the file says about its sphere."""
        found = self.found
        if found.projection == 'equirectangular':
            return self._equirect() if found.full else self._part()
        if found.projection == 'cubemap':
            return self._cubemap()
        if found.projection == 'mesh':
            return self._mesh()
        if found.projection in _HALVES:
            return self.named(_HALVES[found.projection], why=' by its metadata', override=True)
        raise ValueError(
            f'video {self.path} is {found.projection} by its metadata, which is not known; '
            f'--projection names what it is: {", ".join(PROJECTIONS)}'
        )

    def _equirect(self):
        height, width = self.size
        if self.stereo is None:
            return Decision(spherical=self.found, down=self.down)
        if fits(LAYOUTS['equirect'], height, width) and self.stereo != 'right_left':
            note = f'{self.path} holds two eyes by its metadata ({self.found.stereo}); the left one'
            notes = (note + ' is taken',) if self.said else ()
            return Decision('equirect', None, self.found, notes, self.stereo, None, self.down)
        conversion = graphs.stretched(self.height, self.width, self.stereo)
        return self.decision('equirect', conversion, ' by its metadata', override=False)

    def _part(self):
        conversion, (first, last, start, end) = graphs.placed(
            self.height, self.width, self.found.bounds, self.stereo
        )
        valid = coverage.of_part(conversion.height, (first, last), (start, end))
        why = f' of which its metadata name {100 * valid.mean():.0f} %; the rest does not count'
        return self.decision('equirect', conversion, why, valid)

    def _cubemap(self):
        layout, padding = self.found.cubemap or (0, 0)
        best = seams.best(self.frames(), *self.size)
        why = ' by its metadata'
        if best is not None:
            name, options = best[:2]
        elif layout == 0 and fits(LAYOUTS['cubemap_3x2'], *self.size):
            name, options = 'cubemap_3x2', GOOGLE_TURNED
        else:
            raise ValueError(
                f'video {self.path} is a cubemap by its metadata, of layout {layout} and '
                f'{self.width}x{self.height} pixels, which are not known; --projection names the '
                'layout of its faces'
            )
        pads = [f'fin_pad={padding}'] if padding and name != 'eac' else []
        return self.named(name, ':'.join([*filter(None, [options]), *pads]), why, override=True)

    def _mesh(self):
        """A mesh may be any layout; YouTube's is an equi-angular cubemap."""
        why, problem = ' by the mesh in its metadata', 'its corners fit no layout that is known'
        try:
            known = mesh.layout_of(self.found.mesh or b'')
        except ValueError as error:
            known, problem = None, str(error)
        if known is not None:
            name, options, stereo = known
            if self.stereo is None and stereo is not None:
                self.stereo, self.said = stereo, True
            if name == 'equirect':
                return self._equirect()
            return self.named(name, options, why, override=True)
        best = seams.best(self.frames(), *self.size)
        if best is not None:
            return self.named(best[0], best[1], why + ' and its picture', override=True)
        raise ValueError(
            f'video {self.path} is a mesh by its metadata, but {problem}, and its pictures are no '
            'cubemap; --projection names the layout if it is one of '
            f'{", ".join(list(LAYOUTS)[1:])}'
        )

    def by_looks(self):
        """The decision by the pictures."""
        frames = self.frames()
        guess = looks.guess(frames)
        if guess is None:
            refuse(self.path, (self.height, self.width), self.size, self.stereo, frames)
        if guess.name == 'equirect':
            return Decision(stereo=self.stereo)
        if guess.stereo is not None:
            if self.stereo is not None:
                return Decision(stereo=self.stereo)
            self.stereo = guess.stereo
        return self.named(guess.name, guess.options, f', since {guess.reason}', override=True)
