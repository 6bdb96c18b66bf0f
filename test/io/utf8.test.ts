// Our own UTF-8 beside the host's: TextDecoder with `fatal` and `ignoreBOM`, and TextEncoder.

import { describe, expect, test } from "vitest";
import { decodeUtf8, encodeUtf8 } from "../../src/io/utf8.ts";
import { seeded } from "../support/core.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What the host's decoder gives; null where it refuses. */
function due(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

const random = seeded(8);
const below = (n: number) => Math.floor(random() * n);

describe("decoding", () => {
  test.each([
    ["nothing", [], ""],
    ["a byte order mark, which stays", [0xef, 0xbb, 0xbf, 0x61], "\ufeffa"],
    ["the last character of one byte", [0x7f], "\u007f"],
    ["the first and the last of two", [0xc2, 0x80, 0xdf, 0xbf], "\u0080\u07ff"],
    ["the first and the last of three", [0xe0, 0xa0, 0x80, 0xef, 0xbf, 0xbf], "\u0800\uffff"],
    ["the neighbours of the surrogates", [0xed, 0x9f, 0xbf, 0xee, 0x80, 0x80], "\ud7ff\ue000"],
    ["the first of four", [0xf0, 0x90, 0x80, 0x80], "\u{10000}"],
    ["the last of four", [0xf4, 0x8f, 0xbf, 0xbf], "\u{10ffff}"],
  ])("takes %s", (_, bytes, text) => {
    expect(decodeUtf8(Uint8Array.from(bytes))).toBe(text);
  });

  test.each([
    ["a continuation alone", [0x80]],
    ["0 in two bytes", [0xc0, 0x80]],
    ["a character of one byte in two", [0xc1, 0xbf]],
    ["one of two bytes in three", [0xe0, 0x9f, 0xbf]],
    ["one of three bytes in four", [0xf0, 0x8f, 0xbf, 0xbf]],
    ["the first surrogate", [0xed, 0xa0, 0x80]],
    ["the last surrogate", [0xed, 0xbf, 0xbf]],
    ["a pair of surrogates in six bytes", [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]],
    ["the first above U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
    ["a sequence of five bytes", [0xf8, 0x88, 0x80, 0x80, 0x80]],
    ["the byte 0xff", [0xff]],
    ["two bytes cut after one", [0xc3]],
    ["three bytes cut after two", [0xe2, 0x82]],
    ["four bytes cut after three", [0xf0, 0x9f, 0x98]],
    ["a letter where a continuation is due", [0xe2, 0x82, 0x41]],
  ])("refuses %s, wherever it stands", (_, bytes) => {
    for (const before of [0, 1, 8190, 8191, 8192, 8193]) {
      const text = new Uint8Array(before + bytes.length + 3).fill(0x61);
      text.set(bytes, before);
      const cut = text.subarray(0, before + bytes.length);
      expect([due(text), decodeUtf8(text)]).toEqual([null, null]);
      expect([due(cut), decodeUtf8(cut)]).toEqual([null, null]);
    }
  });

  test("all sequences of up to three bytes, and the edges of four, are those that the host takes", () => {
    const edges = [0, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xff];
    let differ = 0;
    const compare = (bytes: number[]) => {
      const array = Uint8Array.from(bytes);
      if (due(array) !== decodeUtf8(array)) differ++;
    };
    for (let a = 0; a < 256; a++) {
      compare([a]);
      for (let b = 0; b < 256; b++) {
        compare([a, b]);
        if (a < 0xc0) continue;
        for (const c of edges) compare([a, b, c]);
        if (a < 0xf0 || !edges.includes(b)) continue;
        for (const c of edges) for (const d of edges) compare([a, b, c, d]);
      }
    }
    expect(differ).toBe(0);
  });

  test("random bytes, and texts with one byte changed, give what the host gives", () => {
    let taken = 0;
    let refused = 0;
    const compare = (bytes: Uint8Array) => {
      const text = due(bytes);
      expect(decodeUtf8(bytes)).toBe(text);
      if (text === null) refused++;
      else taken++;
    };
    for (let run = 0; run < 3000; run++) {
      // Leading bytes and continuations are much more frequent than among all bytes.
      compare(
        Uint8Array.from({ length: below(6) }, () => (below(2) ? 0x80 + below(64) : below(256))),
      );
      const bytes = new TextEncoder().encode(wellFormed(1 + below(12)));
      compare(bytes);
      bytes[below(bytes.length)] = below(256);
      compare(bytes);
    }
    expect(taken).toBeGreaterThan(3000);
    expect(refused).toBeGreaterThan(1000);
  });
});

/** A text of characters of one to four bytes. */
function wellFormed(length: number): string {
  const limits = [0x80, 0x800, 0x10000, 0x110000];
  return Array.from({ length }, () => {
    const point = below(limits[below(4)]!);
    return String.fromCodePoint(point >= 0xd800 && point < 0xe000 ? 0x41 : point);
  }).join("");
}

describe("encoding", () => {
  test("gives the host's bytes for every character, and they come back", () => {
    for (let start = 0; start < 0x110000; start += 0x800) {
      if (start === 0xd800) continue; // the surrogates
      const text = String.fromCodePoint(...Array.from({ length: 0x800 }, (_, i) => start + i));
      const bytes = encodeUtf8(text);
      expect(Buffer.compare(bytes, Buffer.from(text))).toBe(0);
      expect(decodeUtf8(bytes) === text).toBe(true);
    }
  });

  test("gives the host's bytes for texts of any length, and they come back across the pieces", () => {
    for (const length of [0, 1, 2, 100, 8191, 8192, 8193, 20_000]) {
      const text = wellFormed(length);
      const bytes = encodeUtf8(text);
      expect(Buffer.compare(bytes, Buffer.from(text))).toBe(0);
      expect(decodeUtf8(bytes)).toBe(text);
    }
    // Pairs of units on both sides of where a piece ends.
    for (const before of [8190, 8191, 8192]) {
      const text = `${"a".repeat(before)}${"\u{1f600}".repeat(3)}`;
      expect(decodeUtf8(encodeUtf8(text))).toBe(text);
    }
  });
});
