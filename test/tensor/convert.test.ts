import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import {
  createRuntimeSync,
  type DType,
  DTypeError,
  type NestedArray,
  type NumberArray,
  ShapeError,
} from "../../src/index.ts";

const runtime = createRuntimeSync();
const constructors = { float32: Float32Array, float64: Float64Array, int32: Int32Array };

/** Data of any kind, which a test may get wrong. */
function convert(data: unknown, shape?: unknown, dtype?: unknown) {
  return runtime.tensor(data as NestedArray, shape as number[] | undefined, dtype as DType);
}

/** Checks that data is refused: an error of this class with this message, and nothing allocated. */
function refused(
  error: new (...args: never[]) => Error,
  message: string | RegExp,
  ...given: [data: unknown, shape?: unknown, dtype?: unknown]
): void {
  const before = runtime.memory;
  expect(() => convert(...given)).toThrow(error);
  expect(() => convert(...given)).toThrow(message);
  expect(runtime.memory).toEqual(before);
}

describe("a typed array", () => {
  test.each(["float32", "float64", "int32"] as const)("of %s keeps its dtype", (dtype) => {
    const data = constructors[dtype].of(1, -2, 3);
    const tensor = runtime.tensor(data);
    expect(tensor.dtype).toBe(dtype);
    expect(tensor.shape).toEqual([3]);
    expect(tensor.data).toEqual(data);
  });

  test.each([
    Int8Array.of(-128, 127),
    Uint8Array.of(0, 255),
    Uint8ClampedArray.of(0, 255),
    Int16Array.of(-32768, 32767),
    Uint16Array.of(0, 65535),
    Uint32Array.of(0, 2 ** 24),
  ])("of another kind becomes float32: $constructor.name", (data) => {
    const tensor = runtime.tensor(data);
    expect(tensor.dtype).toBe("float32");
    expect(Array.from(tensor.data)).toEqual(Array.from<number>(data));
  });

  test("whose buffer is gone is a TypeError that says why, and nothing is made", () => {
    const message = "tensor: data's buffer is gone: transferred, or a tensor's before memory grew";
    const sent = Float32Array.of(1, 2);
    structuredClone(sent.buffer, { transfer: [sent.buffer] });
    refused(TypeError, message, sent);
    refused(TypeError, message, sent, [0]);
    const grown = createRuntimeSync();
    const view = grown.tensor([1, 2]).data;
    grown.zeros([2 ** 20]);
    refused(TypeError, message, view);
    grown.dispose();
  });

  test("is taken into the dtype that is named, rounded once", () => {
    const wide = Float64Array.of(0.1, 1e300, -(2 ** -1074));
    expect(runtime.tensor(wide, undefined, "float32").data).toEqual(Float32Array.from(wide));
    const narrow = Float32Array.of(0.1, 3);
    expect(runtime.tensor(narrow, [2, 1], "float64").data).toEqual(Float64Array.from(narrow));
    expect(runtime.tensor(Int32Array.of(1, 2), [2], "float64").dtype).toBe("float64");
    expect(runtime.tensor(Uint8Array.of(1, 2), [2], "int32").data).toEqual(Int32Array.of(1, 2));
  });

  test("is taken from where it lies in its buffer, and not beyond its end", () => {
    const part = Float64Array.of(1, 2, 3, 4, 5).subarray(1, 4);
    expect(runtime.tensor(part).data).toEqual(Float64Array.of(2, 3, 4));
  });

  test("is copied: later writes into it or into the tensor do not reach the other", () => {
    const data = Float32Array.of(1, 2);
    const tensor = runtime.tensor(data);
    data[0] = 10;
    tensor.data[1] = 20;
    expect(tensor.data).toEqual(Float32Array.of(1, 20));
    expect(data).toEqual(Float32Array.of(10, 2));
  });

  test("that is a view of the runtime's own memory is read though the copy makes the memory grow, which ends it", () => {
    const own = createRuntimeSync({ initialMemory: 65536 });
    const x = own.tensor(Array.from({ length: 9000 }, (_, i) => i));
    const part = x.data.subarray(1);
    const copy = own.tensor(part);
    expect(part.length).toBe(0);
    expect(copy.data).toEqual(x.data.subarray(1));
    expect([copy.data[0], copy.data[8998]]).toEqual([1, 8999]);
  });

  test("of another realm keeps its dtype too", () => {
    const foreign: Int32Array = runInNewContext("Int32Array.of(1, 2, 3)");
    expect(foreign instanceof Int32Array).toBe(false);
    const tensor = runtime.tensor(foreign);
    expect([tensor.dtype, ...tensor.data]).toEqual(["int32", 1, 2, 3]);
  });

  test("keeps NaN, infinities, zeros of both signs and the smallest numbers", () => {
    const data = [NaN, Infinity, -Infinity, 0, -0, 2 ** -149, -(2 ** -149)];
    expect(runtime.tensor(Float32Array.from(data)).data).toEqual(Float32Array.from(data));
    expect(runtime.tensor(Float64Array.from(data)).data).toEqual(Float64Array.from(data));
    expect(runtime.tensor(data).data).toEqual(Float32Array.from(data));
    expect(runtime.tensor(data, [7], "float64").data).toEqual(Float64Array.from(data));
  });

  test("of big integers, and a DataView, are a TypeError", () => {
    for (const [data, name] of [
      [BigInt64Array.of(1n), "BigInt64Array"],
      [BigUint64Array.of(1n), "BigUint64Array"],
      [new DataView(new ArrayBuffer(8)), "DataView"],
    ] as const) {
      refused(
        TypeError,
        `tensor: data must be a typed array of numbers or an array, got ${name}`,
        data,
      );
    }
  });
});

