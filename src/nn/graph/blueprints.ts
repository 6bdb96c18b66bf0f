// What the description of a network comes to, without anything that computes: all that a predictor
// needs.

import { DTypeError, quote, ShapeError, show } from "../../runtime/errors.ts";
import type { DType, FloatDType } from "../../tensor/dtype.ts";
import { checkKeys } from "../../tensor/options.ts";
import { formatShape, sameShape } from "../../tensor/shape.ts";
import type { Graph, Node } from "./graph.ts";
import { type Blueprint, type ServingRecord, settingsOf, type TrainingRecord } from "./record.ts";

/** The description of a layer of any kind. */
type AnySpec = { readonly kind: string; readonly [name: string]: unknown };

/** How a description's keys are checked: checkKeys, or checkSettings with its hints. */
type CheckKeys = typeof checkKeys;

/** An input of a network: one example of it. */
export interface InputDescription {
  readonly name: string;
  readonly shape: readonly number[];
  /** The model's dtype, or what the layers that take it want, where it is undefined. */
  readonly dtype?: DType | undefined;
}

/** A network as a file has it, with shapes that have been checked. */
export interface NetworkDescription {
  readonly inputs: readonly InputDescription[];
  readonly layers: readonly unknown[];
  /** Which layer each node applies, and to which values; undefined for a chain of the layers. */
  readonly nodes?: readonly { readonly layer: number; readonly inputs: readonly number[] }[];
  /** The names and values of what it gives; undefined for what the last layer of a chain gives. */
  readonly outputs?: readonly { readonly name: string; readonly value: number }[];
}

export interface NetworkGraph<Known extends ServingRecord = ServingRecord> extends Graph<Known> {
  /** Its inputs, each with the dtype that it is given in. */
  readonly given: readonly (InputDescription & { readonly dtype: DType })[];
  readonly names: readonly string[];
}

/** A name stands before the names of tensors, and in a message: "conv1", "block.0.conv". */
const isName = (name: unknown): name is string =>
  typeof name === "string" && /^[A-Za-z_][\w.-]{0,199}$/.test(name);

/**
 * The graph that a description comes to, its layers checked against each other.
 * @param records the kinds that are known, by their names
 */
export function graphOf<Known extends ServingRecord>(
  operation: string,
  { inputs, layers, nodes: given, outputs }: NetworkDescription,
  dtype: FloatDType,
  records: Readonly<Record<string, Known>>,
  check: CheckKeys = checkKeys,
): NetworkGraph<Known> {
  const list: readonly unknown[] = Array.isArray(layers) ? layers : [];
  const { length } = list;
  if (length === 0) {
    throw new TypeError(`${operation}: layers must be a list of one layer or more`);
  }
  const K = inputs.length;
  const specs: AnySpec[] = [];
  for (let i = 0; i < length; i++) {
    const given = list[i];
    // A copy, since a getter may answer otherwise the second time.
    const isObject = typeof given === "object" && given !== null;
    const spec = (isObject ? { ...given } : given) as AnySpec | null | undefined;
    const kind: unknown = spec?.kind;
    if (!(spec && typeof kind === "string" && Object.hasOwn(records, kind))) {
      throw new TypeError(
        `${operation}: layer ${i} must be one of ${Object.keys(records).sort().join(", ")}, got ${show(kind ?? spec)}${typeof spec === "function" ? ": call it" : ""}`,
      );
    }
    specs.push(spec);
  }
  const applied = given ?? specs.map((_, i) => ({ layer: i, inputs: [i] }));
  const shapes = inputs.map(({ shape }) => shape);
  const dtypes: (DType | undefined)[] = inputs.map((input) => input.dtype);
  const first = new Map<number, Blueprint<Known>>();
  const names = new Map<string, number>();
  const nodes: Node<Known>[] = [];
  for (const { layer, inputs: taken } of applied) {
    const spec = specs[layer] as AnySpec;
    const { kind } = spec;
    const record = records[kind] as Known;
    const place = `${operation}: layer ${layer} (${kind})`;
    const settings = settingsOf(place, record, spec);
    const { name = String(layer) } = spec as { name?: unknown };
    if (spec.name !== undefined && !isName(name)) {
      throw new TypeError(
        `${place}: name must be a text of letters, digits, "_", "-" and "." that begins with a letter, got ${show(name)}`,
      );
    }
    const saved = {
      ...{ kind, ...record.stored, ...settings },
      ...(spec.name !== undefined && { name }),
    };
    check(place, "the layer", spec, [
      ...Object.keys(saved),
      ...((record as TrainingRecord).first ?? []),
    ]);
    const holder = names.get(name as string);
    if (holder !== undefined && holder !== layer) {
      throw new RangeError(
        `${place}: name ${quote(name as string)} is that of layer ${holder} too`,
      );
    }
    names.set(name as string, layer);
    const [least, most] = record.inputs ?? [1, 1];
    if (taken.length < least || taken.length > most) {
      const expected = least === most ? least : `${least} or more`;
      throw new TypeError(
        `${place}: takes ${expected} input${expected === 1 ? "" : "s"}, got ${taken.length}`,
      );
    }
    const inShapes = taken.map((value) => shapes[value] as readonly number[]);
    const inShape = inShapes[0] as readonly number[];
    const refusal = record.refusal?.(inShape, saved, inShapes);
    if (refusal) throw new ShapeError(`${place}: ${refusal}`);
    for (const value of taken) {
      const due = record.takes ?? dtype;
      if (value < K) dtypes[value] ??= due;
      const is = value < K ? dtypes[value] : dtype;
      if (is !== due) throw new DTypeError(`${place}: takes ${due}, got ${is}`);
    }
    const outShape = Object.freeze(record.outShape?.(inShape, saved, inShapes) ?? inShape);
    const tensors = record.tensors?.(inShape, saved) ?? {};
    for (const [key, shape] of Object.entries(first.get(layer)?.tensors ?? {})) {
      const now = tensors[key] ?? [];
      if (sameShape(shape, now)) continue;
      throw new ShapeError(
        `${place}: is applied twice, and its ${key} of shape ${formatShape(shape)} would be ${formatShape(now)} here`,
      );
    }
    const blueprint = {
      ...{ record, spec, place, name: name as string, layer, saved, tensors },
      ...{ inShape, outShape, inShapes },
    };
    if (!first.has(layer)) first.set(layer, blueprint);
    nodes.push({ blueprint, inputs: taken });
    shapes.push(outShape);
  }
  const taken = new Set([...nodes.flatMap(({ inputs }) => inputs)]);
  for (const { value } of outputs ?? []) taken.add(value);
  for (const [i, { blueprint }] of nodes.entries()) {
    if (!outputs || taken.has(K + i)) continue;
    throw new TypeError(`${blueprint.place}: nothing takes what it gives`);
  }
  return {
    ...{ inputs: K, nodes },
    given: inputs.map(({ name, shape }, i) => ({ name, shape, dtype: dtypes[i] ?? dtype })),
    outputs: outputs?.map(({ value }) => value) ?? [K + nodes.length - 1],
    names: outputs?.map(({ name }) => name) ?? ["output"],
  };
}
