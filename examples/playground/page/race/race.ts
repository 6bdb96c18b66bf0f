// The tab where Lamella and TensorFlow.js train the same network.

import { Curves } from "../ui/curves.ts";
import { button, byId, field, h, numberInput, select } from "../ui/dom.ts";
import { count, short } from "../ui/format.ts";
import { Figures } from "../ui/transport.ts";
import { Lane, median } from "./lane.ts";
import type { Course } from "./messages.ts";

const networks = {
  "784,128,10": "784 – 128 – 10",
  "784,256,128,10": "784 – 256 – 128 – 10",
  "784,512,256,10": "784 – 512 – 256 – 10",
};
const optimizers = { momentum: "SGD, momentum", sgd: "SGD", adam: "Adam" };
const rates = { momentum: 0.05, sgd: 0.1, adam: 0.001 };
/** Steps that one side takes before it is the other's turn. */
const SLICE = 5;

export function startRace(): void {
  let network: keyof typeof networks = "784,128,10";
  let optimizer: Course["optimizer"] = "momentum";
  let batchSize = 64;
  let steps = 300;
  let isRacing = false;

  const loss = new Curves("Loss at each step: the same network learns the same", [
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
    status.textContent = "Getting ready: both sides load their code and the digits.";
    ratio.textContent = "–";
    loss.clear();
    const lanes = [new Lane("lamella.worker.js"), new Lane("tfjs.worker.js")] as const;
    try {
      const sizes = network.split(",").map(Number);
      const course: Course = { sizes, optimizer, learningRate: rates[optimizer], batchSize };
      const ours = await lanes[0].prepare({ type: "prepare", course });
      const { weights } = ours;
      const theirs = await lanes[1].prepare({ type: "prepare", course, weights });
      versions[0]!.textContent = ours.version;
      versions[1]!.textContent = theirs.version;
      for (const part of ["race-result", "race-loss"]) byId(part).hidden = false;
      for (let done = 0; isRacing && done < steps; done += SLICE) {
        for (const lane of lanes) await lane.go(SLICE);
        await new Promise(requestAnimationFrame);
        show(lanes, done);
        status.textContent = `${done + SLICE} of ${steps} steps`;
      }
      status.textContent = `${lanes[0].times.length} steps each. Medians, so that slow first steps do not count.`;
    } catch (error) {
      status.textContent = (error as Error).message;
    } finally {
      for (const lane of lanes) lane.end();
      isRacing = false;
      start.textContent = "Start the race";
    }
  }

  function show(lanes: readonly Lane[], done: number): void {
    for (let i = done; i < done + SLICE; i++) {
      loss.add(i + 1, lanes[0]!.losses[i]!, lanes[1]!.losses[i]!);
    }
    loss.draw();
    const times = lanes.map((lane) => median(lane.times));
    const longest = Math.max(...times);
    for (const [i, time] of times.entries()) {
      figures[i]!.set("time", short(time));
      figures[i]!.set("speed", count((1000 * batchSize) / time));
      figures[i]!.set("loss", short(lanes[i]!.losses.at(-1)!));
      bars[i]!.style.setProperty("--share", `${time / longest}`);
    }
    ratio.textContent = `${(times[1]! / times[0]!).toFixed(1)} ×`;
  }

  byId("race-course").append(
    h(
      "div",
      { class: "fields row" },
      field(
        "Network",
        select(networks, network, (value) => {
          network = value;
        }),
      ),
      field(
        "Optimizer",
        select(optimizers, optimizer, (value) => {
          optimizer = value;
        }),
      ),
      field(
        "Batch size",
        numberInput(batchSize, { min: 1, max: 1024, step: 1 }, (value) => {
          batchSize = value;
        }),
      ),
      field(
        "Steps",
        numberInput(steps, { min: SLICE, max: 10_000, step: SLICE }, (value) => {
          steps = value;
        }),
      ),
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
}
