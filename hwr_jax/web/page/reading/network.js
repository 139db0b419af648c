"use strict";
// The forward pass of the residual network that comes with the package: what inference/light.py computes in NumPy.
// Weights and sums are in double precision: JavaScript has no other, and converting costs more than it saves.
(function (H) {
  const SIZE = 28;
  const TOGETHER = 8; // images, so that the weights are fetched from memory once for all of them

  /** Half-precision floats, little-endian in base64, as doubles. */
  function decoded(text) {
    const bytes = atob(text);
    const table = new Float64Array(1 << 16);
    for (let i = 0; i < table.length; i++) {
      const [sign, exponent, fraction] = [i >> 15 ? -1 : 1, (i >> 10) & 31, i & 1023];
      table[i] = sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
    }
    const values = new Float64Array(bytes.length / 2);
    for (let i = 0; i < values.length; i++) {
      values[i] = table[bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8)];
    }
    return values;
  }

  /** A network from what model.js holds: its plan, and its arrays one after the other in the order of their use. */
  function loaded({ classes, mean, std, stages, blocks, stride, convolutions, weights }) {
    const values = decoded(weights);
    let at = 0;
    const next = (n) => values.subarray(at, (at += n));
    const kernels = convolutions.map(([k, from, to]) => ({ k, from, to, weight: next(k * k * from * to) }));
    const norms = stages.flatMap((channels, stage) =>
      Array.from({ length: 2 * blocks }, (_, i) => (i || !stage ? channels : stages[stage - 1])));
    norms.push(stages[stages.length - 1]);
    return {
      classes, mean, std, stages, blocks, stride, kernels,
      norms: norms.map((channels) => ({ scale: next(channels), shift: next(channels) })),
      dense: next(stages[stages.length - 1] * classes.length),
      bias: next(classes.length),
    };
  }

  /** The probabilities of the classes in each image, a Uint8Array of 28x28, 0 = paper, 255 = ink. */
  function predict(network, images) {
    const found = [];
    for (let i = 0; i < images.length; i += TOGETHER) found.push(...forward(network, images.slice(i, i + TOGETHER)));
    return found;
  }

  function forward(net, images) {
    const a = new Float64Array(images.length * SIZE * SIZE);
    images.forEach((image, i) => {
      for (let k = 0; k < image.length; k++) a[i * SIZE * SIZE + k] = (image[k] / 255 - net.mean) / net.std;
    });
    let [kernel, norm] = [0, 0];
    let x = convolved({ count: images.length, side: SIZE, channels: 1, a }, net.kernels[kernel++], net.stride);
    net.stages.forEach((channels, stage) => {
      for (let block = 0; block < net.blocks; block++) {
        const step = stage && !block ? 2 : 1;
        let y = activated(x, net.norms[norm++]);
        if (x.channels !== channels || step !== 1) x = convolved(y, net.kernels[kernel++], step);
        y = activated(convolved(y, net.kernels[kernel++], step), net.norms[norm++]);
        y = convolved(y, net.kernels[kernel++], 1);
        for (let i = 0; i < y.a.length; i++) y.a[i] += x.a[i];
        x = y;
      }
    });
    x = activated(x, net.norms[norm]);
    return images.map((_, i) => odds(net, x, i));
  }

  /** The probabilities of one image of a batch, of its last activations. */
  function odds(net, x, image) {
    const [scores, n] = [Array.from(net.bias), x.side * x.side];
    const size = n * x.channels;
    for (let i = 0; i < size; i++) {
      const share = x.a[image * size + i] / n;
      const row = (i % x.channels) * scores.length;
      for (let k = 0; k < scores.length; k++) scores[k] += share * net.dense[row + k];
    }
    const most = Math.max(...scores);
    const made = scores.map((score) => Math.exp(score - most));
    const total = H.sum(made);
    return made.map((odd) => odd / total);
  }

  function activated({ count, side, channels, a }, { scale, shift }) {
    const made = new Float64Array(a.length);
    for (let i = 0; i < a.length;) {
      for (let c = 0; c < channels; c++, i++) {
        const value = a[i] * scale[c] + shift[c];
        if (value > 0) made[i] = value;
      }
    }
    return { count, side, channels, a: made };
  }

  const held = new Map();

  /** Room for numbers that are used until the next call with this name: fresh memory is slow. */
  function room(name, size) {
    let found = held.get(name);
    if (!found || found.length < size) held.set(name, (found = new Float64Array(size)));
    return found;
  }

  /** A convolution with zeros around ("SAME"). */
  function convolved(x, kernel, step) {
    const { k, from, to } = kernel;
    if (k === 3 && from > 1 && step === 1) {
      kernel.spectrum = kernel.spectrum || H.winograd.spectrum(kernel);
      return H.winograd.convolved(x, kernel, product, room);
    }
    kernel.panels = kernel.panels || panels(kernel.weight, to, k * k * from);
    const side = Math.ceil(x.side / step);
    const before = Math.floor(Math.max((side - 1) * step + k - x.side, 0) / 2);
    const [rows, size] = [x.count * side * side, k * k * from];
    const [values, columns] = [x.a, room("columns", rows * size)];
    for (let image = 0, at = 0; image < x.count; image++) {
      for (let y = 0; y < side; y++) {
        for (let xx = 0; xx < side; xx++) {
          for (let i = 0; i < k; i++) {
            for (let j = 0; j < k; j++, at += from) {
              const row = y * step + i - before, column = xx * step + j - before;
              if (row < 0 || row >= x.side || column < 0 || column >= x.side) columns.fill(0, at, at + from);
              else {
                const start = ((image * x.side + row) * x.side + column) * from;
                for (let c = 0; c < from; c++) columns[at + c] = values[start + c];
              }
            }
          }
        }
      }
    }
    const a = new Float64Array(rows * to);
    product(columns, 0, kernel.panels, 0, a, 0, rows, to, size);
    return { count: x.count, side, channels: to, a };
  }

  /** The rows of [m, size], four side by side: b[j + k][c] is at j * size + 4 * c + k. m is a multiple of 4. */
  function panels(b, m, size) {
    const made = new Float64Array(m * size);
    for (let j = 0; j < m; j++) {
      for (let c = 0; c < size; c++) made[(j >> 2) * 4 * size + 4 * c + (j & 3)] = b[j * size + c];
    }
    return made;
  }

  /** [n, size] by the panels of [m, size]: [n, m]; each starts somewhere in an array. Two rows by four stay in registers. */
  function product(a, ofA, b, ofB, made, to, n, m, size) {
    for (let j = 0; j < m; j += 4) {
      for (let i = 1; i < n; i += 2) {
        const p = ofA + (i - 1) * size, q = p + size;
        let at = ofB + j * size;
        let s0 = 0, s1 = 0, s2 = 0, s3 = 0, t0 = 0, t1 = 0, t2 = 0, t3 = 0;
        for (let c = 0; c < size; c++, at += 4) {
          const u = a[p + c], v = a[q + c];
          const w0 = b[at], w1 = b[at + 1], w2 = b[at + 2], w3 = b[at + 3];
          s0 += u * w0; s1 += u * w1; s2 += u * w2; s3 += u * w3;
          t0 += v * w0; t1 += v * w1; t2 += v * w2; t3 += v * w3;
        }
        const out = to + (i - 1) * m + j;
        made[out] = s0; made[out + 1] = s1; made[out + 2] = s2; made[out + 3] = s3;
        made[out + m] = t0; made[out + m + 1] = t1; made[out + m + 2] = t2; made[out + m + 3] = t3;
      }
    }
    if (n % 2) lastRow(a, ofA + (n - 1) * size, b, ofB, made, to + (n - 1) * m, m, size);
  }

  function lastRow(a, ofA, b, ofB, made, to, m, size) {
    for (let j = 0; j < m; j += 4) {
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
      for (let c = 0, at = ofB + j * size; c < size; c++, at += 4) {
        const u = a[ofA + c];
        s0 += u * b[at]; s1 += u * b[at + 1]; s2 += u * b[at + 2]; s3 += u * b[at + 3];
      }
      made[to + j] = s0; made[to + j + 1] = s1; made[to + j + 2] = s2; made[to + j + 3] = s3;
    }
  }

  H.network = { loaded, predict };
})(self.HWR);
