// A network that is served step by step: its recurrent layers keep their states from one call to
// the next, and each call takes one step of every sequence.

import { checkRange, flag } from "../../tensor/numbers.ts";
import type { NetworkGraph } from "./blueprints.ts";
import type { Operation, ServingRecord, Settings } from "./record.ts";

/** The place of `capacity` among the fields of a RecurrentStack. */
const CAPACITY = 8;

/**
 * True for a layer that computes each step of a sequence from that step alone, or by its state.
 * @param steps for each input whether its first axis are steps
 */
function goesStepByStep(
  record: ServingRecord,
  settings: Settings,
  shapes: readonly (readonly number[])[],
  steps: readonly boolean[],
): boolean {
  if (record.stack) return !settings.bidirectional;
  if ((record.window && !record.inputs) || record.acrossSteps) return false;
  // What it makes of a step may not depend on how many there are.
  const of = (T: number) => {
    const all = shapes.map((shape, i) => (steps[i] ? [T, ...shape.slice(1)] : shape));
    const [inShape] = all as [readonly number[]];
    if (record.refusal?.(inShape, settings, all)) return "";
    const [length, ...rest] = record.outShape?.(inShape, settings, all) ?? inShape;
    // A table of axes has as many of them whatever their lengths.
    const values = record.inputs ? [] : record.values?.(settings, inShape);
    const more = [record.columns?.(inShape, settings), values];
    return JSON.stringify([length === T, rest, more, record.tensors?.(inShape, settings)]);
  };
  return of(2) === of(3) && of(2).startsWith("[true");
}

/**
 * The same network over one step of the sequences that are its input; of several inputs those of
 * two axes and more are sequences.
 * @throws TypeError for a network without recurrent layers, and for a layer that needs several
 *   steps at once
 */
export function streamed<Known extends ServingRecord>(
  operation: string,
  graph: NetworkGraph<Known>,
): NetworkGraph<Known> {
  const { nodes } = graph;
  const given = graph.given.map((port) => ({
    ...port,
    shape: port.shape.length > 1 ? [1, ...port.shape.slice(1)] : port.shape,
  }));
  /** Of each value the shape, and whether it still has steps. */
  const shapes: (readonly number[])[] = given.map(({ shape }) => shape);
  const hasSteps = shapes.map((shape) => shape.length > 1);
  if (!nodes.some(({ blueprint }) => blueprint.record.stack)) {
    throw new TypeError(`${operation}: stateful: the model has no recurrent layer`);
  }
  const own = nodes.map(({ blueprint, inputs }) => {
    const { record, saved, layer } = blueprint;
    const settings: Settings = saved;
    const inShapes = inputs.map((value) => shapes[value] as readonly number[]);
    const [inShape] = inShapes as [readonly number[]];
    const steps = inputs.map((value) => hasSteps[value] as boolean);
    const isStepwise = steps.includes(true);
    if (isStepwise && !goesStepByStep(record, settings, inShapes, steps)) {
      throw new TypeError(
        `${operation}: stateful: layer ${layer} (${record.kind}) needs all steps of a sequence at once`,
      );
    }
    const outShape = Object.freeze(record.outShape?.(inShape, settings, inShapes) ?? inShape);
    shapes.push(outShape);
    hasSteps.push(isStepwise && (!record.stack || settings.returnSequences));
    return { blueprint: { ...blueprint, inShape, inShapes, outShape }, inputs };
  });
  return { ...graph, nodes: own, given };
}

/** Gives recurrent operations states that they keep, for up to maxBatch examples. */
export function withStates(operations: readonly Operation[], maxBatch: number): Operation[] {
  return operations.map((operation) => {
    const { kind, window = [], operands } = operation;
    if (kind !== "recurrent") return operation;
    const [, , H = 0, , layers = 0, directions = 0] = Array.from(window);
    const length = 2 * layers * directions * H * maxBatch;
    const fields = Array.from(window);
    fields[CAPACITY] = maxBatch;
    const state = { length, values: () => new Float64Array(length) };
    return { ...operation, window: fields, operands: [...operands, state], keepsState: true };
  });
}

/** Reads the option of compile and of loadPredictor. */
export const checkStateful = (operation: string, value: unknown): boolean =>
  checkRange(operation, "stateful", flag, value as boolean);
