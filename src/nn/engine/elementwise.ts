import { kernelOf } from "../../layers/activation.ts";
import { Engine } from "./engine.ts";

/**
 * The activations: those that act on each element alone, and those that act on rows. Each has one
 * kernel forward and one backward, which have the name of its kind.
 */
export class Elementwise extends Engine {
  private readonly run = kernelOf(this.kernels, this.record.kind, "forward");
  private readonly runBack = kernelOf(this.kernels, this.record.kind, "backward");
  /** The length of a row. */
  private readonly C = this.record.columns?.(this.blueprint.inShape, this.settings);
  private readonly values = this.record.values?.(this.settings, this.blueprint.inShape) ?? [];

  /** What the kernels take after the addresses. */
  private rest(N: number): number[] {
    const { C, values } = this;
    const n = N * this.inSize;
    return C === undefined ? [n, ...values] : [n / C, C, ...values];
  }

  override forward(N: number): void {
    this.run(this.out, this.x, ...this.rest(N));
  }

  override backward(N: number): void {
    if (this.dx === 0) return;
    const kept = this.record.keeps === "x" ? this.x : this.out;
    this.runBack(this.dx, this.dout, kept, ...this.rest(N));
  }
}