describe("arrays", () => {
  test.each<[NumberArray | NestedArray, number[], number[]]>([
    [[], [0], []],
    [[5], [1], [5]],
    [[1, 2, 3], [3], [1, 2, 3]],
    [[[1, 2, 3]], [1, 3], [1, 2, 3]],
    [
      [[1], [2], [3]],
      [3, 1],
      [1, 2, 3],
    ],
    [
      [
        [
          [1, 2],
          [3, 4],
          [5, 6],
        ],
      ],
      [1, 3, 2],
      [1, 2, 3, 4, 5, 6],
    ],
    [[[]], [1, 0], []],
    [[[], []], [2, 0], []],
    [[[[]], [[]]], [2, 1, 0], []],
  ])("%j have shape %j and are float32", (data, shape, values) => {
    const tensor = runtime.tensor(data);
    expect([tensor.dtype, tensor.shape, tensor.size]).toEqual(["float32", shape, values.length]);
    expect(Array.from(tensor.data)).toEqual(values);
  });

  test("may be given another shape of as many elements, rank 0 among them", () => {
    const nested = [
      [1, 2, 3],
      [4, 5, 6],
    ];
    for (const shape of [[6], [3, 2], [1, 6, 1], [2, 1, 3]]) {
      const tensor = runtime.tensor(nested, shape);
      expect(tensor.shape).toEqual(shape);
      expect(Array.from(tensor.data)).toEqual([1, 2, 3, 4, 5, 6]);
    }
    const scalar = runtime.tensor([7], []);
    expect([scalar.shape, scalar.size, scalar.item()]).toEqual([[], 1, 7]);
    expect(runtime.tensor([], [3, 0, 2]).size).toBe(0);
  });

  test("are left as they are", () => {
    const data = Object.freeze([Object.freeze([1, 2]), Object.freeze([3, 4])]);
    const shape = Object.freeze([4]);
    expect(Array.from(runtime.tensor(data, shape).data)).toEqual([1, 2, 3, 4]);
  });

  test("of 300 000 rows are taken without a deep stack", () => {
    const data = Array.from({ length: 300_000 }, (_, i) => [i]);
    const tensor = runtime.tensor(data);
    expect([tensor.shape, tensor.data[299_999]]).toEqual([[300_000, 1], 299_999]);
    tensor.dispose();
  });

  test.each([
    [[[1, 2], [3]], "data[1] should be 2 entries, got 1"],
    [
      [
        [1, 2],
        [3, 4, 5],
      ],
      "data[1] should be 2 entries, got 3",
    ],
    [[[1], []], "data[1] should be 1 entries, got 0"],
    [[[], [1]], "data[1] should be 0 entries, got 1"],
    [[1, [2]], "data[1] should be a number, got an array"],
    [[[1, 2], 3], "data[1] should be 2 entries, got 3"],
    [
      [
        [[1], [2]],
        [[3], 4],
      ],
      "data[1][1] should be 1 entries, got 4",
    ],
    [
      [
        [[1], [2]],
        [[3], [[4]]],
      ],
      "data[1][1][0] should be a number, got an array",
    ],
    [[[1], null], "data[1] should be 1 entries, got null"],
    // biome-ignore lint/suspicious/noSparseArray: a hole is what is tried
    [[[1], , [2]], "data[1] should be 1 entries, got undefined"],
  ])("that are ragged are a ShapeError with the place: %j", (data, message) => {
    refused(ShapeError, `tensor: nested arrays are ragged: ${message}`, data);
  });

  test.each([
    [[1, null], "data[1] must be a number, got null"],
    [[1, undefined], "data[1] must be a number, got undefined"],
    // biome-ignore lint/suspicious/noSparseArray: a hole is what is tried
    [[1, , 3], "data[1] must be a number, got undefined"],
    [new Array(2), "data[0] must be a number, got undefined"],
    [["1"], "data[0] must be a number, got string"],
    [[1, true], "data[1] must be a number, got boolean"],
    [[1n], "data[0] must be a number, got bigint"],
    [[[1, {}]], "data[0][1] must be a number, got Object"],
    [[[1], ["a"]], "data[1][0] must be a number, got string"],
    [[() => 1], "data[0] must be a number, got function"],
  ])(
    "with something that is no number are a TypeError with its place: case %#",
    (data, message) => {
      refused(TypeError, `tensor: ${message}`, data);
    },
  );

  test("that hold themselves are refused", () => {
    const cyclic: unknown[] = [1];
    cyclic[1] = cyclic;
    refused(ShapeError, "data[1] should be a number, got an array", cyclic);
    cyclic[0] = cyclic;
    refused(ShapeError, "tensor: data is nested more than 64 arrays deep", cyclic);
  });

  test("may be nested 64 deep, and no deeper", () => {
    const nested = (depth: number) => {
      let data: NestedArray = [1, 2];
      for (let i = 1; i < depth; i++) data = [data];
      return data;
    };
    expect(runtime.tensor(nested(64)).shape).toEqual([...new Array(63).fill(1), 2]);
    for (const depth of [65, 100_000]) {
      refused(ShapeError, "tensor: data is nested more than 64 arrays deep", nested(depth));
    }
  });
});

