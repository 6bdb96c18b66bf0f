// Weights of products become the tensors of a file here, which may be narrower than the model's
// dtype.

import { show } from "../runtime/errors.ts";
import { float16sOf } from "./float16.ts";
import { SCALE } from "./model_file.ts";
import type { SafetensorsData } from "./safetensors.ts";

/** A file can store the weights of products as one of these. */
export type WeightsName = "float32" | "float16" | "int8";

interface Weights {
  /** (…, M): the last axis is that of the output's channels. */
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array;
}

/** The tensors that a file gets, by their names. */
type Stored = (readonly [name: string, tensor: SafetensorsData])[];

function refusal(operation: string, type: WeightsName, name: string, index: number, value: number) {
  return new RangeError(
    `${operation}: weights cannot be "${type}", which does not hold ${value}, element ${index} of ${name}`,
  );
}

/**
 * Returns the integers and the scales of weights. A column's scale is its greatest absolute value
 * divided by 127, in float32, and w becomes the whole number in [−127, 127] that is nearest to
 * w / scale.
 */
function quantised(operation: string, name: string, { shape, data }: Weights): Stored {
  const M = shape[shape.length - 1] as number;
  const greatest = new Float64Array(M);
  for (let i = 0; i < data.length; i++) {
    const value = data[i] as number;
    const size = Math.abs(value);
    if (!(Math.fround(size / 127) < Infinity)) throw refusal(operation, "int8", name, i, value);
    greatest[i % M] = Math.max(greatest[i % M] as number, size);
  }
  const scales = Float32Array.from(greatest, (size) => size / 127);
  const integers = Int8Array.from(data, (value, i) => {
    const scale = scales[i % M] as number;
    // A sum with 1.5 · 2⁵² has no place for fractions, so that it is rounded, and ties go to even.
    const round = 1.5 * 2 ** 52;
    // The scale is 0 where a column's numbers are 0, or so small that float32 has none for it.
    const steps = scale > 0 ? value / scale : 0;
    return Math.max(-127, Math.min(127, steps + round - round));
  });
  return [
    [name, { dtype: "I8", shape, data: integers }],
    [name + SCALE, { dtype: "F32", shape: [M], data: scales }],
  ];
}

/**
 * Returns the tensors that store the weights of one product; refuses a weight that the type does
 * not hold by a RangeError.
 */
export function storedWeights(
  operation: string,
  type: WeightsName,
  name: string,
  weights: Weights,
): Stored {
  if (type === "int8") return quantised(operation, name, weights);
  const { shape, data } = weights;
  const isHalf = type === "float16";
  // A number from the limit up would be rounded to infinity.
  const limit = isHalf ? 65520 : 2 ** 128 - 2 ** 103;
  const index = data.findIndex(
    (value: number) => Math.abs(value) >= limit && Number.isFinite(value),
  );
  if (index >= 0) throw refusal(operation, type, name, index, data[index] as number);
  const dtype = isHalf ? "F16" : "F32";
  return [[name, { dtype, shape, data: isHalf ? float16sOf(data) : Float32Array.from(data) }]];
}

/** Refuses a value that is no type of stored weights by a RangeError. */
export function checkWeights(operation: string, type: unknown): WeightsName {
  if (type === "int8" || type === "float16" || type === "float32") return type;
  throw new RangeError(
    `${operation}: weights must be "float32", "float16" or "int8", got ${show(type)}`,
  );
}
