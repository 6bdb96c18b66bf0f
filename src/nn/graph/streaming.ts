// A network that is served step by step: its recurrent layers keep their states from one call to
// the next, and each call takes one step of every sequence.

import { checkRange, flag } from "../../tensor/numbers.ts";
import type { Graph } from "./graph.ts";
import type { Operation, ServingRecord, Settings } from "./record.ts";

/** The place of `capacity` among the fields of a RecurrentStack. */
const CAPACITY = 8;

/** True for a layer that computes each step of a sequence from that step alone, or by its state. */
function goesStepByStep(
  record: ServingRecord,
  settings: Settings,
  [, ...features]: readonly number[],
): boolean {
  if (record.stack) return !settings.bidirectional;
  if (record.window || record.acrossSteps) return false;
  // What it makes of a step may not depend on how many there are.
  const of = (T: number) => {
    const inShape = [T, ...features];
    const [steps, ...rest] = record.outShape?.(inShape, settings) ?? inShape;
    const more = [record.columns?.(inShape, settings), record.values?.(settings, inShape)];
    return JSON.stringify([steps === T, rest, more, record.tensors?.(inShape, settings)]);
  };
  return of(2) === of(3) && of(2).startsWith("[true");
}

/**
 * The same network over one step of the sequences that are its input.
 * @throws TypeError for a network without recurrent layers, and for a layer that needs several
 *   steps at once
 */
export function streamed<Known extends ServingRecord>(
  operation: string,
  { nodes, output }: Graph<Known>,
  input: readonly number[],
): Graph<Known> {
  /** Of each value the shape, and whether it still has steps. */
  const shapes: (readonly number[])[] = [[1, ...input.slice(1)]];
  const hasSteps = [true];
  if (!nodes.some(({ blueprint }) => blueprint.record.stack)) {
    throw new TypeError(`${operation}: stateful: the model has no recurrent layer`);
  }
  const own = nodes.map(({ blueprint, inputs }, i) => {
    const { record, saved } = blueprint;
    const settings: Settings = saved;
    const inShape = shapes[inputs[0] as number] as readonly number[];
    const isStepwise = inputs.some((value) => hasSteps[value]);
    if (isStepwise && !goesStepByStep(record, settings, inShape)) {
      throw new TypeError(
        `${operation}: stateful: layer ${i} (${record.kind}) needs all steps of a sequence at once`,
      );
    }
    const outShape = Object.freeze(record.outShape?.(inShape, settings) ?? inShape);
    shapes.push(outShape);
    hasSteps.push(isStepwise && (!record.stack || settings.returnSequences));
    return { blueprint: { ...blueprint, inShape, outShape }, inputs };
  });
  return { nodes: own, output };
}

/** Gives recurrent operations states that they keep, for up to maxBatch examples. */
export function withStates(operations: Operation[], maxBatch: number): Operation[] {
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
