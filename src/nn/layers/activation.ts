// The activations but ReLU: a kernel each way, of any shape.

import { show } from "../../runtime/errors.ts";
import { sizeOf } from "../../tensor/shape.ts";
import { checkFirst, checkNone } from "../settings.ts";
import type { Draft } from "./blueprint.ts";
import { Layer, type Setting } from "./layer.ts";

export interface ActivationSpec {
  readonly kind: "sigmoid" | "tanh" | "gelu" | "softmax";
}

export interface LeakyReluSpec {
  readonly kind: "leakyRelu";
  readonly negativeSlope?: number | undefined;
}

/** out = 1 / (1 + exp(−x)), any shape. */
export function sigmoid(...none: []): ActivationSpec {
  checkNone("sigmoid", none);
  return { kind: "sigmoid" };
}

/** out = tanh(x), any shape. */
export function tanh(...none: []): ActivationSpec {
  checkNone("tanh", none);
  return { kind: "tanh" };
}

/** out = x · Φ(x), Φ the normal distribution's: the exact form, which is PyTorch's default. Any shape. */
export function gelu(...none: []): ActivationSpec {
  checkNone("gelu", none);
  return { kind: "gelu" };
}

/**
 * out = exp(x) / Σ exp(x) over the last axis: probabilities. The loss "softmax" takes the scores before this layer, so
 * a model is trained without it.
 */
export function softmax(...none: []): ActivationSpec {
  checkNone("softmax", none);
  return { kind: "softmax" };
}

/** out = x where x > 0, else negativeSlope · x; any shape. Default 0.01. */
export function leakyRelu(negativeSlope = 0.01): LeakyReluSpec {
  checkFirst("leakyRelu", "negativeSlope", negativeSlope, 0.01);
  return { kind: "leakyRelu", negativeSlope };
}

export const draftActivation: Draft<ActivationSpec> = ({ kind }, place, inShape) => ({
  ...{ place, inShape, outShape: inShape },
  saved: { kind },
  tensors: {},
});

export const draftLeakyRelu: Draft<LeakyReluSpec, { kind: string; negativeSlope: number }> = (
  { negativeSlope = 0.01 },
  place,
  inShape,
) => {
  if (!(typeof negativeSlope === "number" && negativeSlope >= 0 && negativeSlope < Infinity)) {
    throw new RangeError(
      `${place}: negativeSlope must be a number from 0 up, got ${show(negativeSlope)}`,
    );
  }
  return {
    ...{ place, inShape, outShape: inShape },
    saved: { kind: "leakyRelu", negativeSlope },
    tensors: {},
  };
};

abstract class Activation extends Layer {
  readonly label: string;
  override readonly overwrites: boolean = true;
  override readonly overwritesGradient = true;

  constructor(spec: ActivationSpec, place: string, inShape: readonly number[], setting: Setting) {
    super(draftActivation(spec, place, inShape), setting);
    this.label = spec.kind;
  }
}

export class SigmoidLayer extends Activation {
  override readonly readsOut = true;

  override forward(N: number): void {
    this.kernels.sigmoid_forward(this.out, this.x, N * this.inSize);
  }

  override backward(N: number, dx: number): void {
    this.kernels.sigmoid_backward(dx, this.dout, this.out, N * this.inSize);
  }
}

export class TanhLayer extends Activation {
  override readonly readsOut = true;

  override forward(N: number): void {
    this.kernels.tanh_forward(this.out, this.x, N * this.inSize);
  }

  override backward(N: number, dx: number): void {
    this.kernels.tanh_backward(dx, this.dout, this.out, N * this.inSize);
  }
}

export class GeluLayer extends Activation {
  override readonly overwrites = false; // backward needs x

  override forward(N: number): void {
    this.kernels.gelu_forward(this.out, this.x, N * this.inSize);
  }

  override backward(N: number, dx: number): void {
    this.kernels.gelu_backward(dx, this.dout, this.x, N * this.inSize);
  }
}

export class SoftmaxLayer extends Activation {
  override readonly readsOut = true;

  /** Rows of an example: all axes but the last. */
  private get rows(): number {
    return sizeOf(this.inShape.slice(0, -1));
  }

  override forward(N: number): void {
    const { rows } = this;
    this.kernels.softmax_forward(this.out, this.x, N * rows, this.inSize / rows);
  }

  override backward(N: number, dx: number): void {
    const { rows } = this;
    this.kernels.softmax_backward(dx, this.dout, this.out, N * rows, this.inSize / rows);
  }
}

export class LeakyReluLayer extends Layer<ReturnType<typeof draftLeakyRelu>> {
  readonly label: string;
  override readonly overwrites = true;
  override readonly overwritesGradient = true;
  readonly slope: number;

  constructor(spec: LeakyReluSpec, place: string, inShape: readonly number[], setting: Setting) {
    super(draftLeakyRelu(spec, place, inShape), setting);
    this.slope = this.saved.negativeSlope;
    this.label = `leakyRelu(${this.slope})`;
  }

  override forward(N: number): void {
    this.kernels.leaky_relu_forward(this.out, this.x, N * this.inSize, this.slope);
  }

  // Out serves for x: it is above 0 where x was.
  override backward(N: number, dx: number): void {
    this.kernels.leaky_relu_backward(dx, this.dout, this.out, N * this.inSize, this.slope);
  }
}
