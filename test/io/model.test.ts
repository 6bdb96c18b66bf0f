import { describe, expect, test } from "vitest";
import {
  affine,
  batchnorm,
  createRuntimeSync,
  dropout,
  FormatError,
  flatten,
  gelu,
  type LayerSpec,
  leakyRelu,
  loadModel,
  loadTorch,
  normalize,
  readSafetensors,
  relu,
  Sequential,
  ShapeError,
  saveModel,
  sigmoid,
  softmax,
  tanh,
  writeSafetensors,
} from "../../src/index.ts";
import { seeded } from "../support/core.ts";
import { golden } from "../support/golden.ts";

const runtime = createRuntimeSync();
const layers: LayerSpec[] = [
  normalize({ mean: [1, 2, 3, 4, 5, 6], std: 2 }),
  flatten(),
  affine(5, { useBias: false }),
  batchnorm({ eps: 1e-3, momentum: 0.5 }),
  relu(),
  dropout(0.5, { seed: 3 }),
  affine(5),
  sigmoid(),
  affine(4),
  leakyRelu(0.2),
  tanh(),
  gelu(),
  affine(3),
  softmax(),
];
const trained = (dtype: "float32" | "float64" = "float32") => {
  const model = new Sequential(runtime, { input: [2, 3], layers, dtype, seed: 5 });
  model.forward(runtime.random(3).randn(20, 2, 3).toTypedArray(), { mode: "train" });
  return model;
};
const x = runtime.random(4).randn(7, 2, 3).toTypedArray();
const valuesOf = (model: Pick<Sequential, "stateDict">) =>
  Object.values(model.stateDict()).map((tensor) => tensor.toTypedArray());

