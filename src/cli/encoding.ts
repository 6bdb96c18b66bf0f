// This file makes the bytes of a text UTF-8. Their encoding is what an option says, what a byte
// order mark says, or what they look like.

import { Fault } from "./fault.ts";
import { note } from "./terminal.ts";

/** This many bytes are looked at, and this many are converted at once. */
const CHUNK = 65_536;

/** The characters of Windows-1252 from 0x80 to 0x9f; all others are those of Latin-1. */
const WINDOWS = "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ";

/** Returns the host's name of an encoding, and undefined for one that it does not know. */
export function encodingOf(label: string): string | undefined {
  try {
    return new TextDecoder(label).encoding;
  } catch {
    return undefined;
  }
}

/** Returns where the first sequence begins that is no UTF-8, and -1 where there is none. */
function firstNoUtf8(bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; ) {
    const byte = bytes[i] as number;
    if (byte < 0x80) {
      i++;
      continue;
    }
    const more = byte >= 0xc2 && byte < 0xe0 ? 1 : byte >= 0xe0 && byte < 0xf0 ? 2 : 3;
    const next = bytes[i + 1] ?? 0;
    const isWrong =
      byte < 0xc2 ||
      byte > 0xf4 ||
      (byte === 0xe0 && next < 0xa0) || // the sequence is longer than it needs to be
      (byte === 0xed && next > 0x9f) || // it is half a surrogate pair
      (byte === 0xf0 && next < 0x90) ||
      (byte === 0xf4 && next > 0x8f); // it is above U+10FFFF
    if (isWrong) return i;
    for (let k = 1; k <= more; k++) if (((bytes[i + k] ?? 0) & 0xc0) !== 0x80) return i;
    i += more + 1;
  }
  return -1;
}

/** UTF-16 without a byte order mark has a zero byte beside every character of ASCII. */
function looksLikeUtf16(bytes: Uint8Array): "utf-16le" | "utf-16be" | undefined {
  const part = bytes.subarray(0, CHUNK);
  const zeros = [0, 0];
  for (let i = 0; i < part.length; i++) if (part[i] === 0) zeros[i % 2] = (zeros[i % 2] ?? 0) + 1;
  const [even = 0, odd = 0] = zeros;
  if (bytes.length % 2 !== 0 || even + odd === 0 || even + odd < part.length / 4) return undefined;
  if (even === 0) return "utf-16le";
  return odd === 0 ? "utf-16be" : undefined;
}

function convert(bytes: Uint8Array, encoding: string, name: string): Uint8Array<ArrayBuffer> {
  const parts: Buffer[] = [];
  const decoder = new TextDecoder(encoding, { fatal: true });
  const isWindows = encoding === "windows-1252";
  try {
    for (let i = 0; i < bytes.length; i += CHUNK) {
      const part = bytes.subarray(i, i + CHUNK);
      // Some hosts take Windows-1252 for Latin-1, which has control characters for the euro and
      // quotes.
      const text = isWindows
        ? Buffer.from(part)
            .toString("latin1")
            .replace(/[\x80-\x9f]/g, (one) => WINDOWS[one.charCodeAt(0) - 0x80] as string)
        : decoder.decode(part, { stream: true });
      parts.push(Buffer.from(text));
    }
    if (!isWindows) parts.push(Buffer.from(decoder.decode()));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // a fatal decoder throws a TypeError
    throw new Fault(`${name}: its bytes are not ${encoding}: --encoding names what they are`);
  }
  return new Uint8Array(Buffer.concat(parts));
}

/**
 * Returns the same text as UTF-8. It says which encoding it chose where no option and no mark said
 * it.
 *
 * @param name the name of the bytes in messages
 * @param encoding their encoding, which is looked for where it is undefined
 */
export function toUtf8(
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  encoding?: string,
): Uint8Array<ArrayBuffer> {
  const [a, b, c, d] = bytes;
  if (encoding === undefined) {
    if (a === 0xff && b === 0xfe && c === 0 && d === 0) {
      throw new Fault(`${name}: is UTF-32, which is not read: save it as UTF-8`);
    }
    const marked =
      a === 0xff && b === 0xfe ? "utf-16le" : a === 0xfe && b === 0xff ? "utf-16be" : undefined;
    const seen = marked ?? looksLikeUtf16(bytes);
    if (seen) {
      if (!marked) {
        note(`${name}: looks like UTF-16 and is read as ${seen} (--encoding says otherwise)`);
      }
      return convert(bytes, seen, name);
    }
    if (bytes.subarray(0, CHUNK).includes(0)) {
      throw new Fault(`${name}: neither a table nor IDX: it has zero bytes, as no text has`);
    }
  }
  const wrong = encoding === undefined || encoding === "utf-8" ? firstNoUtf8(bytes) : -1;
  if (encoding !== undefined && encoding !== "utf-8") return convert(bytes, encoding, name);
  if (wrong < 0) return bytes;
  let line = 1;
  for (let i = 0; i < wrong; i++) if (bytes[i] === 10) line++;
  const byte = `line ${line} has the byte 0x${(bytes[wrong] as number).toString(16)}`;
  if (encoding !== undefined) {
    throw new Fault(`${name}: its bytes are not utf-8 (${byte}): --encoding names what they are`);
  }
  note(`${name}: is no UTF-8 (${byte}) and is read as Windows-1252 (--encoding says otherwise)`);
  return convert(bytes, "windows-1252", name);
}
