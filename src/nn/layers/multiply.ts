import { Multiply } from "../engine/combine.ts";
import { type PlainSpec, plainLayer } from "../engine/kinds.ts";
import { combining } from "../graph/broadcasting.ts";
import type { ServingRecord, TrainingRecord } from "../graph/record.ts";

export type MultiplySpec = PlainSpec<"multiply">;

export const multiplyRecord: ServingRecord<"multiply"> = { kind: "multiply", ...combining };

export const multiplyTraining: TrainingRecord = { keeps: "x" };

/**
 * The product of two nodes of a graph, element by element and with NumPy's broadcasting: out =
 * a · b.
 *
 * Examples a (…) and b (…) → (…), of the larger rank; where one has a length of 1, or no axis, it
 * is repeated.
 */
export const multiply = /* @__PURE__ */ plainLayer(multiplyRecord, multiplyTraining, Multiply);
