"use strict";
// The forward pass of the residual network that comes with the package: what inference/light.py computes in NumPy.
// Weights and sums are in double precision: JavaScript has no other, and converting costs more than it saves.
(function (H) {
  const SIZE = 28;

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
  const predict = (network, images) => images.map((image) => forward(network, image));

  function forward(net, image) {
    const a = Float64Array.from(image, (v) => (v / 255 - net.mean) / net.std);
    let [kernel, norm] = [0, 0];
    let x = convolved({ side: SIZE, channels: 1, a }, net.kernels[kernel++], net.stride);
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
    const [scores, n] = [Array.from(net.bias), x.side * x.side];
    for (let i = 0; i < x.a.length; i++) {
      const share = x.a[i] / n;
      const row = (i % x.channels) * scores.length;
      for (let k = 0; k < scores.length; k++) scores[k] += share * net.dense[row + k];
    }
    const most = Math.max(...scores);
    const odds = scores.map((score) => Math.exp(score - most));
    const total = H.sum(odds);
    return odds.map((odd) => odd / total);
  }

  function activated(x, { scale, shift }) {
    const a = new Float64Array(x.a.length);
    for (let i = 0, c = 0; i < a.length; i++) {
      const value = x.a[i] * scale[c] + shift[c];
      if (value > 0) a[i] = value;
      if (++c === x.channels) c = 0;
    }
    return { side: x.side, channels: x.channels, a };
  }

  /** A convolution with zeros around ("SAME"); the weights of each output stand together, in the order y, x, channel. */
  function convolved(x, { k, from, to, weight }, step) {
    const side = Math.ceil(x.side / step);
    const before = Math.floor(Math.max((side - 1) * step + k - x.side, 0) / 2);
    const size = k * k * from;
    const columns = new Float64Array(side * side * size);
    for (let y = 0, at = 0; y < side; y++) {
      for (let xx = 0; xx < side; xx++) {
        for (let i = 0; i < k; i++) {
          for (let j = 0; j < k; j++, at += from) {
            const [row, column] = [y * step + i - before, xx * step + j - before];
            if (row < 0 || row >= x.side || column < 0 || column >= x.side) continue;
            const start = (row * x.side + column) * from;
            for (let c = 0; c < from; c++) columns[at + c] = x.a[start + c];
          }
        }
      }
    }
    return { side, channels: to, a: product(columns, weight, side * side, to, size) };
  }

  /** [n, size] by the rows of [m, size]: [n, m]. Two rows by four at a time stay in registers; m is a multiple of 4. */
  function product(a, b, n, m, size) {
    const made = new Float64Array(n * m);
    for (let j = 0; j < m; j += 4) {
      const [b0, b1, b2, b3] = [j * size, (j + 1) * size, (j + 2) * size, (j + 3) * size];
      for (let i = 0; i < n; i += 2) {
        const p = i * size;
        const q = i + 1 < n ? p + size : p;
        let s0 = 0, s1 = 0, s2 = 0, s3 = 0, t0 = 0, t1 = 0, t2 = 0, t3 = 0;
        for (let c = 0; c < size; c++) {
          const u = a[p + c], v = a[q + c];
          const w0 = b[b0 + c], w1 = b[b1 + c], w2 = b[b2 + c], w3 = b[b3 + c];
          s0 += u * w0; s1 += u * w1; s2 += u * w2; s3 += u * w3;
          t0 += v * w0; t1 += v * w1; t2 += v * w2; t3 += v * w3;
        }
        const at = i * m + j;
        made[at] = s0; made[at + 1] = s1; made[at + 2] = s2; made[at + 3] = s3;
        if (i + 1 < n) {
          made[at + m] = t0; made[at + m + 1] = t1; made[at + m + 2] = t2; made[at + m + 3] = t3;
        }
      }
    }
    return made;
  }

  H.network = { loaded, predict };
})(self.HWR);
