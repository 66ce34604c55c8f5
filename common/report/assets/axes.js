// What all charts of the page share: elements, limits, ticks and their labels.
'use strict';
const reportAxes = (() => {
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

  // Pairs of ticks and labels. A label is true: it has as many digits as its tick needs, so that neighbours in a narrow
  // range differ; numbers from 10,000 up are in k, M or G where few digits are enough.
  function labels(ticks) {
    if (!ticks.length) return [];
    const largest = Math.max(...ticks.map(Math.abs)), within = 1e-6 * (Math.max(...ticks) - Math.min(...ticks) || largest);
    const units = [[1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, '']];
    const plain = (value, digits) => Math.abs(value) < 1e-6 && value !== 0 ? value.toExponential(digits - 1).replace(/\.?0+e/, 'e')
      : Number(value.toPrecision(digits)).toLocaleString('en', { maximumFractionDigits: 20, useGrouping: false });
    const attempt = (digits, short) => {
      const pairs = ticks.map(tick => {
        const [unit, letter] = short && units.find(([size]) => Math.abs(tick) >= size) || [1, ''];
        const text = plain(tick / unit, digits);
        return [tick, text + letter, Math.abs(Number(text) * unit - tick) <= within];
      });
      const told = pairs.every(([, , near]) => near) && new Set(pairs.map(([, text]) => text)).size === new Set(ticks).size;
      return { pairs: pairs.map(([tick, text]) => [tick, text === '-0' ? '0' : text]), told };
    };
    const short = largest >= 1e4 ? attempt(3, true) : null;
    if (short && short.told) return short.pairs;
    for (let digits = 3; ; digits++) {
      const { pairs, told } = attempt(digits, false);
      if (told || digits === 16) return pairs;
    }
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

  // The range of values; of a single value, or of none, something around it.
  function limits(values) {
    let low = Infinity, high = -Infinity;
    for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
    if (low > high || (low === 0 && high === 0)) return [0, 1];
    return low < high ? [low, high] : [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
  }

  return { svg, html, format, labels, linearTicks, logTicks, limits };
})();
