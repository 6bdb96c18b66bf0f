/**
 * Models of TensorFlow.js.
 *
 * @module lamella/tfjs
 */

export { loadTfjs } from "./io/importers/tfjs.ts";
