// Files that were valid, with something done to them that knows how files are built. Whatever comes
// of it is either what the twin reads too, or a FormatError. LAMELLA_FUZZ_RUNS and
// LAMELLA_FUZZ_SEED run it longer and otherwise.

import { isDeepStrictEqual } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  FormatError,
  readSafetensors,
  type SafetensorsEntry,
  type SafetensorsFile,
  writeSafetensors,
} from "../../src/index.ts";
import { Tally } from "../fuzz/runs.ts";
import { seeded } from "../support/core.ts";
import { bitsOf, file, numbersOf, read, type TwinTensor } from "./twin.ts";

const runs = Number(process.env.LAMELLA_FUZZ_RUNS ?? 3000);
const seed = Number(process.env.LAMELLA_FUZZ_SEED ?? 66);
/** Those that fast-check draws, and could shrink. */
const shrinkable = Math.min(runs, 10_000);

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

const name = fc.oneof(
  fc.constantFrom(
    "a",
    "b",
    "w.0",
    "__proto__",
    "constructor",
    "__metadata__ ",
    "10",
    "2",
    "",
    "é",
    "😀",
    "\uff5e",
  ),
  fc.string({ unit: "binary", maxLength: 6 }),
);
const tensor = fc.record({
  dtype: fc.constantFrom(...Object.keys(bitsOf)),
  shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
});
const metadata = fc.option(
  fc.uniqueArray(fc.tuple(name, fc.string({ maxLength: 8 })), {
    selector: ([key]) => key,
    maxLength: 3,
  }),
);

/** A file's header in pieces, each a token, and its data. */
interface Draft {
  tokens: string[];
  data: number[];
}

