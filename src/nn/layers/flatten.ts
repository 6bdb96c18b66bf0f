import { copyElements, Layer, type Setting } from "./layer.ts";

export interface FlattenSpec {
  readonly kind: "flatten";
}

/** Each example as one row of features: (d₁, …, d_k) → (d₁ · … · d_k,). No data moves. */
export function flatten(): FlattenSpec {
  return { kind: "flatten" };
}

export class FlattenLayer extends Layer {
  readonly outShape: readonly number[];
  readonly label = "flatten";
  override readonly overwrites = true;
  override readonly overwritesGradient = true;

  constructor(
    readonly saved: FlattenSpec,
    place: string,
    inShape: readonly number[],
    setting: Setting,
  ) {
    super(place, inShape, setting);
    this.outShape = [this.inSize];
  }

  override forward(N: number): void {
    copyElements(this.setting, this.out, this.x, N * this.inSize);
  }

  override backward(N: number, dx: number): void {
    copyElements(this.setting, dx, this.dout, N * this.inSize);
  }
}
