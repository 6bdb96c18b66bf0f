// UTF-8 is read and written by hand, as AudioWorklets and jsdom have neither TextDecoder nor
// TextEncoder.

/** This many UTF-16 units become a string at a time: as many arguments as every engine takes. */
const CHUNK = 8192;

/**
 * Returns the text of bytes that are UTF-8, and null for others: a sequence that is cut, overlong,
 * half of a surrogate pair or above U+10FFFF is refused, and a byte order mark stays, as
 * TextDecoder has it with `fatal` and `ignoreBOM`. Each byte is read once, so that no unchecked
 * text comes out of memory that another thread writes to meanwhile.
 */
export function decodeUtf8(bytes: Uint8Array): string | null {
  const { length } = bytes;
  const units = new Uint16Array(Math.min(length, CHUNK + 1)); // one character may be two units
  let text = "";
  let count = 0;
  for (let i = 0; i < length; ) {
    let point = bytes[i++] as number;
    if (point > 0x7f) {
      const first = point;
      const more = first > 0xef ? 3 : first > 0xdf ? 2 : 1;
      point &= 0x3f >> more;
      for (let k = 0; k < more; k++) {
        const next = bytes[i++] ?? 0; // 0, beyond the end, continues no sequence
        if (next >> 6 !== 2) return null;
        point = (point << 6) | (next & 0x3f);
      }
      const isOverlong = first < 0xc2 || (more > 1 && point >> (5 * more + 1) === 0);
      if (isOverlong || point >> 11 === 0x1b || first > 0xf4 || point > 0x10ffff) return null;
      if (more === 3) {
        units[count++] = 0xd7c0 + (point >> 10);
        point = 0xdc00 | (point & 0x3ff);
      }
    }
    units[count++] = point;
    if (count >= CHUNK) {
      text += textOf(units, count);
      count = 0;
    }
  }
  return text + textOf(units, count);
}

const textOf = (units: Uint16Array, count: number): string =>
  String.fromCharCode.apply(null, units.subarray(0, count) as unknown as number[]);

/** Returns the UTF-8 of a well-formed text. */
export function encodeUtf8(text: string): Uint8Array {
  const bytes = new Uint8Array(3 * text.length);
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i) as number;
    if (point > 0xffff) i++;
    const more = point > 0xffff ? 3 : point > 0x7ff ? 2 : point > 0x7f ? 1 : 0;
    // The first byte has as many ones in front as there are bytes.
    bytes[count++] = more > 0 ? (0xff80 >> more) | (point >> (6 * more)) : point;
    for (let k = more - 1; k >= 0; k--) bytes[count++] = 0x80 | ((point >> (6 * k)) & 0x3f);
  }
  return bytes.subarray(0, count);
}
