// Writes PNG files, for the tests: every kind of pixel, and files that are wrong on purpose.

import { crc32, deflateSync } from "node:zlib";

export const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10);

export function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, "latin1");
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}

export function header(
  width: number,
  height: number,
  { depth = 8, colour = 0, interlace = 0 } = {},
): Uint8Array {
  const data = Buffer.alloc(13);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  data.set([depth, colour, 0, 0, interlace], 8);
  return chunk("IHDR", data);
}

export const joined = (...parts: Uint8Array[]): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Buffer.concat(parts));

const channels = [1, 0, 3, 1, 2, 0, 4] as const;
const passes = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

export interface Picture {
  width: number;
  height: number;
  /**
   * Bits of a sample, and PNG's number for what a pixel is made of: 0 grey, 2 RGB, 3 palette, 4
   * grey and alpha, 6 RGBA.
   */
  depth?: number;
  colour?: 0 | 2 | 3 | 4 | 6;
  interlaced?: boolean;
  /** RGB, or RGBA, of each entry. */
  palette?: number[][];
  /** The samples of a pixel, from 0 to 2 ** depth − 1. */
  samples(x: number, y: number): number[];
}

/** A file with this picture, none of its lines filtered. */
export function png(picture: Picture): Uint8Array<ArrayBuffer> {
  const { width, height, depth = 8, colour = 0, interlaced = false, palette, samples } = picture;
  const lines: number[] = [];
  for (const [x0, y0, dx, dy] of interlaced ? passes : ([[0, 0, 1, 1]] as const)) {
    for (let y = y0; y < height && x0 < width; y += dy) {
      lines.push(0);
      let [bits, held] = [0, 0];
      for (let x = x0; x < width; x += dx) {
        const pixel = samples(x, y);
        if (pixel.length !== channels[colour]) throw new Error(`${pixel.length} samples a pixel`);
        for (const sample of pixel) {
          if (depth === 16) lines.push(sample >> 8, sample & 255);
          else {
            held = (held << depth) | sample;
            bits += depth;
            if (bits === 8) {
              lines.push(held);
              [bits, held] = [0, 0];
            }
          }
        }
      }
      if (bits > 0) lines.push(held << (8 - bits));
    }
  }
  return joined(
    signature,
    header(width, height, { depth, colour, interlace: interlaced ? 1 : 0 }),
    ...(palette
      ? [
          chunk("PLTE", Uint8Array.from(palette.flatMap((entry) => entry.slice(0, 3)))),
          ...(palette[0]!.length > 3
            ? [chunk("tRNS", Uint8Array.from(palette.map((entry) => entry[3]!)))]
            : []),
        ]
      : []),
    chunk("IDAT", deflateSync(Uint8Array.from(lines))),
    chunk("IEND", new Uint8Array()),
  );
}
