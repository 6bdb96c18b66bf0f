// @ts-check
// From a picture of a digit to what the network was taught with: 28 × 28 pixels, 0 (paper) to 255 (ink), the digit in
// a box of 20 × 20 with the centre of its mass in the middle (http://yann.lecun.com/exdb/mnist/).

import { decode } from "fast-png";
import { centredDigit } from "../../support/centre_digit.js";
import { HttpError } from "./http.js";

const SIDE = 28;
/** Pixels along a side. A picture is refused by what its header says, before anything of its size is made. */
const LONGEST = 1024;

/** Samples a pixel, and the bits that a sample may have, by PNG's number for what a pixel is made of. */
const formats = /** @type {Record<number, { channels: number, depths: number[] }>} */ ({
  0: { channels: 1, depths: [1, 2, 4, 8, 16] },
  2: { channels: 3, depths: [8, 16] },
  3: { channels: 1, depths: [1, 2, 4, 8] },
  4: { channels: 2, depths: [8, 16] },
  6: { channels: 4, depths: [8, 16] },
});

/** First column and row, and the steps between them, of the seven passes of an interlaced picture. */
const passes = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

/** @param {string} what */
const broken = (what) => new HttpError(400, `the body is not a PNG that can be read: ${what}`);

/**
 * @param {Uint8Array} bytes The file
 * @returns {Promise<Float64Array>} 28 × 28 pixels
 */
export async function digitFromPng(bytes) {
  const checked = await check(bytes);
  let png;
  try {
    png = decode(checked.png, { checkCrc: true });
  } catch (error) {
    throw broken(/** @type {Error} */ (error).message);
  }
  if (checked.hasPalette && !png.palette) throw broken("it has no palette");
  return centredDigit(inkOf(greyOf(png), png.width, png.height), png.width, png.height);
}

// ——— before a decoder sees it

/**
 * The file without what no digit needs (text, colour profiles, animation), if it has a size that is taken and its
 * pixels are just as many bytes as its header says: a few kilobytes can unpack to many megabytes.
 *
 * @param {Uint8Array} bytes
 */
async function check(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isPng =
    bytes.length >= 8 && view.getUint32(0) === 0x89504e47 && view.getUint32(4) === 0x0d0a1a0a;
  if (!isPng) throw broken("it does not begin as one");
  const kept = [bytes.subarray(0, 8)];
  const packed = [];
  let pixelBytes = 0;
  let kinds = /^(IHDR|IDAT|IEND)$/;
  for (let at = 8, type = ""; type !== "IEND"; ) {
    if (at + 12 > bytes.length) throw broken("it is cut short");
    const length = view.getUint32(at);
    type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const end = at + 12 + length;
    if (end > bytes.length) throw broken("it is cut short");
    if ((type === "IHDR") !== (at === 8)) throw broken("IHDR is not its first chunk, or not alone");
    if (type === "IHDR") {
      if (length !== 13) throw broken(`IHDR has ${length} bytes`);
      pixelBytes = unpackedSize(new DataView(view.buffer, view.byteOffset + at + 8, 13));
      // Of colours that are no palette's, one is at most a suggestion.
      if (bytes[at + 17] === 3) kinds = /^(IHDR|PLTE|tRNS|IDAT|IEND)$/;
    }
    const data = bytes.subarray(at + 8, end - 4);
    if (type === "IDAT") packed.push(data);
    if (kinds.test(type)) kept.push(bytes.subarray(at, end));
    at = end;
  }
  const size = await inflatedSize(packed, pixelBytes);
  if (size !== pixelBytes) {
    const much = size > pixelBytes ? "more" : "less";
    throw broken(
      `its pixels unpack to ${much} than the ${pixelBytes} bytes of its header's picture`,
    );
  }
  return { png: concatenated(kept), hasPalette: kinds.test("PLTE") };
}

