import { show } from "../../runtime/errors.ts";
import { sizeOf } from "../../tensor/shape.ts";
import { type Initializer, zeros } from "../initializers.ts";
import { checkFirst, checkSettings } from "../settings.ts";
import type { Draft } from "./blueprint.ts";
import { Layer, type Setting, type Slot } from "./layer.ts";

export interface AffineSpec {
  readonly kind: "affine";
  /** M, the features out. */
  readonly units: number;
  readonly useBias?: boolean | undefined;
  readonly weight?: Initializer | undefined;
  readonly bias?: Initializer | undefined;
}

/**
 * Fully connected: out = reshape(x, (N, D)) · weight + bias.
 *
 * Of each example any shape → (M,). `weight` (D, M), `bias` (M,).
 *
 * @param units M, a whole number from 1 up
 * @param options.weight default the model's, which is heNormal()
 * @param options.bias default zeros()
 * @param options.useBias false leaves the bias out, as before batch normalisation, which takes it away again; default true
 */
export function affine(
  units: number,
  options: Omit<AffineSpec, "kind" | "units"> = {},
): AffineSpec {
  checkFirst("affine", "units", units, 3);
  checkSettings("affine", "options", options, ["useBias", "weight", "bias"]);
  return { ...options, kind: "affine", units };
}

export const draftAffine: Draft<AffineSpec> = ({ units, useBias = true }, place, inShape) => {
  if (!(Number.isInteger(units) && units > 0)) {
    throw new RangeError(`${place}: units must be a whole number from 1 up, got ${show(units)}`);
  }
  const weight = [sizeOf(inShape), units];
  const outShape = [units];
  return {
    ...{ place, inShape, outShape },
    saved: { kind: "affine", units, useBias },
    tensors: useBias ? { weight, bias: outShape } : { weight },
  };
};

export class AffineLayer extends Layer {
  readonly label: string;
  readonly weight: Slot;
  readonly bias: Slot | undefined = undefined;
  /** ReLU in the same pass. */
  relu = false;

  constructor(spec: AffineSpec, place: string, inShape: readonly number[], setting: Setting) {
    super(draftAffine(spec, place, inShape), setting);
    const { units, useBias = true, weight = setting.initializer, bias = zeros() } = spec;
    if (typeof weight !== "function" || typeof bias !== "function") {
      throw new TypeError(`${place}: weight and bias must be initializers, as heNormal()`);
    }
    this.label = `affine(${units}${useBias ? "" : ", no bias"})`;
    this.weight = this.slot("weight", true, weight);
    if (useBias) this.bias = this.slot("bias", true, bias);
  }

  override workBytes(N: number): number {
    const { kernels, inSize: D, outSize: M } = this;
    let most = 0;
    // A product of one row or two takes another path, with a workspace of its own size.
    for (const n of [1, 2, N]) {
      most = Math.max(
        most,
        kernels.affine_forward_work_bytes(n, D, M),
        kernels.affine_backward_work_bytes(n, D, M),
      );
    }
    return most;
  }

  override forward(N: number): void {
    const { kernels, out, x, weight, bias, work, inSize, outSize } = this;
    const forward = this.relu ? kernels.affine_relu_forward : kernels.affine_forward;
    forward(out, x, weight.value.address, bias?.value.address ?? 0, work, N, inSize, outSize);
  }

  override backward(N: number, dx: number): void {
    const { weight, bias } = this;
    this.kernels.affine_backward(
      dx,
      weight.gradient.address,
      bias?.gradient.address ?? 0,
      this.dout,
      this.x,
      weight.value.address,
      this.work,
      N,
      this.inSize,
      this.outSize,
    );
  }
}
