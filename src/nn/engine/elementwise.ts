import type { Kernels } from "../../runtime/core.ts";
import { Engine } from "./engine.ts";

type Kernel = (...given: number[]) => void;

/** The activations that act on each element alone: one kernel forward, one backward, by their kind's name. */
export class Elementwise extends Engine {
  private readonly run: readonly [forward: Kernel, backward: Kernel] = kernelsOf(this);
  private readonly values = (this.record.values ?? []).map((name) => this.settings[name] as number);

  override forward(N: number): void {
    this.run[0](this.out, this.x, N * this.inSize, ...this.values);
  }

  override backward(N: number): void {
    if (this.dx === 0) return;
    const kept = this.record.keeps === "x" ? this.x : this.out;
    this.run[1](this.dx, this.dout, kept, N * this.inSize, ...this.values);
  }
}

/** The kernels of a kind, such as leaky_relu_forward of leakyRelu. */
export function kernelsOf({ record, kernels }: Engine): readonly [Kernel, Kernel] {
  const name = record.kind.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const kernel = (pass: string) => kernels[`${name}_${pass}` as keyof Kernels] as Kernel;
  return [kernel("forward"), kernel("backward")];
}
