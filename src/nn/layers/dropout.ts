import { CoreConstants } from "../../runtime/abi.ts";
import { show } from "../../runtime/errors.ts";
import { checkSeed } from "../../tensor/numbers.ts";
import type { TensorHandle } from "../../tensor/tensor.ts";
import { checkFirst, checkSettings } from "../settings.ts";
import type { Draft } from "./blueprint.ts";
import { copyElements, Layer, type Setting } from "./layer.ts";

export interface DropoutSpec {
  readonly kind: "dropout";
  /** The probability of dropping a value, in [0, 1). */
  readonly p: number;
  readonly seed?: number | undefined;
}

/**
 * Inverted dropout: in training out = x · mask, mask = (r >= p) / (1 − p) with r uniform on [0, 1); in test mode out
 * holds x's values. Any shape.
 *
 * @param p the probability of DROPPING a value, in [0, 1)
 * @param options.seed with it every pass has the mask of `np.random.seed(seed)` and `np.random.rand(*x.shape) >= p`;
 *   without it each pass has a new one, from the model's own stream
 */
export function dropout(p: number, options: { seed?: number | undefined } = {}): DropoutSpec {
  checkFirst("dropout", "p", p, 0.5);
  checkSettings("dropout", "options", options, ["seed"]);
  return { ...options, kind: "dropout", p };
}

export const draftDropout: Draft<DropoutSpec> = ({ p, seed }, place, inShape) => {
  if (!(typeof p === "number" && p >= 0 && p < 1)) {
    throw new RangeError(`${place}: p must be in [0, 1), got ${show(p)}`);
  }
  if (seed !== undefined) checkSeed(place, seed);
  return {
    ...{ place, inShape, outShape: inShape },
    saved: { kind: "dropout", p, seed },
    tensors: {},
  };
};

export class DropoutLayer extends Layer<ReturnType<typeof draftDropout>> {
  readonly label: string;
  override readonly overwrites = true;
  override readonly overwritesGradient = true;
  private mask!: TensorHandle;

  constructor(spec: DropoutSpec, place: string, inShape: readonly number[], setting: Setting) {
    super(draftDropout(spec, place, inShape), setting);
    this.label = `dropout(${spec.p})`;
  }

  override workBytes(): number {
    const { exports } = this.setting.runtime.core;
    return Math.max(exports.dropout_work_bytes(), exports.dropout_seeded_work_bytes());
  }

  override reserve(N: number): TensorHandle[] {
    this.mask = this.setting.runtime.lasting(this.setting.dtype, [N * this.inSize]);
    return [this.mask];
  }

  override forward(N: number, train: boolean): void {
    const { kernels, out, x, work, saved, setting } = this;
    const n = N * this.inSize;
    const mask = this.mask.address;
    if (!train) {
      copyElements(setting, out, x, n);
    } else if (saved.seed === undefined) {
      // Every 4,096 elements are seeded with four blocks of the generator.
      const { low, high } = setting.stream.take(4 * Math.ceil(n / CoreConstants.dropoutChunk));
      kernels.dropout_forward(out, mask, x, work, n, saved.p, setting.stream.key, low, high);
    } else {
      kernels.dropout_forward_seeded(out, mask, x, work, n, saved.p, saved.seed);
    }
  }

  override backward(N: number, dx: number, train: boolean): void {
    const n = N * this.inSize;
    if (train) this.kernels.dropout_backward(dx, this.dout, this.mask.address, n);
    else copyElements(this.setting, dx, this.dout, n);
  }
}
