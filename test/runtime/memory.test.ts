import { describe, expect, test, vi } from "vitest";
import {
  affineBackward,
  affineForward,
  batchnormBackward,
  batchnormForward,
  createRuntime,
  createRuntimeSync,
  dropoutBackward,
  dropoutForward,
  MemoryError,
  type Runtime,
  type RuntimeOptions,
  recalibrate,
  reluBackward,
  reluForward,
  softmaxLoss,
  svmLoss,
} from "../../src/index.ts";
import { Memory } from "../../src/runtime/memory.ts";
import type { LamellaRuntime } from "../../src/tensor/runtime.ts";
import type { TensorHandle } from "../../src/tensor/tensor.ts";
import { type DType, dtypes, seeded } from "../support/core.ts";
import { normals } from "../support/reference.ts";

const PAGE = 65536;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** A memory all of which but its first 64 bytes may be given out. */
function open(limits: { initialMemory?: number; maxMemory?: number }): Memory {
  const memory = new Memory("createRuntime", limits, false);
  memory.open(64);
  return memory;
}

function caught(fn: () => unknown): MemoryError {
  try {
    fn();
  } catch (error) {
    expect(error).toBeInstanceOf(MemoryError);
    return error as MemoryError;
  }
  throw new Error("no error was thrown");
}

/** A tensor whose bytes nobody touches, so that the host need not back them. */
function untouched(runtime: Runtime, bytes: number): TensorHandle<"float32"> {
  return (runtime as LamellaRuntime).create("float32", [Math.floor(bytes / 4)]);
}

describe("growth", () => {
  test.each([
    ["1 MiB up to 4 MiB", 64 * 1024, 1 * MIB],
    ["1 MiB up to 4 MiB", 4 * MIB, 1 * MIB],
    ["a quarter from there on", 8 * MIB, 2 * MIB],
    ["64 MiB from 256 MiB on", 256 * MIB, 64 * MIB],
    ["64 MiB from 256 MiB on", 1 * GIB, 64 * MIB],
  ])("goes in steps: %s", (_, initialMemory, step) => {
    const memory = open({ initialMemory });
    memory.allocate(initialMemory - 64);
    expect(memory.bytesReserved).toBe(initialMemory);
    memory.allocate(1);
    expect(memory.bytesReserved).toBe(initialMemory + step);
  });

  test("gives a request that is larger than a step just what it lacks, in whole pages", () => {
    const memory = open({ initialMemory: PAGE });
    memory.allocate(10 * MIB);
    expect(memory.bytesReserved).toBe(10 * MIB + PAGE);
    expect([...memory.blocks()].map(({ bytes }) => bytes)).toEqual([10 * MIB, PAGE - 64]);
  });

  test("uses what is free at the end of the memory as part of the request", () => {
    const memory = open({ initialMemory: 8 * MIB });
    memory.allocate(64);
    memory.allocate(12 * MIB - 128);
    expect(memory.bytesReserved).toBe(12 * MIB);
    expect([...memory.blocks()].filter(({ free }) => free)).toEqual([]);
  });

  test("takes a smaller step where maxMemory leaves no more", () => {
    const memory = open({ initialMemory: PAGE, maxMemory: 5 * PAGE });
    memory.allocate(PAGE - 64);
    memory.allocate(PAGE);
    expect(memory.bytesReserved).toBe(5 * PAGE);
    memory.allocate(3 * PAGE);
    expect(memory.bytesLive).toBe(5 * PAGE - 64);
  });

  test("takes just what is missing where the host refuses a whole step", () => {
    const memory = open({ initialMemory: PAGE });
    const grow = memory.wasm.grow.bind(memory.wasm);
    const spy = vi.spyOn(memory.wasm, "grow").mockImplementation((pages) => {
      if (pages > 2) throw new RangeError("the host has no more");
      return grow(pages);
    });
    memory.allocate(2 * PAGE);
    expect(spy.mock.calls).toEqual([[16], [2]]);
    expect(memory.bytesReserved).toBe(3 * PAGE);
  });

  test("that the host refuses altogether is a MemoryError, and the memory serves on", () => {
    const memory = open({ initialMemory: PAGE });
    const block = memory.allocate(1000);
    vi.spyOn(memory.wasm, "grow").mockImplementation(() => {
      throw new RangeError("the host has no more");
    });
    const error = caught(() => memory.allocate(PAGE));
    expect([error.bytesRequested, error.bytesLive]).toEqual([PAGE, 1024]);
    memory.allocate(PAGE - 64 - 1024);
    memory.release(block);
    expect(memory.allocate(1024).address).toBe(64);
  });

  test("passes on what is no refusal of the host's, rather than call it a MemoryError", () => {
    const memory = open({ initialMemory: PAGE });
    const fault = new ReferenceError("x is not defined");
    vi.spyOn(memory.wasm, "grow").mockImplementation(() => {
      throw fault;
    });
    expect(() => memory.allocate(PAGE)).toThrow(fault);
    vi.spyOn(WebAssembly, "Memory").mockImplementation(function refuse() {
      throw fault;
    } as never);
    try {
      expect(() => open({ initialMemory: PAGE })).toThrow(fault);
    } finally {
      vi.restoreAllMocks();
    }
  });

  test("goes up to the last cache line below 4 GiB, and no further", () => {
    const memory = open({ initialMemory: PAGE });
    // A host that gives everything, so that it does not depend on this one.
    const buffer = { byteLength: PAGE } as ArrayBuffer;
    const grow = (pages: number) =>
      Object.assign(buffer, { byteLength: buffer.byteLength + pages * PAGE });
    memory.wasm = { buffer, grow } as unknown as WebAssembly.Memory;
    caught(() => memory.allocate(4 * GIB - 127));
    const { address, bytes } = memory.allocate(4 * GIB - 128);
    expect(address + bytes).toBe(4 * GIB - 64);
    expect(memory.bytesReserved).toBe(4 * GIB);
  });

  test("does not happen where a released block serves", () => {
    const memory = open({ initialMemory: PAGE });
    for (let i = 0; i < 1000; i++) memory.release(memory.allocate(PAGE - 64));
    expect(memory.bytesReserved).toBe(PAGE);
  });
});

