// The tab where Lamella and TensorFlow.js train the same network.

import { whole } from "../training/range.ts";
import { readNumber } from "../training/recipe.ts";
import type { Place } from "../ui/address.ts";
import { Curves } from "../ui/curves.ts";
import { button, byId, field, h, NumberInput, select } from "../ui/dom.ts";
import { count, short } from "../ui/format.ts";
import { numberField } from "../ui/training_form.ts";
import { Figures } from "../ui/transport.ts";
import { Lane, median } from "./lane.ts";
import type { Course } from "./messages.ts";

const networks = {
  "784,128,10": "784–128–10",
  "784,256,128,10": "784–256–128–10",
  "784,512,256,10": "784–512–256–10",
};
const optimizers = { momentum: "SGD, momentum", sgd: "SGD", adam: "Adam" };
const rates = { momentum: 0.05, sgd: 0.1, adam: 0.001 };
/** Steps that one side takes before it is the other's turn. */
const SLICE = 5;

const batchSizes = whole(1, 1024);
const stepCounts = whole(1, 10_000);

interface Choice {
  network: keyof typeof networks;
  optimizer: Course["optimizer"];
  batch: number;
  steps: number;
}
const usual: Choice = { network: "784,128,10", optimizer: "momentum", batch: 64, steps: 300 };

/** As the address has it: what is other than usual. */
function writeChoice(choice: Choice): string {
  const keys = Object.keys(usual) as (keyof Choice)[];
  const parts = keys.filter((key) => choice[key] !== usual[key]);
  return parts.map((key) => `${key}=${choice[key]}`).join("&");
}

/** @throws Error that says in words what is wrong */
function readChoice(query: string): Choice {
  const choice = { ...usual };
  for (const part of query.split("&").filter(Boolean)) {
    const [key = "", value = ""] = part.split("=", 2);
    if (key === "network" && Object.hasOwn(networks, value)) {
      choice.network = value as Choice["network"];
    } else if (key === "optimizer" && Object.hasOwn(optimizers, value)) {
      choice.optimizer = value as Choice["optimizer"];
    } else if (key === "batch") choice.batch = readNumber(key, value, batchSizes);
    else if (key === "steps") choice.steps = readNumber(key, value, stepCounts);
    else throw new Error(`the race has no “${part}”`);
  }
  return choice;
}

export function startRace(place: Place): void {
  let choice = usual;
  let isRacing = false;

  const loss = new Curves("Loss by step", [
    { label: "Lamella", colour: "blue" },
    { label: "TensorFlow.js", colour: "orange", dash: [6, 4] },
  ]);
  const names = { time: "ms a step, median", speed: "examples a second", loss: "loss" };
  const figures = [new Figures(names), new Figures(names)];
  const bars = [h("span", { class: "bar" }), h("span", { class: "bar" })];
  const versions = [h("span", { class: "small" }), h("span", { class: "small" })];
  const ratio = h("output", { class: "ratio" }, "–");
  const status = h("p", { class: "small", role: "status" });
  const start = button("Start the race", () => (isRacing ? stop() : race()), { class: "primary" });

  function stop(): void {
    isRacing = false;
  }

  /**
   * The sides take turns on the same core, a few steps at a time, so that neither slows the other down and both meet the same
   * interruptions.
   */
  async function race(): Promise<void> {
    isRacing = true;
    start.textContent = "Stop";
    say("Getting ready: both sides load their code and the digits.");
    ratio.textContent = "–";
    const { network, optimizer, batch, steps } = choice;
    const lanes = [new Lane("lamella.worker.js"), new Lane("tfjs.worker.js")] as const;
    try {
      const sizes = network.split(",").map(Number);
      const course: Course = { sizes, optimizer, learningRate: rates[optimizer], batchSize: batch };
      const ours = await lanes[0].prepare({ type: "prepare", course });
      const { weights } = ours;
      const theirs = await lanes[1].prepare({ type: "prepare", course, weights });
      versions[0]!.textContent = ours.version;
      versions[1]!.textContent = theirs.version;
      for (const part of ["race-result", "race-loss"]) byId(part).hidden = false;
      for (let done = 0; isRacing && done < steps; ) {
        const slice = Math.min(SLICE, steps - done);
        for (const lane of lanes) await lane.go(slice);
        done += slice;
        await new Promise(requestAnimationFrame);
        show(lanes, batch);
        status.textContent = `${count(done)} of ${count(steps)} steps`;
      }
      status.textContent = `${lanes[0].times.length} steps each. Medians, so that slow first steps do not count.`;
    } catch (error) {
      say((error as Error).message, true);
    } finally {
      for (const lane of lanes) lane.end();
      isRacing = false;
      start.textContent = "Start the race";
    }
  }

  function say(text: string, isWrong = false): void {
    status.textContent = text;
    status.classList.toggle("problem", isWrong);
  }

  function show(lanes: readonly Lane[], batch: number): void {
    const x = Float64Array.from(lanes[0]!.losses, (_, i) => i + 1);
    loss.show(x, ...lanes.map(({ losses }) => Float64Array.from(losses)));
    const times = lanes.map((lane) => median(lane.times));
    const longest = Math.max(...times);
    for (const [i, time] of times.entries()) {
      figures[i]!.set("time", short(time));
      figures[i]!.set("speed", count((1000 * batch) / time));
      figures[i]!.set("loss", short(lanes[i]!.losses.at(-1)!));
      bars[i]!.style.setProperty("--share", `${time / longest}`);
    }
    ratio.textContent = `${(times[1]! / times[0]!).toFixed(1)} ×`;
  }

  /** By hand: a step that Back undoes. */
  function change(part: Partial<Choice>): void {
    const before = writeChoice(choice);
    choice = { ...choice, ...part };
    place.push(before, writeChoice(choice));
  }
  const networkChoice = select(networks, usual.network, (network) => change({ network }));
  const optimizerChoice = select(optimizers, usual.optimizer, (optimizer) => change({ optimizer }));
  const batch = new NumberInput(usual.batch, batchSizes, (batch) => change({ batch }));
  const steps = new NumberInput(usual.steps, stepCounts, (steps) => change({ steps }));

  function open(query: string): void {
    choice = usual;
    say("");
    try {
      choice = readChoice(query);
    } catch (error) {
      say(`The address cannot be followed: ${(error as Error).message}.`, true);
    }
    networkChoice.value = choice.network;
    optimizerChoice.value = choice.optimizer;
    batch.show(choice.batch);
    steps.show(choice.steps);
  }
  place.opened = open;

  byId("race-course").append(
    h(
      "div",
      { class: "fields row" },
      field("Network", networkChoice),
      field("Optimizer", optimizerChoice),
      numberField("Batch size", batch),
      numberField("Steps", steps),
      start,
    ),
    status,
  );
  byId("race-result").append(
    h("p", { class: "verdict" }, "Lamella takes a step ", ratio, " as fast as TensorFlow.js here."),
    ...["Lamella", "TensorFlow.js"].map((name, i) =>
      h(
        "section",
        { class: `lane lane-${i}`, "aria-label": name },
        h("h3", {}, name, " ", versions[i]!),
        h("div", { class: "track", "aria-hidden": "true" }, bars[i]!),
        figures[i]!.element,
      ),
    ),
  );
  byId("race-loss").append(loss.element);
  open(place.query);
}
