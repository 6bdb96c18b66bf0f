import { ShapeError, show, textOf } from "../../runtime/errors.ts";
import { formatShape, sizeOf } from "../../tensor/shape.ts";
import { checkSettings } from "../settings.ts";
import type { Draft } from "./blueprint.ts";
import { Layer, type Setting, type Slot } from "./layer.ts";

/** A number for all features, or one for each. */
type Constants = number | ArrayLike<number>;

export interface NormalizeSpec {
  readonly kind: "normalize";
  readonly mean: Constants;
  readonly std: Constants;
}

/**
 * out = (x − mean) / std, with constants that the model's file keeps: what is done to raw features before they
 * enter the network. Any shape.
 *
 * @param options.mean a number for all features of an example, or one for each; likewise std, which is above 0
 */
export function normalize(options: { mean: Constants; std: Constants }): NormalizeSpec {
  checkSettings("normalize", "options", options, ["mean", "std"], true);
  return { ...options, kind: "normalize" };
}

/** The constants are tensors of the file. */
export const draftNormalize: Draft<NormalizeSpec> = (_, place, inShape) => {
  const each = [sizeOf(inShape)];
  return {
    ...{ place, inShape, outShape: inShape },
    saved: { kind: "normalize", mean: 0, std: 1 },
    tensors: { mean: each, std: each },
  };
};

export class NormalizeLayer extends Layer {
  readonly label = "normalize";
  override readonly overwrites = true;
  override readonly overwritesGradient = true;
  readonly mean: Slot;
  readonly std: Slot;

  constructor(spec: NormalizeSpec, place: string, inShape: readonly number[], setting: Setting) {
    super(draftNormalize(spec, place, inShape), setting);
    const slot = (name: "mean" | "std") => {
      const given = spec[name];
      const isNumber = typeof given === "number";
      const length = isNumber ? 1 : given?.length;
      if (length !== 1 && length !== this.inSize) {
        throw new ShapeError(
          `${place}: ${name} must be a number or ${this.inSize} numbers, one for each feature of ${formatShape(inShape)}, got ${show(length ?? given)}`,
        );
      }
      // A copy: what a getter gives is asked for once.
      const values = Array.from({ length }, (_, i) => (isNumber ? given : given[i]));
      for (let i = 0; i < length; i++) {
        const value = values[i];
        if (
          !(
            typeof value === "number" &&
            Math.abs(value) < Infinity &&
            (name === "mean" || value > 0)
          )
        ) {
          throw new RangeError(
            `${place}: ${name}[${i}] must be ${name === "std" ? "above 0" : "a number"}, got ${textOf(value)}`,
          );
        }
      }
      return this.slot(name, false, () =>
        Float64Array.from(
          { length: this.inSize },
          (_, i) => values[length === 1 ? 0 : i] as number,
        ),
      );
    };
    this.mean = slot("mean");
    this.std = slot("std");
  }

  override forward(N: number): void {
    const { mean, std } = this;
    this.kernels.normalize_forward(
      this.out,
      this.x,
      mean.value.address,
      std.value.address,
      N,
      this.inSize,
    );
  }

  override backward(N: number, dx: number): void {
    this.kernels.normalize_backward(dx, this.dout, this.std.value.address, N, this.inSize);
  }
}
