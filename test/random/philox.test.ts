import { describe, expect, test } from "vitest";
import { openCore, seeded } from "../support/core.ts";

const core = openCore("test");

/** One block of Philox4x32 after Salmon et al., SC 2011, as plainly as can be. */
function philox4x32(rounds: number, counter: readonly number[], key: readonly number[]): number[] {
  let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key.map(BigInt) as [bigint, bigint];
  const word = 0xffffffffn;
  for (let round = 0; round < rounds; round++) {
    const product0 = 0xd2511f53n * c0;
    const product1 = 0xcd9e8d57n * c2;
    [c0, c1, c2, c3] = [
      (product1 >> 32n) ^ c1 ^ k0,
      product1 & word,
      (product0 >> 32n) ^ c3 ^ k1,
      product0 & word,
    ];
    k0 = (k0 + 0x9e3779b9n) & word;
    k1 = (k1 + 0xbb67ae85n) & word;
  }
  return [c0, c1, c2, c3].map(Number);
}

const low = (value: bigint) => Number(value & 0xffffffffn);
const high = (value: bigint) => Number((value >> 32n) & 0xffffffffn);

/** The reference's word w of block (counter + l) at w · 4 + l, counters wrapping at 2⁶⁴. */
function expectedBlocks(key: bigint, counter: bigint): number[] {
  const blocks = [0n, 1n, 2n, 3n].map((l) => {
    const c = BigInt.asUintN(64, counter + l);
    return philox4x32(7, [low(c), high(c), 0, 0], [low(key), high(key)]);
  });
  return [0, 1, 2, 3].flatMap((w) => blocks.map((block) => block[w]!));
}

function kernelBlocks(key: bigint, counter: bigint): number[] {
  core.reset();
  const out = core.output(Uint32Array, 16, { offset: 4 });
  core.exports.philox4x32x4(out.address, low(key), high(key), low(counter), high(counter));
  core.checkGuards();
  return Array.from(out.values());
}

// Random123's kat_vectors: rounds, counter, key → block.
const ones = 0xffffffff;
const pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
const knownAnswers = [
  [7, [0, 0, 0, 0], [0, 0], [0x5f6fb709, 0x0d893f64, 0x4f121f81, 0x4f730a48]],
  [7, [ones, ones, ones, ones], [ones, ones], [0x5207ddc2, 0x45165e59, 0x4d8ee751, 0x8c52f662]],
  [7, pi, [0xa4093822, 0x299f31d0], [0x4dfccaba, 0x190a87f0, 0xc47362ba, 0xb6b5242a]],
  [10, [0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
  [10, [ones, ones, ones, ones], [ones, ones], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]],
  [10, pi, [0xa4093822, 0x299f31d0], [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]],
] as const;

test("the plain reference gives Random123's known answers", () => {
  for (const [rounds, counter, key, block] of knownAnswers) {
    expect(philox4x32(rounds, counter, key)).toEqual(block);
  }
});

describe("the kernel's four blocks", () => {
  test("start with Random123's known answer at counter 0 under key 0", () => {
    const blocks = kernelBlocks(0n, 0n);
    expect([0, 4, 8, 12].map((i) => blocks[i])).toEqual(knownAnswers[0][3]);
  });

  test("are those of the reference at random counters under random keys", () => {
    const random = seeded(7);
    const word = () => BigInt(Math.floor(2 ** 32 * random()));
    for (let i = 0; i < 1000; i++) {
      const key = (word() << 32n) | word();
      const counter = (word() << 32n) | word();
      expect(kernelBlocks(key, counter)).toEqual(expectedBlocks(key, counter));
    }
  });

  test("carry into the counter's upper word in the lane that wraps, and in no other", () => {
    const key = 0x0123456789abcdefn;
    for (const upper of [0n, 1n, 0x7fffffffn, 0xffffffffn]) {
      for (const lower of [0x7ffffffen, -5n, -4n, -3n, -2n, -1n].map((n) =>
        BigInt.asUintN(32, n),
      )) {
        const counter = (upper << 32n) | lower;
        expect(kernelBlocks(key, counter)).toEqual(expectedBlocks(key, counter));
      }
    }
  });

  test("overlap as their counters do", () => {
    const key = 42n;
    const first = kernelBlocks(key, 0xfffffffen);
    const second = kernelBlocks(key, 0x100000000n);
    for (let w = 0; w < 4; w++) {
      expect(second.slice(4 * w, 4 * w + 2)).toEqual(first.slice(4 * w + 2, 4 * w + 4));
    }
  });
});

describe("a stream of a million words", () => {
  const words = 1_000_000;

  function draw(key: number): Uint32Array {
    core.reset();
    const out = core.output(Uint32Array, words);
    for (let block = 0; block < words / 4; block += 4) {
      core.exports.philox4x32x4(out.address + 16 * block, key, 0, block, 0);
    }
    core.checkGuards();
    return out.values();
  }

  test.each([0, 1, 231])("has as many ones as zeros at every place, under key %i", (key) => {
    const stream = draw(key);
    for (let bit = 0; bit < 32; bit++) {
      let ones = 0;
      for (const word of stream) ones += (word >>> bit) & 1;
      // 5 standard deviations of a binomial distribution
      expect(Math.abs(ones - words / 2)).toBeLessThan(5 * Math.sqrt(words / 4));
    }
  });

  test.each([0, 1, 231])("has all bytes equally often, under key %i", (key) => {
    const counts = new Float64Array(256);
    const bytes = new Uint8Array(draw(key).buffer);
    for (const byte of bytes) counts[byte]! += 1;
    const expected = bytes.length / 256;
    const chiSquare = counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    // 255 degrees of freedom: mean 255, standard deviation √510 = 22.6, and 5 of those either way
    expect(chiSquare).toBeGreaterThan(255 - 113);
    expect(chiSquare).toBeLessThan(255 + 113);
  });

  test("does not follow that of the next key", () => {
    const a = draw(0);
    const b = draw(1);
    let equalBits = 0;
    for (let i = 0; i < words; i++) {
      let same = ~(a[i]! ^ b[i]!);
      for (; same !== 0; same &= same - 1) equalBits += 1;
    }
    // 5 standard deviations of 32 million fair coins
    expect(Math.abs(equalBits - 16 * words)).toBeLessThan(5 * Math.sqrt(8 * words));
  });
});
