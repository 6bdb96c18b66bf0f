// Files of other kinds, given in place of safetensors: the error says what they are, in every call
// that reads files.

import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import {
  affine,
  createRuntime,
  createRuntimeSync,
  FormatError,
  loadModel,
  loadTorch,
  readSafetensors,
  Sequential,
  saveModel,
  Trainer,
  writeSafetensors,
} from "../../src/index.ts";
import { loadPredictor, loadPredictorSync } from "../../src/predict.ts";

// biome-ignore lint/suspicious/noExplicitAny: what is given has other types than are taken
type Any = any;

const runtime = createRuntimeSync();
const layers = [affine(2)];
const readers: Record<string, (bytes: Any) => unknown> = {
  readSafetensors,
  loadModel: (bytes) => loadModel(runtime, bytes),
  loadTorch: (bytes) => loadTorch(runtime, bytes, { input: [2], layers }),
  "Trainer.resume": (bytes) => Trainer.resume(runtime, bytes),
  loadPredictorSync: (bytes) => loadPredictorSync(bytes),
};

const text = (value: string) => new TextEncoder().encode(value);
const bytes = (start: number[], length = 300) =>
  Uint8Array.from({ length }, (_, i) => start[i] ?? (i * 89 + 128) % 256);
const ascii = (value: string) => [...value].map((char) => char.charCodeAt(0));

const files: [string, Uint8Array, RegExp][] = [
  ["nothing", new Uint8Array(0), /the file is empty/],
  ["an HTML page", text("<!DOCTYPE html>\n<html><body>404</body></html>"), /HTML or XML page/],
  [
    "an HTML page after white space",
    text("\n\n  <html lang='en'><head></head></html>"),
    /HTML or XML page/,
  ],
  ["an HTML page with a byte order mark", text("\ufeff<html></html>"), /HTML or XML page/],
  ["a short page", text("<p>"), /HTML or XML page/],
  [
    "a Git LFS pointer",
    text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"),
    /Git LFS pointer: git lfs pull/,
  ],
  ["a ZIP", bytes([0x50, 0x4b, 3, 4, 20, 0, 0, 0]), /ZIP archive, as \.pt/],
  ["a ZIP of PyTorch", bytes([0x50, 0x4b, 3, 4, 0, 0, 0, 0]), /ZIP archive, as \.pt/],
  ["a pickle of old PyTorch", bytes([0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46]), /a pickle/],
  ["a pickle of protocol 4", bytes([0x80, 4, 0x95, 0x0b, 0, 0, 0, 0]), /a pickle/],
  ["an ONNX model", bytes([8, 7, 18, 7, ...ascii("pytorch"), 26]), /an ONNX model/],
  ["an HDF5 file", bytes([0x89, ...ascii("HDF\r\n"), 0x1a, 10]), /an HDF5 file/],
  ["gzip", new Uint8Array(gzipSync("{}".repeat(100))), /a gzip file: unpack it/],
  ["JSON", text('{"error":"not found"}'), /the file is JSON/],
  ["a list in JSON", text('[{"a":1},{"b":2}]'), /the file is JSON/],
  ["TFLite", bytes([0x1c, 0, 0, 0, ...ascii("TFL3")]), /a TFLite model/],
  [".npy", bytes([0x93, ...ascii("NUMPY"), 1, 0]), /an array of NumPy/],
  [".npz", bytes([0x50, 0x4b, 3, 4, 0x2d, 0, 0, 0]), /ZIP archive, .* \.npz/],
  ["WebAssembly", bytes([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]), /WebAssembly/],
  ["text", text("404: Not Found"), /the file is text: "404: Not Found"/],
  ["long text", text("word ".repeat(10_000)), /the file is text: "word [^"]{0,70}"$/],
  ["a name", text("abc"), /at least 8 bytes, got 3; the file is text: "abc"/],
];

