// Point clouds: every figure[data-kind=cloud] holds its points as JSON and gets a canvas in which they can be turned,
// moved and zoomed. The world is right-handed with y up. It is drawn by renderers.js
// and moved by gestures.js.
'use strict';
(() => {
  const { FOCAL, OFF, project } = pointRenderers;

  function decode(text) {
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return bytes;
  }

  // A layer: Float32 positions [3N], Uint8 colors [3N], the side of a point in the world and its limits in pixels.
  // `cut` layers obey the cutting planes, `overlay` layers show through the others.
  function cloudLayer(data) {
    const steps = new Uint16Array(decode(data.positions).buffer), position = new Float32Array(steps.length);
    for (let i = 0; i < steps.length; i++) position[i] = steps[i] * data.scale[i % 3] + data.offset[i % 3];
    const size = 3.8 * data.radius / Math.sqrt(Math.max(1, steps.length / 3));
    return { position, color: decode(data.colors), size, min: 1, max: 16, cut: true, overlay: false };
  }

  function dotsLayer(dots, size, min, max, overlay) {
    const position = new Float32Array(dots.length * 3), color = new Uint8Array(dots.length * 3);
    dots.forEach(([point, rgb], i) => { position.set(point, 3 * i); color.set(rgb, 3 * i); });
    return { position, color, size, min, max, cut: false, overlay };
  }

  // The path as closely set dots from orange to violet, its start as a larger white one.
  function pathLayers(path, radius) {
    const dots = [], limit = 4000;
    let length = 0;
    for (let i = 1; i < path.length; i++) length += Math.hypot(...path[i].map((value, k) => value - path[i - 1][k]));
    const step = Math.max(radius / 400, length / limit);
    for (let i = 0; i < path.length; i++) {
      const from = path[Math.max(0, i - 1)], to = path[i];
      const parts = Math.max(1, Math.ceil(Math.hypot(...to.map((value, k) => value - from[k])) / step));
      for (let j = 1; j <= parts; j++) {
        const s = j / parts, t = Math.max(0, i - 1 + s) / Math.max(1, path.length - 1);
        dots.push([to.map((value, k) => from[k] + s * (value - from[k])), [255 - 50 * t, 170 - 90 * t, 40 + 215 * t]]);
      }
    }
    const start = [[path[0], [255, 255, 255]]];
    return [dotsLayer(dots, radius / 120, 3, 9, true), dotsLayer(start, radius / 50, 8, 18, true)];
  }

  function gridLayer(data, cell) {
    const dots = [], count = Math.min(12, Math.ceil(1.5 * data.radius / cell)), fine = 24;
    const [cx, cz] = [data.center[0], data.center[2]].map(value => Math.round(value / cell) * cell);
    for (let i = -count; i <= count; i++) {
      for (let j = -count * fine; j <= count * fine; j++) {
        dots.push([[cx + i * cell, data.bottom, cz + j * cell / fine], [78, 88, 100]]);
        dots.push([[cx + j * cell / fine, data.bottom, cz + i * cell], [78, 88, 100]]);
      }
    }
    return dotsLayer(dots, 0, 1, 1, false);
  }

  function viewer(figure) {
    const data = JSON.parse(figure.querySelector('script').textContent);
    const { radius, unit } = data, caption = figure.querySelector('figcaption');
    const cell = radius > 0.7 && radius < 40 ? 1 : 10 ** Math.round(Math.log10(radius / 3));
    const layers = [gridLayer(data, cell), cloudLayer(data)];
    if (data.path.length) layers.push(...pathLayers(data.path, radius));
    const frame = document.createElement('div'), status = document.createElement('div');
    frame.className = 'viewer';
    status.className = 'status';
    figure.insertBefore(frame, caption);
    let canvas, render, view, pending = false, pixelScale = 1, pointScale = 1;

    function start(useWebgl) {
      canvas = document.createElement('canvas');
      canvas.tabIndex = 0;
      canvas.setAttribute('role', 'img');
      canvas.setAttribute('aria-label', `${data.alt} Arrow keys turn, plus and minus zoom.`);
      frame.replaceChildren(canvas, status);
      const webgl = useWebgl ? pointRenderers.webgl(canvas, layers) : null;
      if (useWebgl && !webgl) { start(false); return; }
      render = webgl || pointRenderers.canvas(canvas, layers);
      figure.dataset.renderer = webgl ? 'webgl' : 'canvas';
      status.textContent = `${data.count.toLocaleString('en')} points, grid step ${cell} ${unit}` +
        (webgl ? '' : ' (no WebGL here: drawn more slowly without it)');
      canvas.addEventListener('webglcontextlost', () => start(false));
      gestures(canvas, { move: pan, zoom, turn: (dx, dy) => turn(0.006 * dx, 0.006 * dy), keys: {
        ArrowLeft: () => turn(-0.1, 0), ArrowRight: () => turn(0.1, 0), ArrowUp: () => turn(0, 0.1),
        ArrowDown: () => turn(0, -0.1) } });
      new ResizeObserver(resize).observe(canvas);
      resize();
    }

    function resize() {
      pixelScale = figure.dataset.renderer === 'webgl' ? Math.min(2, window.devicePixelRatio || 1) : 1;
      canvas.width = Math.max(1, Math.round(canvas.clientWidth * pixelScale));
      canvas.height = Math.max(1, Math.round(canvas.clientHeight * pixelScale));
      draw();
    }

    function draw() {
      pending = false;
      render(project(view, canvas.width, canvas.height, radius), pixelScale, pointScale);
      Object.assign(figure.dataset, { yaw: view.yaw.toFixed(4), pitch: view.pitch.toFixed(4),
        distance: view.distance.toPrecision(5), target: view.target.map(value => value.toPrecision(5)).join(' ') });
    }

    function change() {
      const right = Math.PI / 2;
      view.pitch = Math.max(-right, Math.min(right, view.pitch));
      view.distance = Math.max(radius / 1000, Math.min(30 * radius, view.distance));
      if (!pending) { pending = true; requestAnimationFrame(draw); }
    }

    function turn(dx, dy) { view.yaw -= dx; view.pitch += dy; change(); }
    function zoom(factor) { view.distance *= factor; change(); }
    function pan(dx, dy) {
      const { right, up } = project(view, 1, 1, radius), scale = 2 * view.distance / (FOCAL * canvas.clientHeight);
      view.target = view.target.map((value, i) => value + scale * (dy * up[i] - dx * right[i]));
      change();
    }

    const controls = document.createElement('div');
    controls.className = 'controls';
    figure.insertBefore(controls, caption);

    function button(text, action) {
      const made = document.createElement('button');
      made.type = 'button';
      made.textContent = text;
      made.addEventListener('click', () => { action(); change(); });
      controls.append(made);
    }

    function slider(text, min, max, value, apply) {
      const label = document.createElement('label'), input = document.createElement('input');
      const output = document.createElement('output');
      Object.assign(input, { type: 'range', min, max, step: (max - min) / 200 });
      input.value = value;
      label.append(text, input, output);
      controls.append(label);
      const use = () => { output.textContent = apply(Number(input.value)); };
      input.addEventListener('input', () => { use(); change(); });
      use();
      return number => { input.value = number; use(); };
    }

    const middle = [data.center[0], (data.bottom + data.cut) / 2, data.center[2]];
    const home = () => ({ yaw: 0.65, pitch: 0.65, target: [...middle],
      // A canvas higher than wide shows as much from farther away.
      distance: 2.1 * radius * Math.max(1, 1.2 * frame.clientHeight / (frame.clientWidth || 1)) });
    const centre = data.path.length ? data.path[0] : data.center;
    view = { ...home(), front: 0, top: OFF };
    const height = data.top - data.bottom;
    button('Outside', () => Object.assign(view, home()));
    button('From above', () => Object.assign(view, home(), { yaw: 0, pitch: Math.PI / 2 }));
    button(data.path.length ? 'From the start' : 'From the centre', () => {
      Object.assign(view, { yaw: 0, pitch: 0, distance: 0, target: [...centre] });
      setFront(0);
      setTop(height);
    });
    slider('Point size', 0.3, 3, 1, value => { pointScale = value; return `${value.toFixed(1)}x`; });
    const setTop = slider('Hide above', 0, height, data.cut - data.bottom, value => {
      const off = value >= 0.999 * height;
      view.top = off ? OFF : data.bottom + value;
      return off ? 'off' : `${value.toPrecision(2)} ${unit}`;
    });
    const setFront = slider('Hide in front', 0, 1, 0, value => {
      view.front = value;
      return value > 0 ? `${Math.round(100 * value)} %` : 'off';
    });
    start(true);
    Object.assign(view, home());
    draw();
  }

  document.querySelectorAll('figure[data-kind=cloud]').forEach(viewer);
})();
