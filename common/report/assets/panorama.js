// Panoramas to look around in: every figure[data-kind=panorama] holds equirectangular pictures, for each frame one of
// every layer (colour, depth). Without WebGL, and without this script, they stay flat pictures.
'use strict';
(() => {
  const VERTEX = `
    attribute vec2 corner; varying vec2 at;
    void main() { at = corner; gl_Position = vec4(corner, 0.0, 1.0); }`;
  // The ray of each pixel of the screen, in a frame x right, y up, z forward, and where it falls in the picture.
  const FRAGMENT = `
    #ifdef GL_FRAGMENT_PRECISION_HIGH
    precision highp float;
    #else
    precision mediump float;
    #endif
    uniform sampler2D picture; uniform vec3 right, up, forward; varying vec2 at;
    void main() {
      vec3 ray = forward + at.x * right + at.y * up;
      float lon = atan(ray.x, ray.z), lat = atan(ray.y, length(ray.xz));
      gl_FragColor = texture2D(picture, vec2(lon / 6.2831853 + 0.5, 0.5 - lat / 3.1415927));
    }`;

  // Returns functions that take a picture and draw a view, or null without WebGL.
  function sphereRenderer(canvas) {
    const { gl, program } = shading(canvas, VERTEX, FRAGMENT) || {};
    if (!gl) return null;
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 3, -1, -1, 3]), gl.STATIC_DRAW);
    const corner = gl.getAttribLocation(program, 'corner');
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);  // columns wrap, rows end at the poles
    const most = gl.getParameter(gl.MAX_TEXTURE_SIZE), scaled = document.createElement('canvas');
    return {
      load(image) {
        // A texture that wraps has to have sides that are powers of two.
        scaled.width = Math.min(most, 2 ** Math.ceil(Math.log2(image.naturalWidth)));
        scaled.height = Math.max(1, scaled.width / 2);
        scaled.getContext('2d').drawImage(image, 0, 0, scaled.width, scaled.height);
        gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, scaled);
      },
      draw({ yaw, pitch, fov }) {
        const sy = Math.sin(yaw), cy = Math.cos(yaw), sp = Math.sin(pitch), cp = Math.cos(pitch);
        const wide = Math.tan(fov / 2), high = wide * canvas.height / canvas.width;
        gl.viewport(0, 0, canvas.width, canvas.height);
        const axes = { right: [cy * wide, 0, -sy * wide], up: [-sp * sy * high, cp * high, -sp * cy * high],
          forward: [cp * sy, sp, cp * cy] };
        for (const name of ['right', 'up', 'forward']) gl.uniform3fv(gl.getUniformLocation(program, name), axes[name]);
        gl.drawArrays(gl.TRIANGLES, 0, 3);
      },
    };
  }

  function look(figure) {
    const flat = figure.querySelector('.flat'), images = [...flat.querySelectorAll('img')];
    const caption = figure.querySelector('figcaption');
    const unique = name => [...new Set(images.map(image => image.dataset[name]))];
    const frames = unique('frame'), layers = unique('layer');
    const home = () => ({ yaw: 0, pitch: 0, fov: 100 * Math.PI / 180 });
    let frame = 0, layer = layers[0], view = home(), sphere = null, pending = false;
    const viewer = document.createElement('div'), canvas = document.createElement('canvas');
    const status = document.createElement('div'), controls = document.createElement('div');
    viewer.className = 'viewer';
    status.className = 'status';
    controls.className = 'controls';
    canvas.tabIndex = 0;
    canvas.setAttribute('role', 'img');
    viewer.append(canvas, status);
    figure.insertBefore(viewer, flat);
    figure.insertBefore(controls, caption);

    const shown = () => images.find(image => image.dataset.frame === frames[frame] && image.dataset.layer === layer);

    function draw() {
      pending = false;
      const degrees = value => Math.round(value * 180 / Math.PI);
      if (sphere) sphere.draw(view);
      status.textContent = `${frames[frame]}, ${layer}: ${degrees(view.yaw)}\u00b0 right, ${degrees(view.pitch)}\u00b0 up, ` +
        `${degrees(view.fov)}\u00b0 wide`;
      Object.assign(figure.dataset, { yaw: view.yaw.toFixed(4), pitch: view.pitch.toFixed(4), fov: view.fov.toFixed(4) });
    }

    function change() {
      view.pitch = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, view.pitch));
      view.fov = Math.max(0.2, Math.min(2.4, view.fov));
      view.yaw = Math.atan2(Math.sin(view.yaw), Math.cos(view.yaw));
      if (!pending) { pending = true; requestAnimationFrame(draw); }
    }

    function turn(right, up) { view.yaw += right; view.pitch += up; change(); }

    function resize() {
      if (!canvas.clientWidth) return;
      const scale = Math.min(2, window.devicePixelRatio || 1);
      canvas.width = Math.max(1, Math.round(canvas.clientWidth * scale));
      canvas.height = Math.max(1, Math.round(canvas.clientHeight * scale));
      draw();
    }

    // The chosen picture, on the sphere or flat.
    async function show() {
      const image = shown();
      for (const other of images) other.hidden = other !== image;
      viewer.hidden = !sphere || figure.dataset.flat === 'yes';
      flat.hidden = !viewer.hidden;
      canvas.setAttribute('aria-label', `${image.alt} Arrow keys turn, plus and minus zoom.`);
      Object.assign(figure.dataset, { frame: frames[frame], layer });
      await image.decode().catch(() => null);
      if (image !== shown() || !sphere) return;  // another one was chosen meanwhile
      sphere.load(image);
      resize();
    }

    function button(text, action, pressed) {
      const made = document.createElement('button');
      const mark = () => pressed && made.setAttribute('aria-pressed', pressed());
      made.type = 'button';
      made.textContent = text;
      made.addEventListener('click', () => { action(); controls.dispatchEvent(new Event('chosen')); });
      controls.addEventListener('chosen', mark);
      mark();
      controls.append(made);
    }

    function slider() {
      const label = document.createElement('label'), input = document.createElement('input');
      const output = document.createElement('output');
      Object.assign(input, { type: 'range', min: 0, max: frames.length - 1, step: 1 });
      input.value = 0;
      output.textContent = frames[0];
      input.addEventListener('input', () => {
        frame = Number(input.value);
        output.textContent = frames[frame];
        input.setAttribute('aria-valuetext', frames[frame]);
        show();
      });
      label.append('Frame', input, output);
      controls.append(label);
    }

    if (layers.length > 1) {
      for (const name of layers) button(name, () => { layer = name; show(); }, () => layer === name);
    }
    if (frames.length > 1) slider();
    sphere = sphereRenderer(canvas);
    figure.dataset.renderer = sphere ? 'webgl' : 'flat';
    if (sphere) {
      button('Straight ahead', () => { view = home(); change(); });
      button('Flat', () => { figure.dataset.flat = figure.dataset.flat === 'yes' ? 'no' : 'yes'; show(); },
        () => figure.dataset.flat === 'yes');
      // The picture follows the pointer; keys turn the head.
      const scale = () => 2 * Math.tan(view.fov / 2) / canvas.clientWidth;
      gestures(canvas, { turn: (dx, dy) => turn(-dx * scale(), dy * scale()),
        zoom: factor => { view.fov *= factor; change(); },
        keys: { ArrowLeft: () => turn(-0.1, 0), ArrowRight: () => turn(0.1, 0), ArrowUp: () => turn(0, 0.1),
          ArrowDown: () => turn(0, -0.1), Home: () => { view = home(); change(); } } });
      canvas.addEventListener('webglcontextlost', () => { sphere = null; figure.dataset.renderer = 'flat'; show(); });
      new ResizeObserver(resize).observe(canvas);
    }
    show();
  }

  document.querySelectorAll('figure[data-kind=panorama]').forEach(look);
})();
