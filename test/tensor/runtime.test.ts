import { describe, expect, test } from "vitest";
import {
  affineBackward,
  affineForward,
  type BatchnormParam,
  batchnormForward,
  createRuntime,
  createRuntimeSync,
  DisposedError,
  type DType,
  DTypeError,
  dropoutForward,
  numericalGradient,
  type Runtime,
  RuntimeMismatchError,
  reluBackward,
  reluForward,
  ShapeError,
  softmaxLoss,
} from "../../src/index.ts";
import type { LamellaRuntime } from "../../src/tensor/runtime.ts";

const dtypes = ["float32", "float64", "int32"] as const;
const itemSize = { float32: 4, float64: 8, int32: 4 };
const fills = {
  zeros: (runtime: Runtime, shape: readonly number[], dtype?: DType) => runtime.zeros(shape, dtype),
  ones: (runtime: Runtime, shape: readonly number[], dtype?: DType) => runtime.ones(shape, dtype),
  full: (runtime: Runtime, shape: readonly number[], dtype?: DType) =>
    runtime.full(shape, -7, dtype),
};
const filled = { zeros: 0, ones: 1, full: -7 };
const names = ["zeros", "ones", "full"] as const;

describe.each(names)("%s", (name) => {
  const runtime = createRuntimeSync();
  const make = (shape: unknown, dtype?: unknown) =>
    fills[name](runtime, shape as number[], dtype as DType);

  test.each(dtypes)("gives every shape its value in %s, over whatever the memory held", (dtype) => {
    runtime.scope(() => runtime.full([1000], NaN));
    for (const shape of [[], [1], [7], [0], [3, 0, 2], [2, 3, 4], [1, 1, 1, 1, 1, 5]]) {
      const size = shape.reduce((a, b) => a * b, 1);
      const tensor = make(shape, dtype);
      expect([tensor.shape, tensor.size, tensor.dtype]).toEqual([shape, size, dtype]);
      expect(Array.from(tensor.data)).toEqual(Array(size).fill(filled[name]));
    }
  });

  test("is float32 unless said", () => {
    expect(make([2]).dtype).toBe("float32");
    expect(make([2], undefined).dtype).toBe("float32");
  });

  test("refuses a wrong shape or dtype by its own name, and allocates nothing", () => {
    const before = runtime.memory;
    for (const shape of [[-1], [1.5], [NaN], ["2"], 2, null, undefined, "2", Int32Array.of(2)]) {
      expect(() => make(shape)).toThrow(ShapeError);
      expect(() => make(shape)).toThrow(new RegExp(`^${name}: shape must (be|hold)`));
    }
    for (const dtype of ["float16", "", 5, {}]) {
      expect(() => make([2], dtype)).toThrow(DTypeError);
      expect(() => make([2], dtype)).toThrow(new RegExp(`^${name}: dtype must be "float32"`));
    }
    expect(runtime.memory).toEqual(before);
  });

  test("refuses null as a dtype, as `tensor` does", () => {
    expect(() => make([2], null)).toThrow(DTypeError);
  });
});

describe("full", () => {
  const runtime = createRuntimeSync();
  const full = (value: unknown, dtype?: DType) => runtime.full([2], value as number, dtype);

  test("takes any number in a floating dtype", () => {
    for (const value of [NaN, Infinity, -Infinity, -0, 1e300, 2 ** -1074]) {
      expect(full(value, "float64").data).toEqual(Float64Array.of(value, value));
      expect(full(value).data).toEqual(Float32Array.of(value, value));
    }
  });

  test("takes the whole range of int32", () => {
    for (const value of [-(2 ** 31), 2 ** 31 - 1]) {
      expect(full(value, "int32").data).toEqual(Int32Array.of(value, value));
    }
  });

  test("refuses a value that its dtype cannot hold", () => {
    const before = runtime.memory;
    for (const value of [1.5, NaN, 2 ** 31, -(2 ** 31) - 1]) {
      expect(() => full(value, "int32")).toThrow(RangeError);
      expect(() => full(value, "int32")).toThrow(String(value));
    }
    expect(runtime.memory).toEqual(before);
  });

  test.each([undefined, null, "5", true, 5n, {}])("refuses %o as a value", (value) => {
    expect(() => full(value)).toThrow(TypeError);
    expect(() => full(value)).toThrow(/^full: /);
  });

  test.each([[[5]], [[]], [[[1, 2]]]])("refuses an array as a value: %j", (value) => {
    expect(() => full(value)).toThrow(TypeError);
    expect(() => full(value, "int32")).toThrow(TypeError);
  });

  test("calls its argument by its name", () => {
    expect(() => full("5")).toThrow(/^full: value /);
    expect(() => full(1.5, "int32")).toThrow(/^full: value /);
  });
});

