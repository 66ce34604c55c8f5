// Points (needs axes.js): every figure[data-kind=points] holds its points as JSON and gets an SVG with two axes to choose,
// the front in these two, the fronts of the groups up to each, bars of noise, limits, and a readout under the pointer.
'use strict';
(() => {
  const HEIGHT = 420, RIGHT = 16, TOP = 14, BOTTOM = 44, LOG_RATIO = 5, REACH = 30;
  const STOPS = [[98, 60, 160], [59, 82, 139], [33, 145, 140], [94, 201, 98], [190, 205, 40]];
  const { svg, html, labels, linearTicks, logTicks, limits } = reportAxes;

  function shade(part) {
    const place = part * (STOPS.length - 1), low = Math.min(Math.floor(place), STOPS.length - 2);
    return `rgb(${STOPS[low].map((value, i) => Math.round(value + (STOPS[low + 1][i] - value) * (place - low))).join(' ')})`;
  }

  // Points that no other one beats in both of two values, in the order of the first; smaller is better.
  function front(pairs) {
    const kept = [];
    for (const pair of [...pairs].sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
      if (!kept.length || pair[1] < kept.at(-1)[1]) kept.push(pair);
    }
    return kept;
  }

  function chart(figure) {
    const data = JSON.parse(figure.querySelector('script').textContent);
    const groups = [...new Set(data.points.map(point => point.group))].sort((a, b) => a - b);
    const color = group => shade(groups.length > 1 ? groups.indexOf(group) / (groups.length - 1) : 0.4);
    const head = html('div', { className: 'chart-head' }, figure);
    html('strong', {}, head, data.title);
    const controls = html('span', { className: 'axes' }, head);
    const picks = ['across', 'up'].map((name, place) => {
      const label = html('label', {}, controls, `${name} `);
      const pick = html('select', { disabled: data.axes.length < 2 }, label);
      data.axes.forEach((axis, i) => html('option', { value: i }, pick, axis.label));
      pick.value = data.start[place];
      return pick;
    });
    const log = html('label', {}, controls);
    const logs = html('input', { type: 'checkbox', checked: true }, log);
    log.append(' log scales');
    const picture = svg('svg', { role: 'img' }, figure);
    const legend = html('div', { className: 'legend' }, figure);
    const tip = html('div', { className: 'tip', hidden: true }, figure);
    let drawn = [], width = 0, ring = null, trail = null;

    function item(text, style) {
      const entry = html('span', {}, legend);
      Object.assign(html('i', {}, entry).style, style);
      entry.append(text);
    }

    function scale(index, start, end, values) {
      let [low, high] = limits(values);
      const positive = values.length > 0 && low > 0;
      const whole = data.axes[index].whole, useLog = logs.checked && positive && !whole && high > LOG_RATIO * low;
      const pad = useLog ? (high / low) ** 0.05 : (high - low) * 0.06;
      [low, high] = useLog ? [low / pad, high * pad] : [low - pad < 0 && positive ? 0 : low - pad, high + pad];
      const part = value => useLog ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
      const ticks = !values.length ? [] : useLog ? logTicks(low, high) : linearTicks(low, high, 7);
      const shown = labels(whole ? ticks.filter(Number.isInteger) : ticks);
      return { at: value => start + part(useLog ? Math.max(value, low) : value) * (end - start), ticks: shown, positive, low, high };
    }

    function draw() {
      const [ax, ay] = picks.map(pick => Number(pick.value));
      const [sx, sy] = [data.axes[ax].sense, data.axes[ay].sense];
      width = picture.clientWidth || 640;
      tip.hidden = true;
      picture.replaceChildren();
      legend.replaceChildren();
      picture.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
      const points = data.points.filter(point => point.values[ax] !== null && point.values[ay] !== null);
      const whole = points.filter(point => !point.faded);
      picture.setAttribute('aria-label', `${data.title}: ${data.axes[ay].label} against ${data.axes[ax].label}, ` +
        `${points.length} points, ${points.filter(point => point.front).length} of them on the front`);
      const spread = (axis, values) => points.flatMap(point => {
        const noise = axis === data.noise_axis && point.noise ? point.noise : 0;
        const value = point.values[axis];
        return noise && value - noise > 0 ? [value - noise, value + noise] : [value];
      });
      const y = scale(ay, HEIGHT - BOTTOM, TOP, spread(ay));
      const left = Math.max(52, 26 + 6.3 * Math.max(0, ...y.ticks.map(([, text]) => text.length)));
      const x = scale(ax, left, width - RIGHT, spread(ax));
      for (const [tick, text] of y.ticks) {
        svg('line', { class: 'grid', x1: left, x2: width - RIGHT, y1: y.at(tick), y2: y.at(tick) }, picture);
        svg('text', { x: left - 6, y: y.at(tick) + 4, 'text-anchor': 'end' }, picture, text);
      }
      let last = -Infinity;
      for (const [tick, text] of x.ticks) {
        svg('line', { class: 'grid', y1: TOP, y2: HEIGHT - BOTTOM, x1: x.at(tick), x2: x.at(tick) }, picture);
        if (x.at(tick) - last < 6.3 * text.length + 10) continue;
        last = x.at(tick);
        svg('text', { x: x.at(tick), y: HEIGHT - BOTTOM + 16, 'text-anchor': 'middle' }, picture, text);
      }
      const name = axis => data.axes[axis].label + (data.axes[axis].sense < 0 ? ' (higher is better)' : '');
      svg('text', { x: (left + width - RIGHT) / 2, y: HEIGHT - 6, 'text-anchor': 'middle' }, picture, name(ax));
      const middle = (TOP + HEIGHT - BOTTOM) / 2;
      svg('text', { x: 0, y: 0, 'text-anchor': 'middle', transform: `translate(11 ${middle}) rotate(-90)` }, picture, name(ay));
      if (!points.length) {
        svg('text', { x: (left + width - RIGHT) / 2, y: middle, 'text-anchor': 'middle' }, picture, data.empty);
      }
      const stairs = (members, attributes) => {
        const steps = front(members.map(point => [sx * point.values[ax], sy * point.values[ay]]));
        if (steps.length < 2) return false;
        const path = steps.map(([a, b], i) => (i ? `H${x.at(sx * a).toFixed(1)}V` : `M${x.at(sx * a).toFixed(1)} `) + y.at(sy * b).toFixed(1));
        svg('path', { class: 'curve', d: path.join(''), ...attributes }, picture);
        return true;
      };
      let levels = false;
      for (const group of groups.slice(0, -1)) {
        const style = `stroke:${color(group)};stroke-width:1;opacity:.7`;
        levels = stairs(whole.filter(point => point.group <= group && point.counts), { class: 'curve level', style }) || levels;
      }
      const members = points.filter(point => point.front);
      if (stairs(members, { class: 'curve best', style: 'stroke:var(--s1);stroke-width:1.4' })) {
        item('Pareto front in these two', { background: 'var(--s1)' });
      }
      if (levels) item(`best up to each ${data.group_label}`, { background: color(groups[0]), height: '1px' });
      let limited = false;
      [[ax, x, true], [ay, y, false]].forEach(([axis, at, across]) => {
        const limit = data.axes[axis].limit;
        if (limit === null || limit < at.low || limit > at.high) return;
        const place = at.at(limit), ends = across ? { x1: place, x2: place, y1: TOP, y2: HEIGHT - BOTTOM }
          : { x1: left, x2: width - RIGHT, y1: place, y2: place };
        svg('line', { class: 'limit', ...ends }, picture);
        limited = true;
      });
      if (limited) item(data.limit_label, { background: 'var(--warn)' });
      let noisy = false;
      for (const point of points) {
        if (!point.noise || ![ax, ay].includes(data.noise_axis)) continue;
        const [cx, cy] = [x.at(point.values[ax]), y.at(point.values[ay])], value = point.values[data.noise_axis];
        const [at, across] = data.noise_axis === ax ? [x, true] : [y, false];
        const [from, to] = [at.at(Math.max(value - point.noise, at.low)), at.at(value + point.noise)];
        svg('line', { class: 'noise', ...(across ? { x1: from, x2: to, y1: cy, y2: cy } : { x1: cx, x2: cx, y1: from, y2: to }),
          style: `stroke:${color(point.group)}` }, picture);
        noisy = true;
      }
      if (noisy) item(data.noise_label, { background: 'var(--muted)', width: '2px', height: '1em' });
      trail = svg('path', { class: 'trail', d: '' }, picture);
      drawn = points.map(point => {
        const [cx, cy] = [x.at(point.values[ax]), y.at(point.values[ay])];
        if (point.faded) {
          svg('path', { class: 'faded', d: `M${cx - 4} ${cy - 4}l8 8m0-8l-8 8` }, picture);
        } else {
          svg('circle', { cx, cy, r: point.front ? 5 : 3.5, style: `fill:${color(point.group)}`, class: point.front ? 'dot front' : 'dot' }, picture);
        }
        return { point, cx, cy };
      });
      const taken = [];
      for (const { point, cx, cy } of drawn.filter(({ point }) => point.role)) {
        svg('circle', { cx, cy, r: 9, class: 'chosen' }, picture);
        const size = 6.2 * point.role.length, after = cx + 14 + size < width - RIGHT;
        const place = [after ? cx + 13 : cx - 13, cy + 4], from = after ? place[0] : place[0] - size;
        while (taken.some(([a, b, c]) => from < b && from + size > a && Math.abs(c - place[1]) < 12)) place[1] += 12;
        taken.push([from, from + size, place[1]]);
        svg('text', { x: place[0], y: place[1], 'text-anchor': after ? 'start' : 'end', class: 'role' }, picture, point.role);
      }
      ring = svg('circle', { r: 11, class: 'ring', visibility: 'hidden' }, picture);
      for (const group of groups) if (points.some(point => point.group === group)) item(`${data.group_label} ${group}`, { background: color(group) });
      if (members.length) item('on the front', { border: '2px solid var(--s1)', borderRadius: '50%', width: '.8em', height: '.8em' });
      if (points.some(point => point.faded)) item(`\u00d7 ${data.faded_label}`, { width: '0', margin: '0' });
      log.hidden = !(x.positive || y.positive);
    }

    function hover(event) {
      const frame = picture.getBoundingClientRect(), mx = event.clientX - frame.left, my = event.clientY - frame.top;
      let best = null;
      for (const entry of drawn) {
        const distance = Math.hypot(entry.cx - mx, entry.cy - my);
        if (distance <= REACH && (!best || distance < best.distance)) best = { ...entry, distance };
      }
      if (!best) return leave();
      ring.setAttribute('cx', best.cx);
      ring.setAttribute('cy', best.cy);
      ring.setAttribute('visibility', 'visible');
      const steps = best.point.path.map(index => drawn.find(entry => entry.point === data.points[index])).filter(Boolean);
      trail.setAttribute('d', [...steps, best].map((entry, i) => `${i ? 'L' : 'M'}${entry.cx.toFixed(1)} ${entry.cy.toFixed(1)}`).join(''));
      tip.replaceChildren();
      best.point.lines.forEach((line, i) => html('div', { className: i ? '' : 'tip-head' }, tip, line));
      tip.hidden = false;
      const right = best.cx + 16 + tip.offsetWidth > width, base = frame.top - figure.getBoundingClientRect().top;
      tip.style.left = `${Math.max(0, right ? best.cx - 16 - tip.offsetWidth : best.cx + 16)}px`;
      tip.style.top = `${base + Math.min(best.cy, HEIGHT - tip.offsetHeight)}px`;
    }

    function leave() {
      tip.hidden = true;
      ring.setAttribute('visibility', 'hidden');
      trail.setAttribute('d', '');
    }

    [...picks, logs].forEach(control => control.addEventListener('change', draw));
    picture.addEventListener('pointermove', hover);
    picture.addEventListener('pointerdown', hover);
    picture.addEventListener('pointerleave', leave);
    new ResizeObserver(() => { if (picture.clientWidth !== width) draw(); }).observe(picture);
    draw();
  }

  document.querySelectorAll('figure[data-kind=points]').forEach(chart);
})();
