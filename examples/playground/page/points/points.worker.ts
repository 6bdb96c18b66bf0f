// Trains on points in the plane, and tells the page what the network makes of all of it.

import { createRuntime, softmaxForward } from "lamella";
import { obey } from "../training/commands.ts";
import { Outbox } from "../training/outbox.ts";
import { Meter, Occasionally } from "../training/reports.ts";
import { Session } from "../training/session.ts";
import type { Settings } from "../training/settings.ts";
import { EXTENT, type FromPoints, GRID, type ToPoints } from "./messages.ts";
import { drawToy, type Points, toys } from "./toys.ts";

const runtime = await createRuntime(); // products of this size stay on one thread
let points: Points = { x: new Float32Array(0), y: new Int32Array(0) };
let interval = 0;
let next = 0;
const meter = new Meter();
const looks = new Occasionally(30);

const session = new Session(
  runtime,
  [2],
  2,
  () => points,
  (event) => {
    meter.add(event);
    report(false);
    return paced();
  },
  (error) => outbox.send({ type: "failed", message: error.message }),
);
const outbox = new Outbox<ToPoints, FromPoints>(handle, ({ message }) => ({
  type: "failed",
  message,
}));

/** Waits where the steps would come too fast. */
function paced(): Promise<void> | undefined {
  if (interval === 0) return undefined;
  const now = performance.now();
  next = Math.max(next + interval, now - 100); // a little that was missed is made up for
  return next > now ? new Promise((resume) => setTimeout(resume, next - now)) : undefined;
}

async function handle(message: ToPoints): Promise<void> {
  switch (message.type) {
    case "data": {
      const { isRunning } = session;
      await session.pause();
      const { name, count, noise, seed } = message.toy;
      points = runtime.scope(() => drawToy(runtime.random(seed), name, count, noise));
      session.classes = toys[name].classes;
      outbox.send({ type: "points", ...points });
      await configure(message.settings);
      if (isRunning) session.run();
      break;
    }
    case "add":
      points = {
        x: Float32Array.of(...points.x, message.x, message.y),
        y: Int32Array.of(...points.y, message.label),
      };
      outbox.send({ type: "points", ...points });
      await session.refresh();
      break;
    case "configure":
      await configure(message.settings);
      break;
    case "pace":
      interval = message.stepsPerSecond === Infinity ? 0 : 1000 / message.stepsPerSecond;
      break;
    case "run":
    case "pause":
    case "step":
    case "reset":
      await obey(message, session, meter);
      break;
  }
  if (!session.isRunning) report(true);
}

async function configure(settings: Settings): Promise<void> {
  try {
    await session.configure(settings);
    outbox.send({ type: "built", parameters: session.parameters });
  } catch (error) {
    outbox.send({ type: "refused", message: (error as Error).message });
  }
}

function report(isAsked: boolean): void {
  if (!(session.model && (isAsked || outbox.isFree))) return;
  if (session.model.output[0] !== session.classes) return; // until the network follows the data
  const progress = meter.take(session, points.y.length);
  if (progress) outbox.send(progress);
  if (isAsked) looks.reset();
  looks.run(() => outbox.send(map()));
}

/** The grid's points, in the order of its cells. */
const grid = Float32Array.from({ length: 2 * GRID * GRID }, (_, i) => {
  const cell = i >> 1;
  const [column, row] = [cell % GRID, Math.floor(cell / GRID)];
  const along = ((i % 2 === 0 ? column : GRID - 1 - row) + 0.5) / GRID;
  return EXTENT * (2 * along - 1);
});

function map(): FromPoints {
  const model = session.model!;
  return runtime.scope(() => {
    const { out } = softmaxForward(model.predict(grid));
    const { accuracy } = model.evaluate(points);
    return {
      type: "map",
      probabilities: out.toTypedArray(),
      classes: session.classes,
      accuracy,
    };
  });
}
