// The list of layers: each can be changed, moved and removed, and others added.

import {
  affine,
  batchnorm,
  dropout,
  gelu,
  type LayerSpec,
  leakyRelu,
  normalize,
  relu,
  sigmoid,
  tanh,
} from "lamella";
import { button, h, numberInput, select } from "./dom.ts";

const kinds = {
  affine: "affine",
  batchnorm: "batchnorm",
  relu: "relu",
  leakyRelu: "leaky relu",
  tanh: "tanh",
  sigmoid: "sigmoid",
  gelu: "gelu",
  dropout: "dropout",
  normalize: "normalize",
};
type Kind = keyof typeof kinds;

/** A layer as it is when it is added. */
const fresh: Record<Kind, () => LayerSpec> = {
  affine: () => affine(32),
  batchnorm: () => batchnorm(),
  relu: () => relu(),
  leakyRelu: () => leakyRelu(),
  tanh: () => tanh(),
  sigmoid: () => sigmoid(),
  gelu: () => gelu(),
  dropout: () => dropout(0.2),
  normalize: () => normalize({ mean: 0, std: 255 }),
};

export class NetworkEditor {
  readonly element: HTMLElement;
  private readonly list = h("ol", { class: "layers", start: 0 });
  private readonly status = h("p", { class: "status", role: "status" });
  private layers: LayerSpec[] = [];

  /**
   * @param input what goes in, for people
   * @param changed is told of every change that is made by hand
   */
  constructor(
    input: string,
    private readonly changed: (layers: LayerSpec[]) => void,
  ) {
    const add = button("Add a layer", () => {
      // Before the last, which gives the scores.
      const at = Math.max(0, this.layers.length - 1);
      this.change(at, 0, [fresh.relu()], { row: at, control: "kind" });
    });
    const ends = h("p", { class: "ends" }, input);
    this.element = h("div", { class: "network" }, ends, this.list, add, this.status);
  }

  /** Shows these layers; nobody is told. */
  show(layers: readonly LayerSpec[]): void {
    this.layers = [...layers];
    this.draw();
  }

  /** The network is built, and has so many numbers to learn. */
  showBuilt(parameters: number): void {
    this.status.classList.remove("problem");
    this.status.textContent = `${parameters.toLocaleString("en")} parameters`;
    this.mark(undefined);
  }

  /** The network cannot be; the message names the layer. */
  showWrong(message: string): void {
    this.status.classList.add("problem");
    this.status.textContent = message.replace(/^Sequential: /, "");
    const index = /layer (\d+)/.exec(message)?.[1];
    this.mark(index === undefined ? undefined : Number(index));
  }

  private mark(wrong: number | undefined): void {
    for (const [i, row] of [...this.list.children].entries()) {
      row.classList.toggle("problem", i === wrong);
    }
  }

  /** Puts layers in the place of others, and the focus where one goes on from. */
  private change(
    at: number,
    removed: number,
    added: LayerSpec[],
    focus?: { row: number; control: string },
  ): void {
    this.layers.splice(at, removed, ...added);
    this.draw();
    if (focus) {
      const row = this.list.children[Math.min(focus.row, this.layers.length - 1)];
      row?.querySelector<HTMLElement>(`[data-control=${focus.control}]`)?.focus();
    }
    this.changed([...this.layers]);
  }

  private draw(): void {
    this.list.replaceChildren(...this.layers.map((spec, i) => this.row(spec, i)));
  }

  private row(spec: LayerSpec, i: number): HTMLElement {
    const last = this.layers.length - 1;
    const kind = select(
      kinds,
      spec.kind as Kind,
      (kind) => this.change(i, 1, [fresh[kind]()], { row: i, control: "kind" }),
      { "aria-label": `Kind of layer ${i}`, "data-control": "kind" },
    );
    const move = (by: 1 | -1, text: string, word: string) =>
      button(
        text,
        () => {
          const to = i + by;
          if (to < 0 || to > last) return;
          const [upper, lower] = [Math.min(i, to), Math.max(i, to)];
          const pair = [this.layers[lower]!, this.layers[upper]!];
          this.change(upper, 2, pair, { row: to, control: word });
        },
        {
          class: "icon",
          "aria-label": `Move layer ${i} ${word}`,
          "data-control": word,
          // Stays in the tab order, so that the focus is not lost at either end.
          "aria-disabled": `${i + by < 0 || i + by > last}`,
        },
      );
    const remove = button("×", () => this.change(i, 1, [], { row: i, control: "remove" }), {
      class: "icon",
      "aria-label": `Remove layer ${i}`,
      "data-control": "remove",
    });
    return h(
      "li",
      {},
      h("span", { class: "index", "aria-hidden": "true" }, `${i}`),
      kind,
      h("span", { class: "numbers" }, ...this.numbers(spec, i)),
      move(-1, "↑", "up"),
      move(1, "↓", "down"),
      remove,
    );
  }

  /** What can be set of a layer. Ranges are left to the library, which says what is wrong. */
  private numbers(spec: LayerSpec, i: number): HTMLElement[] {
    const set = (changed: LayerSpec) => this.change(i, 1, [changed], { row: i, control: "number" });
    const input = (name: string, value: number, change: (value: number) => LayerSpec) =>
      numberInput(value, {}, (value) => set(change(value)), {
        "aria-label": `${name} of layer ${i}`,
        title: name,
        "data-control": "number",
      });
    switch (spec.kind) {
      case "affine":
        return [input("Units", spec.units, (units) => ({ ...spec, units }))];
      case "dropout":
        return [input("Probability of dropping", spec.p, (p) => ({ ...spec, p }))];
      case "leakyRelu":
        return [
          input("Slope below 0", spec.negativeSlope ?? 0.01, (negativeSlope) => ({
            ...spec,
            negativeSlope,
          })),
        ];
      case "normalize":
        return typeof spec.mean === "number" && typeof spec.std === "number"
          ? [
              input("Mean", spec.mean, (mean) => ({ ...spec, mean })),
              input("Deviation", spec.std, (std) => ({ ...spec, std })),
            ]
          : [];
      default:
        return [];
    }
  }
}