/** A valid file, its header in any of the ways to write it: order, white space, escapes. */
const draft: fc.Arbitrary<Draft> = fc
  .record({
    tensors: fc.uniqueArray(fc.tuple(name, tensor), { selector: ([key]) => key, maxLength: 5 }),
    metadata,
    order: fc.array(fc.nat(), { minLength: 6, maxLength: 6 }),
    space: fc.constantFrom("", " ", "\n\t", "\r "),
    escaped: fc.boolean(),
    bytes: fc.infiniteStream(fc.nat(255)),
  })
  .map(({ tensors, metadata, order, space, escaped, bytes }) => {
    const string = (text: string) => {
      const json = JSON.stringify(text);
      if (!escaped) return json;
      return json.replace(
        /[a-z](?=[^\\]*$)/,
        (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
      );
    };
    const list = (values: number[]) => [
      "[",
      ...values.flatMap((v, i) => (i ? [",", `${v}`] : [`${v}`])),
      "]",
    ];
    const entries: string[][] = [];
    if (metadata) {
      const pairs = metadata.flatMap(([key, value], i) => [
        ...(i ? [","] : []),
        string(key),
        ":",
        string(value),
      ]);
      entries.push(['"__metadata__"', ":", "{", ...pairs, "}"]);
    }
    let at = 0;
    for (const [key, { dtype, shape }] of tensors) {
      const bits = bitsOf[dtype]!;
      const full = bits < 8 ? [...shape, 4] : shape;
      const begin = at;
      at += (full.reduce((a, b) => a * b, 1) * bits) / 8;
      entries.push([
        string(key),
        ":",
        "{",
        '"dtype"',
        ":",
        string(dtype),
        ",",
        '"shape"',
        ":",
        ...list(full),
        ",",
        string("data_offsets"),
        ":",
        ...list([begin, at]),
        "}",
      ]);
    }
    const sorted = entries.map((entry, i) => [order[i]!, entry] as const).sort(([a], [b]) => a - b);
    const tokens = ["{", ...sorted.flatMap(([, entry], i) => (i ? [",", ...entry] : entry)), "}"];
    return {
      tokens: tokens.flatMap((token) => (space ? [token, space] : [token])),
      data: Array.from({ length: at }, () => bytes.next().value as number),
    };
  });

const HOSTILE = [
  ...'{ } [ ] , : " null true -1 1.0 1e3 00 0 1 4 8 9007199254740991 9007199254740992 18446744073709551615'.split(
    " ",
  ),
  '"F32"',
  '"U8"',
  '"f32"',
  '"dtype"',
  '"shape"',
  '"data_offsets"',
  '"\\u0064type"',
  '"__proto__"',
  '"__metadata__"',
  '"\\ud800"',
  '"a"',
  '"b"',
  "[[[[[[[[",
  '{"a":{"a":',
  "[0,0]",
  "\u0000",
  "\ufeff",
  " ",
  "'a'",
  "//",
  '"x":1,',
];

type Mutation = (draft: Draft, pick: (below: number) => number) => void;
/** What is done to a header's tokens and data. */
const mutations: Mutation[] = [
  ({ tokens }, pick) => tokens.splice(pick(tokens.length), 1),
  ({ tokens }, pick) => tokens.splice(pick(tokens.length), 0, HOSTILE[pick(HOSTILE.length)]!),
  ({ tokens }, pick) => tokens.splice(pick(tokens.length), 1, HOSTILE[pick(HOSTILE.length)]!),
  // A piece of the header again in another place.
  ({ tokens }, pick) => {
    const start = pick(tokens.length);
    tokens.splice(pick(tokens.length), 0, ...tokens.slice(start, start + 1 + pick(30)));
  },
  ({ tokens }, pick) => {
    const [a, b] = [pick(tokens.length), pick(tokens.length)];
    [tokens[a], tokens[b]] = [tokens[b] ?? "", tokens[a] ?? ""];
  },
  // Two numbers change places, or one moves a little: offsets and shapes.
  ({ tokens }, pick) => {
    const numbers = [...tokens.keys()].filter((i) => /^\d+$/.test(tokens[i]!));
    if (numbers.length === 0) return;
    const [a, b] = [numbers[pick(numbers.length)]!, numbers[pick(numbers.length)]!];
    if (a === b) tokens[a] = String(Number(tokens[a]) + pick(9) - 4);
    else [tokens[a], tokens[b]] = [tokens[b]!, tokens[a]!];
  },
  // Two tensors' offsets change places, or become the same.
  ({ tokens }, pick) => {
    const keys = [...tokens.keys()].filter((i) => /ata_offsets"$/.test(tokens[i]!));
    if (keys.length < 2) return;
    const [a, b] = [keys[pick(keys.length)]!, keys[pick(keys.length)]!];
    const lengthOf = (key: number) => tokens.indexOf("]", key) + 1 - key;
    const [ofA, ofB] = [a, b].map((key) => tokens.slice(key, key + lengthOf(key)));
    const isSwap = pick(2) === 0;
    // The later one first, so that the earlier keeps its place.
    for (const [key, by] of a > b
      ? [
          [a, ofB],
          [b, ofA],
        ]
      : [
          [b, ofA],
          [a, ofB],
        ]) {
      if (isSwap || key === a)
        tokens.splice(key as number, lengthOf(key as number), ...(by as string[]));
    }
  },
  // The same name twice, or another dtype.
  ({ tokens }, pick) => {
    const strings = [...tokens.keys()].filter((i) => tokens[i]!.startsWith('"'));
    if (strings.length > 0)
      tokens[strings[pick(strings.length)]!] = tokens[strings[pick(strings.length)]!]!;
  },
  ({ data }, pick) => data.splice(pick(data.length + 1), pick(3)),
  ({ data }, pick) => data.splice(pick(data.length + 1), 0, pick(256)),
];

type ByteMutation = (bytes: number[], pick: (below: number) => number) => void;
/** What is done to the bytes of the file. */
const byteMutations: ByteMutation[] = [
  (bytes, pick) => bytes.splice(pick(bytes.length), 1, pick(256)),
  (bytes, pick) => {
    const i = pick(bytes.length);
    bytes[i] = bytes[i]! ^ (1 << pick(8));
  },
  (bytes, pick) => {
    bytes.length = pick(bytes.length);
  },
  (bytes, pick) => bytes.push(...Array.from({ length: 1 + pick(9) }, () => pick(256))),
  (bytes, pick) => bytes.splice(pick(8), 1, pick(256)), // the header's length
  (bytes, pick) => {
    bytes[0] = (bytes[0]! + pick(17) - 8) & 255;
  },
  (bytes, pick) => bytes.splice(pick(bytes.length), 1 + pick(8)),
];

const step = fc.record({
  kind: fc.nat(),
  picks: fc.array(fc.nat(0xffff), { minLength: 4, maxLength: 14 }),
});

interface Steps {
  steps: readonly { kind: number; picks: number[] }[];
  byteSteps: readonly { kind: number; picks: number[] }[];
  offset: number;
}

/** The bytes of a draft after these steps, at any alignment. */
function mutate({ tokens, data }: Draft, { steps, byteSteps, offset }: Steps): Uint8Array {
  const picker = (picks: number[]) => {
    let i = 0;
    return (below: number) => (below > 0 ? picks[i++ % picks.length]! % below : 0);
  };
  for (const { kind, picks } of steps)
    mutations[kind % mutations.length]!({ tokens, data }, picker(picks));
  const bytes = Array.from(file(tokens.join(""), Uint8Array.from(data)));
  for (const { kind, picks } of byteSteps) {
    if (bytes.length > 0) byteMutations[kind % byteMutations.length]!(bytes, picker(picks));
  }
  const moved = new Uint8Array(bytes.length + offset).subarray(offset);
  moved.set(bytes);
  return moved;
}

const mutated = fc
  .record({
    draft,
    steps: fc.array(step, { maxLength: 2 }),
    byteSteps: fc.oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(step, { maxLength: 2 }) },
    ),
    offset: fc.nat(7),
  })
  .map(({ draft, ...steps }) => mutate(draft, steps as Steps));