describe("saveModel and loadModel", () => {
  test.each(["float32", "float64"] as const)("give the model back, to the bit: %s", (dtype) => {
    const model = trained(dtype);
    const bytes = saveModel(model);
    const other = createRuntimeSync();
    const loaded = loadModel(other, bytes);
    expect(loaded.dtype).toBe(dtype);
    expect(loaded.input).toEqual([2, 3]);
    expect(Object.keys(loaded.stateDict())).toEqual(Object.keys(model.stateDict()));
    expect(valuesOf(loaded as never)).toEqual(valuesOf(model as never));
    expect(loaded.predict(x).data).toEqual(model.predict(x).data);
    // The settings too: training goes on alike.
    const [a, b] = [model, loaded].map((m) => m.forward(x, { mode: "train" }).data);
    expect(b).toEqual(a);
    expect(loaded.summary()).toBe(model.summary());
    expect(saveModel(loaded)).toEqual(saveModel(model));
  });

  test("write weights as (D, M) under PyTorch's names, and say so in the metadata", () => {
    const { tensors, metadata } = readSafetensors(saveModel(trained()));
    expect(tensors.get("2.weight")?.shape).toEqual([6, 5]);
    expect([...tensors.keys()].sort()).toContain("3.running_mean");
    expect(Object.fromEntries(metadata)).toMatchObject({
      format: "lamella",
      kind: "model",
      version: "1",
      weight_layout: "in,out",
    });
    expect(JSON.parse(metadata.get("architecture")!).layers[2]).toEqual({
      kind: "affine",
      units: 5,
      useBias: false,
    });
  });

  test("read float16 and bfloat16 tensors into the model's dtype", () => {
    const model = trained();
    const { tensors, metadata } = readSafetensors(saveModel(model));
    const half = [...tensors].map(([name, entry], i) => {
      // Values that both hold exactly: 0.5, 1, 1.5, …
      const values = Float32Array.from({ length: entry.size }, (_, k) => (k % 8) / 2 + 0.5);
      const bits = new Uint32Array(values.buffer);
      const bfloat = i % 2 === 0;
      const data = Uint16Array.from(bits, (b) =>
        bfloat ? b >>> 16 : (((b >>> 23) - 112) << 10) | ((b >>> 13) & 1023),
      );
      return [name, { dtype: bfloat ? "BF16" : "F16", shape: entry.shape, data }] as const;
    });
    const loaded = loadModel(runtime, writeSafetensors(half, metadata));
    for (const { value } of loaded.parameters()) {
      expect(Array.from(value.data)).toEqual(Array.from(value.data, (_, k) => (k % 8) / 2 + 0.5));
    }
  });

  const bytes = saveModel(trained());
  type Change = (
    tensors: Map<string, { shape: readonly number[] }>,
    metadata: Map<string, string>,
  ) => void;
  const changed = (change: Change) => {
    const { tensors, metadata } = readSafetensors(bytes);
    change(tensors, metadata);
    return writeSafetensors(tensors, metadata);
  };
  const architecture = (
    edit: (architecture: { input: unknown; layers: { units?: number }[]; dtype: unknown }) => void,
  ) =>
    changed((_, metadata) => {
      const value = JSON.parse(metadata.get("architecture")!);
      edit(value);
      metadata.set("architecture", JSON.stringify(value));
    });
  test.each<[string, () => Uint8Array, unknown, string]>([
    [
      "a state_dict of PyTorch",
      () => writeSafetensors({ "0.weight": runtime.zeros([2, 2]) }, { format: "pt" }),
      FormatError,
      'loadModel: not a file of this package, whose metadata say format "lamella"; loadTorch reads',
    ],
    ["no safetensors", () => new Uint8Array(20), FormatError, "loadModel: expected"],
    [
      "another version",
      () => changed((_, m) => m.set("version", "3")),
      FormatError,
      'loadModel: expected version 1 or 2 of the file, got "3"',
    ],
    [
      "no architecture",
      () => changed((_, m) => m.set("architecture", "[")),
      FormatError,
      "loadModel: expected an object in JSON as the metadata's architecture",
    ],
    [
      "null as the architecture",
      () => changed((_, m) => m.set("architecture", "null")),
      FormatError,
      "loadModel: expected an object in JSON as the metadata's architecture",
    ],
    [
      "no layers",
      () => architecture((a) => Object.assign(a, { layers: 3 })),
      TypeError,
      "layers must be a list",
    ],
    [
      "a layer of no known kind",
      () => architecture((a) => Object.assign(a.layers[0]!, { kind: "conv" })),
      TypeError,
      'got "conv"',
    ],
    [
      "a dtype that is none",
      () => architecture((a) => Object.assign(a, { dtype: "int32" })),
      TypeError,
      'got "int32"',
    ],
    [
      "layers too large for any memory",
      () => architecture((a) => Object.assign(a.layers[2]!, { units: 2 ** 40 })),
      ShapeError,
      "shape: 2.weight must be (6, 1099511627776), got (6, 5)",
    ],
    [
      "a tensor too few and one too many",
      () =>
        changed((t) => {
          t.set("more", t.get("6.bias")!);
          t.delete("6.bias");
        }),
      ShapeError,
      "missing: 6.bias (5,)\n  extra: more (5,)",
    ],
    [
      "integers",
      () =>
        changed((t) => {
          t.set("6.bias", { dtype: "I32", shape: [5], data: new Int32Array(5) } as never);
        }),
      ShapeError,
      "dtype: 6.bias must be float32, got I32",
    ],
  ])("%s: refused before anything is allocated", (_, make, kind, message) => {
    const given = make();
    const { memory } = runtime;
    const load = () => loadModel(runtime, given);
    expect(load).toThrow(kind as never);
    expect(load).toThrow(message);
    expect(runtime.memory).toEqual(memory);
  });

  test("a thousand damaged files: an error or a model, and no memory held", () => {
    const random = seeded(5);
    const errors = new Set<string>();
    const { bytesLive, tensors } = runtime.memory;
    for (let round = 0; round < 1000; round++) {
      const copy = bytes.slice(
        0,
        round % 3 === 0 ? 8 + Math.floor(random() * bytes.length) : bytes.length,
      );
      const hits = 1 + (round % 4);
      for (let k = 0; k < hits; k++) {
        const at = Math.floor(random() * Math.min(copy.length, round % 2 ? 1800 : copy.length));
        copy[at] = Math.floor(256 * random());
      }
      try {
        loadModel(runtime, copy).dispose();
      } catch (error) {
        errors.add((error as Error).name);
      }
    }
    for (const name of errors) {
      expect(["FormatError", "ShapeError", "RangeError", "TypeError", "DTypeError"]).toContain(
        name,
      );
    }
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
  });
});

