import { readFileSync } from "node:fs";
import { runInNewContext } from "node:vm";
import { describe, expect, test, vi } from "vitest";
import {
  createRuntimeSync,
  DTypeError,
  FormatError,
  readSafetensors,
  type SafetensorsData,
  type SafetensorsDType,
  ShapeError,
  writeSafetensors,
} from "../../src/index.ts";
import { bitsOf, file, numbersOf, read } from "./twin.ts";

interface Golden {
  written: {
    tensors: { name: string; dtype: SafetensorsDType; shape: number[]; data: string }[];
    metadata: Record<string, string> | null;
    file: string;
  }[];
  verdicts: { header: string; dataBytes: number; reference: string }[];
}

const golden: Golden = JSON.parse(
  readFileSync(new URL("../golden/safetensors.json", import.meta.url), "utf8"),
);

const dtypes = Object.keys(bitsOf) as SafetensorsDType[];
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
const headerOf = (bytes: Uint8Array) =>
  Buffer.from(bytes)
    .subarray(8, 8 + Number(Buffer.from(bytes).readBigUInt64LE()))
    .toString();

/** A header with one tensor, by default four bytes named a, with parts of it written otherwise. */
function header({
  name = '"a"',
  dtype = '"U8"',
  shape = "[4]",
  offsets = "[0,4]",
  more = "",
  rest = "",
} = {}): string {
  return `{${name}:{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}${more}}${rest}}`;
}

/** Checks that a file is refused with this message. */
function refused(bytes: Uint8Array, message: string | RegExp): void {
  expect(() => readSafetensors(bytes)).toThrow(FormatError);
  expect(() => readSafetensors(bytes)).toThrow(message);
  expect(() => readSafetensors(bytes)).toThrow(/^readSafetensors: .{1,600}$/s);
  expect(read(bytes)).toBeUndefined();
}

