// WebGL with a program of two shaders, for all viewers of the page.
'use strict';
// Returns { gl, program }, which is in use; null in a browser without WebGL.
const shading = (canvas, vertex, fragment) => {
  // What a print or a screenshot takes has to outlive the frame, hence preserveDrawingBuffer.
  const gl = canvas.getContext('webgl', { antialias: false, alpha: false, preserveDrawingBuffer: true });
  if (!gl) return null;
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  return { gl, program };
};
