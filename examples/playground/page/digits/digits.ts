// The tab that learns to read digits.

import { adam, affine, batchnorm, normalize, relu } from "lamella";
import { codeOf } from "../training/code.ts";
import { Desk } from "../training/desk.ts";
import { Link } from "../training/link.ts";
import { whole } from "../training/range.ts";
import { readNumber, type Stage } from "../training/recipe.ts";
import { spareCores } from "../training/runtime.ts";
import type { Place } from "../ui/address.ts";
import { Confusion } from "../ui/confusion.ts";
import { copyCode } from "../ui/copy_code.ts";
import { Curves } from "../ui/curves.ts";
import { button, byId, field, h, NumberInput } from "../ui/dom.ts";
import { count, percent, short } from "../ui/format.ts";
import { Histograms } from "../ui/histograms.ts";
import { Pad } from "../ui/pad.ts";
import { Scores } from "../ui/scores.ts";
import { numberField } from "../ui/training_form.ts";
import { Figures } from "../ui/transport.ts";
import { WeightImages } from "../ui/weights.ts";
import { type DigitsData, digitsTask, type FromDigits, type ToDigits } from "./messages.ts";

/** Of the code's x and y. */
const meaning =
  "x: 784 pixels, 0 (paper) to 255 (ink), of each digit in a row; y: a label from 0 to 9 of each.";

const start: Stage<DigitsData> = {
  settings: {
    layers: [
      normalize({ mean: 0, std: 255 }),
      affine(64, { useBias: false }),
      batchnorm({ eps: 1e-5, momentum: 0.1 }),
      relu(),
      affine(10),
    ],
    optimizer: adam(),
    loss: "softmax",
    l2: 1e-3, // lets the weights of pixels that have never ink fade away
    batchSize: 64,
    seed: 231,
  },
  data: null,
  steps: 0,
};
/** The number of digits in the test set. */
const DIGITS = 10_000;
const digitRange = whole(0, DIGITS - 1);