describe("the reference implementation", () => {
  test.each(golden.written.map((item, i) => [i, item.tensors.length, item] as const))(
    "writes the same bytes as writeSafetensors, whatever the order: case %i of %i tensors",
    (_, __, { tensors, metadata, file: expected }) => {
      const given = tensors.map(({ name, dtype, shape, data }): [string, SafetensorsData] => [
        name,
        { dtype, shape, data: Buffer.from(data, "hex") },
      ]);
      for (const order of [given, given.toReversed()]) {
        const bytes = writeSafetensors(order, metadata ?? {});
        expect(text(bytes)).toBe(text(Buffer.from(expected, "base64")));
      }
    },
  );

  test.each(golden.written.map((item, i) => [i, item] as const))(
    "writes what readSafetensors reads: case %i",
    (_, { tensors, metadata, file: bytes }) => {
      const found = readSafetensors(Buffer.from(bytes, "base64"));
      expect(Object.fromEntries(found.metadata)).toEqual(metadata ?? {});
      expect(found.tensors.size).toBe(tensors.length);
      for (const { name, dtype, shape, data } of tensors) {
        const entry = found.tensors.get(name)!;
        expect([entry.dtype, entry.shape, Buffer.from(entry.data).toString("hex")]).toEqual([
          dtype,
          shape,
          data,
        ]);
      }
    },
  );

  // What it takes and we do not: each could be read in two ways, or by one reader and not by
  // another.
  const stricter = [
    /"a":\["U8"/, // a tensor's fields as an array
    /"extra"/, // a field that the format does not have
    /"__metadata__":null/,
    /("a"|\\u0061").*("a"|\\u0061")/, // a name, or a key of the metadata, twice
  ];

  test.each(golden.verdicts.map((item) => [item.header.slice(0, 90), item] as const))(
    "takes and refuses the same headers, but for what could be read in two ways: %s",
    (_, { header: bytes, dataBytes, reference }) => {
      const given = file(Buffer.from(bytes, "latin1"), dataBytes);
      const isTaken = reference === "" && !stricter.some((pattern) => pattern.test(bytes));
      if (isTaken) {
        const found = readSafetensors(given);
        const expected = read(given)!;
        expect([...found.metadata]).toEqual([...expected.metadata]);
        expect([...found.tensors.keys()]).toEqual([...expected.tensors.keys()]);
      } else {
        refused(given, /./);
      }
    },
  );
});

describe("a round trip", () => {
  test.each(dtypes)("of %s keeps its bytes, from an unaligned buffer too", (dtype) => {
    for (const size of [0, 1, 2, 8, 4095, 4096, 4097, 9000]) {
      const shape = bitsOf[dtype]! < 8 ? [size, 4] : [size];
      const length = (shape.reduce((a, b) => a * b) * bitsOf[dtype]!) / 8;
      const data = Uint8Array.from({ length }, (_, i) => (i * 167 + (i >> 8)) & 255);
      const bytes = writeSafetensors({ x: { dtype, shape, data } });
      for (const offset of [0, 1, 2, 3, 4, 7]) {
        const moved = new Uint8Array(bytes.length + offset).subarray(offset);
        moved.set(bytes);
        const entry = readSafetensors(moved).tensors.get("x")!;
        expect([entry.dtype, entry.shape, entry.size]).toEqual([
          dtype,
          shape,
          shape.reduce((a, b) => a * b),
        ]);
        expect(Buffer.compare(entry.data, data)).toBe(0);
        expect(text(writeSafetensors({ x: entry }))).toBe(text(bytes));
      }
    }
  });

  test.each([
    ["F64", "float64", Float64Array],
    ["F32", "float32", Float32Array],
    ["F16", "float32", Uint16Array],
    ["BF16", "float32", Uint16Array],
    ["BOOL", "int32", Uint8Array],
    ["U8", "int32", Uint8Array],
    ["I8", "int32", Int8Array],
    ["I16", "int32", Int16Array],
    ["U16", "int32", Uint16Array],
    ["I32", "int32", Int32Array],
    ["U32", "int32", Uint32Array],
    ["I64", "int32", BigInt64Array],
    ["U64", "int32", BigUint64Array],
  ] as const)(
    "of %s gives %s by itself, and the numbers that the twin finds, rounded once, in each dtype",
    (dtype, own, array) => {
      const isBig = dtype === "I64" || dtype === "U64";
      const isFloat = dtype.includes("F");
      for (const size of [0, 1, 5, 4096, 4097, 10000]) {
        const data = new array(size);
        const bytes = new Uint8Array(data.buffer);
        for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 181 + (i >> 7)) & 255;
        // Within int32, or within what a double holds.
        if (isBig) for (let i = 0; i < size; i++) data[i] = BigInt((i * 2654435) % 2 ** 31);
        if (dtype === "U32") for (let i = 0; i < size; i++) data[i] = Number(data[i]) & 0x7fffffff;
        for (const offset of [0, 1]) {
          const written = writeSafetensors([["x", { dtype, shape: [size], data }]]);
          const moved = new Uint8Array(written.length + offset).subarray(offset);
          moved.set(written);
          const entry = readSafetensors(moved).tensors.get("x")!;
          const expected = numbersOf({ dtype, shape: [size], data: bytes })!.map(Number);
          const arrays = { float32: Float32Array, float64: Float64Array, int32: Int32Array };
          expect(entry.toTypedArray()).toEqual(arrays[own].from(expected));
          for (const target of ["float32", "float64", "int32"] as const) {
            if (isFloat && target === "int32") continue;
            const out = new arrays[target](size + 2).fill(7).subarray(1, size + 1);
            entry.copyTo(out);
            expect(out).toEqual(arrays[target].from(expected));
            expect([
              new arrays[target](out.buffer).at(0),
              new arrays[target](out.buffer).at(-1),
            ]).toEqual([7, 7]);
            expect(entry.toTypedArray(target)).toEqual(out);
          }
        }
      }
    },
  );

  test("of float64 into float32 rounds to the nearest, ties to even, through subnormals and to infinity", () => {
    const ulp = 2 ** -23;
    const cases: [number, number][] = [
      [1 + ulp / 2, 1],
      [1 + ulp / 2 + 2 ** -52, 1 + ulp],
      [1 + 1.5 * ulp, 1 + 2 * ulp],
      [-(1 + ulp / 2), -1],
      [2 ** -150, 0],
      [2 ** -150 + 2 ** -202, 2 ** -149],
      [-(2 ** -151), -0],
      [3 * 2 ** -150, 2 * 2 ** -149],
      [(2 - ulp / 2) * 2 ** 127, Infinity],
      [(2 - ulp / 2 - 2 ** -52) * 2 ** 127, (2 - ulp) * 2 ** 127],
      [Number.MAX_VALUE, Infinity],
      [-Infinity, -Infinity],
      [NaN, NaN],
      [-0, -0],
    ];
    const data = Float64Array.from(cases, ([given]) => given);
    const bytes = writeSafetensors({ x: { dtype: "F64", shape: [cases.length], data } });
    const out = readSafetensors(bytes).tensors.get("x")!.toTypedArray("float32");
    expect(Array.from(out)).toEqual(cases.map(([, expected]) => expected));
  });

  test("of whole numbers into float32 rounds once, not by way of another float", () => {
    const data = BigInt64Array.of(
      2n ** 24n + 1n,
      2n ** 25n + 2n,
      2n ** 53n - 1n,
      -(2n ** 53n) + 1n,
    );
    const bytes = writeSafetensors({ x: { dtype: "I64", shape: [4], data } });
    const entry = readSafetensors(bytes).tensors.get("x")!;
    expect(Array.from(entry.toTypedArray("float64"))).toEqual(Array.from(data, Number));
    expect(Array.from(entry.toTypedArray("float32"))).toEqual([
      2 ** 24,
      2 ** 25,
      2 ** 53,
      -(2 ** 53),
    ]);
  });

  test("of tensors goes from one runtime's memory into another's, and nothing between them is kept", () => {
    const from = createRuntimeSync();
    const to = createRuntimeSync();
    const given = {
      w: from.tensor([
        [1, 2, 3],
        [4, 5, 6],
      ]),
      b: from.tensor([0.1, -0], undefined, "float64"),
      y: from.tensor(Int32Array.of(-1, 2 ** 31 - 1)),
      empty: from.zeros([0, 3]),
      scalar: from.full([], 7),
    };
    const { tensors } = readSafetensors(writeSafetensors(given));
    for (const [name, tensor] of Object.entries(given)) {
      const entry = tensors.get(name)!;
      const copy = to.zeros(entry.shape, tensor.dtype);
      entry.copyTo(copy.data);
      expect([copy.shape, copy.data]).toEqual([tensor.shape, tensor.data]);
    }
  });

  test("of a file gives the file: what was read can be written", () => {
    const bytes = writeSafetensors(
      {
        b: { dtype: "BF16", shape: [2], data: Uint16Array.of(1, 2) },
        a: { dtype: "F4", shape: [2], data: Uint8Array.of(9) },
      },
      { z: "1", a: "2" },
    );
    const { tensors, metadata } = readSafetensors(bytes);
    expect(text(writeSafetensors(tensors, metadata))).toBe(text(bytes));
  });
});

