import { DisposedError } from "../../runtime/errors.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import type { TensorHandle } from "../../tensor/tensor.ts";
import type { Slot } from "../engine/engine.ts";
import type { Network, Plan } from "../network.ts";
import type { Update } from "./optimizers.ts";
import type { Settings } from "./options.ts";
import { rateAt } from "./schedules.ts";

/**
 * Takes the steps of a training: scores in training mode, the loss and its gradient, l2, clipping,
 * and the update of every parameter by the rate of the steps taken so far. A step allocates
 * nothing once a batch of its size has been through.
 */
export class Stepper {
  /** Steps taken. */
  taken = 0;
  /** beta1 and beta2 to the power of the steps taken. */
  power1 = 1;
  power2 = 1;
  /** For each parameter the tensors that the update rule keeps beside it. */
  private readonly state: TensorHandle<FloatDType>[][];
  /** For each parameter the arguments of its update; the addresses stay what they are. */
  private readonly updates: readonly Update[];
  private readonly regularised: readonly Slot[];
  disposed = false;

  constructor(
    readonly network: Network,
    readonly settings: Settings,
  ) {
    const { runtime, dtype, kernels, learned, slots } = network;
    this.regularised = slots.filter((slot) => slot.is("decays"));
    this.state = learned.map(() => []);
    try {
      learned.forEach(({ shape }, i) => {
        for (const _ of settings.rule.state) {
          const tensor = runtime.lasting(dtype, shape);
          tensor.data.fill(0);
          (this.state[i] as TensorHandle[]).push(tensor);
        }
      });
      network.makeGradients(); // now rather than in the first step
    } catch (error) {
      this.dispose();
      throw error;
    }
    network.loss = settings.lossRule.name; // now that nothing is refused any more
    this.updates = learned.map(({ value, gradient }, i) => ({
      kernels,
      w: value.address,
      dw: gradient.address,
      n: value.size,
      state: (this.state[i] as TensorHandle[]).map(({ address }) => address),
      rate: 0,
      correction1: 1,
      correction2: 1,
    }));
  }

  /** Throws where the model or the trainer has been disposed. */
  check(operation: string): void {
    this.network.check(operation);
    if (this.disposed) throw new DisposedError(`${operation}: the trainer has been disposed`);
  }

  /** The learning rate of the next step. */
  rate(): number {
    const { cos } = this.network.runtime.core.exports;
    return rateAt(this.settings.options.optimizer.learningRate, this.taken, cos);
  }

  /**
   * Takes a step on the first N examples in the plan, and returns the loss before the update.
   * @param check is given the loss before anything is learned, and may throw
   */
  take(plan: Plan, N: number, check?: (loss: number) => void): number {
    const { network } = this;
    const { l2 = 0, clipNorm } = this.settings.options;
    network.forward(N, true);
    let loss = this.settings.lossRule.run(network, plan, N);
    network.backward();
    network.passed = null;
    if (l2 > 0) loss += this.regularise(l2);
    check?.(loss);
    if (clipNorm !== undefined) this.clip(clipNorm);
    this.update();
    return loss;
  }

  /** Adds λ · W to the gradients, and returns 0.5 · λ · ΣW². */
  private regularise(l2: number): number {
    const { kernels } = this.network;
    let squares = 0;
    for (const { value, gradient } of this.regularised) {
      squares += kernels.dot(value.size, value.address, value.address);
      kernels.axpy(value.size, l2, value.address, gradient.address);
    }
    return 0.5 * l2 * squares;
  }

  /** Scales all gradients down where their norm is above this one. */
  private clip(clipNorm: number): void {
    const { kernels, learned } = this.network;
    let squares = 0;
    for (const { gradient } of learned) {
      squares += kernels.dot(gradient.size, gradient.address, gradient.address);
    }
    const scale = clipNorm / (Math.sqrt(squares) + 1e-6);
    if (scale < 1) {
      for (const { gradient } of learned) kernels.scal(gradient.size, scale, gradient.address);
    }
  }

  private update(): void {
    const { rule, options } = this.settings;
    const { optimizer } = options;
    const rate = this.rate();
    this.taken++;
    if ("beta1" in optimizer) {
      this.power1 *= optimizer.beta1;
      this.power2 *= optimizer.beta2;
    }
    const { kernels, dtype } = this.network;
    for (const update of this.updates) {
      update.rate = rate;
      update.correction1 = 1 - this.power1;
      update.correction2 = 1 - this.power2;
      rule.update(optimizer as never, update);
      // Numbers that decay step by step end among the smallest there are, with which processors
      // are a hundred times slower. Times ε and then divided by it these are 0, and all above
      // 1e-30 (float64: 1e-291) keep their bits.
      if (this.taken % 64 === 0) {
        const factor = dtype === "float32" ? 1 / 8388608 : Number.EPSILON;
        for (const address of update.state) {
          kernels.scal(update.n, factor, address);
          kernels.scal(update.n, 1 / factor, address);
        }
      }
    }
  }

  /** The update rule's tensors by names such as "optimizer.velocity.0.weight". */
  stateByName(): [string, TensorHandle<FloatDType>][] {
    return this.network.learned.flatMap(({ name }, i) =>
      this.settings.rule.state.map((part, k): [string, TensorHandle<FloatDType>] => [
        `optimizer.${part}.${name}`,
        (this.state[i] as TensorHandle<FloatDType>[])[k] as TensorHandle<FloatDType>,
      ]),
    );
  }

  dispose(): void {
    this.disposed = true;
    for (const tensor of this.state.flat()) tensor.dispose();
  }
}
