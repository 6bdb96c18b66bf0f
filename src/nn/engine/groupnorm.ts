import type { TensorHandle } from "../../tensor/tensor.ts";
import { ones, zeros } from "../initializers.ts";
import { Engine } from "./engine.ts";

/** Its tensors are gamma and beta, of each channel. */
export class Groupnorm extends Engine {
  private statistics!: TensorHandle;
  /** The channels, and the places of an example that each has a value at. */
  private readonly C: number = this.blueprint.inShape.at(-1) as number;
  private readonly S: number = this.inSize / this.C;

  protected override first() {
    return { weight: ones(), bias: zeros() };
  }

  override workBytes(N: number): number {
    return this.setup.runtime.core.exports.groupnorm_work_bytes(N, this.C);
  }

  override makeBuffers(N: number): TensorHandle[] {
    this.statistics = this.setup.runtime.lasting("float64", [N, this.settings.groups, 2]);
    return [this.statistics];
  }

  override forward(N: number): void {
    this.kernels.groupnorm_forward(
      this.out,
      this.statistics.address,
      this.x,
      this.at(0),
      this.at(1),
      this.work,
      N,
      this.S,
      this.C,
      this.settings.groups,
      this.settings.eps,
    );
  }

  override backward(N: number): void {
    this.kernels.groupnorm_backward(
      this.dx,
      this.gradientAt(0),
      this.gradientAt(1),
      this.dout,
      this.x,
      this.at(0),
      this.statistics.address,
      this.work,
      N,
      this.S,
      this.C,
      this.settings.groups,
    );
  }
}