describe("readSafetensors", () => {
  test("takes an ArrayBuffer, a Uint8Array anywhere in one, a Buffer, and those of another realm", () => {
    const bytes = writeSafetensors({ x: { dtype: "U8", shape: [1], data: Uint8Array.of(5) } });
    const foreign: Uint8Array = runInNewContext(`Uint8Array.of(${bytes.join()})`);
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    const given = [
      bytes,
      bytes.buffer,
      Buffer.from(bytes),
      foreign,
      foreign.buffer as ArrayBuffer,
      shared,
    ];
    for (const form of given) {
      expect(readSafetensors(form).tensors.get("x")!.toTypedArray()).toEqual(Int32Array.of(5));
    }
  });

  test.each([
    undefined,
    null,
    "{}",
    8,
    {},
    [8, 0, 0, 0, 0, 0, 0, 0],
    new DataView(new ArrayBuffer(16)),
    new Uint16Array(8),
  ])("of %o is a TypeError", (given) => {
    expect(() => readSafetensors(given as never)).toThrow(TypeError);
    expect(() => readSafetensors(given as never)).toThrow(
      "readSafetensors: bytes must be a Uint8Array or an ArrayBuffer",
    );
  });

  test("copies nothing: an entry's data is a view into the file", () => {
    const bytes = writeSafetensors({ x: { dtype: "U8", shape: [2], data: Uint8Array.of(1, 2) } });
    const entry = readSafetensors(bytes).tensors.get("x")!;
    expect(entry.data.buffer).toBe(bytes.buffer);
    bytes[bytes.length - 1] = 9;
    expect(Array.from(entry.toTypedArray())).toEqual([1, 9]);
  });

  test("leaves the bytes as they are, and freezes shapes", () => {
    const bytes = writeSafetensors({ x: { dtype: "U8", shape: [2], data: Uint8Array.of(1, 2) } });
    const before = text(bytes);
    const { tensors } = readSafetensors(bytes);
    expect(() => (tensors.get("x")!.shape as number[]).push(1)).toThrow(TypeError);
    expect(text(bytes)).toBe(before);
  });

  test("gives tensors in the header's order, wherever their data lies", () => {
    const b = '"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}';
    const a = '"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}';
    const { tensors } = readSafetensors(file(`{${b},${a}}`, Uint8Array.of(10, 11)));
    expect([...tensors].map(([name, entry]) => [name, entry.data[0]])).toEqual([
      ["b", 11],
      ["a", 10],
    ]);
  });

  test("takes __proto__, constructor and their like as names, and no prototype is the worse for it", () => {
    const names = ["__proto__", "constructor", "toString", "hasOwnProperty", "prototype", "0", ""];
    const bytes = writeSafetensors(
      names.map((name): [string, SafetensorsData] => [
        name,
        { dtype: "U8", shape: [], data: Uint8Array.of(name.length) },
      ]),
      names.map((name): [string, string] => [name, `value of ${name}`]),
    );
    const found = readSafetensors(bytes);
    expect([...found.tensors.keys()].sort()).toEqual(names.toSorted());
    for (const name of names) {
      expect(found.tensors.get(name)!.data[0]).toBe(name.length);
      expect(found.metadata.get(name)).toBe(`value of ${name}`);
    }
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as Record<string, unknown>).dtype).toBeUndefined();
  });
});

