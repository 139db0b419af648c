"use strict";
// Convolutions of 3x3 with a quarter of the products: Winograd's F(4x4, 3x3), in which a tile of 6x6 makes 4x4 values
// (Lavin and Gray 2016, arXiv 1509.09308). In double precision the detour costs the last digits alone.
(function (H) {
  const [TILE, POINTS] = [4, 36];
  const KERNEL = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]];

  /** The weights [to, 3, 3, from] at each of the 36 points, four outputs side by side, as `product` takes them. */
  function spectrum({ weight, from, to }) {
    const made = new Float64Array(POINTS * to * from);
    const half = new Float64Array(18);
    for (let o = 0; o < to; o++) {
      for (let c = 0; c < from; c++) {
        const tap = (i, j) => weight[((o * 3 + i) * 3 + j) * from + c];
        for (let p = 0; p < 6; p++) {
          const [a, b, d] = KERNEL[p];
          for (let j = 0; j < 3; j++) half[3 * p + j] = a * tap(0, j) + b * tap(1, j) + d * tap(2, j);
        }
        for (let p = 0, at = (o >> 2) * 4 * from + 4 * c + (o & 3); p < POINTS; p++, at += to * from) {
          const [[a, b, d], start] = [KERNEL[p % 6], 3 * Math.floor(p / 6)];
          made[at] = a * half[start] + b * half[start + 1] + d * half[start + 2];
        }
      }
    }
    return made;
  }

  /** A batch {count, side, channels, a} of activations [count, side, side, channels], convolved with zeros around. */
  function convolved({ count, side, a }, { from, to, spectrum: weight }, product, room) {
    const along = Math.ceil(side / TILE); // tiles
    const tiles = count * along * along;
    const [points, sums] = [room("points", POINTS * tiles * from), room("sums", POINTS * tiles * to)];
    const wide = TILE * along + 2;
    const framed = room("framed", count * wide * wide * from).fill(0);
    for (let row = 0; row < count * side; row++) {
      const start = row * side * from;
      framed.set(a.subarray(start, start + side * from), ((row + Math.floor(row / side) * (wide - side) + 1) * wide + 1) * from);
    }
    for (let tile = 0; tile < tiles; tile++) {
      const [image, y, x] = placeOf(tile, along);
      toPoints(framed, ((image * wide + TILE * y) * wide + TILE * x) * from, wide * from, points, tile * from, tiles * from, from);
    }
    for (let p = 0; p < POINTS; p++) {
      product(points, p * tiles * from, weight, p * to * from, sums, p * tiles * to, tiles, to, from);
    }
    const made = new Float64Array(count * side * side * to);
    for (let tile = 0; tile < tiles; tile++) {
      const [image, y, x] = placeOf(tile, along);
      const [rows, columns] = [Math.min(TILE, side - TILE * y), Math.min(TILE, side - TILE * x)];
      fromPoints(sums, tile * to, tiles * to, made, ((image * side + TILE * y) * side + TILE * x) * to, side * to, to, rows, columns);
    }
    return { count, side, channels: to, a: made };
  }

  const placeOf = (tile, along) => [Math.floor(tile / (along * along)), Math.floor(tile / along) % along, tile % along];

  const six = new Float64Array(36);

  /** A tile of 6x6 at `start`, its rows `stride` apart, at each point: channel by channel, the points `apart`. */
  function toPoints(a, start, stride, points, to, apart, channels) {
    for (let c = 0; c < channels; c++) {
      for (let j = 0, at = start + c; j < 6; j++, at += channels) {
        const d0 = a[at], d1 = a[at + stride], d2 = a[at + 2 * stride];
        const d3 = a[at + 3 * stride], d4 = a[at + 4 * stride], d5 = a[at + 5 * stride];
        const e = d4 - 4 * d2, f = d3 - 4 * d1, g = d4 - d2, h = 2 * (d3 - d1);
        six[j] = 4 * d0 - 5 * d2 + d4;
        six[6 + j] = e + f;
        six[12 + j] = e - f;
        six[18 + j] = g + h;
        six[24 + j] = g - h;
        six[30 + j] = 4 * d1 - 5 * d3 + d5;
      }
      for (let i = 0, at = to + c; i < 36; i += 6, at += 6 * apart) {
        const d0 = six[i], d1 = six[i + 1], d2 = six[i + 2], d3 = six[i + 3], d4 = six[i + 4], d5 = six[i + 5];
        const e = d4 - 4 * d2, f = d3 - 4 * d1, g = d4 - d2, h = 2 * (d3 - d1);
        points[at] = 4 * d0 - 5 * d2 + d4;
        points[at + apart] = e + f;
        points[at + 2 * apart] = e - f;
        points[at + 3 * apart] = g + h;
        points[at + 4 * apart] = g - h;
        points[at + 5 * apart] = 4 * d1 - 5 * d3 + d5;
      }
    }
  }

  /** The 4x4 values of a tile from its sums at each point, as many of their rows and columns as are in the picture. */
  function fromPoints(sums, from, apart, made, start, stride, channels, rows, columns) {
    for (let c = 0; c < channels; c++) {
      for (let j = 0, at = from + c; j < 6; j++, at += apart) {
        const m0 = sums[at], m1 = sums[at + 6 * apart], m2 = sums[at + 12 * apart];
        const m3 = sums[at + 18 * apart], m4 = sums[at + 24 * apart], m5 = sums[at + 30 * apart];
        const e = m1 + m2, f = m1 - m2, g = m3 + m4, h = m3 - m4;
        six[j] = m0 + e + g;
        six[6 + j] = f + 2 * h;
        six[12 + j] = e + 4 * g;
        six[18 + j] = f + 8 * h + m5;
      }
      for (let i = 0, at = start + c; i < rows; i++, at += stride) {
        const m0 = six[6 * i], m1 = six[6 * i + 1], m2 = six[6 * i + 2];
        const m3 = six[6 * i + 3], m4 = six[6 * i + 4], m5 = six[6 * i + 5];
        const e = m1 + m2, f = m1 - m2, g = m3 + m4, h = m3 - m4;
        made[at] = m0 + e + g;
        if (columns > 1) made[at + channels] = f + 2 * h;
        if (columns > 2) made[at + 2 * channels] = e + 4 * g;
        if (columns > 3) made[at + 3 * channels] = f + 8 * h + m5;
      }
    }
  }

  H.winograd = { convolved, spectrum };
})(self.HWR);
