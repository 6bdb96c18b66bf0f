// @ts-check
// From a drawing to a digit as MNIST has them: 28 × 28 pixels, the ink in a box of 20 × 20 with the centre of its mass in
// the middle (http://yann.lecun.com/exdb/mnist/).

const SIDE = 28;
const BOX = 20;

/**
 * A picture of 28 × 28 is taken as it is.
 *
 * @param {Float64Array} ink How much each pixel has, row by row, 0 (paper) to 255; not all of it paper
 * @param {number} width
 * @param {number} height
 */
export function centredDigit(ink, width, height) {
  if (width === SIDE && height === SIDE) return ink;
  // The box of the ink, without faint traces.
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if ((ink[y * width + x] ?? 0) < 64) continue;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y + 1);
    }
  }
  const step = Math.max(right - left, bottom - top) / BOX; // pixels of the picture for one of ours
  const columns = Math.max(1, Math.floor((right - left) / step + 0.5));
  const rows = Math.max(1, Math.floor((bottom - top) / step + 0.5));

  const small = new Float64Array(columns * rows);
  let [mass, massX, massY] = [0, 0, 0];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const v = mean(ink, width, height, left + x * step, top + y * step, step);
      small[y * columns + x] = v;
      mass += v;
      massX += v * (x + 0.5);
      massY += v * (y + 0.5);
    }
  }
  const place = (/** @type {number} */ centre, /** @type {number} */ length) =>
    Math.min(SIDE - length, Math.max(0, Math.floor(SIDE / 2 - centre + 0.5)));
  const [x0, y0] = [place(massX / mass, columns), place(massY / mass, rows)];
  const digit = new Float64Array(SIDE * SIDE);
  for (let y = 0; y < rows; y++) {
    digit.set(small.subarray(y * columns, (y + 1) * columns), (y0 + y) * SIDE + x0);
  }
  return digit;
}

/**
 * The mean of a square, pixels that it cuts counted by the part within it.
 *
 * @param {Float64Array} ink
 * @param {number} width
 * @param {number} height
 * @param {number} left
 * @param {number} top
 * @param {number} side
 */
function mean(ink, width, height, left, top, side) {
  let sum = 0;
  for (let y = Math.floor(top); y < Math.min(height, top + side); y++) {
    const tall = Math.min(y + 1, top + side) - Math.max(y, top);
    for (let x = Math.floor(left); x < Math.min(width, left + side); x++) {
      const wide = Math.min(x + 1, left + side) - Math.max(x, left);
      sum += (ink[y * width + x] ?? 0) * tall * wide;
    }
  }
  return sum / (side * side);
}
