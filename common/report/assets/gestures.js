// What a pointer, two fingers, the wheel and keys do to a canvas, for all viewers of the page.
'use strict';
// `turn` and `move` take pixels, `zoom` takes a factor below 1 for nearer; `keys` has a function for each key.
// One pointer turns (with shift or the right button: moves), two move and zoom. `move` may be missing.
const gestures = (canvas, { turn, move, zoom, keys }) => {
  const down = new Map();
  const spread = () => {
    const [a, b] = [...down.values()];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, size: Math.hypot(a.x - b.x, a.y - b.y) || 1 };
  };
  canvas.addEventListener('pointerdown', event => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  canvas.addEventListener('pointermove', event => {
    const last = down.get(event.pointerId);
    if (!last) return;
    const now = { x: event.clientX, y: event.clientY };
    if (down.size === 2) {
      const before = spread();
      down.set(event.pointerId, now);
      const after = spread();
      (move || turn)(after.x - before.x, after.y - before.y);
      zoom(before.size / after.size);
      return;
    }
    down.set(event.pointerId, now);
    const moves = move && (event.shiftKey || event.buttons & 6);
    (moves ? move : turn)(now.x - last.x, now.y - last.y);
  });
  for (const name of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(name, event => down.delete(event.pointerId));
  }
  canvas.addEventListener('contextmenu', event => event.preventDefault());
  canvas.addEventListener('wheel', event => {
    event.preventDefault();
    zoom(Math.exp(event.deltaY * (event.deltaMode ? 0.03 : 0.0012)));
  }, { passive: false });
  const all = { '+': () => zoom(0.9), '=': () => zoom(0.9), '-': () => zoom(1.1), ...keys };
  canvas.addEventListener('keydown', event => {
    if (!all[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    all[event.key]();
  });
};
