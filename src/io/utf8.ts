// UTF-8 by the host's TextDecoder and TextEncoder, and where there are none, as in AudioWorklets and
// jsdom, by the functions for addresses, which every host has and which are as strict, but slower.

/** Bytes that become a string at a time: as many arguments as every engine takes. */
const CHUNK = 8192;

/**
 * The text of bytes that are UTF-8, or null: what is cut, overlong, half of a surrogate pair or
 * above U+10FFFF is refused, and a byte order mark stays. The bytes are copied first, so that memory
 * that another thread writes to meanwhile gives no text that was not checked.
 */
export function decodeUtf8(given: Uint8Array): string | null {
  const bytes = given.slice();
  try {
    if (typeof TextDecoder === "function") {
      return new TextDecoder("utf8", { fatal: true, ignoreBOM: true }).decode(bytes);
    }
    let text = "";
    for (let i = 0; i < bytes.length; i += CHUNK) {
      text += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
    }
    const escaped = text.replace(/[%\x80-\xff]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
    return decodeURIComponent(escaped);
  } catch {
    return null;
  }
}

/** The UTF-8 of a text that is well formed. */
export function encodeUtf8(text: string): Uint8Array {
  if (typeof TextEncoder === "function") return new TextEncoder().encode(text);
  const byte = (_: string, hex: string) => String.fromCharCode(Number.parseInt(hex, 16));
  const bytes = encodeURIComponent(text).replace(/%(..)/g, byte);
  return Uint8Array.from(bytes, (character) => character.charCodeAt(0));
}
