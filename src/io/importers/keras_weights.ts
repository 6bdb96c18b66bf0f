// Where the weights of Keras' layers lie in its two kinds of files.

import { FormatError } from "lamella";
import { quote } from "../../runtime/errors.ts";
import { type Hdf5Group, openHdf5 } from "../formats/hdf5.ts";
import { readZip } from "../formats/zip.ts";
import { decodeUtf8 } from "../utf8.ts";
import type { Values } from "./builder.ts";
import type { WeightsOf } from "./keras_graph.ts";
import { parseJson } from "./source.ts";

/** What a file of Keras has: the model's configuration, its Keras' version, and the weights. */
export interface KerasFile {
  readonly topology: unknown;
  readonly version: number;
  readonly weightsOf: WeightsOf;
}

const major = (version: unknown) => Number(/^\d+/.exec(String(version))?.[0] ?? 2);

/** Keras 2 writes one HDF5 file, whose groups bear the layers' names. */
export function readHdf5File(operation: string, bytes: Uint8Array): KerasFile {
  const file = openHdf5(operation, bytes);
  const config = file.text("model_config");
  if (config === undefined) {
    throw new FormatError(
      `${operation}: the HDF5 file has weights alone and no model_config: write the model by model.save("net.h5") or model.save("net.keras")`,
    );
  }
  const weights = file.isGroup("model_weights") ? file.group("model_weights") : file;
  return {
    topology: parseJson(operation, "model_config", config),
    version: major(weights.text("keras_version") ?? file.text("keras_version")),
    weightsOf([outer, ...inner]) {
      const name = outer as string;
      if (!weights.isGroup(name)) return [];
      const group = weights.group(name);
      // A list that is longer than an attribute can be is cut into several.
      const names = [...(group.texts("weight_names") ?? [])];
      for (let i = 0; ; i++) {
        const more = group.texts(`weight_names${i}`);
        if (!more) break;
        names.push(...more);
      }
      // A model within the model has all its layers' weights in its own group.
      const layer = inner.at(-1);
      const own =
        layer === undefined ? names : names.filter((name) => name.split("/")[0] === layer);
      return own.map((path) => group.array(path));
    },
  };
}

/** Keras' name for a class within a .keras file: Conv2D is conv2d, MaxPooling2D max_pooling2d. */
function snakeCase(name: string): string {
  return name
    .replace(/\W+/g, "")
    .replace(/(.)([A-Z][a-z]+)/g, "$1_$2")
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase();
}

/**
 * Returns the groups of layers by the layers' names. Newer versions of Keras name a group as the
 * layer, older ones by its class and a number: whichever of the two fits more of the groups.
 */
function keyOf(layers: readonly Configured[], groups: readonly string[]): Map<string, string> {
  const counts = new Map<string, number>();
  const numbered = layers.map(({ class_name }) => {
    const kind = snakeCase(class_name);
    const before = counts.get(kind) ?? 0;
    counts.set(kind, before + 1);
    return before === 0 ? kind : `${kind}_${before}`;
  });
  const there = new Set(groups);
  const byName = layers.filter(({ name }) => there.has(name)).length;
  const byNumber = numbered.filter((key) => there.has(key)).length;
  return new Map(
    layers.map(({ name }, i) => [name, byName > byNumber ? name : (numbered[i] as string)]),
  );
}

/** The arrays of a layer's group in the order in which Keras numbers them. */
function variables(group: Hdf5Group): Values[] {
  const found: Values[] = [];
  if (group.isGroup("vars")) {
    const vars = group.group("vars");
    for (const name of [...vars.names].sort((a, b) => Number(a) - Number(b))) {
      found.push(vars.array(name));
    }
  }
  // A recurrent layer's weights are its cell's, and those of two directions their layers'; a
  // normalisation or a product within another layer is its `layer`.
  for (const name of ["cell", "forward_layer", "backward_layer", "layer"]) {
    if (group.isGroup(name)) found.push(...variables(group.group(name)));
  }
  return found;
}

interface Configured {
  readonly class_name: string;
  readonly name: string;
}

/** Keras 3 writes a ZIP archive: config.json, and an HDF5 file of the weights. */
export function readKerasFile(
  operation: string,
  bytes: Uint8Array,
  layersOf: (topology: unknown) => readonly Configured[],
): KerasFile {
  const files = readZip(operation, bytes);
  const part = (name: string): Uint8Array => {
    const file = files.get(name);
    if (file) return file;
    throw new FormatError(
      `${operation}: the ZIP archive is no Keras model: it has no ${quote(name)}${
        [...files.keys()].some((name) => /data\.pkl$/.test(name))
          ? "; it is of PyTorch: readTorch of lamella/torch reads it"
          : ""
      }`,
    );
  };
  const topology = parseJson(operation, "config.json", decodeUtf8(part("config.json")));
  const weights = openHdf5(operation, part("model.weights.h5"));
  const container = (group: Hdf5Group) =>
    ["layers", "_layer_checkpoint_dependencies"].find((name) => group.isGroup(name));
  return {
    topology,
    version: 3,
    weightsOf(path) {
      let group = weights;
      let model = topology;
      for (const name of path) {
        const folder = container(group);
        if (folder === undefined) return [];
        group = group.group(folder);
        const layers = layersOf(model);
        const key = keyOf(layers, group.names).get(name);
        if (key === undefined || !group.isGroup(key)) return [];
        group = group.group(key);
        model = layers.find((layer) => layer.name === name);
      }
      return variables(group);
    },
  };
}
