// The tab that learns to read digits.

import { adam, affine, batchnorm, type LayerSpec, normalize, relu } from "lamella";
import { codeOf } from "../training/code.ts";
import { Link } from "../training/link.ts";
import { spareCores } from "../training/runtime.ts";
import { Confusion } from "../ui/confusion.ts";
import { copyCode } from "../ui/copy_code.ts";
import { Curves } from "../ui/curves.ts";
import { button, byId, field, h, numberInput } from "../ui/dom.ts";
import { count, percent, short } from "../ui/format.ts";
import { Histograms } from "../ui/histograms.ts";
import { NetworkEditor } from "../ui/network_editor.ts";
import { Pad } from "../ui/pad.ts";
import { Scores } from "../ui/scores.ts";
import { type Training, TrainingForm } from "../ui/training_form.ts";
import { Figures, Transport } from "../ui/transport.ts";
import { WeightImages } from "../ui/weights.ts";
import type { FromDigits, Insight, ToDigits } from "./messages.ts";

/** Of the code's x and y. */
const meaning =
  "x: 784 pixels, 0 (paper) to 255 (ink), of each digit in a row; y: a label from 0 to 9 of each.";

const training: Training = {
  optimizer: adam(),
  loss: "softmax",
  l2: 1e-3, // lets the weights of pixels that have never ink fade away
  batchSize: 64,
  seed: 231,
};

let layers: LayerSpec[] = [
  normalize({ mean: 0, std: 255 }),
  affine(64, { useBias: false }),
  batchnorm(),
  relu(),
  affine(10),
];

export function startDigits(): void {
  const editor = new NetworkEditor("784 pixels, 0 to 255, of a digit", (changed) => {
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
    accuracy: "read right, new digits",
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
  const pad = new Pad((pixels) => link.post({ type: "read", pixels }));
  const notice = byId("digits-notice");

  let validation: Insight["validation"] | undefined;
  let steps = 0;

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
        say(`${count(train)} digits to learn from, ${count(test)} new ones`);
        byId("digits").dataset.state = "ready";
        configure();
        link.post({ type: "sample", index: 0 });
      },
      built: ({ parameters }) => editor.showBuilt(parameters),
      refused: ({ what, message }) => {
        if (what === "file") {
          fileStatus.textContent = `That file cannot be loaded. ${message}`;
          return;
        }
        transport.set(false);
        editor.showWrong(message);
      },
      failed: ({ message }) => {
        transport.set(false);
        say(message, true);
      },
      progress: (report) => {
        if (report.steps < steps) clear();
        steps = report.steps;
        loss.add(steps, report.loss, validation?.loss ?? null);
        accuracy.add(steps, report.accuracy, validation?.accuracy ?? null);
        validation = undefined;
        loss.draw();
        accuracy.draw();
        figures.set("loss", short(report.loss));
        figures.set("steps", count(steps));
        figures.set("epochs", report.epochs.toFixed(1));
        figures.set("speed", report.examplesPerSecond ? count(report.examplesPerSecond) : "–");
      },
      insight: (insight) => {
        validation = insight.validation;
        figures.set("accuracy", percent(insight.validation.accuracy));
        confusion.show(insight.confusion);
        weights.show(insight.weights as Int8Array<ArrayBuffer>);
        histograms.show(insight.layers);
      },
      scores: ({ probabilities }) => scores.show(probabilities),
      sample: ({ pixels, label, index }) => {
        pad.show(pixels);
        caption.textContent = `Test digit ${index}: a ${label}`;
        sample.value = `${index}`;
      },
      saved: ({ bytes }) => download(bytes),
      loaded: ({ layers: read }) => {
        layers = read;
        fileStatus.textContent = "Loaded.";
        editor.show(layers);
        clear();
      },
    },
    (message) => say(message, true),
  );

  function say(text: string, isWrong = false): void {
    notice.textContent = text;
    notice.classList.toggle("problem", isWrong);
  }
  function settings() {
    return { ...form.training, layers: [...layers] };
  }
  function configure(): void {
    link.post({ type: "configure", settings: settings() });
  }
  function clear(): void {
    steps = 0;
    validation = undefined;
    loss.clear();
    accuracy.clear();
    for (const name of ["loss", "steps", "epochs", "speed"] as const) figures.set(name, "–");
  }

  const caption = h("p", { class: "small", role: "status" }, "");
  const sample = numberInput(0, { min: 0, max: 9999, step: 1 }, (index) =>
    link.post({ type: "sample", index }),
  );
  const other = (by: number) => () => {
    const index = (Number(sample.value) + by + 10_000) % 10_000;
    link.post({ type: "sample", index });
  };
  const clearPad = () => {
    pad.clear();
    caption.textContent = "Draw a digit.";
  };
  pad.element.addEventListener("pointerdown", () => {
    caption.textContent = "Your digit";
  });

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
    link.post({ type: "load", bytes }, [bytes]);
  }
  takeDrops(byId("digits"), load);

  byId("digits-network").append(editor.element);
  if (crossOriginIsolated) {
    const range = { min: 1, max: navigator.hardwareConcurrency, step: 1 };
    const change = (threads: number) => link.post({ type: "threads", threads });
    const hint = "One core is left to the page at first";
    form.element.append(field("Threads", numberInput(spareCores, range, change), hint));
  }
  byId("digits-training").append(form.element);
  byId("digits-file").append(
    h(
      "div",
      { class: "actions" },
      button("Save as safetensors", () => link.post({ type: "save" })),
      field("Load a file, or drop one on the page", file),
      fileStatus,
    ),
    copyCode(() => codeOf(settings(), 784, meaning)),
  );
  byId("digits-transport").append(transport.element, figures.element);
  byId("digits-curves").append(loss.element, accuracy.element);
  byId("digits-draw").append(
    h("div", { class: "draw" }, h("div", {}, pad.element, caption), scores.element),
    h(
      "div",
      { class: "actions" },
      button("Clear", clearPad),
      field("Test digit", sample),
      button("Previous", other(-1)),
      button("Next", other(1)),
    ),
  );
  byId("digits-weights").append(weights.element);
  byId("digits-confusion").append(confusion.element);
  byId("digits-histograms").append(histograms.element);
  editor.show(layers);
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