describe("maxMemory", () => {
  test("where it is reached is a MemoryError with the bytes asked for and in use", () => {
    const runtime = createRuntimeSync({ initialMemory: PAGE, maxMemory: 4 * PAGE });
    const kept = runtime.tensor(Array.from({ length: 20_000 }, (_, i) => i));
    const before = runtime.memory;
    const error = caught(() => runtime.zeros([50_000]));
    expect(error.name).toBe("MemoryError");
    expect(error.bytesRequested).toBe(200_000);
    expect(error.bytesLive).toBe(before.bytesLive);
    expect(error.message).toContain("200000 bytes asked for");
    expect(error.message).toContain(`${before.bytesLive} in use`);
    expect(error.message).toContain(`at most ${4 * PAGE}`);
    expect(runtime.memory).toEqual(before);

    expect(kept.data.every((value, i) => value === i)).toBe(true);
    expect(reluForward(runtime.tensor([-1, 2])).out.data).toEqual(Float32Array.of(0, 2));
    expect(runtime.zeros([20_000]).data.every((value) => value === 0)).toBe(true);
    expect(runtime.memory.bytesReserved).toBeLessThanOrEqual(4 * PAGE);
  });

  test("is given out to its last page", () => {
    const runtime = createRuntimeSync({ initialMemory: PAGE, maxMemory: 4 * PAGE });
    const large = runtime.zeros([(3 * PAGE) / 4]);
    expect(runtime.memory.bytesReserved).toBe(4 * PAGE);
    caught(() => runtime.zeros([PAGE / 4]));
    large.dispose();
    expect(runtime.zeros([(3 * PAGE) / 4]).size).toBe((3 * PAGE) / 4);
  });

  // Sizes that a shape can name and no memory has; 2³⁸ bytes are 2³² of the allocator's units.
  test.each([[[2 ** 31]], [[2 ** 36]], [[2 ** 20, 2 ** 20]], [[2 ** 53 - 1]], [[1e200, 1e200]]])(
    "a tensor of shape %j is a MemoryError, and everything stays usable",
    (shape) => {
      const runtime = createRuntimeSync();
      const kept = runtime.full([100], 7);
      const before = runtime.memory;
      expect(() => runtime.zeros(shape)).toThrow(MemoryError);
      expect(runtime.memory).toEqual(before);
      expect(runtime.ones([100]).data.every((value) => value === 1)).toBe(true);
      expect(kept.data.every((value) => value === 7)).toBe(true);
    },
  );

  test("an output of 2³⁸ bytes from empty operands is a MemoryError, and no kernel runs", () => {
    const runtime = createRuntimeSync();
    const n = 2 ** 18;
    const [x, w, b] = [runtime.zeros([n, 0]), runtime.zeros([0, n]), runtime.ones([n])];
    const kept = runtime.full([1000], 7);
    const before = runtime.memory;
    expect(() => affineForward(x, w, b)).toThrow(MemoryError);
    expect(runtime.memory).toEqual({ ...before, bytesPeak: expect.any(Number) });
    expect(kept.data.every((value) => value === 7)).toBe(true);
  });
});

