"""The report page: what it holds, and that no text can become code."""

import base64
import html.parser
import io
import json
import os
import re

import numpy as np
import pytest
from PIL import Image

from common.report import Report, blocks
from tests.common.report.made_pages import panoramas, png, room, sample, sides_picture

HOSTILE = (
    '</script><script>window.broken = 1</script><img src=x onerror="window.broken = 2">\x00 & \'"'
)


class _Page(html.parser.HTMLParser):
    """Tags with their attributes, the text of the page and its JSON blocks."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.data, self._inside = [], '', [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = (tag, dict(attrs).get('type'))

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside == ('script', 'application/json'):
            self.data.append(json.loads(data))
        elif self._inside is None or self._inside[0] not in ('script', 'style'):
            self.text += data

    def attributes(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def _decoded(cloud):
    steps = np.frombuffer(base64.b64decode(cloud['positions']), '<u2').reshape(-1, 3)
    colors = np.frombuffer(base64.b64decode(cloud['colors']), np.uint8).reshape(-1, 3)
    return steps * np.array(cloud['scale']) + cloud['offset'], colors


def test_the_page_holds_what_was_put_in():
    page = _Page(sample().html())
    for text in (
        'A run',
        'of today',
        'Some words.',
        'error (m)',
        '0.2500',
        'kind: cpu, count: 1',
        'main.py --steps=3',
        'Red.',
    ):
        assert text in page.text
    loss, speed, cloud = page.data
    assert [series['name'] for series in loss['series']] == ['loss', 'part'] and loss['log']
    np.testing.assert_allclose(loss['series'][0]['y'], np.exp(-np.arange(100) / 30), rtol=1e-5)
    assert speed['series'][0]['y'] == list(np.arange(100) % 7) and speed['y_label'] == 'steps/s'
    assert page.attributes('img')[0]['alt'] == 'a red picture'
    links = {a['href'][1:] for a in page.attributes('a')}
    assert len(links) == 3 and links <= {attributes.get('id') for _, attributes in page.tags}


def test_nothing_is_loaded_from_elsewhere():
    text = sample().html()
    page = _Page(text)
    assert [link['href'] for link in page.attributes('link')] == ['data:,'] and not page.attributes(
        'iframe'
    )
    assert all('src' not in script for script in page.attributes('script'))
    assert all(image['src'].startswith('data:image/') for image in page.attributes('img'))
    assert not re.search(r'@import|url\(|fetch\(|XMLHttpRequest|import\(', text)
    policy = page.attributes('meta')[1]['content']
    assert (
        "default-src 'none'" in policy and 'unsafe-inline' not in policy.partition('script-src')[2]
    )


def test_strings_cannot_break_out():
    plain, cruel = (Report(text, subtitle=text) for text in ('x', HOSTILE))
    for page, text in ((plain, 'x'), (cruel, HOSTILE)):
        page.section(text)
        page.text(text)
        page.code(text, summary=text)
        page.facts({text: {text: [text]}}, summary=text)
        page.table(text, [text, text], [[text, text]], note=text)
        page.curves(text, {text: ([1, 2], [3, 4])}, x_label=text, y_label=text)
        page.image(png(), text, alt=text)
        page.point_cloud(*room(10), unit=text, caption=text, alt=text)
        page.panorama([(text, {text: png()})], caption=text, alt=text)
    plain, cruel = _Page(plain.html()), _Page(cruel.html())
    # The tags and their attributes' names are those of the harmless page, and the text arrives as
    # it was.
    shape = lambda page: [(tag, list(attributes)) for tag, attributes in page.tags]
    assert shape(cruel) == shape(plain)
    assert cruel.data[0]['series'][0]['name'] == HOSTILE
    assert HOSTILE.replace('\0', '\ufffd') in cruel.text
    assert cruel.attributes('img')[0]['alt'] == HOSTILE.replace('\0', '\ufffd')


def test_table_marks_the_best_and_dashes_the_missing():
    page = Report('t')
    page.table(
        'Rows',
        ['name', 'error', 'score', 'size'],
        [['a', 0.2, 0.5, 1], ['b', 0.1, 0.9, 1234567], ['c', None, float('nan'), '4 MB']],
        better=[None, 'lower', 'higher', None],
    )
    text = page.html()
    assert re.findall(r'<td class="best">([^<]*)</td>', text) == ['0.1000', '0.9000']
    others = ['0.2000', '0.5000', '1', '1,234,567', '\u2013', '\u2013', '4 MB']
    assert re.findall(r'<td>([^<]*)</td>', text) == others
    with pytest.raises(ValueError, match="row 1 of table 'T' has 1 entries; accepted: 2"):
        page.table('T', ['a', 'b'], [[1, 2], [3]])
    with pytest.raises(ValueError, match='smaller'):
        page.table('T', ['a', 'b'], [], better=[None, 'smaller'])


def test_long_curves_keep_their_peaks():
    x = np.arange(100_000)
    y = np.sin(x / 9000)
    y[[31_234, 77_777]] = 40, -40
    y[50_000:52_000] = np.nan
    page = Report('t')
    page.curves('long', {'y': (x, y)})
    series = _Page(page.html()).data[0]['series'][0]
    assert len(series['x']) == len(series['y']) <= blocks.MAX_CURVE_POINTS
    assert dict(zip(series['x'], series['y'], strict=True)).items() >= {(31_234, 40), (77_777, -40)}
    assert series['x'] == sorted(series['x']) and None in series['y']
    known = [(a, b) for a, b in zip(series['x'], series['y'], strict=True) if b is not None]
    np.testing.assert_allclose([b for _, b in known], [y[int(a)] for a, _ in known], rtol=1e-5)
    page.curves('gap', {'y': ([1, 2, 3], [1, None, float('inf')])})
    assert _Page(page.html()).data[1]['series'][0]['y'] == [1, None, None]
    for series, message in [
        ({}, 'at least one'),
        ({'y': ([1, 2], [1])}, r"'y' has x \(2,\) and y \(1,\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            page.curves('bad', series)


def test_cloud_arrives_at_its_places():
    points, colors = room(5000)
    page = Report('t')
    page.point_cloud(points, colors, path=[[0, 0, 0], [1, 2, 3]])
    cloud = _Page(page.html()).data[0]
    found, shades = _decoded(cloud)
    np.testing.assert_allclose(found, points, atol=6 / 65535)
    np.testing.assert_array_equal(shades, colors)
    assert cloud['path'] == [[0, 0, 0], [1, 2, 3]] and cloud['count'] == 5000
    for bad, message in [
        ((points[:, :2], colors), r'points are \(5000, 2\)'),
        ((points, colors / 1.0), 'float64'),
        ((points[:0], colors[:0]), 'there are no points'),
        ((points * np.nan, colors), 'not finite'),
    ]:
        with pytest.raises(ValueError, match=message):
            page.point_cloud(*bad)


def test_large_clouds_are_thinned_alike_and_strays_left_out():
    points, colors = room(300_000)
    points[7] = (4000, 0, 0)
    pages = [Report('t'), Report('t')]
    for page in pages:
        page.point_cloud(points, colors)
    assert pages[0].html() == pages[1].html() and len(pages[0].html()) < 3.2e6
    found, _ = _decoded(_Page(pages[0].html()).data[0])
    assert len(found) == blocks.MAX_CLOUD_POINTS and np.abs(found).max() < 3.001
    # An even choice: every corner of the box keeps about its share.
    for side in (points, found):
        assert abs((side > 0).all(axis=-1).mean() - 1 / 8) < 0.01


def test_pictures(tmp_path):
    big = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (800, 900, 4), np.uint8), 'RGBA'
    )
    big.save(tmp_path / 'big.png')
    (tmp_path / 'half.png').write_bytes(png((300, 300))[:-30])
    (tmp_path / 'code.png').write_text('<svg onload="x()"/>')
    page = Report('t')
    page.image(png(), alt='small')
    page.image(tmp_path / 'big.png', alt='big')
    small, large = _Page(page.html()).attributes('img')
    assert base64.b64decode(small['src'].removeprefix('data:image/png;base64,')) == png()
    data = base64.b64decode(large['src'].removeprefix('data:image/jpeg;base64,'))
    assert (
        Image.open(io.BytesIO(data)).size
        == (900, 800)
        == (int(large['width']), int(large['height']))
    )
    assert len(data) < (tmp_path / 'big.png').stat().st_size / 2
    for name in ('half.png', 'code.png', 'absent.png'):
        with pytest.raises(ValueError, match=f'image .*{name} cannot be read'):
            page.image(tmp_path / name, alt='')


def test_panoramas_are_pictures_of_which_one_is_shown():
    images = _Page(panoramas().html()).attributes('img')
    assert [(image['data-frame'], image['data-layer']) for image in images] == [
        (f'frame {i}', layer) for i in range(2) for layer in ('Colour', 'Depth')
    ]
    # Without a script the first one is what the page shows.
    assert ['hidden' in image for image in images] == [False, True, True, True]
    assert images[3]['alt'] == 'A room. frame 1, Depth.' and images[3]['width'] == '128'
    data = base64.b64decode(images[0]['src'].removeprefix('data:image/png;base64,'))
    assert data == sides_picture()


@pytest.mark.parametrize(
    'frames, message',
    [
        ([], 'accepted: at least one'),
        ([('a', {})], 'accepted: the same names'),
        ([('a', {'x': png()}), ('a', {'x': png()})], r"\['a', 'a'\]; accepted"),
        ([('a', {'x': png()}), ('b', {'y': png()})], 'accepted: the same names'),
        ([('a', {'x': png((8, 5))})], 'x of a is 8 x 5 pixels; accepted: twice as wide'),
        ([('a', {'x': b'no picture'})], 'cannot be read as PNG or JPEG'),
    ],
)
def test_what_is_no_panorama_is_refused(frames, message):
    with pytest.raises(ValueError, match=message):
        Report('t').panorama(frames)


def test_write_is_whole_or_nothing(tmp_path):
    page = Report('lone \udcff surrogate')
    page.write(tmp_path / 'report.html')
    assert (tmp_path / 'report.html').read_text(encoding='utf-8').rstrip().endswith('</html>')
    with pytest.raises(ValueError, match='report .* cannot be written'):
        page.write(tmp_path / 'absent' / 'report.html')
    assert os.listdir(tmp_path) == ['report.html']
