/**
 * Serving alone: predictors from the bytes of a file.
 *
 * @module lamella/predict
 */

export {
  type LoadPredictorOptions,
  loadPredictor,
  loadPredictorSync,
} from "./io/predictor.ts";
export { decodeScores, encodeRow } from "./io/table.ts";
export type { TableCell } from "./io/table_map.ts";
export type { Predictor } from "./nn/predictor.ts";
export {
  DisposedError,
  DTypeError,
  FormatError,
  MemoryError,
  ShapeError,
} from "./runtime/errors.ts";
export type { WasmSource } from "./runtime/wasm.ts";
