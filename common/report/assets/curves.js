// Curves: every figure[data-kind=curves] holds its series as JSON and gets an SVG that follows the width of the
// page, a readout under the pointer and a switch between linear and logarithmic scale.
'use strict';
(() => {
  const HEIGHT = 220, LEFT = 56, RIGHT = 12, TOP = 10, BOTTOM = 38;

  function svg(tag, attributes, parent, text) {
    const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  }

  function html(tag, attributes, parent, text) {
    const node = Object.assign(document.createElement(tag), attributes);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  }

  function format(value) {
    const size = Math.abs(value);
    if (value !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace(/\.?0+e/, 'e');
    return String(Number(value.toPrecision(4)));
  }

  // Round numbers between two limits, `count` at most.
  function linearTicks(low, high, count) {
    const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= raw * 0.999);
    const ticks = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) ticks.push(k * step);
    return ticks;
  }

  // Powers of ten; with less than two of them, 2 and 5 times a power as well.
  function logTicks(low, high) {
    const ticks = [], decades = Math.log10(high / low), skip = Math.ceil(decades / 6);
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
      if (decades > 2.5 && ((e % skip) + skip) % skip) continue;
      for (const factor of decades > 2.5 ? [1] : [1, 2, 5]) ticks.push(factor * 10 ** e);
    }
    const inside = ticks.filter(tick => tick >= low * 0.999 && tick <= high * 1.001);
    return inside.length > 1 ? inside : linearTicks(low, high, 4);
  }

  function limits(values) {
    let low = Infinity, high = -Infinity;
    for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
    if (low > high || (low === 0 && high === 0)) return [0, 1];
    return low < high ? [low, high] : [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
  }

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
    let place = null, cursor = null, width = 0;

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
      const px = x => LEFT + (x - x0) / (x1 - x0) * (width - LEFT - RIGHT);
      const part = y => log ? Math.log(y / y0) / Math.log(y1 / y0) : (y - y0) / (y1 - y0);
      const py = y => HEIGHT - BOTTOM - part(y) * (HEIGHT - TOP - BOTTOM);
      for (const tick of log ? logTicks(y0, y1) : linearTicks(y0, y1, 6)) {
        svg('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: py(tick), y2: py(tick) }, picture);
        svg('text', { x: LEFT - 6, y: py(tick) + 4, 'text-anchor': 'end' }, picture, format(tick));
      }
      for (const tick of linearTicks(x0, x1, Math.max(2, Math.floor(width / 58)))) {
        svg('text', { x: px(tick), y: HEIGHT - BOTTOM + 15, 'text-anchor': 'middle' }, picture, format(tick));
      }
      svg('text', { x: (LEFT + width - RIGHT) / 2, y: HEIGHT - 6, 'text-anchor': 'middle' }, picture, data.x_label);
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
      const x = place.x0 + (event.clientX - frame.left - LEFT) / (width - LEFT - RIGHT) * (place.x1 - place.x0);
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
