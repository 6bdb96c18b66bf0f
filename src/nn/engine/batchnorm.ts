import type { TensorHandle } from "../../tensor/tensor.ts";
import { ones, zeros } from "../initializers.ts";
import { Engine } from "./engine.ts";

/** Its tensors are gamma, beta, the running mean and the running variance. */
export class Batchnorm extends Engine {
  private statistics!: TensorHandle;
  /** The channels, and how many values of each an example has. */
  private readonly C: number = this.blueprint.inShape.at(-1) as number;
  private readonly rows: number = this.inSize / this.C;

  protected override first() {
    return { weight: ones(), bias: zeros(), running_mean: zeros(), running_var: ones() };
  }

  override workBytes(): number {
    return this.setup.runtime.core.exports.batchnorm_work_bytes(this.C);
  }

  override makeBuffers(): TensorHandle[] {
    this.statistics = this.setup.runtime.lasting("float64", [2, this.C]);
    return [this.statistics];
  }

  override forward(N: number, train: boolean): void {
    this.kernels.batchnorm_forward(
      this.out,
      this.statistics.address,
      this.at(2),
      this.at(3),
      this.x,
      this.at(0),
      this.at(1),
      this.work,
      N * this.rows,
      this.C,
      this.settings.eps,
      this.settings.momentum,
      train,
    );
  }

  override backward(N: number, train: boolean): void {
    this.kernels.batchnorm_backward(
      this.dx,
      this.gradientAt(0),
      this.gradientAt(1),
      this.dout,
      this.x,
      this.at(0),
      this.statistics.address,
      this.work,
      N * this.rows,
      this.C,
      train,
    );
  }
}
