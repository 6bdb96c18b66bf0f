/**
 * Models of Keras: `.h5` and `.keras`.
 *
 * @module lamella/keras
 */

export { loadKeras } from "./io/importers/keras.ts";
