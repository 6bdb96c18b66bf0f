import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  affine,
  createRuntimeSync,
  dropout,
  FormatError,
  type LayerSpec,
  loadModel,
  readSafetensors,
  relu,
  Sequential,
  ShapeError,
  saveModel,
  sgd,
  Trainer,
  writeSafetensors,
} from "../../src/index.ts";
import { DisposedError, loadPredictor, loadPredictorSync, MemoryError } from "../../src/predict.ts";
import { examples, networks, settle } from "../nn/networks.ts";
import { seeded } from "../support/core.ts";

const runtime = createRuntimeSync();
const read = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../../build/${name}`, import.meta.url)));
const core = read("predict.wasm");
const plain = { input: [30], layers: [affine(50), relu(), affine(34), relu(), affine(10)] };
const file = (options: { input: number[]; layers: LayerSpec[] } = plain, seed = 5) =>
  saveModel(new Sequential(runtime, { ...options, seed }));

describe.each(Object.entries(networks))("%s", (_name, { input, layers }) => {
  const size = input.reduce((a, b) => a * b, 1);
  const counts = [0, 1, 2, 3, 4, 5, 35];

  test("gives the bits of the model's own predictor in float32", async () => {
    const model = new Sequential(runtime, { input, layers, seed: 3 });
    settle(model);
    const bytes = saveModel(model);
    const own = model.compile({ maxBatch: 35 });
    for (const predictor of [
      await loadPredictor(bytes, { maxBatch: 35 }),
      loadPredictorSync(bytes, { maxBatch: 35 }),
    ]) {
      expect(predictor.inputShape).toEqual(own.inputShape);
      expect(predictor.outputShape).toEqual(own.outputShape);
      expect(predictor.dtype).toBe("float32");
      for (const N of counts) {
        const x = examples(N, size, 40 + N);
        expect(predictor.predict(x)).toEqual(own.predict(x));
      }
    }
  });

  test("serves a float64 model in float32", async () => {
    const model = new Sequential(runtime, { input, layers, dtype: "float64", seed: 3 });
    settle(model as never);
    const predictor = await loadPredictor(saveModel(model), { maxBatch: 35 });
    expect(predictor.dtype).toBe("float32");
    for (const N of counts) {
      const x = Float64Array.from(Float32Array.from(examples(N, size, 40 + N)));
      const scores = model.predict(runtime.tensor(x, [N, ...input])).toTypedArray();
      const largest = Math.max(1, ...scores.map(Math.abs));
      const predicted = predictor.predict(x);
      // Three to six layers of float32 products of up to 40 terms.
      for (const [i, score] of scores.entries())
        expect(Math.abs((predicted[i] as number) - score)).toBeLessThanOrEqual(1e-5 * largest);
    }
  });
});

test("tensors of another dtype than the model's are taken as loadModel takes them", () => {
  const { tensors, metadata } = readSafetensors(file());
  const random = seeded(3);
  const wide = [...tensors].map(([name, { shape, size }]) => {
    const data = Float64Array.from({ length: size }, () => random() - 0.5);
    return [name, { dtype: "F64", shape, data }] as const;
  });
  const half = [...tensors].map(([name, { shape, size }], i) => {
    const data = Uint16Array.from({ length: size }, () => 0x3000 + Math.floor(2000 * random()));
    return [name, { dtype: i % 2 ? "F16" : "BF16", shape, data }] as const;
  });
  const x = examples(1, 30);
  for (const bytes of [writeSafetensors(wide, metadata), writeSafetensors(half, metadata)]) {
    const own = loadModel(runtime, bytes).compile();
    expect(loadPredictorSync(bytes).predict(x)).toEqual(own.predict(x));
  }
});

test("float32 tensors of a float64 model are those numbers", () => {
  const { tensors, metadata } = readSafetensors(file());
  const architecture = { ...JSON.parse(metadata.get("architecture")!), dtype: "float64" };
  metadata.set("architecture", JSON.stringify(architecture));
  const wide = [...tensors].map(([name, entry]) => {
    const data = Float64Array.from(entry.toTypedArray());
    return [name, { dtype: "F64", shape: entry.shape, data }] as const;
  });
  const x = examples(1, 30);
  const [given, expected] = [tensors, wide].map((each) =>
    loadPredictorSync(writeSafetensors(each, metadata)).predict(x),
  );
  expect(given).toEqual(expected);
});

test("a file at any byte of a buffer is read", () => {
  const bytes = file();
  const x = examples(1, 30);
  const expected = loadPredictorSync(bytes).predict(x);
  for (const offset of [1, 2, 4]) {
    const moved = new Uint8Array(bytes.length + offset).subarray(offset);
    moved.set(bytes);
    expect(loadPredictorSync(moved).predict(x)).toEqual(expected);
  }
});

describe("its memory", () => {
  const bytesOf = ({ input }: { input: Float32Array }) => input.buffer.byteLength;

  test("begins below 1 MiB, and is as large as what is in it", async () => {
    expect(bytesOf(await loadPredictor(file()))).toBeLessThanOrEqual(128 * 1024);
    const layers = [affine(512), relu(), affine(256), relu(), affine(10)];
    const large = file({ input: [784], layers });
    // The weights of the largest layer wait in a place of their own to be packed.
    const needed = large.length + 4 * 784 * 512;
    const predictor = await loadPredictor(large);
    expect(bytesOf(predictor)).toBeLessThan(needed + 128 * 1024);
    const before = predictor.input.buffer;
    predictor.predict(new Float32Array(784));
    expect(predictor.input.buffer).toBe(before);
  });

  test("is each predictor's own", async () => {
    const [a, b] = [await loadPredictor(file()), await loadPredictor(file(plain, 6))];
    const x = examples(1, 30);
    const [before, other] = [a.predict(x), b.predict(x)];
    expect(other).not.toEqual(before);
    expect(a.input.buffer).not.toBe(b.input.buffer);
    b.input.fill(Number.NaN);
    b.run();
    expect(a.predict(x)).toEqual(before);
    b.dispose();
    b.dispose();
    expect(a.predict(x)).toEqual(before);
    for (const use of [() => b.run(), () => b.predict(x), () => b.input, () => b.output]) {
      expect(use).toThrow(DisposedError);
    }
  });

  test("that the host does not give is a MemoryError", async () => {
    const endless = file({ input: [2 ** 20], layers: [relu()] });
    for (const maxBatch of [2 ** 12, 2 ** 30, Number.MAX_SAFE_INTEGER]) {
      await expect(loadPredictor(endless, { maxBatch })).rejects.toThrow(MemoryError);
      await expect(loadPredictor(endless, { maxBatch })).rejects.toThrow(
        /^loadPredictor: the host gave no memory of \d/,
      );
    }
  });

  test("keeps a copy: the bytes of the file may be written over", async () => {
    const bytes = file();
    const predictor = await loadPredictor(bytes);
    const before = predictor.predict(examples(1, 30));
    bytes.fill(0);
    expect(predictor.predict(examples(1, 30))).toEqual(before);
  });
});

describe("the core comes from", () => {
  const bytes = file();
  const x = examples(1, 30);
  const expected = loadPredictorSync(bytes).predict(x);
  const url = new URL("../../build/predict.wasm", import.meta.url);

  test.each<[string, () => WebAssembly.Module | BufferSource]>([
    ["a module", () => new WebAssembly.Module(core)],
    ["bytes", () => core],
    ["lamella/core.wasm, which exports the same and more", () => read("core.wasm")],
  ])("%s", async (_, wasm) => {
    expect((await loadPredictor(bytes, { wasm: wasm() })).predict(x)).toEqual(expected);
    expect(loadPredictorSync(bytes, { wasm: wasm() }).predict(x)).toEqual(expected);
  });

  test("a Response, a URL, or the first of several that this host takes", async () => {
    for (const wasm of [
      new Response(core),
      url,
      url.href,
      [Uint8Array.of(...core, 200, 1, 0), core],
    ])
      expect((await loadPredictor(bytes, { wasm })).predict(x)).toEqual(expected);
  });

  test("nothing else: what came instead is said", async () => {
    const html = new Response("<!doctype html>", { headers: { "content-type": "text/html" } });
    await expect(loadPredictor(bytes, { wasm: html })).rejects.toThrow(
      "loadPredictor: wasm: expected WebAssembly, got text/html",
    );
    const empty = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    expect(() => loadPredictorSync(bytes, { wasm: empty })).toThrow(
      "not a core of this package (lamella/predict.wasm) in this version: it lacks ",
    );
    expect(() => loadPredictorSync(bytes, { wasm: url })).toThrow(
      "loadPredictorSync: wasm: expected a WebAssembly.Module or bytes, got URL; await loadPredictor for the others",
    );
    expect(() => createRuntimeSync({ wasm: core })).toThrow("lamella/core.wasm");
  });

  test("is a subset of the whole core, and imports the memory alone", () => {
    const [small, whole] = [core, read("core.wasm")].map((bytes) => {
      const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
      return {
        exports: WebAssembly.Module.exports(module).map(({ name }) => name),
        imports: WebAssembly.Module.imports(module),
      };
    });
    expect(whole!.exports).toEqual(expect.arrayContaining(small!.exports));
    expect(small!.imports).toEqual([{ module: "env", name: "memory", kind: "memory" }]);
  });
});

describe("refused is", () => {
  const bytes = file();
  const checkpoint = () => {
    const model = new Sequential(runtime, plain);
    return new Trainer(model, {
      loss: "softmax",
      optimizer: sgd({ learningRate: 1 }),
    }).checkpoint();
  };
  type Change = (tensors: Map<string, object>, metadata: Map<string, string>) => void;
  const changed = (change: Change) => {
    const { tensors, metadata } = readSafetensors(bytes);
    change(tensors, metadata);
    return writeSafetensors(tensors, metadata);
  };
  const architecture = (
    edit: (value: { input: unknown; layers: object[]; dtype: unknown }) => void,
  ) =>
    changed((_, metadata) => {
      const value = JSON.parse(metadata.get("architecture")!);
      edit(value);
      metadata.set("architecture", JSON.stringify(value));
    });
  const layer = (spec: object) => architecture((a) => void a.layers.splice(1, 1, spec));

  test.each<[string, () => unknown, unknown, string]>([
    ["what is no bytes", () => "model", TypeError, "bytes must be a Uint8Array or an ArrayBuffer"],
    ["no safetensors", () => new Uint8Array(20), FormatError, ": expected the header, an object"],
    [
      "a file of others",
      () => writeSafetensors({ "0.weight": runtime.zeros([2, 2]) }, { format: "pt" }),
      FormatError,
      'not a file of this package, whose metadata say format "lamella"',
    ],
    [
      "a checkpoint",
      checkpoint,
      FormatError,
      'expected a model, got "checkpoint", which Trainer.resume reads',
    ],
    [
      "another version",
      () => changed((_, m) => m.set("version", "3")),
      FormatError,
      'expected version 1 or 2 of the file, got "3"',
    ],
    [
      "no architecture",
      () => changed((_, m) => m.set("architecture", "[")),
      FormatError,
      "expected an object in JSON as the metadata's architecture",
    ],
    [
      "no layers",
      () => architecture((a) => Object.assign(a, { layers: [] })),
      TypeError,
      "layers must be a list",
    ],
    ["a layer of no known kind", () => layer({ kind: "conv" }), TypeError, 'got "conv"'],
    ["no layer at all", () => layer(null as never), TypeError, "got null"],
    [
      "a setting out of range",
      () => layer({ kind: "leakyRelu", negativeSlope: -1 }),
      RangeError,
      "layer 1 (leakyRelu): negativeSlope",
    ],
    [
      "a dtype that is none",
      () => architecture((a) => Object.assign(a, { dtype: "int32" })),
      TypeError,
      'got "int32"',
    ],
    [
      "an input without a length",
      () => architecture((a) => Object.assign(a, { input: [] })),
      ShapeError,
      "input must be the shape",
    ],
    [
      "layers too large for any memory",
      () => architecture((a) => Object.assign(a.layers[0]!, { units: 2 ** 40 })),
      ShapeError,
      "shape: 0.weight must be (30, 1099511627776), got (30, 50)",
    ],
    [
      "a tensor too few and one too many",
      () =>
        changed((t) => {
          t.set("more", t.get("2.bias")!);
          t.delete("2.bias");
        }),
      ShapeError,
      "missing: 2.bias (34,)\n  extra: more (34,)",
    ],
    [
      "integers",
      () =>
        changed((t) => t.set("2.bias", { dtype: "I32", shape: [34], data: new Int32Array(34) })),
      ShapeError,
      "dtype: 2.bias must be float32, got I32",
    ],
  ])("%s", async (_, make, kind, message) => {
    const given = make() as Uint8Array;
    expect(() => loadPredictorSync(given)).toThrow(kind as never);
    expect(() => loadPredictorSync(given)).toThrow(message);
    await expect(loadPredictor(given)).rejects.toThrow(message);
  });

  test.each([0, -1, 1.5, NaN, "2", null])("maxBatch: %s", async (maxBatch) => {
    await expect(loadPredictor(bytes, { maxBatch: maxBatch as number })).rejects.toThrow(
      /^loadPredictor: maxBatch must be a whole number from 1 up, got/,
    );
  });

  test("options that are none", async () => {
    for (const options of [null, 5]) {
      await expect(loadPredictor(bytes, options as never)).rejects.toThrow(
        `loadPredictor: options must be an object, got ${options}`,
      );
    }
  });

  test("a thousand damaged files: an error or a predictor", () => {
    const random = seeded(5);
    const whole = file({ input: [4], layers: [affine(3), dropout(0.1), affine(2)] });
    const errors = new Set<string>();
    for (let round = 0; round < 1000; round++) {
      const length = round % 3 === 0 ? 8 + Math.floor(random() * whole.length) : whole.length;
      const copy = whole.slice(0, length);
      for (let k = 0; k < 1 + (round % 4); k++) {
        copy[Math.floor(random() * copy.length)] = Math.floor(256 * random());
      }
      try {
        loadPredictorSync(copy).dispose();
      } catch (error) {
        errors.add((error as Error).name);
      }
    }
    expect(errors).toContain("FormatError");
    for (const name of errors) {
      expect(["FormatError", "ShapeError", "RangeError", "TypeError", "DTypeError"]).toContain(
        name,
      );
    }
  });
});
