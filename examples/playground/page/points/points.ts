// The tab that learns points in the plane.

import { adam, affine, tanh } from "lamella";
import { codeOf } from "../training/code.ts";
import { Desk } from "../training/desk.ts";
import { Link } from "../training/link.ts";
import { whole } from "../training/range.ts";
import { type DataFormat, readNumber, type Stage } from "../training/recipe.ts";
import { isEqual } from "../training/settings.ts";
import type { Place } from "../ui/address.ts";
import { copyCode } from "../ui/copy_code.ts";
import { Curves } from "../ui/curves.ts";
import { button, byId, field, h, select } from "../ui/dom.ts";
import { count, percent, short } from "../ui/format.ts";
import { Figures } from "../ui/transport.ts";
import {
  EXTENT,
  type FromPoints,
  type PointsData,
  type ToPoints,
  type ToySettings,
} from "./messages.ts";
import { Plane } from "./plane.ts";
import { pointsTask, type ToyName, toys } from "./toys.ts";

/** Of the code's x and y. */
const meaning = "x: two coordinates of each point in a row; y: the class of each.";

const start: Stage<PointsData> = {
  settings: {
    layers: [affine(16), tanh(), affine(16), tanh(), affine(2)],
    optimizer: adam({ learningRate: 0.01 }),
    loss: "softmax",
    l2: 0,
    batchSize: 32,
    seed: 231,
  },
  data: { toy: { name: "spirals", count: 300, noise: 0.03, seed: 0 }, added: [] },
  steps: 0,
};
/** More points than anybody adds by hand, and as many as an address holds. */
const MOST_ADDED = 300;
const counts = { min: 30, max: 1000, step: 10 };
const noises = { min: 0, max: 0.3, step: 0.01 };

/** `points=spirals;300;0.03;0`, and `add=−0.2;0.5;1` for each point that was put there by hand. */
const format: DataFormat<PointsData> = {
  write: ({ toy, added }, before) => {
    const isSame = before !== undefined && isEqual(toy, before.toy);
    const known = isSame ? before.added.length : 0;
    const { name, count, noise, seed } = toy;
    return [
      ...(isSame ? [] : [["points", [name, count, noise, seed].join(";")] as [string, string]]),
      ...added
        .slice(known)
        .map(({ x, y, label }) => ["add", [x, y, label].join(";")] as [string, string]),
    ];
  },
  read: (data, key, value) => {
    const parts = value.split(";");
    const at = (i: number) => parts[i] ?? "";
    if (key === "points") {
      const name = at(0);
      if (!Object.hasOwn(toys, name)) throw new Error(`points: “${name}” is no set of points`);
      const toy = {
        name: name as ToyName,
        count: readNumber("points, number", at(1), { ...counts, isWhole: true }),
        noise: readNumber("points, noise", at(2), noises),
        seed: readNumber("points, seed", at(3), whole(0, 2 ** 32 - 1)),
      };
      return { toy, added: [] };
    }
    if (key !== "add") return undefined;
    if (data.added.length >= MOST_ADDED) {
      throw new Error(`the address adds more than ${MOST_ADDED} points`);
    }
    const plane = { min: -EXTENT, max: EXTENT };
    const point = {
      x: readNumber("add, x", at(0), plane),
      y: readNumber("add, y", at(1), plane),
      label: readNumber("add, class", at(2), whole(0, toys[data.toy.name].classes - 1)),
    };
    return { ...data, added: [...data.added, point] };
  },
};

const paces = {
  "60": "60 steps/s",
  "600": "600 steps/s",
  "6000": "6,000 steps/s",
  Infinity: "unlimited",
};

const usualPace = "600";

