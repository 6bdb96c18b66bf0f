import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Allocator, type Block } from "../../src/runtime/allocator.ts";
import { seeded } from "../support/core.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

function roundUp(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

/** An allocator of this range. */
function allocatorOf(start: number, end: number): Allocator {
  const allocator = new Allocator(start);
  allocator.extend(end);
  return allocator;
}

/**
 * Compares an allocator's books with what a test knows: the range, and the blocks that it holds.
 */
function audit(allocator: Allocator, start: number, end: number, held: Iterable<Block>): void {
  const blocks = [...allocator.blocks()];
  let at = start;
  let live = 0;
  let lastFree = false;
  for (const { address, bytes, free } of blocks) {
    if (address !== at) throw new Error(`a block at ${address}, where ${at} is next`);
    if (bytes <= 0 || bytes % 64 !== 0) throw new Error(`a block of ${bytes} bytes`);
    if (free && lastFree) throw new Error(`two free neighbours at ${address}`);
    if (!free) live += bytes;
    lastFree = free;
    at += bytes;
  }
  expect(at).toBe(end);
  expect(allocator.limit).toBe(end);
  expect(allocator.bytesLive).toBe(live);
  const inUse = blocks.filter(({ free }) => !free).map(({ address, bytes }) => [address, bytes]);
  const known = [...held].map(({ address, bytes }) => [address, bytes] as [number, number]);
  expect(inUse).toEqual(known.sort(([a], [b]) => a - b));
}

describe("whatever is asked for and given back", () => {
  // Sizes around the bins' borders, and any.
  const bytes = fc.oneof(
    fc.integer({ min: 1, max: 20 * 64 }),
    fc
      .tuple(fc.integer({ min: 0, max: 14 }), fc.integer({ min: -65, max: 65 }))
      .map(([log, more]) => Math.max(1, 64 * 2 ** log + more)),
    fc.integer({ min: 1, max: 2 * MIB }),
  );
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ allocate: bytes }) },
    { weight: 4, arbitrary: fc.record({ release: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ extend: fc.integer({ min: 0, max: MIB }) }) },
  );

  test("blocks lie apart and aligned within the range, the books are exact, and free neighbours are one", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4096 }),
        fc.integer({ min: 0, max: 8 * MIB }),
        fc.array(step, { maxLength: 120 }),
        (from, size, steps) => {
          const start = roundUp(from);
          let end = start + Math.floor(size / 64) * 64;
          const allocator = allocatorOf(from, start + size);
          const held: Block[] = [];
          let peak = 0;
          for (const each of steps) {
            if ("allocate" in each) {
              const block = allocator.allocate(each.allocate);
              if (block) {
                expect(block.address % 64).toBe(0);
                expect(block.bytes).toBe(roundUp(each.allocate));
                held.push(block);
              } else {
                // Refused only where nothing free is large enough.
                const free = [...allocator.blocks()].filter(({ free }) => free);
                const largest = Math.max(0, ...free.map(({ bytes }) => bytes));
                expect(largest).toBeLessThan(roundUp(each.allocate));
              }
            } else if ("release" in each) {
              const [block] = held.splice(each.release % Math.max(1, held.length), 1);
              if (block) allocator.release(block);
            } else {
              allocator.extend(end + each.extend);
              end += Math.floor(each.extend / 64) * 64;
            }
            peak = Math.max(peak, allocator.bytesLive);
            audit(allocator, start, end, held);
          }
          expect(allocator.bytesPeak).toBe(peak);
          for (const block of held) allocator.release(block);
          audit(allocator, start, end, []);
          expect([...allocator.blocks()]).toHaveLength(end > start ? 1 : 0);
        },
      ),
      { numRuns: 300, seed: 64 },
    );
  });

  test("200 000 requests and releases at random leave one free block when all is given back", () => {
    const start = 1024;
    const end = GIB;
    const allocator = allocatorOf(start, end);
    const random = seeded(2);
    const held: Block[] = [];
    let live = 0;
    for (let i = 0; i < 200_000; i++) {
      if (random() < 0.52 || held.length === 0) {
        // As many small requests as large ones, 1 byte to 16 MiB.
        const block = allocator.allocate(Math.ceil(2 ** (24 * random())));
        if (!block) continue;
        live += block.bytes;
        held.push(block);
      } else {
        const at = Math.floor(random() * held.length);
        const block = held[at]!;
        held[at] = held.at(-1)!;
        held.pop();
        live -= block.bytes;
        allocator.release(block);
      }
      if (i % 20_000 === 0) audit(allocator, start, end, held);
    }
    expect(held.length).toBeGreaterThan(100);
    expect(allocator.bytesLive).toBe(live);
    audit(allocator, start, end, held);
    for (const block of held) allocator.release(block);
    expect([...allocator.blocks()]).toEqual([{ address: start, bytes: end - start, free: true }]);
    expect(allocator.bytesLive).toBe(0);
  });
});

