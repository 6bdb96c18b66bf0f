import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { createRuntimeSync, loadModel } from "../../src/index.ts";
import { Folder } from "./command.ts";

const folder = new Folder();
afterAll(() => folder.remove());
const runtime = createRuntimeSync();

const golden = new URL("../golden/keras.json", import.meta.url);
const { convolutions, decoder } = JSON.parse(readFileSync(golden, "utf8")).models;
const bytesOf = (text: string) => Uint8Array.from(inflateSync(Buffer.from(text, "base64")));
mkdirSync(join(folder.path, "lonely"));
folder.write("net.h5", bytesOf(convolutions.h5));
folder.write("net.keras", bytesOf(convolutions.keras));
folder.write("model.json", Buffer.from(decoder.tfjs_float32.json));
folder.write("group1-shard1of1.bin", Buffer.from(decoder.tfjs_float32.weights, "base64"));

/** The largest difference between what a file gives and what PyTorch gives. */
function worstOf(file: string, model: { x: number[]; shape: number[]; out: number[] }): number {
  return runtime.scope(() => {
    const loaded = loadModel(runtime, folder.read(file));
    const x = runtime.tensor(Float32Array.from(model.x), model.shape);
    const { data } = loaded.predict(x as never) as { data: Float32Array };
    const worst = data.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - (model.out[i] as number))),
      0,
    );
    loaded.dispose();
    return worst;
  });
}

describe("convert", () => {
  test.each([
    ["net.h5", "Keras 2", convolutions],
    ["net.keras", "Keras 3", convolutions],
    ["model.json", "TensorFlow.js", decoder],
  ])("%s becomes a file that gives the same scores, and says so", async (name, format, model) => {
    const out = `${name}.safetensors`;
    const text = await folder.succeeding("convert", name, "-o", out);
    expect(text).toContain(`${format}: `);
    expect(text).toMatch(
      /the file's scores differ from the model's by at most [\d.e-]+ over 8 examples/,
    );
    expect(text).toMatch(/one prediction takes [\d.]+ µs/);
    expect(worstOf(out, model)).toBeLessThan(2e-6);
  });

  test("tells the same as JSON", async () => {
    const told = JSON.parse(
      await folder.succeeding(
        "convert",
        "net.h5",
        "-o",
        "small.safetensors",
        "--weights",
        "float16",
        "--json",
      ),
    );
    expect(told).toMatchObject({
      format: "Keras 2",
      weights: "float16",
      file: "small.safetensors",
    });
    expect(told.layers).toMatchObject({ batchnorm: 2, softmax: 1 });
    // Rounded to 11 bits, through eight layers.
    expect(told.largestDifference).toBeGreaterThan(0);
    expect(told.largestDifference).toBeLessThan(0.01);
    expect(told.bytes).toBe(folder.read("small.safetensors").length);
    expect(worstOf("small.safetensors", convolutions)).toBeLessThan(0.01);
  });

  test.each([
    ["text.keras", Buffer.from("hello"), /expected an HDF5 file/],
    ["cut.h5", bytesOf(convolutions.h5).subarray(0, 3000), /the HDF5 file cannot be read/],
    ["net.pt", Uint8Array.of(0x50, 0x4b, 3, 4), /a file of PyTorch has weights and no layers/],
    ["lonely/model.json", Buffer.from(decoder.tfjs_float32.json), /do not lie beside it/],
    [
      "outside.json",
      Buffer.from(JSON.stringify({ weightsManifest: [{ paths: ["../net.h5"], weights: [] }] })),
      /do not lie beside it/,
    ],
  ])("%s is refused by its reason, and writes nothing", async (name, bytes, reason) => {
    folder.write(name, bytes);
    const { stderr, code } = await folder.lamella("convert", name, "-o", "none.safetensors");
    expect(stderr).toMatch(reason);
    expect(code).toBe(1);
    expect(existsSync(join(folder.path, "none.safetensors"))).toBe(false);
  });
});
