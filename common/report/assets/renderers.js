// Renderers of coloured points: WebGL, and a z-buffer of its own for browsers without it. Both take layers, see
// cloud.js, and return a function that draws them as seen by a projected view, or null if they cannot work.
'use strict';
const pointRenderers = (() => {
  const FOCAL = 1 / Math.tan(25 * Math.PI / 180);  // 50 degrees from bottom to top
  const OFF = 1e30;  // a cutting plane beyond everything
  const BACKGROUND = [16, 21, 27];

  // Where the eye is and how the world falls on the screen, for both renderers.
  function project(view, width, height, radius) {
    const sy = Math.sin(view.yaw), cy = Math.cos(view.yaw), sp = Math.sin(view.pitch), cp = Math.cos(view.pitch);
    const back = [cp * sy, sp, cp * cy];
    return { right: [cy, 0, -sy], up: [-sp * sy, cp, -sp * cy], forward: back.map(value => -value),
      eye: view.target.map((value, i) => value + view.distance * back[i]),
      near: radius / 500, far: view.distance + 50 * radius, aspect: width / height,
      front: view.front > 0 ? view.distance - radius * (1 - view.front) : -1, top: view.top };
  }

  const VERTEX = `
    attribute vec3 position; attribute vec3 color;
    uniform vec3 eye, right, up, forward; uniform float aspect, focal, near, far, front, top, size, low, high, pixels;
    varying vec3 tint;
    void main() {
      vec3 ray = position - eye;
      float w = dot(ray, forward);
      bool hidden = position.y > top || w < front;
      gl_Position = hidden ? vec4(2.0, 2.0, 2.0, 1.0) : vec4(dot(ray, right) * focal / aspect, dot(ray, up) * focal,
        ((far + near) * w - 2.0 * far * near) / (far - near), w);
      gl_PointSize = clamp(size * focal * 0.5 * pixels / max(w, near), low, high);
      tint = color;
    }`;
  const FRAGMENT = `
    precision mediump float; varying vec3 tint;
    void main() { gl_FragColor = vec4(tint, 1.0); }`;

  function webglRenderer(canvas, layers) {
    const { gl, program } = shading(canvas, VERTEX, FRAGMENT) || {};
    if (!gl) return null;
    const names = new Map();
    for (const name of ['eye', 'right', 'up', 'forward', 'aspect', 'focal', 'near', 'far', 'front', 'top', 'size',
      'low', 'high', 'pixels']) names.set(name, gl.getUniformLocation(program, name));
    const buffer = values => {
      const made = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, made);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      return made;
    };
    const stored = layers.map(layer => ({ layer, position: buffer(layer.position), color: buffer(layer.color) }));
    const place = gl.getAttribLocation(program, 'position'), tint = gl.getAttribLocation(program, 'color');
    gl.enableVertexAttribArray(place);
    gl.enableVertexAttribArray(tint);
    return (eye, pixelScale, pointScale) => {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(...BACKGROUND.map(value => value / 255), 1);
      gl.enable(gl.DEPTH_TEST);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      for (const name of ['eye', 'right', 'up', 'forward']) gl.uniform3fv(names.get(name), eye[name]);
      for (const name of ['aspect', 'near', 'far']) gl.uniform1f(names.get(name), eye[name]);
      gl.uniform1f(names.get('focal'), FOCAL);
      gl.uniform1f(names.get('pixels'), canvas.height);
      for (const { layer, position, color } of stored) {
        if (layer.overlay) gl.disable(gl.DEPTH_TEST);
        gl.uniform1f(names.get('front'), layer.cut ? eye.front : -1);
        gl.uniform1f(names.get('top'), layer.cut ? eye.top : OFF);
        gl.uniform1f(names.get('size'), layer.size * (layer.cut ? pointScale : 1));
        gl.uniform1f(names.get('low'), layer.min * pixelScale);
        gl.uniform1f(names.get('high'), layer.max * pixelScale);
        gl.bindBuffer(gl.ARRAY_BUFFER, position);
        gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 0, 0);
        gl.bindBuffer(gl.ARRAY_BUFFER, color);
        gl.vertexAttribPointer(tint, 3, gl.UNSIGNED_BYTE, true, 0, 0);
        gl.drawArrays(gl.POINTS, 0, layer.position.length / 3);
      }
    };
  }

  function canvasRenderer(canvas, layers) {
    const context = canvas.getContext('2d');
    const [r, g, b] = BACKGROUND, empty = (255 << 24 | b << 16 | g << 8 | r) >>> 0;
    let image, pixels, depth;
    return (eye, pixelScale, pointScale) => {
      const { width, height } = canvas;
      if (!image || image.width !== width || image.height !== height) {
        image = context.createImageData(width, height);
        pixels = new Uint32Array(image.data.buffer);
        depth = new Float32Array(width * height);
      }
      pixels.fill(empty);
      depth.fill(Infinity);
      for (const layer of layers) splat(layer, eye, width, height, pixelScale, layer.cut ? pointScale : 1);
      context.putImageData(image, 0, 0);
    };

    function splat({ position, color, size, min, max, cut, overlay }, eye, width, height, pixelScale, pointScale) {
      const { right, up, forward, near } = eye, [ex, ey, ez] = eye.eye, scale = FOCAL * height / 2;
      const top = cut ? eye.top : OFF, first = Math.max(near, cut ? eye.front : near);
      for (let i = 0; i < position.length; i += 3) {
        if (position[i + 1] > top) continue;
        const x = position[i] - ex, y = position[i + 1] - ey, z = position[i + 2] - ez;
        const w = x * forward[0] + y * forward[1] + z * forward[2];
        if (w < first) continue;
        const u = width / 2 + (x * right[0] + y * right[1] + z * right[2]) * scale / w;
        const v = height / 2 - (x * up[0] + y * up[1] + z * up[2]) * scale / w;
        const wanted = size * pointScale * scale / w;
        const side = Math.max(min * pixelScale, Math.min(max * pixelScale, wanted)), half = side / 2;
        const u0 = Math.max(0, Math.round(u - half)), u1 = Math.min(width, Math.round(u - half) + Math.round(side));
        const v0 = Math.max(0, Math.round(v - half)), v1 = Math.min(height, Math.round(v - half) + Math.round(side));
        const value = (255 << 24 | color[i + 2] << 16 | color[i + 1] << 8 | color[i]) >>> 0;
        for (let row = v0; row < v1; row++) {
          for (let k = row * width + u0; k < row * width + u1; k++) {
            if (overlay || w < depth[k]) { depth[k] = w; pixels[k] = value; }
          }
        }
      }
    }
  }

  return { FOCAL, OFF, project, webgl: webglRenderer, canvas: canvasRenderer };
})();