/** Steps drawn by a generator of our own: a tenth of what fast-check's cost. */
function drawSteps(random: () => number): Steps {
  const whole = (below: number) => Math.floor(below * random());
  const some = (count: number) =>
    Array.from({ length: count }, () => ({
      kind: whole(1000),
      picks: Array.from({ length: 4 + whole(11) }, () => whole(0x10000)),
    }));
  return { steps: some(whole(4)), byteSteps: some(whole(3) ? 0 : whole(3)), offset: whole(8) };
}

/** What we read: undefined for a FormatError; any other error goes on. */
function parse(bytes: Uint8Array): SafetensorsFile | undefined {
  try {
    return readSafetensors(bytes);
  } catch (error) {
    if (error instanceof FormatError && /^readSafetensors: ./.test(error.message)) return undefined;
    throw error;
  }
}

/** What expect would say, at a tenth of its cost: it is asked some ten times a file. */
function same(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toEqual(expected);
}

function checkNumbers(entry: SafetensorsEntry, expected: TwinTensor): void {
  const numbers = numbersOf(expected);
  if (numbers === undefined) {
    expect(() => entry.toTypedArray("float64")).toThrow("toTypedArray: expected one of");
  } else if (numbers.every((n) => typeof n === "number" || Number.isSafeInteger(Number(n)))) {
    same(entry.toTypedArray("float64"), Float64Array.from(numbers, Number));
    same(entry.toTypedArray("float32"), Float32Array.from(numbers, Number));
  } else {
    expect(() => entry.toTypedArray("float64")).toThrow(RangeError);
  }
}

/** Whether a file is taken; throws where it is not read as the twin reads it. */
function isTaken(bytes: Uint8Array): boolean {
  const before = Buffer.from(bytes).toString("latin1");
  const found = parse(bytes);
  const expected = read(bytes);
  same(found === undefined, expected === undefined);
  same(Buffer.from(bytes).toString("latin1"), before);
  if (!found || !expected) return false;
  same([...found.metadata].sort(), [...expected.metadata].sort());
  same([...found.tensors.keys()].sort(), [...expected.tensors.keys()].sort());
  for (const [key, entry] of found.tensors) {
    const twin = expected.tensors.get(key)!;
    same([entry.dtype, entry.shape], [twin.dtype, twin.shape]);
    same(Buffer.compare(entry.data, twin.data), 0);
    checkNumbers(entry, twin);
  }
  // What was read can be written, and then has but one form.
  const written = writeSafetensors(found.tensors, found.metadata);
  const again = parse(written)!;
  same(again.tensors.size, found.tensors.size);
  same(writeSafetensors(again.tensors, again.metadata), written);
  return true;
}