describe("memory", () => {
  test("a fresh runtime holds nothing but what it reserved", () => {
    for (const initialMemory of [65536, 2 ** 20, 5 * 2 ** 20]) {
      const runtime = createRuntimeSync({ initialMemory });
      expect(runtime.memory).toEqual({
        bytesLive: 0,
        bytesPeak: 0,
        bytesReserved: initialMemory,
        tensors: 0,
      });
    }
  });

  test("counts every handle, and bytes rounded up to 64", () => {
    const runtime = createRuntimeSync();
    let bytes = 0;
    let tensors = 0;
    for (const dtype of dtypes) {
      for (const n of [1, 8, 16, 17, 1000]) {
        runtime.zeros([n], dtype);
        bytes += Math.ceil((n * itemSize[dtype]) / 64) * 64;
        expect(runtime.memory.bytesLive).toBe(bytes);
        expect(runtime.memory.tensors).toBe(++tensors);
      }
    }
    const blocks = () => [...(runtime as LamellaRuntime).linear.blocks()].length;
    const before = blocks();
    runtime.zeros([0]);
    expect(runtime.memory).toMatchObject({ bytesLive: bytes, tensors: tensors + 1 });
    expect(blocks()).toBe(before);
  });

  test("counts a cache's handles on its operands, which take no bytes of their own", () => {
    const runtime = createRuntimeSync();
    const [x, w, b] = [runtime.ones([4, 3]), runtime.ones([3, 2]), runtime.ones([2])];
    expect(runtime.memory).toMatchObject({ bytesLive: 3 * 64, tensors: 3 });
    const { out, cache } = affineForward(x, w, b);
    expect(runtime.memory).toMatchObject({ bytesLive: 4 * 64, tensors: 7 });
    for (const tensor of [x, w, b]) tensor.dispose();
    expect(runtime.memory).toMatchObject({ bytesLive: 4 * 64, tensors: 4 });
    out.dispose();
    cache.dispose();
    expect(runtime.memory).toMatchObject({ bytesLive: 0, tensors: 0 });
  });

  test("has a peak that counts workspaces and stays", () => {
    const runtime = createRuntimeSync();
    runtime.random(0); // its state passes through a workspace
    const { bytesPeak } = runtime.memory;
    expect(bytesPeak).toBeGreaterThan(2496);
    expect(runtime.memory.bytesLive).toBe(0);
    runtime.zeros([10_000]).dispose();
    expect(runtime.memory.bytesPeak).toBe(40_000);
    runtime.zeros([100]);
    expect(runtime.memory.bytesPeak).toBe(40_000);
  });

  test("stays the same over any number of training steps in scopes", () => {
    const runtime = createRuntimeSync();
    const random = runtime.random(1);
    const [x, w, b, g] = [random.randn(9, 5), random.randn(5, 4), random.randn(4), random.randn(4)];
    const bnParam: BatchnormParam<"float64"> = { mode: "train" };
    const step = () =>
      runtime.scope(() => {
        const affine = affineForward(x, w, b);
        const norm = batchnormForward(affine.out, g, b, bnParam);
        const relu = reluForward(norm.out);
        const dropout = dropoutForward(relu.out, { p: 0.5, mode: "train" });
        const { dx } = softmaxLoss(dropout.out, Array(9).fill(1));
        affineBackward(reluBackward(dx, relu.cache), affine.cache);
      });
    step();
    const first = runtime.memory;
    for (let i = 0; i < 200; i++) step();
    expect(runtime.memory).toEqual(first);
  });

  test("is a picture of its moment", () => {
    const runtime = createRuntimeSync();
    const before = runtime.memory;
    runtime.zeros([100]);
    expect(before.tensors).toBe(0);
  });
});

