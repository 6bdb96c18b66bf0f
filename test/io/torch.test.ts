import { describe, expect, test } from "vitest";
import {
  affine,
  batchnorm,
  conv2d,
  convTranspose2d,
  createRuntimeSync,
  flatten,
  groupnorm,
  type LayerSpec,
  layernorm,
  loadTorch,
  permute,
  relu,
  reshape,
  type SafetensorsData,
  ShapeError,
  writeSafetensors,
} from "../../src/index.ts";
import { seeded } from "../support/core.ts";
import { searchedIn } from "../support/searched.ts";

const runtime = createRuntimeSync();
const layers = [affine(3), relu(), affine(2)];
const random = seeded(4);
const tensor = (...shape: number[]): SafetensorsData => ({
  dtype: "F32",
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random() - 0.5),
});
const [w0, b0, w2, b2] = [tensor(3, 4), tensor(3), tensor(2, 3), tensor(2)];
const fileOf = (first: string, second: string) =>
  writeSafetensors({
    [`${first}.weight`]: w0,
    [`${first}.bias`]: b0,
    [`${second}.weight`]: w2,
    [`${second}.bias`]: b2,
  });
const x = [1, 2, 3, 4];
const scoresOf = (bytes: Uint8Array, options: object = {}) => [
  ...loadTorch(runtime, bytes, { input: [4], layers, ...options }).predict(x).data,
];
const expected = scoresOf(fileOf("0", "2"));

test.each([
  ["F16", (b: number) => ((b >> 16) & 0x8000) | ((((b >>> 23) & 255) - 112) << 10)],
  ["BF16", (b: number) => b >>> 16],
] as const)("a state_dict of %s is read exactly", (dtype, narrow) => {
  const names = ["0.weight", "0.bias", "2.weight", "2.bias"];
  const rounded = [w0, b0, w2, b2].map(({ shape, data }, i) => {
    // Powers of 2, which the upper bits of a float32 hold.
    const values = Float32Array.from(
      data as Float32Array,
      (_, k) => (k % 2 ? -1 : 1) / 2 ** (k % 5),
    );
    const bits = new Uint32Array(values.buffer);
    const wide: SafetensorsData = { dtype: "F32", shape, data: values };
    const brief: SafetensorsData = { dtype, shape, data: Uint16Array.from(bits, narrow) };
    return [names[i] as string, wide, brief] as const;
  });
  const wide = writeSafetensors(rounded.map(([name, tensor]) => [name, tensor] as const));
  const brief = writeSafetensors(rounded.map(([name, , tensor]) => [name, tensor] as const));
  expect(scoresOf(brief)).toEqual(scoresOf(wide));
});

test("int8 tensors are refused, as their scales are in nobody's fixed place", () => {
  const tensors = {
    "0.weight": { ...w0, dtype: "I8", data: new Int8Array(12) },
    "0.bias": b0,
  } as const;
  expect(() =>
    loadTorch(runtime, writeSafetensors({ ...tensors, "2.weight": w2, "2.bias": b2 }), {
      ...{ input: [4], layers },
    }),
  ).toThrow("dtype: 0.weight must be float32, got I8");
});