describe("a file is refused with a FormatError that says what was expected and what came:", () => {
  test("fewer than eight bytes", () => {
    for (const length of [0, 1, 7]) {
      refused(new Uint8Array(length), `expected at least 8 bytes, got ${length}`);
    }
  });

  test("cut anywhere", () => {
    const bytes = writeSafetensors(
      { x: { dtype: "F32", shape: [3], data: new Float32Array(3) } },
      { a: "b" },
    );
    for (let length = 0; length < bytes.length; length++) refused(bytes.subarray(0, length), /./);
  });

  test("a header that is longer than the file", () => {
    const bytes = file("{}");
    bytes[0] = 3;
    refused(bytes, "expected a header of 3 bytes, got 2 before the file's end");
  });

  test("a header over 100 MB, before anything of it is looked at", () => {
    const bytes = Buffer.from(file("{}"));
    for (const length of [100_000_001n, 2n ** 32n, 2n ** 53n + 2n, 2n ** 63n, 2n ** 64n - 1n]) {
      bytes.writeBigUInt64LE(length);
      refused(
        bytes,
        `expected a header of at most 100000000 bytes, got a length of ${Number(length)}`,
      );
    }
    bytes.writeBigUInt64LE(100_000_000n);
    refused(bytes, "expected a header of 100000000 bytes, got 2 before the file's end");
  });

  test.each([
    ["a byte that is none", [0x7b, 0xff, 0x7d]],
    ["a sequence that is cut", [0x7b, 0x22, 0xe2, 0x82, 0x22, 0x7d]],
    ["more bytes than needed", [0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x7d]],
    ["half a surrogate pair", [0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x7d]],
  ])("a header that is not UTF-8: %s", (_, bytes) => {
    refused(file(Uint8Array.from(bytes)), "readSafetensors: the header is not UTF-8");
  });

  test.each([
    ["", "expected the header, an object, at character 0 of the header, got its end"],
    ["[]", 'expected the header, an object, at character 0 of the header, got "["'],
    ["\ufeff{}", 'expected the header, an object, at character 0 of the header, got "\ufeff"'],
    ["{", "expected a key, a string, at character 1 of the header, got its end"],
    ["{} x", 'expected nothing more at character 3 of the header, got "x"'],
    ["{a:1}", 'expected a key, a string, at character 1 of the header, got "a"'],
    ['{"a" 1}', 'expected ":" at character 5 of the header, got "1"'],
    ['{"a', "a key at character 1 of the header has no end"],
    ['{"a\\', "a key at character 1 of the header has no end"],
    ['{"a\\"', "a key at character 1 of the header has no end"],
    ['{"\\x41":1}', "a key at character 1 of the header is no valid string"],
    ['{"\t":1}', "a key at character 1 of the header is no valid string"],
    ['{"\\ud800":1}', "a key at character 1 of the header is no valid string"],
    [header({ rest: "," }), 'expected a key, a string, at character 53 of the header, got "}"'],
    [header({ rest: ' "b"' }), 'expected "," or "}" at character 53 of the header, got "\\""'],
  ])("a header that is no JSON object: %s", (given, message) => {
    refused(file(given, 4), message);
  });

  test.each([
    [header({ rest: `,${header().slice(1, -1)}` }), 'the header has the key "a" twice'],
    [header({ rest: `,"\\u0061":${header().slice(5, -1)}` }), 'the header has the key "a" twice'],
    [header({ more: ',"dtype":"U8"' }), 'tensor "a" has the key "dtype" twice'],
    [header({ more: ',"sh\\u0061pe":[4]' }), 'tensor "a" has the key "shape" twice'],
    ['{"__metadata__":{"k":"1","k":"1"}}', '__metadata__ has the key "k" twice'],
    ['{"__metadata__":{"/":"1","\\/":"1"}}', '__metadata__ has the key "/" twice'],
    ['{"__metadata__":{},"__meta\\u0064ata__":{}}', 'the header has the key "__metadata__" twice'],
    [
      header({ name: '"__proto__"', rest: `,"__proto__":${header().slice(5, -1)}` }),
      'the header has the key "__proto__" twice',
    ],
  ])("a key twice, written the same way or not: %s", (given, message) => {
    refused(file(given, given.includes("U8") ? 4 : 0), message);
  });

  test.each([
    ['{"a":{"shape":[4],"data_offsets":[0,4]}}', 'tensor "a" has no dtype'],
    ['{"a":{"dtype":"U8","data_offsets":[0,4]}}', 'tensor "a" has no shape'],
    ['{"a":{"dtype":"U8","shape":[4]}}', 'tensor "a" has no data_offsets'],
    ['{"a":[]}', 'expected tensor "a", an object, at character 5 of the header, got "["'],
    ['{"a":null}', 'expected tensor "a", an object, at character 5 of the header, got "n"'],
    [
      header({ more: ',"strides":[1]' }),
      'tensor "a" has a field "strides", expected dtype, shape and data_offsets alone',
    ],
    [header({ more: ',"__proto__":{}' }), 'tensor "a" has a field "__proto__"'],
    [
      header({ dtype: "8" }),
      'expected tensor "a": dtype, a string, at character 14 of the header, got "8"',
    ],
    [header({ dtype: '"u8"' }), /tensor "a": dtype must be one of BOOL, F4, .*, U64, got "u8"/],
    [header({ dtype: '"toString"' }), 'got "toString"'],
    [header({ dtype: '"__proto__"' }), 'got "__proto__"'],
    [
      header({ shape: "4" }),
      'expected tensor "a": shape, an array, at character 27 of the header, got "4"',
    ],
    [
      header({ shape: "{}" }),
      'expected tensor "a": shape, an array, at character 27 of the header, got "{"',
    ],
    [
      header({ shape: "[4,]" }),
      'expected tensor "a": a length in its shape, a whole number, at character 30 of the header, got "]"',
    ],
    [
      header({ shape: "[[4]]" }),
      'expected tensor "a": a length in its shape, a whole number, at character 28 of the header, got "["',
    ],
    [
      header({ shape: '["4"]' }),
      'expected tensor "a": a length in its shape, a whole number, at character 28',
    ],
    ...[
      "-4",
      "4.5",
      "4.0",
      "4e0",
      "04",
      "+4",
      "0x4",
      "null",
      "NaN",
      "9007199254740992",
      "1e999",
      "99999999999999999999",
    ].map(
      (length) =>
        [
          header({ shape: `[${length}]` }),
          `tensor "a": a length in its shape must be a whole number below 2^53, got "${length}"`,
        ] as const,
    ),
    [
      header({ offsets: "[0]" }),
      'tensor "a": data_offsets must be a begin and an end, got 1 numbers',
    ],
    [header({ offsets: "[0,4,4]" }), "got 3 numbers"],
    [
      header({ offsets: "[-1,3]" }),
      'tensor "a": a data offset must be a whole number below 2^53, got "-1"',
    ],
    [
      header({ offsets: "[4,0]" }),
      'tensor "a": data_offsets [4, 0] do not lie in the file\'s 4 bytes of data',
    ],
    [
      header({ offsets: "[0,5]", shape: "[5]" }),
      'tensor "a": data_offsets [0, 5] do not lie in the file\'s 4 bytes of data',
    ],
    [
      header({ offsets: "[9007199254740990,9007199254740991]" }),
      "do not lie in the file's 4 bytes",
    ],
    [
      header({ shape: "[5]" }),
      'tensor "a": U8 of shape (5,) takes 5 bytes, got data_offsets [0, 4]',
    ],
    [
      header({ shape: "[0]" }),
      'tensor "a": U8 of shape (0,) takes 0 bytes, got data_offsets [0, 4]',
    ],
    [header({ shape: "[]" }), 'tensor "a": U8 of shape () takes 1 bytes, got data_offsets [0, 4]'],
    [
      header({ dtype: '"F32"', shape: "[2]" }),
      'tensor "a": F32 of shape (2,) takes 8 bytes, got data_offsets [0, 4]',
    ],
    [header({ dtype: '"F4"', shape: "[9]" }), 'tensor "a": F4 of shape (9,) takes 4.5 bytes'],
    [header({ shape: "[9007199254740991,9007199254740991]" }), "takes over 2^50 bytes"],
    [header({ dtype: '"F64"', shape: "[1125899906842624]" }), "takes over 2^50 bytes"],
    [
      header({ shape: "[67108864,67108864,67108864,0]", offsets: "[0,0]" }),
      "takes over 2^50 bytes",
    ],
    [header({ shape: "[1,1,1,1,1,1,1,5]" }), "U8 of shape (1, 1, 1, 1, 1, 1, 1, 5) takes 5 bytes"],
    [
      header({ shape: `[${"1,".repeat(99)}5]` }),
      "U8 of shape (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, …) takes 5 bytes",
    ],
  ] as [string, string | RegExp][])(
    "a tensor with a field that is wrong, missing or unknown: %s",
    (given, message) => {
      refused(file(given, 4), message);
    },
  );

  const b = (offsets: string, shape = "[4]") =>
    `,"b":{"dtype":"U8","shape":${shape},"data_offsets":${offsets}}`;
  test.each([
    [
      header({ rest: b("[0,4]") }),
      4,
      'tensor "b" overlaps the tensor before it: expected its data to begin at 4, got 0',
    ],
    [
      header({ rest: b("[2,6]") }),
      6,
      'tensor "b" overlaps the tensor before it: expected its data to begin at 4, got 2',
    ],
    [
      header({ rest: b("[2,2]", "[0]") }),
      4,
      'tensor "b" overlaps the tensor before it: expected its data to begin at 4, got 2',
    ],
    [
      header({ rest: b("[5,9]") }),
      9,
      'tensor "b" leaves a hole before it: expected its data to begin at 4, got 5',
    ],
    [
      header({ offsets: "[1,5]" }),
      5,
      'tensor "a" leaves a hole before it: expected its data to begin at 0, got 1',
    ],
    [header(), 5, "expected the file to end after 4 bytes of data, got 5"],
    ["{}", 1, "expected the file to end after 0 bytes of data, got 1"],
  ])("data that belongs to two tensors, or to none: %s and %i bytes", (given, bytes, message) => {
    refused(file(given, bytes), message);
  });

  test.each([
    ["null", 'expected __metadata__, an object, at character 16 of the header, got "n"'],
    ["[]", 'expected __metadata__, an object, at character 16 of the header, got "["'],
    ['"pt"', "expected __metadata__, an object, at character 16"],
    [
      '{"k":1}',
      'expected the value of "k" in __metadata__, a string, at character 21 of the header, got "1"',
    ],
    [
      '{"k":null}',
      'expected the value of "k" in __metadata__, a string, at character 21 of the header, got "n"',
    ],
    [
      '{"k":{"a":"b"}}',
      'expected the value of "k" in __metadata__, a string, at character 21 of the header, got "{"',
    ],
    [
      '{"k":"\\udc00"}',
      'the value of "k" in __metadata__ at character 21 of the header is no valid string',
    ],
  ])("metadata that is no map of strings: %s", (given, message) => {
    refused(file(`{"__metadata__":${given}}`), message);
  });

  test("names and numbers of any length, which its message cuts short", () => {
    const long = "x".repeat(100_000);
    refused(file(header({ name: `"${long}"`, shape: "[5]" }), 4), `tensor "${"x".repeat(60)}…"`);
    refused(file(header({ shape: `[${"9".repeat(100_000)}]` }), 4), `got "${"9".repeat(60)}…"`);
    refused(file(header({ dtype: `"${long}"` }), 4), `got "${"x".repeat(60)}…"`);
    refused(file(header({ more: `,"${long}":1` }), 4), `a field "${"x".repeat(60)}…"`);
  });
});