describe("anything else as data", () => {
  test.each([
    [undefined, "undefined"],
    [null, "null"],
    [5, "number"],
    ["12", "string"],
    [{ length: 1, 0: 5 }, "Object"],
    [new Set([1]), "Set"],
    [new ArrayBuffer(8), "ArrayBuffer"],
    [() => [1], "function"],
    [Promise.resolve([1]), "a Promise: await it"],
  ])("%o is a TypeError that names what it is", (data, name) => {
    refused(
      TypeError,
      `tensor: data must be a typed array of numbers or an array, got ${name}`,
      data,
    );
  });
});

describe("the shape", () => {
  test.each([
    [[1, 2, 3], [2], "shape (2,) holds 2 elements but data has 3"],
    [[1, 2, 3], [2, 2], "shape (2, 2) holds 4 elements but data has 3"],
    [[1, 2], [], "shape () holds 1 elements but data has 2"],
    [[], [], "shape () holds 1 elements but data has 0"],
    [[1], [0], "shape (0,) holds 0 elements but data has 1"],
    [Float64Array.of(1, 2), [3, 1], "shape (3, 1) holds 3 elements but data has 2"],
    [[[1, 2]], [2, 2], "shape (2, 2) holds 4 elements but data has 2"],
  ])("of %o as %j is a ShapeError with both sizes", (data, shape, message) => {
    refused(ShapeError, `tensor: ${message}`, data, shape);
    expect(ShapeError.prototype).toBeInstanceOf(RangeError);
  });

  test.each([
    [[-1], "(-1)"],
    [[1, 0.5], "(1, 0.5)"],
    [[NaN], "(NaN)"],
    [[Infinity], "(Infinity)"],
    [["1"], '("1")'],
    [[null], "(null)"],
    [[[1]], "([1])"],
    [new Array(1), "(undefined)"],
  ])("%o is a ShapeError", (shape, given) => {
    refused(
      ShapeError,
      `tensor: shape must hold whole numbers from 0 up, got ${given}`,
      [1],
      shape,
    );
  });

  test.each([[null], [1], ["1"], [{ length: 1, 0: 1 }], [Int32Array.of(1)]])(
    "%o, which is no array, is a ShapeError",
    (shape) => {
      refused(ShapeError, "tensor: shape must be an array of whole numbers, got", [1], shape);
    },
  );

  test("is a copy that nobody can change", () => {
    const shape = [2, 3];
    const tensor = runtime.zeros(shape);
    shape[0] = 9;
    expect(tensor.shape).toEqual([2, 3]);
    expect(Object.isFrozen(tensor.shape)).toBe(true);
    expect(Object.isFrozen(runtime.tensor([[1]]).shape)).toBe(true);
    expect(Object.isFrozen(tensor.reshape([6]).shape)).toBe(true);
  });
});

