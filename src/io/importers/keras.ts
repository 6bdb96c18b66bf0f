import { FormatError, type Runtime } from "lamella";
import type { Imported } from "./builder.ts";
import { kerasModel, layersOf } from "./keras_graph.ts";
import { readHdf5File, readKerasFile } from "./keras_weights.ts";
import { bytesOf } from "./source.ts";

const OPERATION = "loadKeras";

/**
 * Makes a model of a file of Keras: `.h5` of Keras 2, or `.keras` of Keras 3.
 *
 * Sequential and functional models of the layers that are here, channels last; models within models
 * too. It takes and gives what it took and gave there: images are (N, H, W, C). A chain of layers
 * is a Sequential, anything else a Model. Both are trained, saved and served as any other.
 *
 * Dropout of the kinds that this package has not, and noise, are left out: they act in training
 * alone.
 *
 * @throws FormatError for bytes that are no such file; UnsupportedError with all layers that have
 *   no counterpart here, by their classes and names, before anything is allocated; MemoryError
 */
export function loadKeras(runtime: Runtime, bytes: Uint8Array | ArrayBuffer): Imported {
  const file = bytesOf(OPERATION, "bytes", bytes);
  const isZip = file[0] === 0x50 && file[1] === 0x4b;
  if (!isZip && !(file[0] === 0x89 && file[1] === 0x48)) {
    throw new FormatError(
      `${OPERATION}: expected an HDF5 file (.h5) or a ZIP archive (.keras), got ${file.length} bytes that begin with ${file.subarray(0, 8)}`,
    );
  }
  const { topology, version, weightsOf } = isZip
    ? readKerasFile(OPERATION, file, (model) => layersOf(OPERATION, model))
    : readHdf5File(OPERATION, file);
  return kerasModel(OPERATION, runtime, topology, version, weightsOf);
}