/** @param {DataView} header The data of IHDR */
function unpackedSize(header) {
  const [width, height] = [header.getUint32(0), header.getUint32(4)];
  const [depth, colour, compression, filter, interlace] = new Uint8Array(
    header.buffer,
    header.byteOffset + 8,
    5,
  );
  const format = formats[colour];
  if (width === 0 || height === 0) throw broken(`it has ${width} × ${height} pixels`);
  if (!format?.depths.includes(depth) || compression !== 0 || filter !== 0 || interlace > 1) {
    throw broken(`there is no colour type ${colour} with ${depth} bits, or no such packing`);
  }
  if (interlace === 1 && depth < 8) {
    throw new HttpError(422, `an interlaced picture of ${depth} bits a sample is not read here`); // by fast-png 8
  }
  if (width > LONGEST || height > LONGEST) {
    throw new HttpError(
      422,
      `a picture has at most ${LONGEST} × ${LONGEST} pixels, this one has ${width} × ${height}`,
    );
  }
  let size = 0;
  for (const [x, y, dx, dy] of interlace === 1 ? passes : [[0, 0, 1, 1]]) {
    const columns = Math.ceil((width - x) / dx);
    const rows = Math.ceil((height - y) / dy);
    // A line has a byte before it that tells its filter.
    if (columns > 0)
      size += Math.max(0, rows) * (1 + Math.ceil((columns * format.channels * depth) / 8));
  }
  return size;
}

/**
 * How many bytes come out of zlib's; once there are more than `most`, no more are unpacked.
 *
 * @param {Uint8Array[]} pieces
 * @param {number} most
 */
async function inflatedSize(pieces, most) {
  let size = 0;
  const { readable, writable } = new DecompressionStream("deflate");
  const write = async () => {
    const writer = writable.getWriter();
    for (const piece of pieces) {
      // In slices, since a host may unpack all that it is given at once: each at most 1032 times its length.
      for (let i = 0; i < piece.length && size <= most; i += 256) {
        await writer.write(piece.subarray(i, i + 256));
      }
    }
    await writer.close();
  };
  const read = async () => {
    const reader = readable.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      size += value.length;
      if (size > most) return reader.cancel();
    }
  };
  try {
    await Promise.all([write(), read()]);
  } catch (error) {
    if (size <= most) throw broken(/** @type {Error} */ (error).message);
  }
  return size;
}

/** @param {Uint8Array[]} parts */
function concatenated(parts) {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

// ——— from what was decoded

/**
 * Grey from 0 (black) to 255 (white) of each pixel, over white where it is transparent.
 *
 * @param {ReturnType<typeof decode>} png
 */
function greyOf({ width, height, depth, channels, data, palette }) {
  const grey = new Float64Array(width * height);
  const full = (1 << depth) - 1;
  const lineBytes = Math.ceil((width * depth) / 8); // of less than 8 bits: several pixels a byte
  const sample = (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ c) => {
    if (depth >= 8) return data[(y * width + x) * channels + c];
    const bit = x * depth;
    return (data[y * lineBytes + (bit >> 3)] >> (8 - depth - (bit & 7))) & full;
  };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let [r, g, b, a] = [0, 0, 0, 255];
      if (palette) {
        const entry = palette[sample(x, y, 0)];
        if (!entry) throw broken("a pixel has a colour that the palette has not");
        [r, g, b, a = 255] = entry;
      } else {
        const scale = 255 / full;
        r = scale * sample(x, y, 0);
        g = channels < 3 ? r : scale * sample(x, y, 1);
        b = channels < 3 ? r : scale * sample(x, y, 2);
        if (channels % 2 === 0) a = scale * sample(x, y, channels - 1);
      }
      const light = r === g && g === b ? r : 0.299 * r + 0.587 * g + 0.114 * b;
      grey[y * width + x] = 255 + ((light - 255) * a) / 255;
    }
  }
  return grey;
}

/**
 * How much ink a pixel has, 0 to 255: how far it is from the paper, which the outermost pixels are on average.
 *
 * @param {Float64Array} grey
 * @param {number} width
 * @param {number} height
 */
function inkOf(grey, width, height) {
  let [sum, count] = [0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (x > 0 && x < width - 1 && y > 0 && y < height - 1) continue;
      sum += grey[y * width + x];
      count++;
    }
  }
  const isLight = sum / count > 127;
  if (width === SIDE && height === SIDE) return isLight ? grey.map((v) => 255 - v) : grey;
  const paper = sum / count;
  const distance = grey.map((v) => Math.max(0, isLight ? paper - v : v - paper));
  const most = distance.reduce((a, b) => Math.max(a, b), 0);
  if (most < 32) throw new HttpError(422, "there is nothing on the picture but paper");
  return distance.map((v) => (255 * v) / most);
}