describe("the range", () => {
  test("begins at the next multiple of 64, and never at address 0", () => {
    for (const [start, first] of [
      [0, 64],
      [1, 64],
      [64, 64],
      [65, 128],
      [1000, 1024],
    ] as const) {
      expect(allocatorOf(start, 4096).allocate(1)!.address).toBe(first);
    }
  });

  test("ends at the last multiple of 64 that it reaches", () => {
    const allocator = allocatorOf(64, 64 + 127);
    expect(allocator.limit).toBe(128);
    expect(allocator.allocate(64)!.bytes).toBe(64);
    expect(allocator.allocate(1)).toBeNull();
  });

  test("is empty before it is extended, and an extension that adds nothing changes nothing", () => {
    const allocator = new Allocator(640);
    expect([...allocator.blocks()]).toEqual([]);
    expect(allocator.allocate(1)).toBeNull();
    for (const end of [0, 640, 703]) allocator.extend(end);
    expect([...allocator.blocks()]).toEqual([]);
    expect(allocator.limit).toBe(640);
    allocator.extend(704);
    expect([...allocator.blocks()]).toEqual([{ address: 640, bytes: 64, free: true }]);
  });

  test("when extended, grows the free block at its end rather than adding one", () => {
    const allocator = allocatorOf(64, 1024);
    const block = allocator.allocate(512)!;
    allocator.extend(2048);
    expect([...allocator.blocks()]).toEqual([
      { address: 64, bytes: 512, free: false },
      { address: 576, bytes: 1472, free: true },
    ]);
    allocator.release(block);
    expect([...allocator.blocks()]).toEqual([{ address: 64, bytes: 1984, free: true }]);
  });

  test("when extended behind a block in use, gets a new free block", () => {
    const allocator = allocatorOf(64, 128);
    allocator.allocate(64);
    allocator.extend(256);
    expect([...allocator.blocks()]).toEqual([
      { address: 64, bytes: 64, free: false },
      { address: 128, bytes: 128, free: true },
    ]);
  });
});

describe("what is missing", () => {
  test("is the request less what is free at the end of the range", () => {
    const allocator = allocatorOf(64, 1024);
    expect(allocator.shortfall(960)).toBe(0);
    expect(allocator.shortfall(961)).toBe(64);
    const first = allocator.allocate(320)!;
    expect(allocator.shortfall(1000)).toBe(1024 - 640);
    allocator.allocate(640);
    expect(allocator.shortfall(1000)).toBe(1024);
    allocator.release(first); // free, but not at the end
    expect(allocator.shortfall(1000)).toBe(1024);
  });

  test("is the whole request where the range is empty", () => {
    expect(new Allocator(640).shortfall(100)).toBe(128);
  });

  test("when added, makes the request succeed at the end of the range", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 100_000 }), { maxLength: 30 }),
        fc.integer({ min: 1, max: 200_000 }),
        fc.boolean(),
        (sizes, bytes, releaseLast) => {
          const allocator = allocatorOf(64, MIB);
          const held = sizes.map((size) => allocator.allocate(size)).filter((block) => !!block);
          if (releaseLast && held.length > 0) allocator.release(held.pop()!);
          if (allocator.allocate(bytes)) return;
          const missing = allocator.shortfall(bytes);
          expect(missing).toBeGreaterThan(0);
          allocator.extend(allocator.limit + missing - 64);
          expect(allocator.allocate(bytes)).toBeNull();
          allocator.extend(allocator.limit + 64);
          const block = allocator.allocate(bytes)!;
          expect(block.address + block.bytes).toBe(allocator.limit);
        },
      ),
      { numRuns: 500, seed: 65 },
    );
  });
});

