// The tab that learns points in the plane.

import { adam, affine, type LayerSpec, tanh } from "lamella";
import { codeOf } from "../training/code.ts";
import { Link } from "../training/link.ts";
import { copyCode } from "../ui/copy_code.ts";
import { Curves } from "../ui/curves.ts";
import { button, byId, field, h, select } from "../ui/dom.ts";
import { count, percent, short } from "../ui/format.ts";
import { NetworkEditor } from "../ui/network_editor.ts";
import { type Training, TrainingForm } from "../ui/training_form.ts";
import { Figures, Transport } from "../ui/transport.ts";
import type { FromPoints, ToPoints, ToySettings } from "./messages.ts";
import { Plane } from "./plane.ts";
import { type ToyName, toys } from "./toys.ts";

/** Of the code's x and y. */
const meaning = "x: two coordinates of each point in a row; y: the class of each.";

const training: Training = {
  optimizer: adam({ learningRate: 0.01 }),
  loss: "softmax",
  l2: 0,
  batchSize: 32,
  seed: 231,
};
const paces = {
  "60": "60 steps a second",
  "600": "600 steps a second",
  "6000": "6,000 steps a second",
  Infinity: "as fast as it goes",
};

let layers: LayerSpec[] = [affine(16), tanh(), affine(16), tanh(), affine(2)];
let toy: ToySettings = { name: "spirals", count: 300, noise: 0.03, seed: 0 };
let label = 0;

export function startPoints(): void {
  const editor = new NetworkEditor("2 coordinates of a point", (changed) => {
    layers = changed;
    configure();
  });
  const form = new TrainingForm(training, () => configure());
  const transport = new Transport((type) => {
    if (type === "reset") clear();
    link.post({ type });
  });
  const figures = new Figures({
    loss: "loss",
    accuracy: "points told right",
    speed: "examples a second",
    steps: "steps",
  });
  const curve = new Curves("Loss by step", [{ label: "training", colour: "blue" }]);
  const plane = new Plane((x, y) => link.post({ type: "add", x, y, label }));
  let steps = 0;

  const link = new Link<ToPoints, FromPoints>(
    "points.worker.js",
    {
      points: (points) => {
        plane.showPoints(points);
        total.textContent = `${count(points.y.length)} points`;
      },
      built: ({ parameters }) => editor.showBuilt(parameters),
      refused: ({ message }) => {
        transport.set(false);
        editor.showWrong(message);
      },
      failed: ({ message }) => {
        transport.set(false);
        editor.showWrong(message);
      },
      progress: (report) => {
        if (report.steps < steps) clear();
        steps = report.steps;
        curve.add(steps, report.loss);
        curve.draw();
        figures.set("loss", short(report.loss));
        figures.set("steps", count(steps));
        figures.set("speed", report.examplesPerSecond ? count(report.examplesPerSecond) : "–");
      },
      map: ({ probabilities, classes, accuracy }) => {
        plane.showMap(probabilities, classes);
        figures.set("accuracy", percent(accuracy));
      },
    },
    (message) => editor.showWrong(message),
  );

  function settings() {
    return { ...form.training, layers: [...layers] };
  }
  function configure(): void {
    link.post({ type: "configure", settings: settings() });
  }
  function clear(): void {
    steps = 0;
    curve.clear();
    for (const name of ["loss", "steps", "speed"] as const) figures.set(name, "–");
  }

  /** Other points; the last layer follows where there are more or fewer classes. */
  function setToy(part: Partial<ToySettings>): void {
    toy = { ...toy, ...part };
    const { classes } = toys[toy.name];
    const last = layers.at(-1);
    if (last?.kind === "affine" && last.units !== classes) {
      layers = [...layers.slice(0, -1), { ...last, units: classes }];
      editor.show(layers);
    }
    link.post({ type: "data", toy, settings: settings() });
    drawClasses(classes);
  }

  const slider = (
    name: string,
    value: number,
    range: { min: number; max: number; step: number },
    change: (value: number) => void,
  ) => {
    const shown = h("output", {}, `${value}`);
    const input = h("input", { type: "range", ...range, value });
    input.addEventListener("input", () => {
      shown.textContent = input.value;
      change(input.valueAsNumber);
    });
    const element = field(name, input);
    element.append(shown);
    return element;
  };

  const total = h("p", { class: "small" });
  const classChoice = h("fieldset", { class: "classes" });
  function drawClasses(classes: number): void {
    label = Math.min(label, classes - 1);
    const radio = (i: number) =>
      h(
        "label",
        { class: `class-${i}` },
        h("input", {
          type: "radio",
          name: "class",
          checked: i === label,
          onchange: () => {
            label = i;
          },
        }),
        ["● 0", "■ 1", "▲ 2"][i]!,
      );
    classChoice.replaceChildren(
      h("legend", {}, "A click on the plane adds a point of class"),
      ...Array.from({ length: classes }, (_, i) => radio(i)),
    );
  }

  const names = Object.fromEntries(
    Object.entries(toys).map(([name, { title }]) => [name, title]),
  ) as Record<ToyName, string>;
  byId("points-data").append(
    h(
      "div",
      { class: "fields" },
      field(
        "Points",
        select(names, toy.name, (name) => setToy({ name })),
      ),
      slider("Number", toy.count, { min: 30, max: 1000, step: 10 }, (count) => setToy({ count })),
      slider("Noise", toy.noise, { min: 0, max: 0.3, step: 0.01 }, (noise) => setToy({ noise })),
    ),
    classChoice,
    button("Draw others", () => setToy({ seed: toy.seed + 1 })),
    total,
  );
  form.element.append(
    field(
      "Pace",
      select(paces, "600", (pace) => link.post({ type: "pace", stepsPerSecond: Number(pace) })),
    ),
  );
  byId("points-network").append(editor.element);
  byId("points-training").append(
    form.element,
    copyCode(() => codeOf(settings(), 2, meaning)),
  );
  byId("points-transport").append(transport.element, figures.element);
  byId("points-plane").append(plane.element);
  byId("points-curve").append(curve.element);
  editor.show(layers);
  setToy({});
  link.post({ type: "pace", stepsPerSecond: 600 });
}