export function startDigits(place: Place): void {
  const figures = new Figures({
    loss: "loss",
    accuracy: "of new digits right",
    speed: "examples a second",
    steps: "steps",
    epochs: "epochs",
  });
  const lines = [
    { label: "training", colour: "blue" },
    { label: "new digits", colour: "orange", dash: [6, 3] },
  ];
  const loss = new Curves("Loss by step", lines);
  const accuracy = new Curves("Accuracy by step", lines, [0, 1]);
  const weights = new WeightImages();
  const confusion = new Confusion();
  const histograms = new Histograms();
  const scores = new Scores();
  const caption = h("p", { class: "small caption", role: "status" }, "");
  const pad = new Pad(
    (pixels) => link.post({ type: "read", pixels }),
    () => {
      caption.textContent = "Your digit";
    },
    () => clearPad(),
  );
  const notice = byId("digits-notice");

  /** The notice that shows while there is no other. */
  let usual = "Loading digits …";
  let digit = 0;

  const desk: Desk<DigitsData> = new Desk({
    place,
    start,
    // The digits are the same for every network.
    format: { write: () => [], read: () => undefined },
    view: {
      write: () => (digit === 0 ? [] : [["digit", `${digit}`]]),
      read: (key, value) => {
        if (key !== "digit") return false;
        digit = readNumber(key, value, digitRange);
        return true;
      },
      clear: () => {
        digit = 0;
      },
    },
    input: "784 pixels, 0 to 255, of a digit",
    task: digitsTask,
    post: (command) => link.post(command),
    showData: () => link.post({ type: "sample", index: digit }),
    say,
  });

  const link = new Link<ToDigits, FromDigits>(
    "digits.worker.js",
    {
      loading: ({ share }) => say(`Loading digits: ${percent(share, 0)}`),
      runtime: ({ variant, threads }) => {
        const isolation = crossOriginIsolated ? "isolated" : "not isolated";
        const cores = threads === 1 ? "1 thread" : `${threads} threads`;
        byId("runtime").textContent = `${variant} core, ${cores}, page ${isolation}`;
      },
      ready: ({ train, test }) => {
        usual = `${count(train)} digits to learn from, ${count(test)} new ones`;
        say("");
        byId("digits-panel").dataset.state = "ready";
        desk.open();
      },
      ...desk.answers,
      unreadable: ({ message }) => {
        fileStatus.textContent = `That file cannot be loaded. ${message}`;
      },
      progress: (report) => {
        if (!desk.follow(report)) return;
        const { steps, epochs, recent, examplesPerSecond: speed, curve } = report;
        loss.show(curve.steps, curve.loss, curve.validationLoss);
        accuracy.show(curve.steps, curve.accuracy, curve.validationAccuracy);
        figures.set("loss", recent ? short(recent.loss) : "–");
        figures.set("steps", count(steps));
        figures.set("epochs", epochs.toFixed(1));
        figures.set("speed", speed ? count(speed) : "–");
      },
      insight: (insight) => {
        figures.set("accuracy", percent(insight.validation.accuracy));
        confusion.show(insight.confusion);
        weights.show(insight.weights as Int8Array<ArrayBuffer>);
        histograms.show(insight.layers);
      },
      scores: ({ probabilities }) => scores.show(probabilities),
      sample: ({ pixels, label, index }) => {
        pad.show(pixels);
        caption.textContent = `Test digit ${index}: a ${label}`;
        sample.show(index);
      },
      saved: ({ bytes }) => download(bytes),
      loaded: ({ layers, name }) => {
        desk.showLoaded(layers);
        fileStatus.textContent = `Loaded ${name}. The address has its layers, but not its weights.`;
      },
    },
    (message) => say(message, true),
  );

  /** Nothing stands for what is usually said. */
  function say(text: string, isWrong = false): void {
    notice.textContent = text || usual;
    notice.classList.toggle("problem", isWrong);
  }

  const ask = (index: number) => {
    digit = index;
    link.post({ type: "sample", index });
    desk.viewed();
  };
  const sample = new NumberInput(0, digitRange, ask);
  const other = (by: number) => () => ask((digit + by + DIGITS) % DIGITS);
  const clearPad = () => {
    pad.clear();
    caption.textContent = "Draw a digit";
  };

  const fileStatus = h("p", { class: "small", role: "status" });
  const file = h("input", {
    type: "file",
    accept: ".safetensors",
    onchange: async () => {
      const [chosen] = file.files ?? [];
      if (chosen) await load(chosen);
      file.value = "";
    },
  });
  async function load(chosen: File): Promise<void> {
    const bytes = await chosen.arrayBuffer();
    link.post({ type: "load", bytes, name: chosen.name }, [bytes]);
  }
  takeDrops(byId("digits-panel"), load);

  byId("digits-network").append(desk.editor.element);
  if (crossOriginIsolated) {
    const range = whole(1, Math.max(1, navigator.hardwareConcurrency));
    const change = (threads: number) => link.post({ type: "threads", threads });
    const hint = "One core is left to the page at first; the bits do not hang on it";
    const threads = new NumberInput(spareCores, range, change);
    desk.form.element.append(numberField("Threads", threads, hint));
  }
  byId("digits-training").append(desk.form.element);
  byId("digits-file").append(
    h(
      "div",
      { class: "actions" },
      button("Save as safetensors", () => link.post({ type: "save" })),
      field("Load a file, or drop one on the page", file),
      fileStatus,
    ),
    copyCode(() => codeOf(desk.wanted.settings, 784, meaning)),
  );
  byId("digits-transport").append(desk.transport.element, figures.element);
  byId("digits-curves").append(loss.element, accuracy.element);
  byId("digits-draw").append(
    h("div", { class: "draw" }, h("div", {}, pad.element, caption), scores.element),
    pad.hint,
    pad.announcer,
    h(
      "div",
      { class: "actions" },
      button("Clear", clearPad),
      numberField("Test digit", sample),
      button("Previous", other(-1)),
      button("Next", other(1)),
    ),
  );
  byId("digits-weights").append(weights.element);
  byId("digits-confusion").append(confusion.element);
  byId("digits-histograms").append(histograms.element);
  say("");
  link.post({ type: "start", threads: spareCores });
}

function download(bytes: Uint8Array<ArrayBuffer>): void {
  const href = URL.createObjectURL(new Blob([bytes]));
  h("a", { href, download: "digits.safetensors" }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

/** Files that are dropped anywhere on a part of the page. */
function takeDrops(target: HTMLElement, take: (file: File) => void): void {
  target.addEventListener("dragover", (event) => {
    event.preventDefault();
    target.classList.add("dropping");
  });
  target.addEventListener("dragleave", () => target.classList.remove("dropping"));
  target.addEventListener("drop", (event) => {
    event.preventDefault();
    target.classList.remove("dropping");
    const [file] = event.dataTransfer?.files ?? [];
    if (file) take(file);
  });
}