describe("the options", () => {
  const wrong = [0, -1, 1, PAGE - 1, 4 * GIB + 1, NaN, Infinity, null, "many", {}];

  test.each(wrong)("initialMemory %o is a RangeError that names the range", async (value) => {
    const options = { initialMemory: value } as RuntimeOptions;
    const message = /initialMemory must be a number of bytes from 65536 .* to 4294967296/;
    for (const check of [
      () => expect(() => createRuntimeSync(options)).toThrow(RangeError),
      () => expect(() => createRuntimeSync(options)).toThrow(message),
      () => expect(createRuntime(options)).rejects.toThrow(message),
    ]) {
      await check();
    }
  });

  test.each(wrong)("maxMemory %o is a RangeError that names the range", (value) => {
    const create = () => createRuntimeSync({ maxMemory: value } as RuntimeOptions);
    expect(create).toThrow(RangeError);
    expect(create).toThrow(/maxMemory must be a number of bytes from 65536 .* to 4294967296/);
  });

  test("a string of digits is no number of bytes", () => {
    const options = { initialMemory: "65536" } as unknown as RuntimeOptions;
    expect(() => createRuntimeSync(options)).toThrow(RangeError);
  });

  test("initialMemory above maxMemory is a RangeError with both", () => {
    const create = () => createRuntimeSync({ initialMemory: 3 * PAGE, maxMemory: 2 * PAGE });
    expect(create).toThrow(RangeError);
    expect(create).toThrow(/initialMemory \(196608 bytes\).*maxMemory \(131072 bytes\)/);
  });

  test("the memory starts with 1 MiB, or with initialMemory rounded up to pages", () => {
    expect(createRuntimeSync().memory.bytesReserved).toBe(MIB);
    for (const [initialMemory, pages] of [
      [PAGE, 1],
      [PAGE + 1, 2],
      [2.5 * PAGE, 3],
    ] as const) {
      const { memory } = createRuntimeSync({ initialMemory });
      expect(memory.bytesReserved).toBe(pages * PAGE);
    }
  });

  test("maxMemory may be 4 GiB, and a memory declares it where it is given alone: hosts reserve it", () => {
    const { Memory } = WebAssembly;
    const asked: WebAssembly.MemoryDescriptor[] = [];
    const spy = vi.spyOn(WebAssembly, "Memory").mockImplementation(
      class {
        constructor(descriptor: WebAssembly.MemoryDescriptor) {
          asked.push(descriptor);
          // biome-ignore lint/correctness/noConstructorReturn: it stands for another class
          return new Memory(descriptor);
        }
      } as unknown as typeof WebAssembly.Memory,
    );
    try {
      createRuntimeSync();
      createRuntimeSync({ maxMemory: 4 * GIB });
      expect(asked).toEqual([{ initial: 16 }, { initial: 16, maximum: 65536, shared: false }]);
    } finally {
      spy.mockRestore();
    }
  });

  test("maxMemory is rounded down to pages", () => {
    const runtime = createRuntimeSync({ initialMemory: PAGE, maxMemory: 3 * PAGE - 1 });
    untouched(runtime, PAGE);
    expect(runtime.memory.bytesReserved).toBe(2 * PAGE);
    caught(() => untouched(runtime, PAGE));
  });

  test("maxMemory alone may be below the default of initialMemory", () => {
    expect(createRuntimeSync({ maxMemory: 8 * PAGE }).memory.bytesReserved).toBe(8 * PAGE);
  });

  test("equal limits of any number of bytes are no contradiction", () => {
    const options = { initialMemory: 100_000, maxMemory: 100_000 };
    expect(createRuntimeSync(options).memory.bytesReserved).toBeGreaterThanOrEqual(PAGE);
  });

  test("a host that gives no memory is a MemoryError with what it said", () => {
    const refusal = new RangeError("the host has no more");
    const spy = vi.spyOn(WebAssembly, "Memory").mockImplementation(
      class {
        constructor() {
          throw refusal;
        }
      } as unknown as typeof WebAssembly.Memory,
    );
    try {
      const error = caught(() => createRuntimeSync({ initialMemory: 3 * PAGE }));
      expect([error.bytesRequested, error.bytesLive]).toEqual([3 * PAGE, 0]);
      expect(error.message).toContain(`createRuntimeSync: the host gave no memory of ${3 * PAGE}`);
      expect(error.cause).toBe(refusal);
    } finally {
      spy.mockRestore();
    }
  });
});