describe("int32", () => {
  const LIMIT = 2 ** 31;

  test("takes whole numbers from −2³¹ to 2³¹ − 1", () => {
    const data = [-LIMIT, -1, 0, -0, 1, LIMIT - 1];
    expect(runtime.tensor(data, [6], "int32").data).toEqual(Int32Array.from(data));
    expect(runtime.tensor(Float64Array.from(data), [6], "int32").data).toEqual(
      Int32Array.from(data),
    );
  });

  test.each([
    [[0, 1.5], "data[1] is 1.5"],
    [[0, 1, NaN], "data[2] is NaN"],
    [[Infinity], "data[0] is Infinity"],
    [[LIMIT], "data[0] is 2147483648"],
    [[-LIMIT - 1], "data[0] is -2147483649"],
    [Float32Array.of(1, 0.5), "data[1] is 0.5"],
    [Uint32Array.of(1, 2 ** 31), "data[1] is 2147483648"],
  ])("of %o is a RangeError with the index and the value", (data, message) => {
    const expected = "expected a whole number in [-2147483648, 2147483648) for dtype int32";
    refused(RangeError, `tensor: ${message}, ${expected}`, data, undefined, "int32");
  });

  test("names the place of a wrong number in nested arrays as all other errors do", () => {
    refused(
      RangeError,
      "tensor: data[1][1] is 1.5",
      [
        [1, 2],
        [3, 1.5],
      ],
      undefined,
      "int32",
    );
  });
});

describe("the dtype", () => {
  test.each(["float16", "", "Float32", "toString", "__proto__"])(
    "%o is a DTypeError with the three there are",
    (dtype) => {
      refused(
        DTypeError,
        `tensor: dtype must be "float32", "float64" or "int32", got "${dtype}"`,
        [1],
        undefined,
        dtype,
      );
      expect(DTypeError.prototype).toBeInstanceOf(TypeError);
    },
  );

  test.each([[null], [32], [{}], [["float32"]], [Float32Array]])("%o is a DTypeError", (dtype) => {
    refused(DTypeError, 'tensor: dtype must be "float32", "float64" or "int32"', [1], [1], dtype);
  });
});