describe("reuse", () => {
  test("a request that fits the only free block exactly gets it, at every size", () => {
    const sizes = [...Array(300).keys()].map((i) => (i + 1) * 64);
    for (let log = 8; log < 26; log++) {
      for (const units of [-1, 0, 1]) sizes.push(64 * (2 ** log + units));
      sizes.push(64 * Math.floor(1.7 * 2 ** log));
    }
    for (const bytes of sizes) {
      const allocator = allocatorOf(64, 64 + bytes);
      expect(allocator.allocate(bytes + 1)).toBeNull();
      for (let i = 0; i < 2; i++) {
        const block = allocator.allocate(bytes)!;
        expect([block.address, block.bytes]).toEqual([64, bytes]);
        expect(allocator.allocate(1)).toBeNull();
        allocator.release(block);
      }
    }
  });

  test("a block of the same bin that is too small is passed over for one that fits", () => {
    // 16 and 17 units share a bin, which holds 16 first.
    const allocator = allocatorOf(64, 64 + 64 * (17 + 1 + 16 + 1));
    const [large, , small] = [17, 1, 16, 1].map((units) => allocator.allocate(64 * units)!);
    allocator.release(large!);
    allocator.release(small!);
    expect(allocator.allocate(64 * 17)!.address).toBe(64);
    expect(allocator.allocate(64 * 17)).toBeNull();
    expect(allocator.allocate(64 * 16)!.address).toBe(64 * 19);
  });

  test("what is left in a bin serves smaller requests, after one was taken from it", () => {
    const allocator = allocatorOf(64, 64 + 64 * (5 + 1 + 5 + 1));
    const [first, , second] = [5, 1, 5, 1].map((units) => allocator.allocate(64 * units)!);
    allocator.release(first!);
    allocator.release(second!);
    const taken = [5, 3].map((units) => allocator.allocate(64 * units)?.address);
    expect(taken.sort()).toEqual([first!.address, second!.address].sort());
  });

  test("gaps between blocks in use serve requests that fit them", () => {
    const allocator = allocatorOf(64, 64 + 1000 * 128);
    const blocks = [...Array(1000).keys()].map(() => allocator.allocate(128)!);
    expect(allocator.allocate(1)).toBeNull();
    const gaps = new Set<number>();
    for (const block of blocks.filter((_, i) => i % 2 === 0)) {
      gaps.add(block.address);
      allocator.release(block);
    }
    expect(allocator.allocate(129)).toBeNull();
    for (let i = 0; i < 500; i++) {
      const { address } = allocator.allocate(128)!;
      expect(gaps.delete(address)).toBe(true);
    }
    expect(allocator.allocate(1)).toBeNull();
  });

  test("blocks given back in any order join into what they were cut from", () => {
    for (const order of [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ]) {
      const allocator = allocatorOf(64, 64 + 3 * 640);
      const blocks = [0, 1, 2].map(() => allocator.allocate(640)!);
      for (const i of order) allocator.release(blocks[i]!);
      expect([...allocator.blocks()]).toEqual([{ address: 64, bytes: 1920, free: true }]);
      expect(allocator.allocate(1920)!.address).toBe(64);
    }
  });

  test("the peak stays when what made it is given back", () => {
    const allocator = allocatorOf(64, MIB);
    const [a, b] = [allocator.allocate(1000)!, allocator.allocate(2000)!];
    allocator.release(a);
    allocator.release(b);
    allocator.allocate(64);
    expect([allocator.bytesLive, allocator.bytesPeak]).toEqual([64, 1024 + 2048]);
  });
});

describe("above 2 GiB", () => {
  const start = 4096;
  const end = 4 * GIB - 64;

  test("addresses and sizes stay positive, whole and exact up to 4 GiB − 64", () => {
    const allocator = allocatorOf(start, end);
    const sizes = [600 * MIB, 1.1 * GIB, 2 * GIB - 64, 1, 2 ** 26 + 1, 3 * MIB];
    const blocks = sizes.map((bytes) => allocator.allocate(Math.ceil(bytes))!);
    expect(blocks.at(-1)!.address).toBeGreaterThan(2 ** 31);
    audit(allocator, start, end, blocks);
    for (const i of [1, 3, 0, 5, 2, 4]) allocator.release(blocks[i]!);
    audit(allocator, start, end, []);
  });

  test("one block may be all of the range", () => {
    const allocator = allocatorOf(start, end);
    expect(allocator.allocate(end - start + 1)).toBeNull();
    const block = allocator.allocate(end - start)!;
    expect([block.address, block.bytes]).toEqual([start, end - start]);
    expect(allocator.shortfall(1)).toBe(64);
    allocator.release(block);
    audit(allocator, start, end, []);
  });

  test("the range grows there in steps of 64 MiB, with a block in use at each end", () => {
    const allocator = allocatorOf(start, 64 * MIB);
    const held: Block[] = [];
    for (let limit = 128 * MIB; limit <= 4 * GIB; limit += 64 * MIB) {
      held.push(allocator.allocate(64 * MIB - 4096)!);
      allocator.extend(Math.min(limit, end));
    }
    audit(allocator, start, end, held);
    for (const block of held) allocator.release(block);
    expect([...allocator.blocks()]).toEqual([{ address: start, bytes: end - start, free: true }]);
  });

  test.each([
    ...[4 * GIB, 2 ** 36, 2 ** 37, 2 ** 37 + 2 ** 36, 2 ** 38 - 64],
    // 2³² units of 64 bytes, and more.
    ...[2 ** 38, 2 ** 38 + 64, 3 * 2 ** 38, 2 ** 40, 2 ** 53, 1e20, 1e300, Infinity],
  ])("a request of %d bytes, more than any range has, gets nothing", (bytes) => {
    const allocator = allocatorOf(start, end);
    expect(allocator.allocate(bytes)).toBeNull();
    expect(allocator.bytesLive).toBe(0);
  });

  test("mixed requests at random leave no gap behind", () => {
    const allocator = allocatorOf(start, end);
    const random = seeded(5);
    const held: Block[] = [];
    for (let i = 0; i < 20_000; i++) {
      const block = random() < 0.55 ? allocator.allocate(Math.ceil(2 ** (30 * random()))) : null;
      if (block) held.push(block);
      else if (held.length > 0) {
        allocator.release(held.splice(Math.floor(random() * held.length), 1)[0]!);
      }
    }
    audit(allocator, start, end, held);
    for (const block of held) allocator.release(block);
    audit(allocator, start, end, []);
  });
});
