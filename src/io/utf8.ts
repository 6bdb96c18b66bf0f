// UTF-8 without TextDecoder and TextEncoder, which AudioWorklets and jsdom lack: the functions for
// addresses are in every host and are as strict.

/** Bytes that become a string at a time: as many arguments as every engine takes. */
const CHUNK = 8192;

/**
 * The text of bytes that are UTF-8, or null: what is cut, overlong, half of a surrogate pair or
 * above U+10FFFF is refused, and a byte order mark stays, as TextDecoder has it with `fatal` and
 * `ignoreBOM`. Each byte is read once, so that memory that another thread writes to meanwhile gives
 * no text that was not checked.
 */
export function decodeUtf8(bytes: Uint8Array): string | null {
  let text = "";
  for (let i = 0; i < bytes.length; i += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  }
  const escaped = text.replace(/[%\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16)}`);
  try {
    return decodeURIComponent(escaped);
  } catch {
    return null;
  }
}

/** The UTF-8 of a text that is well formed. */
export function encodeUtf8(text: string): Uint8Array {
  const byte = (_: string, hex: string) => String.fromCharCode(Number.parseInt(hex, 16));
  const bytes = encodeURIComponent(text).replace(/%(..)/g, byte);
  return Uint8Array.from(bytes, (character) => character.charCodeAt(0));
}