describe("loadTorch", () => {
  const modules: LayerSpec[] = [
    ...[
      flatten(),
      affine(5),
      batchnorm(),
      relu(),
      dropout(0.3),
      affine(5, { useBias: false }),
      gelu(),
    ],
    ...[affine(4), leakyRelu(0.2), affine(4), tanh(), affine(4), sigmoid(), affine(3), softmax()],
  ];

  test.each(golden("networks").stateDicts)(
    "an nn.Sequential of PyTorch 1.13 ($dtype) scores as it does there",
    (theirs) => {
      const bytes = Buffer.from(theirs.base64, "base64");
      const model = loadTorch(runtime, bytes, {
        input: [2, 3],
        layers: modules,
        dtype: theirs.dtype,
      });
      const scores = model.predict(runtime.tensor(theirs.x.data, theirs.x.shape, theirs.dtype));
      // Six layers of values around 1: roundings of each dtype, with room.
      const tolerance = theirs.dtype === "float32" ? 1e-6 : 1e-14;
      for (const [i, score] of scores.data.entries())
        expect(Math.abs(score - theirs.out.data[i]!)).toBeLessThan(tolerance);
      // A square weight is transposed like any other.
      const weight = readSafetensors(bytes).tensors.get("5.weight")!.toTypedArray("float64");
      const ours = model.stateDict()["5.weight"]!;
      for (let d = 0; d < 5; d++)
        for (let m = 0; m < 5; m++) expect(ours.data[5 * d + m]).toBe(weight[5 * m + d]);
    },
  );

  test("converts float64 to float32, and finds an nn.Sequential inside a module by its prefix", () => {
    const bytes = Buffer.from(golden("networks").stateDicts[1]!.base64, "base64");
    const options = { input: [2, 3], layers: modules };
    const model = loadTorch(runtime, bytes, options);
    expect(model.dtype).toBe("float32");
    const inside = writeSafetensors(
      [...readSafetensors(bytes).tensors].map(([name, entry]) => [`net.${name}`, entry] as const),
    );
    expect(valuesOf(loadTorch(runtime, inside, { ...options, prefix: "net." }))).toEqual(
      valuesOf(model),
    );
    expect(() => loadTorch(runtime, bytes, { ...options, prefix: "net." })).toThrow(
      "extra: 1.weight (without net.) (5, 6)",
    );
  });

  test("refuses a file of this package, by its metadata alone", () => {
    const model = new Sequential(runtime, { input: [3], layers: [affine(3)] });
    expect(() => loadTorch(runtime, saveModel(model), { input: [3], layers: [affine(3)] })).toThrow(
      "loadTorch: a file of this package, whose weights are (features in, features out); loadModel reads it",
    );
  });

  test.each([[[30]], [[5, 6, 1]]])("refuses a weight of shape %j", (shape) => {
    const data = new Float32Array(30);
    const bytes = writeSafetensors({ "0.weight": { dtype: "F32", shape, data } });
    const layers = [affine(5, { useBias: false })];
    expect(() => loadTorch(runtime, bytes, { input: [6], layers })).toThrow(
      `shape: 0.weight must be (6, 5), got (${shape.length === 1 ? "30," : "5, 6, 1"})`,
    );
  });

  test("lists all that is missing, extra or of another shape, and allocates nothing", () => {
    const bytes = Buffer.from(golden("networks").stateDicts[0]!.base64, "base64");
    const { memory } = runtime;
    const load = () =>
      loadTorch(runtime, bytes, {
        input: [2, 3],
        layers: [flatten(), affine(7), relu(), affine(2)],
      });
    expect(load).toThrow(ShapeError);
    expect(load).toThrow("shape: 1.weight must be (6, 7), got (6, 5)");
    expect(load).toThrow("missing: 3.weight (7, 2)");
    expect(load).toThrow("extra: 2.num_batches_tracked ()");
    expect(runtime.memory).toEqual(memory);
  });
});
