// The list of layers: each can be changed, moved and removed, and others added.

import type { LayerSpec } from "lamella";
import type { Range } from "../training/range.ts";
import { freshLayers, type LayerKind, layerRanges } from "../training/settings.ts";
import { button, h, NumberInput, select } from "./dom.ts";

const kinds: Record<LayerKind, string> = {
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

/** The numbers of a layer that the page lets people change. */
const numberNames: Partial<Record<LayerKind, Record<string, string>>> = {
  affine: { units: "Units" },
  dropout: { p: "Probability of dropping" },
  leakyRelu: { negativeSlope: "Slope below 0" },
  normalize: { mean: "Mean", std: "Deviation" },
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
      this.change(at, 0, [freshLayers.relu()], { row: at, control: "kind" });
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
    this.say(`${parameters.toLocaleString("en")} parameters`, undefined);
  }

  /** The network cannot be, and the one before goes on; the message may name the layer. */
  showWrong(message: string): void {
    this.status.classList.add("problem");
    const index = /layer (\d+)/.exec(message)?.[1];
    const text = message.replace(/^Sequential: /, "").replace(/\.$/, "");
    const stays = "The network as it was before stays in use.";
    this.say(`${text}. ${stays}`, index === undefined ? undefined : Number(index));
  }

  /** Words below the layer that they are about, else below the list. */
  private say(text: string, about: number | undefined): void {
    this.status.textContent = text;
    const rows = [...this.list.children];
    for (const [i, row] of rows.entries()) row.classList.toggle("problem", i === about);
    const row = about === undefined ? undefined : rows[about];
    (row ?? this.element).append(this.status);
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
    this.element.append(this.status); // until the worker says what it makes of it
  }

  private row(spec: LayerSpec, i: number): HTMLElement {
    const last = this.layers.length - 1;
    const kind = select(
      kinds,
      spec.kind as LayerKind,
      (kind) => this.change(i, 1, [freshLayers[kind]()], { row: i, control: "kind" }),
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
    const numbers = this.numbers(spec, i);
    return h(
      "li",
      {},
      h("span", { class: "index", "aria-hidden": "true" }, `${i}`),
      kind,
      h("span", { class: "numbers" }, ...numbers.map(({ element }) => element)),
      move(-1, "↑", "up"),
      move(1, "↓", "down"),
      remove,
      ...numbers.map(({ problem }) => problem),
    );
  }

  /** What can be set of a layer. Constants that a file has for each feature cannot. */
  private numbers(spec: LayerSpec, i: number): NumberInput[] {
    const kind = spec.kind as LayerKind;
    const values = spec as unknown as Record<string, number>;
    return Object.entries(numberNames[kind] ?? {})
      .filter(([key]) => typeof values[key] === "number")
      .map(([key, name]) => {
        const change = (value: number) => {
          const changed = { ...spec, [key]: value } as LayerSpec;
          this.change(i, 1, [changed], { row: i, control: key });
        };
        const range = layerRanges[kind]?.[key] as Range;
        return new NumberInput(values[key]!, range, change, {
          "aria-label": `${name} of layer ${i}`,
          title: name,
          "data-control": key,
        });
      });
  }
}
