// A model's file of version 2 may have a graph as its architecture:
//
//   {"inputs": [{"name": "image", "shape": [32, 32, 3], "dtype": "float32"}], "dtype": "float32",
//    "layers": [{"kind": "conv2d", …}, …],
//    "nodes": [{"layer": 0, "inputs": [0]}, …],
//    "outputs": [{"name": "scores", "value": 7}]}
//
// Values 0 to K − 1 are the K inputs, and K + i is what node i gives. A node applies a layer to
// values before it; a layer that several nodes apply has its tensors once. The names of a layer's
// tensors begin with its place in the list, or with its "name".

import { checkFloatDType, checkInput } from "../nn/architecture.ts";
import type { NetworkDescription } from "../nn/graph/blueprints.ts";
import { isPortName } from "../nn/ports.ts";
import { FormatError, show } from "../runtime/errors.ts";
import type { DType, FloatDType } from "../tensor/dtype.ts";

/** True for the architecture of a graph; another is of layers in a row. */
export const isGraph = (architecture: Record<string, unknown>): boolean =>
  Object.hasOwn(architecture, "nodes");

/**
 * The description of a graph that a file claims to have, of which all but the layers is checked.
 * @throws FormatError
 */
export function graphFrom(
  operation: string,
  architecture: Record<string, unknown>,
): { dtype: FloatDType; description: NetworkDescription } {
  const wrong = (what: string, expected: string, got: unknown) =>
    new FormatError(
      `${operation}: expected ${what} of the metadata's architecture to be ${expected}, got ${show(got)}`,
    );
  const listOf = (key: string, from: Record<string, unknown> = architecture): unknown[] => {
    const { [key]: list } = from;
    if (Array.isArray(list) && list.length > 0) return list;
    throw wrong(key, "a list that is not empty", list);
  };
  const within = (what: string, value: unknown, low: number, high: number): number => {
    if (Number.isInteger(value) && (value as number) >= low && (value as number) < high) {
      return value as number;
    }
    throw wrong(what, `a whole number in [${low}, ${high})`, value);
  };
  const names = new Set<string>();
  const nameIn = (key: string, value: unknown): string => {
    if (isPortName(value) && !names.has(`${key} ${value}`)) {
      names.add(`${key} ${value}`);
      return value;
    }
    throw wrong(`a name of ${key}`, "a text of its own", value);
  };
  const { dtype: claimed = "float32" } = architecture;
  const dtype = checkFloatDType(operation, claimed);
  const inputs = listOf("inputs").map((given) => {
    const { name, shape, dtype } = Object(given) as Record<string, unknown>;
    const own = nameIn("inputs", name);
    const type: DType = dtype === "int32" ? dtype : checkFloatDType(operation, dtype);
    return { name: own, shape: checkInput(operation, shape), dtype: type };
  });
  const layers = listOf("layers");
  const K = inputs.length;
  const applied = new Set<number>();
  const nodes = listOf("nodes").map((given, i) => {
    const node = Object(given) as Record<string, unknown>;
    const layer = within(`the layer of node ${i}`, node.layer, 0, layers.length);
    applied.add(layer);
    const values = listOf("inputs", node).map((value) =>
      within(`an input of node ${i}`, value, 0, K + i),
    );
    return { layer, inputs: values };
  });
  for (const i of layers.keys()) {
    if (!applied.has(i)) throw wrong(`layer ${i}`, "applied by a node", undefined);
  }
  const given = new Set<number>();
  const outputs = listOf("outputs").map((output) => {
    const { name, value } = Object(output) as Record<string, unknown>;
    const own = nameIn("outputs", name);
    const at = within(`the value of output ${own}`, value, K, K + nodes.length);
    if (given.has(at)) throw wrong("the values of outputs", "apart", at);
    given.add(at);
    return { name: own, value: at };
  });
  return { dtype, description: { inputs, layers, nodes, outputs } };
}
