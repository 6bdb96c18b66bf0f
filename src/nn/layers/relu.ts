import { checkNone } from "../settings.ts";
import type { Draft } from "./blueprint.ts";
import { Layer, type Setting } from "./layer.ts";

export interface ReluSpec {
  readonly kind: "relu";
}

/** out = max(0, x), any shape. After an affine layer it costs no pass of its own. */
export function relu(...none: []): ReluSpec {
  checkNone("relu", none);
  return { kind: "relu" };
}

export const draftRelu: Draft<ReluSpec> = (_, place, inShape) => ({
  ...{ place, inShape, outShape: inShape },
  saved: { kind: "relu" },
  tensors: {},
});

export class ReluLayer extends Layer {
  readonly label = "relu";
  override readonly overwrites = true;
  override readonly overwritesGradient = true;
  /** The affine layer before it does the forward pass. */
  fused = false;

  constructor(spec: ReluSpec, place: string, inShape: readonly number[], setting: Setting) {
    super(draftRelu(spec, place, inShape), setting);
  }

  override forward(N: number): void {
    if (!this.fused) this.kernels.relu_forward(this.out, this.x, N * this.inSize);
  }

  // Out is above 0 where x was, and dropout that has set it to 0 passes no gradient either way.
  override backward(N: number, dx: number): void {
    this.kernels.relu_backward(dx, this.dout, this.out, N * this.inSize);
  }
}