describe("the names of a file", () => {
  test.each<[string, string, string, object]>([
    ["attributes", "fc1", "fc2", { names: { fc1: "0", fc2: "2" } }],
    ["attributes l1 and l2", "l1", "l2", { names: { l1: "0", l2: "2" } }],
    ["DataParallel", "module.0", "module.2", {}],
    ["torch.compile", "_orig_mod.0", "_orig_mod.2", {}],
    ["both wrappers", "_orig_mod.module.0", "_orig_mod.module.2", {}],
    ["a wrapper and attributes", "module.fc1", "module.fc2", { names: { fc1: "0", fc2: "2" } }],
    [
      "a wrapper that the map names",
      "module.fc1",
      "module.fc2",
      { names: { "module.fc1": "0", "module.fc2": "2" } },
    ],
    ["a wrapper that is the prefix", "module.0", "module.2", { prefix: "module." }],
    ["a wrapper before a prefix", "module.net.0", "module.net.2", { prefix: "net." }],
    ["a wrapper behind a prefix", "net._orig_mod.0", "net._orig_mod.2", { prefix: "net." }],
    ["a prefix and attributes", "net.a", "net.b", { prefix: "net.", names: { a: "0", b: "2" } }],
    ["a path", "body.first", "body.second", { names: { "body.first": "0", "body.second": "2" } }],
    ["the longest that fits", "a", "a.b", { names: { "a.b": "2", a: "0" } }],
  ])("of %s are those of the layers", (_, first, second, options) => {
    expect(scoresOf(fileOf(first, second), options)).toEqual(expected);
  });

  test("of single tensors may be mapped as well, and num_batches_tracked goes with its module", () => {
    const names = {
      first: "0.weight",
      second: "0.bias",
      norm: "1",
    };
    const file = writeSafetensors({
      first: w0,
      second: b0,
      "norm.weight": b0,
      "norm.bias": b0,
      "norm.running_mean": b0,
      "norm.running_var": b0,
      "norm.num_batches_tracked": { dtype: "I64", shape: [], data: BigInt64Array.of(7n) },
    });
    const model = loadTorch(runtime, file, { input: [4], layers: [affine(3), batchnorm()], names });
    expect(model.stateDict()["1.running_var"]!.data).toEqual(b0.data);
  });

  test("that cannot be seen are listed in at most 2,000 characters", () => {
    const dark = (i: number) => "\u0001".repeat(70) + i;
    const tensors = Array.from({ length: 30 }, (_, i) => [`${dark(i)}.weight`, w0] as const);
    const file = writeSafetensors(Object.fromEntries(tensors));
    const layers = Array.from({ length: 15 }, () => affine(3));
    for (const names of [{ fc9: "0" }, {}]) {
      const call = () => loadTorch(runtime, file, { input: [4], layers, names });
      expect(call).toThrow(/^[\s\S]{10,2000}$/);
    }
  });

  test("that do not fit are listed, beside those that are due, with the map to write", () => {
    const call = () => scoresOf(fileOf("fc1", "fc2"));
    expect(call).toThrow(ShapeError);
    for (const words of [
      "missing: 0.weight (4, 3)",
      "missing: 2.bias (2,)",
      "extra: fc1.weight (3, 4)",
      "extra: fc2.bias (2,)",
      'write names: { "fc1": "0", "fc2": "2" }',
    ]) {
      expect(call).toThrow(words);
    }
    // What the message says to write is what works.
    const [, map] = /write names: (\{.*\})/.exec(
      String(
        (() => {
          try {
            call();
          } catch (error) {
            return error;
          }
        })(),
      ),
    )!;
    expect(scoresOf(fileOf("fc1", "fc2"), { names: JSON.parse(map!) })).toEqual(expected);
  });

  test.each<[string, object, RegExp]>([
    [
      "that no tensor has",
      { names: { fc9: "0" } },
      /names has "fc9", with which no tensor of the file begins: .*"fc1\.weight"/,
    ],
    [
      "of no strings",
      { names: { fc1: 0 } },
      /names\["fc1"\] must be the index of a layer as a string, as "0", got 0/,
    ],
    ["in no object", { names: 5 }, /names must be an object, got number/],
    ["with a prefix that is none", { prefix: 5 }, /prefix must be a string, got number/],
    [
      "that are two to one",
      { names: { fc1: "0", fc2: "0" } },
      /two tensors that are "0\.(weight|bias)"/,
    ],
  ])("in a map %s are refused, and nothing is allocated", (_, options, message) => {
    const { memory } = runtime;
    expect(() => scoresOf(fileOf("fc1", "fc2"), options)).toThrow(message);
    expect(runtime.memory).toEqual(memory);
  });

  test("that are the same without their wrappers are refused", () => {
    const file = writeSafetensors({ "module.0.weight": w0, "0.weight": w0, "0.bias": b0 });
    expect(() => loadTorch(runtime, file, { input: [4], layers: [affine(3)] })).toThrow(
      'the file has two tensors that are "0.weight" by now',
    );
  });
});

describe("names of a file without measure", () => {
  test("begin with four million wrappers, which are left out", () => {
    const name = `${"module.".repeat(4_000_000)}0.weight`;
    const bytes = writeSafetensors({ [name]: tensor(1) });
    expect(() => loadTorch(runtime, bytes, { input: [4], layers })).toThrow(ShapeError);
  });

  test("and as many in the map: neither is gone through for each of the other", async () => {
    const count = 3000;
    const many = Array.from({ length: count }, (_, i) => [`m${i}`, tensor(0)] as const);
    const names = Object.fromEntries(many.map(([name], i) => [name, `${i + 10}.extra`]));
    const bytes = writeSafetensors(many);
    const load = () => loadTorch(runtime, bytes, { input: [4], layers, names });
    const searched = await searchedIn(() => expect(load).toThrow("extra: 10.extra (0,)"));
    expect(searched).toBeLessThan(100 * count);
  });
});

