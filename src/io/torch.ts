import { AffineLayer } from "../nn/layers/affine.ts";
import type { LayerSpec } from "../nn/layers/layers.ts";
import { type Sequential, sequentialFrom } from "../nn/sequential.ts";
import { checkSettings } from "../nn/settings.ts";
import { fileFloats, matchState, type StateEntry, targetsOf } from "../nn/state.ts";
import { FormatError } from "../runtime/errors.ts";
import { type FloatDType, typedArrays } from "../tensor/dtype.ts";
import type { Runtime } from "../tensor/runtime.ts";
import { entriesOf } from "./model_file.ts";
import { readSafetensors } from "./safetensors.ts";

const KEYS = ["input", "layers", "dtype", "prefix"];

export interface LoadTorchOptions<D extends FloatDType = FloatDType> {
  /** The shape of one example. */
  input: readonly number[];
  /** One for each module of the nn.Sequential, in its order, so that the indexes agree: flatten() for Flatten, and so on. */
  layers: readonly LayerSpec[];
  /** Default "float32". */
  dtype?: D | undefined;
  /** What the names in the file begin with, as "net." where the nn.Sequential is a module's attribute; default nothing. */
  prefix?: string | undefined;
}

/** to (D, M) = from (M, D), transposed. */
function transpose(to: { [i: number]: number }, from: ArrayLike<number>, [D, M]: [number, number]) {
  for (let d = 0; d < D; d++) {
    for (let m = 0; m < M; m++) to[d * M + m] = from[m * D + d] as number;
  }
}

/**
 * The weights of a PyTorch nn.Sequential of Linear, BatchNorm1d, Dropout, Flatten and activations, from its state_dict as
 * a safetensors file (`safetensors.torch.save_file(net.state_dict(), …)`). float64, float32, float16 and bfloat16 are read.
 *
 * Weights of Linear are (M, D) in PyTorch and are transposed; `num_batches_tracked` is dropped. The settings of batch
 * normalisation are those of `layers`: PyTorch's momentum is 1 − ours. Its running variance, of the unbiased kind, is taken as
 * it is.
 *
 * @throws FormatError for bytes that are no safetensors file, and for one of this package, whose layout is another;
 *   ShapeError with a list of all tensors that are missing, extra or of another shape or dtype; as Sequential for layers
 *   that do not fit each other; MemoryError
 */
export function loadTorch<D extends FloatDType = "float32">(
  runtime: Runtime,
  bytes: Uint8Array | ArrayBuffer,
  options: LoadTorchOptions<D>,
): Sequential<D> {
  const operation = "loadTorch";
  checkSettings(operation, "options", options, KEYS);
  const { input, layers, dtype, prefix = "" } = options;
  const file = readSafetensors(bytes);
  if (file.metadata.get("format") === "lamella") {
    throw new FormatError(
      `${operation}: a file of this package, whose weights are (features in, features out); loadModel reads it`,
    );
  }
  return sequentialFrom(runtime, { input, layers, dtype }, (network) => {
    const weights = new Map(
      network.layers.flatMap((layer) =>
        layer instanceof AffineLayer ? [[layer.weight.name, layer.weight.shape]] : [],
      ) as [string, [number, number]][],
    );
    const normalised = new Set(
      network.slots.flatMap(({ name }) =>
        name.endsWith(".running_mean") ? [name.replace("running_mean", "num_batches_tracked")] : [],
      ),
    );
    const entries = entriesOf(file)
      .map((entry) => {
        const { name } = entry;
        const isOurs = name.startsWith(prefix);
        return {
          ...entry,
          name: isOurs ? name.slice(prefix.length) : `${name} (without ${prefix})`,
        };
      })
      .filter(({ name }) => !normalised.has(name));
    return matchState(
      `${operation} (weights of Linear transposed)`,
      targetsOf(network),
      entries.map((entry): StateEntry => {
        const shape = weights.get(entry.name);
        if (!shape || entry.shape.length !== 2) return entry;
        return {
          ...entry,
          shape: [entry.shape[1] as number, entry.shape[0] as number],
          copyTo: (target) => {
            const copy = new typedArrays[network.dtype](target.length);
            entry.copyTo(copy);
            transpose(target, copy, shape);
          },
        };
      }),
      fileFloats,
    );
  });
}
