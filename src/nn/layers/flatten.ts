import { sizeOf } from "../../tensor/shape.ts";
import { checkNone } from "../settings.ts";
import type { Draft } from "./blueprint.ts";
import { copyElements, Layer, type Setting } from "./layer.ts";

export interface FlattenSpec {
  readonly kind: "flatten";
}

/** Each example as one row of features: (d₁, …, d_k) → (d₁ · … · d_k,). No data moves. */
export function flatten(...none: []): FlattenSpec {
  checkNone("flatten", none);
  return { kind: "flatten" };
}

export const draftFlatten: Draft<FlattenSpec> = (_, place, inShape) => ({
  ...{ place, inShape, outShape: [sizeOf(inShape)] },
  saved: { kind: "flatten" },
  tensors: {},
});

export class FlattenLayer extends Layer {
  readonly label = "flatten";
  override readonly overwrites = true;
  override readonly overwritesGradient = true;

  constructor(spec: FlattenSpec, place: string, inShape: readonly number[], setting: Setting) {
    super(draftFlatten(spec, place, inShape), setting);
  }

  override forward(N: number): void {
    copyElements(this.setting, this.out, this.x, N * this.inSize);
  }

  override backward(N: number, dx: number): void {
    copyElements(this.setting, dx, this.dout, N * this.inSize);
  }
}