test("a view taken before its runtime was disposed is empty after it: nothing reads what is no longer anybody's", () => {
  const runtime = createRuntimeSync();
  const x = runtime.tensor([1, 2, 3]);
  const view = x.data;
  runtime.dispose();
  expect(view.length).toBe(0);
  expect(view.buffer.byteLength).toBe(0);
});

describe("a view taken before growth", () => {
  test("is empty after it, and `data` gives one of the same values, old and new writes alike", () => {
    const runtime = createRuntimeSync({ initialMemory: PAGE });
    const x = runtime.tensor([1, 2, 3]);
    const alias = x.reshape([3, 1]);
    const view = x.data;
    view[1] = 20;
    expect(x.data).toBe(view);
    runtime.zeros([100_000]);
    expect(view.length).toBe(0);
    expect(x.data === view).toBe(false);
    expect(x.data).toEqual(Float32Array.of(1, 20, 3));
    x.data[2] = 30;
    expect(alias.data).toEqual(Float32Array.of(1, 20, 30));
    expect(x.data).toBe(x.data);
  });

  // The source is a view of the memory that has to grow for the copy.
  test("serves as data of a tensor, though making that tensor grows the memory", () => {
    const runtime = createRuntimeSync({ initialMemory: PAGE });
    const x = runtime.full([12_000], 3);
    const { bytesLive, tensors } = runtime.memory;
    const copy = runtime.tensor(x.data);
    expect(runtime.memory.bytesReserved).toBeGreaterThan(PAGE);
    expect(copy.data).toEqual(x.data);
    expect(runtime.memory.bytesLive).toBe(2 * bytesLive);
    expect(runtime.memory.tensors).toBe(tensors + 1);
  });

  test.each([softmaxLoss, svmLoss])("serves as labels of $name, though the call grows it", (f) => {
    const runtime = createRuntimeSync({ initialMemory: PAGE });
    const [x, y] = [runtime.zeros([5000, 2]), runtime.zeros([5000], "int32")];
    // Fills the memory but for less than the labels take.
    while (runtime.memory.bytesLive < PAGE - 8000) runtime.zeros([256]);
    const expected = f(x, y, { dx: false }).loss;
    expect(runtime.memory.bytesReserved).toBe(PAGE);
    expect(f(x, y.data, { dx: false }).loss).toBe(expected);
    expect(runtime.memory.bytesReserved).toBeGreaterThan(PAGE);
  });
});

/** What all calls give on small operands, and on some beyond one block of a product, in one row. */
function everyCall(
  runtime: Runtime,
  { dtype, array }: DType,
  check: (tensor: TensorHandle) => void,
): Map<string, ArrayLike<number>> {
  const results = new Map<string, ArrayLike<number>>();
  const random = seeded(9);
  for (const [N, D, M] of [
    [7, 13, 9],
    [65, 270, 33],
  ] as const) {
    runtime.scope(() => {
      const draw = (...shape: number[]) => {
        const values = normals(
          shape.reduce((a, b) => a * b),
          random,
        );
        const tensor = runtime.tensor(array.from(values), shape, dtype);
        check(tensor as unknown as TensorHandle);
        return tensor;
      };
      const keep = (name: string, tensor: { toTypedArray(): ArrayLike<number> }) => {
        check(tensor as unknown as TensorHandle);
        results.set(`${name} ${N}`, tensor.toTypedArray());
      };
      const [x, w, b, dout] = [draw(N, D), draw(D, M), draw(M), draw(N, M)];
      const affine = affineForward(x, w, b);
      const { dx, dw, db } = affineBackward(dout, affine.cache);
      keep("affine out", affine.out);
      keep("affine dx", dx);
      keep("affine dw", dw);
      keep("affine db", db);

      const relu = reluForward(x);
      keep("relu out", relu.out);
      keep("relu dx", reluBackward(draw(N, D), relu.cache));

      const bnParam = { mode: "train" } as Parameters<typeof batchnormForward>[3];
      for (const mode of ["train", "test"] as const) {
        bnParam.mode = mode;
        const norm = batchnormForward(x, draw(D), draw(D), bnParam);
        const gradients = batchnormBackward(draw(N, D), norm.cache);
        keep(`batchnorm ${mode} out`, norm.out);
        for (const name of ["dx", "dgamma", "dbeta"] as const) {
          keep(`batchnorm ${mode} ${name}`, gradients[name]);
        }
      }
      recalibrate([x, draw(N, D)], bnParam);
      keep("running mean", bnParam.runningMean!);
      keep("running variance", bnParam.runningVar!);
      bnParam.runningMean!.dispose();
      bnParam.runningVar!.dispose();

      for (const seed of [undefined, 3]) {
        const dropout = dropoutForward(x, { p: 0.4, mode: "train", seed });
        keep(`dropout ${seed} out`, dropout.out);
        keep(`dropout ${seed} dx`, dropoutBackward(draw(N, D), dropout.cache));
      }

      const y = Array.from({ length: N }, () => Math.floor(M * random()));
      for (const loss of [softmaxLoss, svmLoss]) {
        const result = loss(affine.out, y);
        results.set(`${loss.name} ${N}`, [result.loss, loss(affine.out, y, { dx: false }).loss]);
        keep(`${loss.name} dx`, result.dx);
        const labels = runtime.tensor(y, [N], "int32");
        keep(`${loss.name} dx, labels as a tensor`, loss(affine.out, labels).dx);
      }

      const numpy = runtime.random(1);
      keep("rand", numpy.rand(N));
      keep("randn", numpy.randn(N));
      keep("randint", numpy.randint(-5, 5, [N]));
      keep("permutation", numpy.permutation(N));
    });
  }
  return results;
}