describe.each(Object.keys(readers))("%s", (name) => {
  test.each(files)("says of %s what it is", (_, file, message) => {
    const read = readers[name]!;
    const { memory } = runtime;
    for (const given of [file, file.slice().buffer]) {
      expect(() => read(given)).toThrow(FormatError);
      expect(() => read(given)).toThrow(message);
      expect(() => read(given)).toThrow(new RegExp(`^${name}: `)); // the call that was made
    }
    expect(runtime.memory).toEqual(memory);
  });

  test.each<[string, () => Any, RegExp]>([
    ["a Response", () => new Response("x"), /got Response: give await its arrayBuffer\(\)/],
    ["a Request", () => new Request("http://a/b"), /got Request: give await its arrayBuffer\(\)/],
    ["a Blob", () => new Blob(["x"]), /got Blob: give await its arrayBuffer\(\)/],
    ["a string", () => "model.safetensors", /got string: give the bytes of the file/],
    ["a Promise", () => Promise.resolve(new Uint8Array(8)), /got a Promise: await it/],
    ["nothing", () => undefined, /got undefined$/],
  ])("says of %s what to do", (_, make, message) => {
    expect(() => readers[name]!(make())).toThrow(TypeError);
    expect(() => readers[name]!(make())).toThrow(message);
    expect(() => readers[name]!(make())).toThrow(new RegExp(`^${name}: `));
  });

  test("says of bytes whose buffer was transferred that it is gone", () => {
    const file = saveModel(new Sequential(runtime, { input: [2], layers }));
    structuredClone(file.buffer, { transfer: [file.buffer] });
    expect(() => readers[name]!(file)).toThrow(new RegExp(`^${name}: .*bytes is gone`));
    expect(() => readers[name]!(file)).toThrow(TypeError);
  });
});

test("loadPredictor says the same", async () => {
  for (const [, file, message] of files) {
    await expect(loadPredictor(file)).rejects.toThrow(message);
  }
  await expect(loadPredictor(Promise.resolve(new Uint8Array(8)) as Any)).rejects.toThrow(
    /got a Promise: await it/,
  );
});

test("a good file is read as ever, whatever it begins with", () => {
  // Headers of 8 + 256 k bytes begin as an ONNX model's version would.
  for (let length = 3; length < 30; length++) {
    const file = writeSafetensors({}, { filler: "x".repeat(256 * length) });
    expect(readSafetensors(file).metadata.get("filler")).toHaveLength(256 * length);
  }
});

describe("a forgotten await is named", () => {
  const promise = createRuntime() as Any;
  const model = new Sequential(runtime, { input: [2], layers });
  const file = saveModel(model);

  test.each<[string, () => unknown]>([
    ["Sequential", () => new Sequential(promise, { input: [2], layers })],
    ["loadModel", () => loadModel(promise, file)],
    [
      "loadTorch",
      () =>
        loadTorch(
          promise,
          writeSafetensors({ "0.weight": runtime.zeros([2, 2]), "0.bias": runtime.zeros([2]) }),
          { input: [2], layers },
        ),
    ],
    ["Trainer", () => new Trainer(Promise.resolve(model) as Any, {} as Any)],
    ["saveModel", () => saveModel(promise)],
    ["loadStateDict", () => model.loadStateDict(promise)],
    ["predict", () => model.predict(promise)],
    ["a predictor's predict", () => model.compile().predict(promise)],
    [
      "backward",
      () => {
        model.forward([1, 2]);
        model.backward(promise);
      },
    ],
    ["tensor", () => runtime.tensor(promise)],
    ["options", () => model.compile(promise)],
    ["a wasm source", () => createRuntimeSync({ wasm: promise })],
  ])("in %s", (_, call) => {
    expect(call).toThrow(TypeError);
    expect(call).toThrow(/got a Promise: await/);
  });
});