test(`${shrinkable} mutated files (seed ${seed}) are each read as the twin reads them, or refused with a FormatError as the twin refuses them`, {
  timeout: 0,
}, () => {
  const tally = new Tally("safetensors, by fast-check", shrinkable);
  fc.assert(
    fc.property(mutated, (bytes) => {
      tally.count(isTaken(bytes) ? "taken" : "refused");
    }),
    { numRuns: shrinkable, seed },
  );
  expect(Object.keys(Object.prototype)).toEqual([]);
  // Both ways are taken often enough to tell.
  for (const way of ["taken", "refused"])
    expect(tally.outcomes.get(way)).toBeGreaterThan(shrinkable / 10);
});

test(`${runs} mutations of a thousand files (seed ${seed}), likewise`, { timeout: 0 }, () => {
  const tally = new Tally("safetensors", runs);
  const drafts = fc.sample(draft, { numRuns: 1000, seed });
  const random = seeded(seed);
  for (let i = 0; i < runs; i++) {
    const { tokens, data } = drafts[i % drafts.length]!;
    const bytes = mutate({ tokens: tokens.slice(), data: data.slice() }, drawSteps(random));
    try {
      tally.count(isTaken(bytes) ? "taken" : "refused");
    } catch (error) {
      (error as Error).message += ` (file ${i}: ${Buffer.from(bytes).toString("base64")})`;
      throw error;
    }
  }
  expect(Object.keys(Object.prototype)).toEqual([]);
});

test("reading ten thousand files, most of them refused, leaves no memory held", () => {
  const files = fc.sample(mutated, { numRuns: 500, seed });
  const round = (): void => {
    for (const bytes of files) {
      for (const entry of parse(bytes)?.tensors.values() ?? []) {
        try {
          entry.toTypedArray();
        } catch {} // a dtype without numbers, a number out of range
      }
    }
  };
  const held = (): number => {
    for (let i = 0; i < 3; i++) collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  for (let i = 0; i < 5; i++) round(); // what engines keep: compiled code, shapes of objects
  const before = held();
  for (let i = 0; i < 20; i++) round();
  // 26 bytes a file; measured: below zero to some tens of KB
  expect(held() - before).toBeLessThan(256 * 1024);
});

test("a hostile header makes the reader allocate for the bytes that are there, not for those it claims", () => {
  const size = 2 ** 52;
  const claims = [
    file(`{"a":{"dtype":"U8","shape":[${size}],"data_offsets":[0,${size}]}}`, 16),
    file(`{"a":{"dtype":"F64","shape":[${2 ** 48}],"data_offsets":[0,16]}}`, 16),
    file(`{"a":{"dtype":"U8","shape":[${size},0],"data_offsets":[0,0]}}`, 0),
  ];
  const long = new Uint8Array(16);
  new DataView(long.buffer).setUint32(0, 99_999_999, true);
  claims.push(long);
  const { arrayBuffers } = process.memoryUsage();
  let peak = 0;
  for (const bytes of claims) {
    parse(bytes)?.tensors.get("a")?.toTypedArray();
    peak = Math.max(peak, process.memoryUsage().arrayBuffers - arrayBuffers);
  }
  expect(peak).toBeLessThan(1024 * 1024);
});

test("numbers of 64 MB are converted into a given array with less than 1 MB beside it", () => {
  const count = 8_000_000;
  const data = new Float64Array(count).fill(0.1);
  const bytes = writeSafetensors({ x: { dtype: "F64", shape: [count], data } });
  const target = new Float32Array(count);
  collect();
  const before = process.memoryUsage().arrayBuffers;
  readSafetensors(bytes).tensors.get("x")!.copyTo(target);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024);
  expect(target.every((value) => value === Math.fround(0.1))).toBe(true);
});
