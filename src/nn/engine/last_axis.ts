import { kernelsOf } from "./elementwise.ts";
import { Engine } from "./engine.ts";

/** The activations that act on rows, along the last axis of an example. */
export class LastAxis extends Engine {
  private readonly run = kernelsOf(this);
  /** The length of a row, and the rows of an example. */
  private readonly C: number = this.blueprint.inShape.at(-1) as number;
  private readonly rows: number = this.inSize / this.C;

  override forward(N: number): void {
    this.run[0](this.out, this.x, N * this.rows, this.C);
  }

  override backward(N: number): void {
    if (this.dx !== 0) this.run[1](this.dx, this.dout, this.out, N * this.rows, this.C);
  }
}