describe("bytes that change", () => {
  const first = () => saveModel(new Sequential(runtime, { input: [2], layers, seed: 1 }));
  const core = async () => (await import("node:fs")).readFileSync("build/predict.wasm");

  test("after loadPredictor was called are not what is served", async () => {
    const expected = loadPredictorSync(first()).predict([1, 2]);
    const wasm = await core();
    for (const options of [
      {},
      { wasm },
      { wasm: new Response(wasm, { headers: { "content-type": "application/wasm" } }) },
    ]) {
      const file = first();
      const loading = loadPredictor(file, options as Any);
      file.fill(0);
      expect((await loading).predict([1, 2])).toEqual(expected);
    }
  });

  test("in a getter of its options are read after it", async () => {
    const file = first();
    const options = {
      get wasm() {
        file.fill(0);
        return undefined;
      },
    };
    await expect(loadPredictor(file, options)).rejects.toThrow(FormatError);
  });

  test.runIf("resize" in ArrayBuffer.prototype)(
    "by losing their end are a TypeError when they are read",
    () => {
      const source = writeSafetensors({
        a: { dtype: "F32", shape: [4], data: Float32Array.of(1, 2, 3, 4) },
      });
      const buffer = new (ArrayBuffer as Any)(source.length, { maxByteLength: source.length });
      const file = new Uint8Array(buffer);
      file.set(source);
      const entry = readSafetensors(file).tensors.get("a")!;
      expect([...entry.toTypedArray()]).toEqual([1, 2, 3, 4]);
      buffer.resize(source.length - 8);
      for (const use of [
        () => entry.data,
        () => entry.toTypedArray(),
        () => entry.toTypedArray("float64"),
        () => entry.copyTo(new Float32Array(4)),
      ]) {
        expect(use).toThrow(TypeError);
      }
    },
  );

  test("between the check and the writing of a file are those that were checked, or an error", () => {
    let reads = 0;
    const one = {
      dtype: "F32" as const,
      shape: [2],
      get data() {
        return ++reads === 1 ? Float32Array.of(1, 2) : new Float32Array(100).fill(9);
      },
    };
    const { tensors } = readSafetensors(writeSafetensors({ one }));
    expect([...tensors.get("one")!.toTypedArray()]).toEqual([1, 2]);
    expect(reads).toBe(1);
    class Lying extends Float32Array {
      override get byteLength() {
        return 8;
      }
      override get length() {
        return 2;
      }
    }
    const data = new Lying([1, 2, 3]);
    expect(() => writeSafetensors({ a: { dtype: "F32", shape: [2], data } })).toThrow(
      "F32 of shape (2,) takes 8 bytes but data has 12",
    );
  });
});

const { Float16Array } = globalThis as Any;

describe.runIf(Float16Array)("Float16Array, where the host has it", () => {
  const values = [0, -0, 1, -2.5, 65504, 2 ** -24, Infinity, -Infinity, NaN, 0.1];

  test("is written as F16, and read back bit by bit", () => {
    const data = Float16Array.from(values);
    const file = writeSafetensors({ half: { dtype: "F16", shape: [values.length], data } });
    const entry = readSafetensors(file).tensors.get("half")!;
    const back = new Float16Array(values.length);
    entry.copyTo(back);
    expect([...back]).toEqual([...data]);
    expect([...entry.toTypedArray()]).toEqual([...data]);
    expect(() =>
      writeSafetensors({ a: { dtype: "F32", shape: [1], data: new Float16Array(1) } }),
    ).toThrow("F32 takes a Float32Array or bytes, got a Float16Array");
  });

  test("takes the numbers of other dtypes, each rounded once", () => {
    for (const data of [
      Float64Array.of(0.1, 1 / 3, 1e6, 2 ** -26),
      Float32Array.of(0.1, 1 / 3, 1e6, 2 ** -26),
    ]) {
      const dtype = data instanceof Float64Array ? "F64" : "F32";
      const file = writeSafetensors({ a: { dtype, shape: [4], data } });
      const half = new Float16Array(4);
      readSafetensors(file).tensors.get("a")!.copyTo(half);
      expect([...half]).toEqual([...Float16Array.from(data)]);
    }
  });

  test("makes a tensor of float32", () => {
    const tensor = runtime.tensor(Float16Array.from(values));
    expect(tensor.dtype).toBe("float32");
    expect([...tensor.data]).toEqual([...Float16Array.from(values)]);
  });
});
