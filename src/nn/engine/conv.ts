import { Weighted } from "./weighted.ts";

/** Convolution of images, and of sequences, which are images of height 1. */
export class Conv extends Weighted {
  override workBytes(N: number): number {
    const { kernels, window } = this;
    return Math.max(
      kernels.conv2d_forward_work_bytes(window, N),
      kernels.conv2d_backward_work_bytes(window, N),
    );
  }

  override forward(N: number): void {
    const { kernels, out, x, work, window } = this;
    const forward = this.takesRelu ? kernels.conv2d_relu_forward : kernels.conv2d_forward;
    forward(out, x, this.at(0), this.at(1), work, window, N);
  }

  override backward(N: number): void {
    this.kernels.conv2d_backward(
      this.dx,
      this.gradientAt(0),
      this.gradientAt(1),
      this.dout,
      this.x,
      this.at(0),
      this.work,
      this.window,
      N,
    );
  }
}