test("filters, and what follows a flattened image, are turned to channels last", () => {
  const shapes: Record<string, number[]> = {
    ...{ "0.weight": [4, 1, 3, 2], "0.bias": [4], "1.weight": [4, 5, 2, 2], "1.bias": [5] },
    ...{ "3.weight": [40], "3.bias": [40], "3.running_mean": [40], "3.running_var": [40] },
    ...{ "4.weight": [3, 40], "4.bias": [3], "5.weight": [2, 3], "5.bias": [2] },
  };
  const entries = Object.entries(shapes).map(([name, shape], k) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const data = Float32Array.from({ length: size }, (_, i) => 100 * k + i + 1);
    return [name, { dtype: "F32" as const, shape, data }] as const;
  });
  const model = loadTorch(runtime, writeSafetensors(Object.fromEntries(entries)), {
    input: [3, 4, 1],
    // (3, 4, 1) → (1, 3, 4) → (2, 4, 5)
    layers: [
      ...[conv2d(4, [3, 2]), convTranspose2d(5, 2), flatten()],
      ...[batchnorm(), affine(3), affine(2)],
    ],
  });
  const file = Object.fromEntries(entries.map(([name, { data }]) => [name, data]));
  const state = model.stateDict();
  const expectAt = (name: string, ours: number, theirs: number) =>
    expect(state[name]!.data[ours], `${name}[${ours}]`).toBe(file[name]![theirs]);
  expect(state["0.weight"]!.shape).toEqual([3, 2, 1, 4]);
  expect(state["1.weight"]!.shape).toEqual([2, 2, 5, 4]);
  for (let u = 0; u < 3; u++) {
    for (let v = 0; v < 2; v++) {
      for (let f = 0; f < 4; f++) expectAt("0.weight", (u * 2 + v) * 4 + f, (f * 3 + u) * 2 + v);
    }
  }
  for (let u = 0; u < 2; u++) {
    for (let v = 0; v < 2; v++) {
      for (let f = 0; f < 5; f++) {
        for (let c = 0; c < 4; c++) {
          expectAt("1.weight", ((u * 2 + v) * 5 + f) * 4 + c, ((c * 5 + f) * 2 + u) * 2 + v);
        }
      }
    }
  }
  for (let i = 0; i < 2; i++) {
    for (let j = 0; j < 4; j++) {
      for (let c = 0; c < 5; c++) {
        const [ours, theirs] = [(i * 4 + j) * 5 + c, (c * 2 + i) * 4 + j];
        for (const name of ["3.weight", "3.bias", "3.running_mean", "3.running_var"]) {
          expectAt(name, ours, theirs);
        }
        for (let m = 0; m < 3; m++) expectAt("4.weight", ours * 3 + m, m * 40 + theirs);
      }
    }
  }
  // What the first affine layer gives has no image behind it.
  for (let k = 0; k < 3; k++) expectAt("5.weight", k * 2 + 1, 3 + k);
  expectAt("5.bias", 1, 1);
});

describe("a weight behind a flattened image", () => {
  const D = 3 * 2 * 4;
  const weight = tensor(2, D);
  const file = (layer: number) =>
    writeSafetensors({
      "0.weight": tensor(4, 1, 1, 1),
      "0.bias": tensor(4),
      [`${layer}.weight`]: weight,
      [`${layer}.bias`]: tensor(2),
    });
  const conv = conv2d(4, 1);
  const weightOf = (layer: number, ...between: LayerSpec[]) => {
    const bytes = file(layer);
    const model = loadTorch(runtime, bytes, {
      ...{ input: [3, 2, 1], layers: [conv, ...between, affine(2)] },
    });
    return [weight.data as Float32Array, model.stateDict()[`${layer}.weight`]!.data] as const;
  };

  test("stands as it is where the axes of the image have been moved to PyTorch's order", () => {
    const [theirs, ours] = weightOf(3, permute([2, 0, 1]), flatten());
    for (let d = 0; d < D; d++) expect(ours[d * 2]).toBe(theirs[d]);
  });

  test("is turned to channels last where a shape of one axis flattens it", () => {
    const [theirs, ours] = weightOf(2, reshape([-1]));
    for (let p = 0; p < 6; p++) {
      for (let c = 0; c < 4; c++) expect(ours[(p * 4 + c) * 2]).toBe(theirs[c * 6 + p]);
    }
  });
});

test("layer and group normalisation have PyTorch's names, and their tensors stand as they are", () => {
  const names = ["0.weight", "0.bias", "1.weight", "1.bias"];
  const tensors = names.map((name) => [name, tensor(6)] as const);
  const model = loadTorch(runtime, writeSafetensors(Object.fromEntries(tensors)), {
    ...{ input: [2, 2, 6], layers: [layernorm(), groupnorm({ groups: 3 })] },
  });
  const state = model.stateDict();
  expect(Object.keys(state)).toEqual(names);
  for (const [name, { data }] of tensors) expect(state[name]!.data).toEqual(data);
});
