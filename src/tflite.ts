/**
 * Models of TFLite.
 *
 * @module lamella/tflite
 */

export { loadTflite } from "./io/importers/tflite.ts";
