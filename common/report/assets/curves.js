// Curves (needs axes.js): every figure[data-kind=curves] holds its series as JSON and gets an SVG that follows the width
// of the page, a readout under the pointer and a switch between linear and logarithmic scale.
'use strict';
(() => {
  const HEIGHT = 220, MARGIN = 56, RIGHT = 12, TOP = 10, BOTTOM = 38;

  const { svg, html, format, labels, linearTicks, logTicks, limits } = reportAxes;

  function chart(figure) {
    const data = JSON.parse(figure.querySelector('script').textContent);
    const usable = (value, log) => value !== null && (!log || value > 0);
    const head = html('div', { className: 'chart-head' }, figure);
    html('strong', {}, head, data.title);
    const positive = data.series.some(series => series.y.some(value => value > 0));
    const label = html('label', {}, head);
    const box = html('input', { type: 'checkbox', checked: data.log && positive, disabled: !positive }, label);
    label.append(' log scale');
    const picture = svg('svg', { role: 'img' }, figure);
    const legend = html('div', { className: 'legend' }, figure);
    data.series.forEach((series, i) => {
      const item = html('span', {}, legend);
      html('i', {}, item).style.background = `var(--s${i % 6})`;
      item.append(series.name);
    });
    if (data.series.length < 2) legend.hidden = true;
    const tip = html('div', { className: 'tip', hidden: true }, figure);
    let place = null, cursor = null, width = 0, left = MARGIN;

    function draw() {
      const log = box.checked;
      width = picture.clientWidth || 480;
      picture.replaceChildren();
      picture.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
      const ys = data.series.flatMap(series => series.y.filter(value => usable(value, log)));
      const last = data.series.map(series => `${series.name} ends at ` +
        (series.y.length && series.y.at(-1) !== null ? format(series.y.at(-1)) : 'no number'));
      picture.setAttribute('aria-label', `${data.title}, ${data.y_label} against ${data.x_label}: ${last.join(', ')}`);
      const [x0, x1] = limits(data.series.flatMap(series => series.x));
      let [y0, y1] = limits(ys);
      if (log && y0 <= 0) y0 = y1 / 10;
      if (!log) { const pad = (y1 - y0) * 0.04; y0 = y0 >= 0 ? Math.max(0, y0 - pad) : y0 - pad; y1 += pad; }
      const yTicks = labels(!ys.length ? [] : log ? logTicks(y0, y1) : linearTicks(y0, y1, 6));
      left = Math.max(MARGIN, 26 + 6.3 * Math.max(0, ...yTicks.map(([, text]) => text.length)));
      const px = x => left + (x - x0) / (x1 - x0) * (width - left - RIGHT);
      const part = y => log ? Math.log(y / y0) / Math.log(y1 / y0) : (y - y0) / (y1 - y0);
      const py = y => HEIGHT - BOTTOM - part(y) * (HEIGHT - TOP - BOTTOM);
      for (const [tick, text] of yTicks) {
        svg('line', { class: 'grid', x1: left, x2: width - RIGHT, y1: py(tick), y2: py(tick) }, picture);
        svg('text', { x: left - 6, y: py(tick) + 4, 'text-anchor': 'end' }, picture, text);
      }
      const across = data.series.some(series => series.x.length);
      for (const [tick, text] of labels(across ? linearTicks(x0, x1, Math.max(2, Math.floor(width / 58))) : [])) {
        svg('text', { x: px(tick), y: HEIGHT - BOTTOM + 15, 'text-anchor': 'middle' }, picture, text);
      }
      if (!ys.length) {
        svg('text', { x: (left + width - RIGHT) / 2, y: HEIGHT / 2, 'text-anchor': 'middle' }, picture, 'no numbers');
      }
      svg('text', { x: (left + width - RIGHT) / 2, y: HEIGHT - 6, 'text-anchor': 'middle' }, picture, data.x_label);
      const middle = (TOP + HEIGHT - BOTTOM) / 2;
      svg('text', { x: 0, y: 0, 'text-anchor': 'middle', transform: `translate(11 ${middle}) rotate(-90)` }, picture,
        data.y_label);
      data.series.forEach((series, i) => {
        let path = '', pen = 'M';
        series.x.forEach((x, k) => {
          if (!usable(series.y[k], log)) { pen = 'M'; return; }
          // The tiny step makes a point between two gaps show as a dot.
          path += `${pen}${px(x).toFixed(1)} ${py(series.y[k]).toFixed(1)}${pen === 'M' ? 'h.01' : ''}`;
          pen = 'L';
        });
        svg('path', { class: 'curve', d: path, stroke: `var(--s${i % 6})` }, picture);
      });
      cursor = svg('line', { class: 'cursor', y1: TOP, y2: HEIGHT - BOTTOM, visibility: 'hidden' }, picture);
      place = { x0, x1, px };
    }

    function nearest(xs, x) {
      let best = 0;
      for (let k = 1; k < xs.length; k++) if (Math.abs(xs[k] - x) < Math.abs(xs[best] - x)) best = k;
      return best;
    }

    function hover(event) {
      const frame = picture.getBoundingClientRect();
      const x = place.x0 + (event.clientX - frame.left - left) / (width - left - RIGHT) * (place.x1 - place.x0);
      const rows = data.series.filter(series => series.x.length).map(series => [series, nearest(series.x, x)]);
      if (!rows.length) return;
      const at = rows[0][0].x[rows[0][1]];
      cursor.setAttribute('x1', place.px(at));
      cursor.setAttribute('x2', place.px(at));
      cursor.setAttribute('visibility', 'visible');
      tip.replaceChildren();
      html('div', {}, tip, `${data.x_label} ${format(at)}`);
      for (const [series, k] of rows) {
        const value = series.y[k] === null ? 'no number' : format(series.y[k]);
        html('div', {}, tip, data.series.length > 1 ? `${series.name} ${value}` : value);
      }
      tip.hidden = false;
      const offset = place.px(at), right = offset + 12 + tip.offsetWidth > width;
      tip.style.left = `${right ? offset - 12 - tip.offsetWidth : offset + 12}px`;
      tip.style.top = `${frame.top - figure.getBoundingClientRect().top + TOP}px`;
    }

    function leave() { tip.hidden = true; cursor.setAttribute('visibility', 'hidden'); }

    box.addEventListener('change', draw);
    picture.addEventListener('pointermove', hover);
    picture.addEventListener('pointerdown', hover);
    picture.addEventListener('pointerleave', leave);
    new ResizeObserver(() => { if (picture.clientWidth !== width) draw(); }).observe(picture);
    draw();
  }

  document.querySelectorAll('figure[data-kind=curves]').forEach(chart);
  document.querySelectorAll('.picture').forEach(frame => {
    frame.addEventListener('click', () => frame.classList.toggle('full'));
  });
})();