export function startPoints(place: Place): void {
  let toy: ToySettings = start.data.toy;
  /** Of the points that are added. */
  let label = 0;
  let pace: keyof typeof paces = usualPace;
  const notice = byId("points-notice");

  const desk: Desk<PointsData> = new Desk({
    place,
    start,
    format,
    view: {
      write: () => (pace === usualPace ? [] : [["pace", pace]]),
      read: (key, value) => {
        if (key !== "pace") return false;
        if (!Object.hasOwn(paces, value)) throw new Error(`pace: “${value}” is none`);
        setPace(value as keyof typeof paces);
        return true;
      },
      clear: () => setPace(usualPace),
    },
    input: "2 coordinates of a point",
    task: pointsTask,
    post: (command) => link.post(command),
    showData,
    say,
  });
  const figures = new Figures({
    loss: "loss",
    accuracy: "of points right",
    speed: "examples a second",
    steps: "steps",
  });
  const curve = new Curves("Loss by step", [{ label: "training", colour: "blue" }]);
  const plane = new Plane((x, y) => {
    const { data } = desk.wanted;
    if (data.added.length >= MOST_ADDED) {
      say(`No more than ${MOST_ADDED} points can be added.`, true);
      return;
    }
    desk.change({}, { ...data, added: [...data.added, { x, y, label }] });
  });

  const link = new Link<ToPoints, FromPoints>(
    "points.worker.js",
    {
      ...desk.answers,
      points: (points) => {
        plane.showPoints(points);
        total.textContent = `${count(points.y.length)} points`;
      },
      progress: (report) => {
        if (!desk.follow(report)) return;
        const { steps, recent, examplesPerSecond: speed } = report;
        curve.show(report.curve.steps, report.curve.loss);
        figures.set("loss", recent ? short(recent.loss) : "–");
        figures.set("steps", count(steps));
        figures.set("speed", speed ? count(speed) : "–");
      },
      map: ({ probabilities, classes, accuracy }) => {
        plane.showMap(probabilities, classes);
        figures.set("accuracy", percent(accuracy));
      },
    },
    (message) => say(message, true),
  );

  function say(text: string, isWrong = false): void {
    notice.textContent = text;
    notice.classList.toggle("problem", isWrong);
  }

  function setPace(chosen: keyof typeof paces): void {
    pace = chosen;
    paceChoice.value = chosen;
    link.post({ type: "pace", stepsPerSecond: Number(chosen) });
  }

  /** Other points; the last layer follows where there are more or fewer classes. */
  function setToy(part: Partial<ToySettings>, isEntry = true): void {
    toy = { ...toy, ...part };
    const { classes } = toys[toy.name];
    const { layers } = desk.wanted.settings;
    const last = layers.at(-1);
    const isOther = last?.kind === "affine" && last.units !== classes;
    const followed = isOther ? [...layers.slice(0, -1), { ...last, units: classes }] : layers;
    if (isOther) desk.editor.show(followed);
    desk.change({ layers: followed }, { toy, added: [] }, isEntry);
    drawClasses(classes);
  }

  function showData(data: PointsData): void {
    toy = data.toy;
    toyChoice.value = toy.name;
    number.show(toy.count);
    noise.show(toy.noise);
    drawClasses(toys[toy.name].classes);
  }

  const slider = (
    name: string,
    range: { min: number; max: number; step: number },
    change: (value: number, isEntry: boolean) => void,
  ) => {
    const shown = h("output", {});
    const input = h("input", { type: "range", ...range });
    const show = (value: number) => {
      input.value = `${value}`;
      shown.textContent = `${value}`;
    };
    // One step back for all that the hand does until it comes to rest.
    let isMoving = false;
    input.addEventListener("input", () => {
      shown.textContent = input.value;
      change(input.valueAsNumber, !isMoving);
      isMoving = true;
    });
    input.addEventListener("change", () => {
      isMoving = false;
    });
    const element = field(name, input);
    element.append(shown);
    return { element, show };
  };
  const number = slider("Number", counts, (count, isEntry) => setToy({ count }, isEntry));
  const noise = slider("Noise", noises, (noise, isEntry) => setToy({ noise }, isEntry));

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
      h("legend", {}, "A click adds a point of class"),
      ...Array.from({ length: classes }, (_, i) => radio(i)),
    );
  }

  const names = Object.fromEntries(
    Object.entries(toys).map(([name, { title }]) => [name, title]),
  ) as Record<ToyName, string>;
  const toyChoice = select(names, toy.name, (name) => setToy({ name }));
  const paceChoice = select(paces, usualPace, (chosen) => {
    setPace(chosen);
    desk.viewed();
  });
  byId("points-data").append(
    h("div", { class: "fields" }, field("Points", toyChoice), number.element, noise.element),
    classChoice,
    button("Draw others", () => setToy({ seed: toy.seed + 1 })),
    total,
  );
  desk.form.element.append(field("Pace", paceChoice));
  byId("points-network").append(desk.editor.element);
  byId("points-training").append(
    desk.form.element,
    copyCode(() => codeOf(desk.wanted.settings, 2, meaning)),
  );
  byId("points-transport").append(desk.transport.element, figures.element);
  byId("points-plane").append(plane.element, plane.hint, plane.announcer);
  byId("points-curve").append(curve.element);
  desk.open();
}