describe("a giant header takes time in proportion to its length, and no stack:", () => {
  // 8 MB each: a scanner that were quadratic would take minutes and run into the tests' time limit,
  // one that recursed would overflow. It takes 0.2 s at most.
  const MB8 = 8_000_000;
  test.each([
    ["brackets", "[".repeat(MB8)],
    ["objects in objects", '{"a":'.repeat(MB8 / 5)],
    ["brackets for a dtype", `{"a":{"dtype":${"[".repeat(MB8)}`],
    ["brackets for metadata", `{"__metadata__":{"a":${"[".repeat(MB8)}`],
    ["one string without an end", `{"${"a".repeat(MB8)}`],
    ["one string of escapes", `{"${"\\n".repeat(MB8 / 2)}":1}`],
    ["one number", `{"a":{"shape":[${"9".repeat(MB8)}]}}`],
    ["white space", `{${" ".repeat(MB8)}`],
    ["the same key again and again", `{"__metadata__":{${'"a":"",'.repeat(MB8 / 7)}`],
    ["a shape of ones, with no end", `{"a":{"shape":[${"1,".repeat(MB8 / 2)}`],
    ["zero-length offsets", `{"a":{"data_offsets":[${"0,".repeat(MB8 / 2)}0]}}`],
    [
      "many tensors without fields",
      `{${Array.from({ length: 500_000 }, (_, i) => `"${i}":{}`).join()}}`,
    ],
  ])("%s", (_, given) => {
    const bytes = file(given);
    expect(() => readSafetensors(bytes)).toThrow(FormatError);
  });

  test("100,000 tensors in any order are read", () => {
    const entries = Array.from({ length: 100_000 }, (_, i) => {
      const at = (i * 7919) % 100_000;
      return `"t${i}":{"dtype":"U8","shape":[1],"data_offsets":[${at},${at + 1}]}`;
    });
    const bytes = file(`{${entries.join()}}`, 100_000);
    expect(readSafetensors(bytes).tensors.size).toBe(100_000);
  });
});