describe("large memories", () => {
  test.each([600 * MIB, 1.1 * GIB])(
    "a tensor of %d bytes is one block, apart from all",
    (bytes) => {
      const runtime = createRuntimeSync();
      const below = runtime.full([1000], 1);
      const large = untouched(runtime, bytes);
      const above = runtime.full([1000], 2);
      const at = [below, large, above].map((tensor) => (tensor as TensorHandle).address);
      expect(at[0]! + 4000).toBeLessThanOrEqual(at[1]!);
      expect(at[1]! + 4 * large.size).toBeLessThanOrEqual(at[2]!);
      expect(large.data.length).toBe(large.size);
      large.data[0] = 3;
      large.data[large.size - 1] = 4;
      expect(reluForward(below).out.data).toEqual(below.data);
      expect(below.data.every((value) => value === 1)).toBe(true);
      expect(above.data.every((value) => value === 2)).toBe(true);
      expect([large.data[0], large.data[large.size - 1]]).toEqual([3, 4]);
      const { bytesLive } = runtime.memory;
      large.dispose();
      expect(runtime.memory.bytesLive).toBe(bytesLive - Math.ceil((4 * large.size) / 64) * 64);
    },
  );

  test.each(dtypes)(
    "every call gives the same bits at addresses above 2³¹, in $dtype",
    ({ dtype, ...type }) => {
      const runtime = createRuntimeSync();
      for (const bytes of [600 * MIB, 1.1 * GIB, 400 * MIB]) untouched(runtime, bytes);
      const { bytesLive, tensors } = runtime.memory;
      let lowest = Infinity;
      const above = everyCall(runtime, { dtype, ...type }, ({ address }) => {
        lowest = Math.min(lowest, address);
      });
      expect(lowest).toBeGreaterThan(2 ** 31);
      const below = everyCall(createRuntimeSync(), { dtype, ...type }, () => {});
      expect(above).toEqual(below);
      expect(runtime.memory).toMatchObject({ bytesLive, tensors });
    },
  );

  test("the memory fills up to its last cache line, is then a MemoryError, and serves on", () => {
    const runtime = createRuntimeSync();
    const held: TensorHandle<"float32">[] = [];
    for (let bytes = GIB; bytes >= 64; ) {
      try {
        held.push(untouched(runtime, bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryError);
        bytes /= 2;
      }
    }
    const { bytesLive, bytesReserved } = runtime.memory;
    const full = bytesReserved === 4 * GIB; // else the host gave less
    if (full) expect(Math.max(...held.map(({ address }) => address))).toBe(4 * GIB - 128);
    const error = caught(() => runtime.ones([1]));
    expect([error.bytesRequested, error.bytesLive]).toEqual([4, bytesLive]);
    caught(() => runtime.random(1));

    // Room at the very end, and calls there.
    held.sort((a, b) => b.address - a.address);
    while (runtime.memory.bytesLive > bytesLive - 8 * MIB) held.shift()!.dispose();
    const below = everyCall(createRuntimeSync(), dtypes[0]!, () => {});
    let lowest = Infinity;
    const above = everyCall(runtime, dtypes[0]!, ({ address }) => {
      lowest = Math.min(lowest, address);
    });
    expect(above).toEqual(below);
    if (full) expect(lowest).toBeGreaterThan(3.9 * GIB);

    for (const tensor of held) tensor.dispose();
    expect(runtime.memory).toMatchObject({ bytesLive: 0, tensors: 0 });
    expect(untouched(runtime, 3 * GIB).size).toBe(0.75 * GIB);
  });
});
