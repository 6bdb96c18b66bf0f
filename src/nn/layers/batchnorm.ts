import { ShapeError, show } from "../../runtime/errors.ts";
import { formatShape } from "../../tensor/shape.ts";
import type { TensorHandle } from "../../tensor/tensor.ts";
import { ones, zeros } from "../initializers.ts";
import { checkSettings } from "../settings.ts";
import type { Draft } from "./blueprint.ts";
import { Layer, type Setting, type Slot } from "./layer.ts";

export interface BatchnormSpec {
  readonly kind: "batchnorm";
  readonly eps?: number | undefined;
  readonly momentum?: number | undefined;
}

/**
 * Batch normalisation of each feature: out = weight · (x − mean) / sqrt(var + eps) + bias, by the batch's statistics in
 * training and by running ones in test mode.
 *
 * Of each example (D,) → (D,). `weight` (gamma) begins as 1, `bias` (beta) as 0, and so do `running_mean` (0) and
 * `running_var` (1): PyTorch's names and first values.
 *
 * @param options.eps above 0; default 1e-5
 * @param options.momentum the weight of the OLD running value, in [0, 1]; default 0.9. PyTorch's is 1 − this
 */
export function batchnorm(options: Omit<BatchnormSpec, "kind"> = {}): BatchnormSpec {
  checkSettings("batchnorm", "options", options, ["eps", "momentum"], true);
  return { ...options, kind: "batchnorm" };
}

export const draftBatchnorm: Draft<
  BatchnormSpec,
  { kind: string; eps: number; momentum: number }
> = ({ eps = 1e-5, momentum = 0.9 }, place, inShape) => {
  if (inShape.length !== 1) {
    throw new ShapeError(
      `${place}: takes examples of shape (D,), got ${formatShape(inShape)}; flatten() makes them so`,
    );
  }
  if (!(typeof eps === "number" && eps > 0)) {
    throw new RangeError(`${place}: eps must be above 0, got ${show(eps)}`);
  }
  if (!(typeof momentum === "number" && momentum >= 0 && momentum <= 1)) {
    throw new RangeError(`${place}: momentum must be in [0, 1], got ${show(momentum)}`);
  }
  return {
    ...{ place, inShape, outShape: inShape },
    saved: { kind: "batchnorm", eps, momentum },
    tensors: { weight: inShape, bias: inShape, running_mean: inShape, running_var: inShape },
  };
};

export class BatchnormLayer extends Layer<ReturnType<typeof draftBatchnorm>> {
  readonly label = "batchnorm";
  readonly weight: Slot;
  readonly bias: Slot;
  readonly mean: Slot;
  readonly variance: Slot;
  private statistics!: TensorHandle;

  constructor(spec: BatchnormSpec, place: string, inShape: readonly number[], setting: Setting) {
    super(draftBatchnorm(spec, place, inShape), setting);
    this.weight = this.slot("weight", true, ones());
    this.bias = this.slot("bias", true, zeros());
    this.mean = this.slot("running_mean", false, zeros());
    this.variance = this.slot("running_var", false, ones());
  }

  override workBytes(): number {
    return this.setting.runtime.core.exports.batchnorm_work_bytes(this.inSize);
  }

  override reserve(): TensorHandle[] {
    this.statistics = this.setting.runtime.lasting("float64", [2, this.inSize]);
    return [this.statistics];
  }

  override forward(N: number, train: boolean): void {
    this.kernels.batchnorm_forward(
      this.out,
      this.statistics.address,
      this.mean.value.address,
      this.variance.value.address,
      this.x,
      this.weight.value.address,
      this.bias.value.address,
      this.work,
      N,
      this.inSize,
      this.saved.eps,
      this.saved.momentum,
      train,
    );
  }

  override backward(N: number, dx: number, train: boolean): void {
    this.kernels.batchnorm_backward(
      dx,
      this.weight.gradient.address,
      this.bias.gradient.address,
      this.dout,
      this.x,
      this.weight.value.address,
      this.statistics.address,
      this.work,
      N,
      this.inSize,
      train,
    );
  }
}