describe("copyTo", () => {
  const entryOf = (dtype: SafetensorsDType, data: ArrayBufferView, shape: number[]) =>
    readSafetensors(writeSafetensors({ x: { dtype, shape, data } })).tensors.get("x")!;

  test("into another length is a ShapeError with both sizes", () => {
    const entry = entryOf("F32", new Float32Array(6), [2, 3]);
    for (const length of [0, 5, 7]) {
      expect(() => entry.copyTo(new Float64Array(length))).toThrow(ShapeError);
      expect(() => entry.copyTo(new Float64Array(length))).toThrow(
        `copyTo: target has ${length} elements but shape (2, 3) holds 6`,
      );
    }
  });

  test.each([
    undefined,
    null,
    [0],
    new Uint8Array(1),
    new Float32Array(1).buffer,
    new DataView(new ArrayBuffer(4)),
  ])("into %o is a TypeError", (target) => {
    const entry = entryOf("F32", new Float32Array(1), [1]);
    expect(() => entry.copyTo(target as never)).toThrow(TypeError);
    expect(() => entry.copyTo(target as never)).toThrow(
      "copyTo: target must be a Float32Array, Float64Array or Int32Array",
    );
  });

  test.each(["F64", "F32", "F16", "BF16"] as const)("of %s into int32 is a DTypeError", (dtype) => {
    const entry = entryOf(dtype, new Uint8Array(bitsOf[dtype]! / 8), [1]);
    const message = `${dtype} holds fractions, expected float32 or float64, got int32`;
    expect(() => entry.copyTo(new Int32Array(1))).toThrow(DTypeError);
    expect(() => entry.copyTo(new Int32Array(1))).toThrow(`copyTo: ${message}`);
    expect(() => entry.toTypedArray("int32")).toThrow(`toTypedArray: ${message}`);
  });

  test.each([
    "F4",
    "F6_E2M3",
    "F6_E3M2",
    "F8_E5M2",
    "F8_E4M3",
    "F8_E8M0",
    "F8_E4M3FNUZ",
    "F8_E5M2FNUZ",
    "C64",
  ] as const)("of %s is a DTypeError: there is only its data", (dtype) => {
    const entry = entryOf(dtype, new Uint8Array(bitsOf[dtype]!), [8]);
    for (const call of [() => entry.toTypedArray(), () => entry.copyTo(new Float32Array(8))]) {
      expect(call).toThrow(DTypeError);
      expect(call).toThrow(
        `expected one of BOOL, U8, I8, I16, U16, F16, BF16, I32, U32, F32, F64, I64, U64, got ${dtype}`,
      );
    }
    expect(entry.data).toEqual(new Uint8Array(bitsOf[dtype]!));
  });

  test("of a whole number that does not fit is a RangeError with its place, and the target stays as it was", () => {
    const size = 5000;
    const big = new BigInt64Array(size).fill(1n);
    const unsigned = new Uint32Array(size).fill(1);
    for (const [entry, target, message] of [
      [
        entryOf("U32", unsigned.fill(2 ** 31, 4999), [size]),
        new Int32Array(size),
        "element 4999 is 2147483648, expected a whole number in [-2147483648, 2147483648) for dtype int32",
      ],
      [
        entryOf("I64", big.fill(-(2n ** 31n) - 1n, 4998), [size]),
        new Int32Array(size),
        "element 4998 is -2147483649",
      ],
      [
        entryOf("I64", big.fill(2n ** 53n, 4997), [size]),
        new Float64Array(size),
        "element 4997 is 9007199254740992, expected a whole number between -2^53 and 2^53",
      ],
      [
        entryOf("U64", new Uint8Array(big.fill(-1n, 4996).buffer), [size]),
        new Float32Array(size),
        "element 4996 is 18446744073709551615",
      ],
    ] as const) {
      target.fill(7);
      expect(() => entry.copyTo(target)).toThrow(RangeError);
      expect(() => entry.copyTo(target)).toThrow(`copyTo: ${message}`);
      expect(target.every((value) => value === 7)).toBe(true);
    }
  });

  test("toTypedArray names the three dtypes that it knows", () => {
    const entry = entryOf("F32", new Float32Array(1), [1]);
    for (const dtype of ["F32", "float16", "toString", null, 1]) {
      expect(() => entry.toTypedArray(dtype as never)).toThrow(DTypeError);
      expect(() => entry.toTypedArray(dtype as never)).toThrow(
        'toTypedArray: dtype must be "float32", "float64" or "int32", got',
      );
    }
  });
});