describe("two runtimes", () => {
  test("have memories of their own", async () => {
    const [a, b] = [await createRuntime(), createRuntimeSync()];
    const [x, y] = [a.full([1000], 1), b.full([1000], 2)];
    a.scope(() => {
      for (let i = 0; i < 100; i++) a.full([1000], 3);
    });
    reluForward(y);
    expect(x.data.every((value) => value === 1)).toBe(true);
    expect(y.data.every((value) => value === 2)).toBe(true);
    expect([a.memory.tensors, b.memory.tensors]).toEqual([1, 3]);
    a.dispose();
    expect(reluForward(y).out.data[0]).toBe(2);
  });

  test("do not mix their tensors in one call", () => {
    const [a, b] = [createRuntimeSync(), createRuntimeSync()];
    const x = a.ones([2, 3]);
    expect(() => affineForward(x, b.ones([3, 2]), a.ones([2]))).toThrow(RuntimeMismatchError);
    expect(() => numericalGradient(() => 1, x, b.ones([1]))).toThrow(RuntimeMismatchError);
  });

  test("count the blocks of their stream beyond 2³²", () => {
    const runtime = createRuntimeSync({ seed: 3 }) as LamellaRuntime;
    expect(runtime.takeRandomBlocks(2 ** 33 + 5)).toEqual({ key: 3, low: 0, high: 0 });
    expect(runtime.takeRandomBlocks(4)).toEqual({ key: 3, low: 5, high: 2 });
    expect(runtime.takeRandomBlocks(4)).toEqual({ key: 3, low: 9, high: 2 });
  });

  test("draw from streams of their own, the same where their seeds are", () => {
    const masks = [0, 0, 1].map((seed) => {
      const runtime = createRuntimeSync({ seed });
      return dropoutForward(runtime.ones([64]), { p: 0.5, mode: "train" }).out.toTypedArray();
    });
    expect(masks[1]).toEqual(masks[0]);
    expect(masks[2]).not.toEqual(masks[0]);
  });
});

describe("dispose", () => {
  test("ends everything that is the runtime's by a DisposedError that names the call", () => {
    const runtime = createRuntimeSync();
    const other = createRuntimeSync();
    const x = runtime.ones([2, 2]);
    const random = runtime.random(0);
    const { cache } = reluForward(x);
    runtime.dispose();
    const calls: Record<string, () => unknown> = {
      tensor: () => runtime.tensor([1]),
      zeros: () => runtime.zeros([1]),
      ones: () => runtime.ones([1]),
      full: () => runtime.full([1], 1),
      scope: () => runtime.scope(() => 1),
      random: () => runtime.random(0),
      memory: () => runtime.memory,
      data: () => x.data,
      toTypedArray: () => x.toTypedArray(),
      item: () => x.item(),
      reshape: () => x.reshape([4]),
      rand: () => random.rand(1),
      randn: () => random.randn(1),
      randint: () => random.randint(2),
      permutation: () => random.permutation(2),
      reluForward: () => reluForward(x),
      reluBackward: () => reluBackward(other.ones([2, 2]), cache),
      numericalGradient: () => numericalGradient(() => 1, x),
    };
    for (const [name, call] of Object.entries(calls)) {
      expect(call, name).toThrow(DisposedError);
      expect(call, name).toThrow(new RegExp(`^${name}: .*runtime has been disposed`));
    }
  });

  test("may be called again, and tensors and caches of it disposed after it", () => {
    const runtime = createRuntimeSync();
    const x = runtime.ones([2]);
    const { cache } = reluForward(x);
    runtime.dispose();
    runtime.dispose();
    x.dispose();
    cache.dispose();
    expect([x.shape, x.size, x.dtype]).toEqual([[2], 2, "float32"]);
  });

  test("within a scope ends the scope as usual", () => {
    const runtime = createRuntimeSync();
    expect(
      runtime.scope(() => {
        runtime.ones([1]);
        runtime.dispose();
        return 5;
      }),
    ).toBe(5);
  });

  test("happens at the end of a block that has the runtime by `using`", () => {
    let runtime: Runtime;
    {
      using own = createRuntimeSync();
      runtime = own;
      expect(own.ones([1]).item()).toBe(1);
    }
    expect(() => runtime.ones([1])).toThrow(DisposedError);
  });
});

test("every tensor that a call makes has a shape that nobody can change", () => {
  const runtime = createRuntimeSync();
  const [x, w, b] = [runtime.ones([2, 3]), runtime.ones([3, 4]), runtime.ones([4])];
  const { out, cache } = affineForward(x, w, b);
  const { dx, dw, db } = affineBackward(out, cache);
  const norm = batchnormForward(x, runtime.ones([3]), runtime.ones([3]), { mode: "train" });
  for (const tensor of [out, dx, dw, db, norm.out, runtime.random(0).rand(2, 3)]) {
    expect.soft(Object.isFrozen(tensor.shape)).toBe(true);
  }
});
