import { FormatError, type Runtime, UnsupportedError } from "lamella";
import { cut, describe, quote, show } from "../../runtime/errors.ts";
import { float32BitsOfFloat16 } from "../float16.ts";
import { decodeUtf8 } from "../utf8.ts";
import type { Imported, Values } from "./builder.ts";
import { kerasModel } from "./keras_graph.ts";
import { bytesOf, isObject, parseJson, type Settings } from "./source.ts";

const OPERATION = "loadTfjs";

const fail = (message: string) => new FormatError(`${OPERATION}: ${message}`);

/** Bytes of an element by dtype, and how one is read. */
const readers: Readonly<
  Record<string, { width: number; read: (view: DataView, at: number) => number }>
> = {
  float32: { width: 4, read: (view, at) => view.getFloat32(at, true) },
  int32: { width: 4, read: (view, at) => view.getInt32(at, true) },
  uint16: { width: 2, read: (view, at) => view.getUint16(at, true) },
  uint8: { width: 1, read: (view, at) => view.getUint8(at) },
  bool: { width: 1, read: (view, at) => view.getUint8(at) },
  float16: { width: 2, read: (view, at) => view.getUint16(at, true) },
};

interface Weight extends Values {
  readonly name: string;
}

/** Returns the shards that a manifest names, one after the other. */
function joined(groups: readonly Settings[], weights: unknown): Uint8Array[] {
  if (weights instanceof Uint8Array || weights instanceof ArrayBuffer) {
    return [bytesOf(OPERATION, "weights", weights)];
  }
  if (!isObject(weights)) {
    throw new TypeError(
      `${OPERATION}: weights must be the bytes of all shards, or an object of them by path, got ${describe(weights)}`,
    );
  }
  return groups.flatMap(({ paths }) =>
    (Array.isArray(paths) ? paths : []).map((path) => {
      if (!Object.hasOwn(weights, String(path))) {
        throw fail(
          `the model's weights are in ${quote(String(path))}, got ${cut(Object.keys(weights).map(quote).join(", "), 500)}`,
        );
      }
      return bytesOf(OPERATION, `weights[${quote(String(path))}]`, weights[String(path)]);
    }),
  );
}

/** Reads the weights of a manifest. */
function weightsIn(manifest: unknown, given: unknown): Weight[] {
  const groups = Array.isArray(manifest) ? manifest.filter(isObject) : [];
  if (groups.length === 0) throw fail("the model has no weightsManifest");
  const shards = joined(groups, given);
  const bytes = new Uint8Array(shards.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const shard of shards) {
    bytes.set(shard, end);
    end += shard.length;
  }
  const view = new DataView(bytes.buffer);
  let at = 0;
  return groups.flatMap(({ weights }) =>
    (Array.isArray(weights) ? weights : []).map((entry: unknown): Weight => {
      const { name, shape, dtype, quantization } = isObject(entry) ? entry : {};
      const isShape =
        Array.isArray(shape) &&
        shape.every((length) => Number.isSafeInteger(length) && length >= 0);
      if (typeof name !== "string" || !isShape) {
        throw fail(`a weight of the manifest has no name and shape: ${cut(JSON.stringify(entry))}`);
      }
      const scaled = isObject(quantization) ? quantization : undefined;
      const stored = String(scaled?.dtype ?? dtype);
      const reader = Object.hasOwn(readers, stored) ? readers[stored] : undefined;
      if (!reader) throw fail(`weight ${quote(name)} is of dtype ${quote(stored)}`);
      const size = shape.reduce((product, length) => product * length, 1);
      if (!(size * reader.width <= bytes.length - at)) {
        throw fail(
          `weight ${quote(name)} of shape (${shape}) takes ${size * reader.width} bytes, of which ${bytes.length - at} are there`,
        );
      }
      const values = new Float32Array(size);
      for (let i = 0; i < size; i++) values[i] = reader.read(view, at + i * reader.width);
      at += size * reader.width;
      if (stored === "float16") {
        const bits = new Int32Array(values.buffer);
        for (let i = 0; i < size; i++) bits[i] = float32BitsOfFloat16(values[i] as number);
      } else if (scaled) {
        const { scale, min } = scaled;
        if (typeof scale !== "number" || typeof min !== "number") {
          throw fail(`weight ${quote(name)} is quantised without a scale and a minimum`);
        }
        for (let i = 0; i < size; i++) values[i] = (values[i] as number) * scale + min;
      }
      return { name, shape, values };
    }),
  );
}

/**
 * Makes a model of a layers model of TensorFlow.js: `model.json` and its weights.
 *
 * It takes and gives what it took and gave there: images are (N, H, W, C). Weights that are
 * quantised to float16, uint8 and uint16 are read. What loadKeras says of layers holds here.
 *
 * @param json what `model.json` has: its text, its bytes, or what JSON.parse makes of it
 * @param weights the bytes of all shards, one after the other, or an object of them by the paths in
 *   the manifest
 * @throws FormatError for what is no such model, and for weights that are cut or missing;
 *   UnsupportedError with all layers that have no counterpart here, and for a graph model
 */
export function loadTfjs(
  runtime: Runtime,
  json: string | Uint8Array | ArrayBuffer | object,
  weights: Uint8Array | ArrayBuffer | Readonly<Record<string, Uint8Array | ArrayBuffer>>,
): Imported {
  const isBytes = json instanceof Uint8Array || json instanceof ArrayBuffer;
  const text = isBytes ? decodeUtf8(bytesOf(OPERATION, "json", json)) : json;
  const model =
    typeof text === "string" || text === null ? parseJson(OPERATION, "json", text) : text;
  if (!isObject(model) || !isObject(model.modelTopology)) {
    throw fail(`expected a model.json with a modelTopology, got ${show(json)}`);
  }
  const { modelTopology, weightsManifest, format } = model;
  if (format === "graph-model" || Array.isArray(modelTopology.node)) {
    throw new UnsupportedError(
      `${OPERATION}: the file is a graph model, and layers models alone are read: convert the original by tensorflowjs_converter --output_format=tfjs_layers_model, or the SavedModel by tf2onnx`,
    );
  }
  const all = weightsIn(weightsManifest, weights);
  const topology = modelTopology.model_config ?? modelTopology;
  return kerasModel(OPERATION, runtime, topology, 2, (path) => {
    const layer = path.at(-1) as string;
    const first = all.filter(({ name }) => name.split("/")[0] === layer);
    // Within a scope, or a model within the model, the layer's name comes later.
    return first.length > 0 ? first : all.filter(({ name }) => name.split("/").includes(layer));
  });
}