describe("writeSafetensors", () => {
  const one: SafetensorsData = { dtype: "U8", shape: [1], data: Uint8Array.of(1) };

  test("puts data at multiples of its item's size, from 8 bytes to 1, and spaces before it", () => {
    for (let length = 1; length < 20; length++) {
      const name = "n".repeat(length);
      const bytes = writeSafetensors({
        [name]: one,
        a: { dtype: "F64", shape: [1], data: Float64Array.of(1) },
        b: { dtype: "F16", shape: [1], data: Uint16Array.of(1) },
      });
      expect(headerOf(bytes)).toMatch(/^\{.*\} {0,7}$/);
      for (const entry of readSafetensors(bytes).tensors.values()) {
        expect(entry.data.byteOffset % (bitsOf[entry.dtype]! / 8)).toBe(0);
      }
      expect(headerOf(bytes).length % 8).toBe(0);
    }
  });

  test("gives the same bytes for metadata and tensors in whatever order and form", () => {
    const tensors: [string, SafetensorsData][] = [
      ["b", one],
      ["a", one],
      ["10", one],
      ["9", one],
    ];
    const metadata: [string, string][] = [
      ["z", "1"],
      ["a", "2"],
      ["10", "3"],
      ["9", "4"],
    ];
    const expected = text(writeSafetensors(tensors, metadata));
    expect(expected).toContain('{"__metadata__":{"10":"3","9":"4","a":"2","z":"1"},"10":{');
    for (const form of [
      new Map(tensors),
      Object.fromEntries(tensors),
      tensors.toReversed(),
      tensors.values(),
    ]) {
      for (const strings of [
        new Map(metadata),
        Object.fromEntries(metadata),
        metadata.toReversed(),
        metadata.values(),
      ]) {
        // An iterator serves once.
        const again =
          Symbol.iterator in form && !Array.isArray(form) && !(form instanceof Map)
            ? tensors
            : form;
        expect(text(writeSafetensors(again as typeof tensors, strings as typeof metadata))).toBe(
          expected,
        );
      }
    }
  });

  test("sorts names by their bytes in UTF-8, a name before what begins with it", () => {
    const names = ["a", "a\0", "a\0\0", "a\u0001", "a\uff5e", "a😀", "a\uff5f", "b", ""];
    const sorted = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    for (const given of [names, names.toReversed()]) {
      const bytes = writeSafetensors(given.map((name) => [name, one]));
      expect([...readSafetensors(bytes).tensors.keys()]).toEqual(sorted);
    }
  });

  test("without metadata writes none", () => {
    expect(headerOf(writeSafetensors({})).trimEnd()).toBe("{}");
  });

  test("writes a header of 100 MB, and refuses a longer one, which nobody would read", () => {
    const written = (length: number) =>
      writeSafetensors({}, { k: "x".repeat(length - '{"__metadata__":{"k":""}}'.length) });
    expect(written(100_000_000).length).toBe(8 + 100_000_000);
    expect(() => written(100_000_001)).toThrow(
      new RangeError(
        "writeSafetensors: expected a header of at most 100000000 bytes, got 100000008",
      ),
    );
  });

  test("takes float32, float64 and int32 as dtypes too, and typed arrays anywhere in a buffer", () => {
    const data = Float64Array.of(0, 1, 2, 3).subarray(1, 3);
    const bytes = writeSafetensors({ x: { dtype: "float64", shape: [2], data } });
    expect(readSafetensors(bytes).tensors.get("x")).toMatchObject({ dtype: "F64", shape: [2] });
    expect(readSafetensors(bytes).tensors.get("x")!.toTypedArray()).toEqual(Float64Array.of(1, 2));
  });

  test("reads a tensor's data after the last one was made, so that memory may grow meanwhile", () => {
    const runtime = createRuntimeSync({ initialMemory: 65536 });
    function* growing(): Generator<[string, SafetensorsData]> {
      yield ["a", runtime.full([100], 1)];
      yield ["b", runtime.full([2_000_000], 2)];
    }
    const { tensors } = readSafetensors(writeSafetensors(growing()));
    expect(tensors.get("a")!.toTypedArray()).toEqual(new Float32Array(100).fill(1));
  });

  test.each([
    [
      [
        ["a", one],
        ["a", one],
      ],
      RangeError,
      `tensor's name "a" is taken already`,
    ],
    [[["__metadata__", one]], RangeError, `tensor's name "__metadata__" is taken already`],
    [[["\ud800", one]], RangeError, `tensor's name "\\ud800" is no well-formed string`],
    [[[1, one]], TypeError, "a tensor's name must be a string, got 1"],
    [[["a", null]], TypeError, 'tensor "a" must have dtype, shape and data, got null'],
    [[["a", 5]], TypeError, 'tensor "a" must have dtype, shape and data, got 5'],
    [null, TypeError, "tensors must be pairs, a Map or an object, got null"],
    [
      { a: { ...one, dtype: "float16" } },
      DTypeError,
      /tensor "a": dtype must be one of BOOL, .*, got "float16"/,
    ],
    [{ a: { ...one, dtype: "toString" } }, DTypeError, 'got "toString"'],
    [{ a: { ...one, dtype: undefined } }, DTypeError, "got undefined"],
    [{ a: { ...one, dtype: ["U8"] } }, DTypeError, "dtype must be one of BOOL"],
    [
      { a: { ...one, dtype: "F32" } },
      ShapeError,
      'tensor "a": F32 of shape (1,) takes 4 bytes but data has 1',
    ],
    [
      { a: { ...one, dtype: "F4" } },
      ShapeError,
      'tensor "a": F4 of shape (1,) takes 0.5 bytes but data has 1',
    ],
    [
      { a: { ...one, shape: [2] } },
      ShapeError,
      'tensor "a": U8 of shape (2,) takes 2 bytes but data has 1',
    ],
    [
      { a: { ...one, shape: [-1] } },
      ShapeError,
      'tensor "a": shape must hold whole numbers from 0 up, got (-1)',
    ],
    [{ a: { ...one, shape: undefined } }, ShapeError, 'tensor "a": shape must be an array'],
    [
      { a: { ...one, shape: [2 ** 40, 2 ** 40, 0], data: new Uint8Array() } },
      ShapeError,
      "takes over 2^50 bytes but data has 0",
    ],
    [
      { a: { ...one, shape: [0, 2 ** 60], data: new Uint8Array() } },
      ShapeError,
      "takes over 2^50 bytes but data has 0",
    ],
    [{ a: { ...one, data: [1] } }, TypeError, 'tensor "a": data must be a typed array, got [1]'],
    [
      { a: { ...one, data: Int8Array.of(1) } },
      DTypeError,
      'tensor "a": U8 takes a Uint8Array or bytes, got a Int8Array',
    ],
    [
      { a: { ...one, dtype: "float32", data: Int32Array.of(1) } },
      DTypeError,
      'tensor "a": F32 takes a Float32Array or bytes, got a Int32Array',
    ],
    [
      { a: { ...one, dtype: "F8_E4M3", data: Int8Array.of(1) } },
      DTypeError,
      "F8_E4M3 takes a Uint8Array or bytes, got a Int8Array",
    ],
  ])("refuses what it could not read again: case %#", (tensors, error, message) => {
    expect(() => writeSafetensors(tensors as never)).toThrow(error);
    expect(() => writeSafetensors(tensors as never)).toThrow(message);
    expect(() => writeSafetensors(tensors as never)).toThrow(/^writeSafetensors: /);
  });

  test.each([
    [
      [
        ["a", "1"],
        ["a", "2"],
      ],
      RangeError,
      'key of the metadata "a" is taken already',
    ],
    [{ a: 1 }, TypeError, 'a value of "a" in the metadata must be a string, got 1'],
    [
      { a: "\udfff" },
      RangeError,
      'value of "a" in the metadata "\\udfff" is no well-formed string',
    ],
    [{ "\udfff": "a" }, RangeError, 'key of the metadata "\\udfff" is no well-formed string'],
    ["pt", TypeError, 'metadata must be pairs, a Map or an object, got "pt"'],
    [null, TypeError, "metadata must be pairs, a Map or an object, got null"],
  ])("refuses metadata that is no map of strings: case %#", (metadata, error, message) => {
    expect(() => writeSafetensors([], metadata as never)).toThrow(error);
    expect(() => writeSafetensors([], metadata as never)).toThrow(message);
  });
});

test("a fault that is none of the file's is passed on, rather than called a FormatError", () => {
  const bytes = writeSafetensors([["x", { dtype: "U8", shape: [1], data: Uint8Array.of(1) }]]);
  const fault = new ReferenceError("x is not defined");
  const parse = vi.spyOn(JSON, "parse").mockImplementation(() => {
    throw fault;
  });
  try {
    expect(() => readSafetensors(bytes)).toThrow(fault);
  } finally {
    parse.mockRestore();
  }
});
