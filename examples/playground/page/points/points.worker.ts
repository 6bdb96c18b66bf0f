// Trains on points in the plane, and tells the page what the network makes of all of it.

import { createRuntime, softmaxForward } from "lamella";
import { currentGeneration, isCommand, obey } from "../training/commands.ts";
import { Outbox } from "../training/outbox.ts";
import { Recorder } from "../training/recorder.ts";
import { Occasionally, progressOf, Speed } from "../training/reports.ts";
import { MOST_MEMORY } from "../training/runtime.ts";
import { Session } from "../training/session.ts";
import { isEqual } from "../training/settings.ts";
import { EXTENT, type FromPoints, GRID, type PointsData, type ToPoints } from "./messages.ts";
import { drawToy, type Points, pointsTask } from "./toys.ts";

const runtime = await createRuntime({ maxMemory: MOST_MEMORY }); // products of this size stay on one thread
let interval = 0;
let next = 0;
const recorder = new Recorder();
const speed = new Speed();
const looks = new Occasionally(30);

const session: Session<PointsData> = new Session(
  runtime,
  { ...pointsTask, examples: pointsOf },
  {
    begun: () => {
      recorder.clear();
      speed.clear();
    },
    stepped: ({ loss, accuracy, examples }) => {
      recorder.add(loss, accuracy);
      speed.add(examples);
      report(false);
      return session.isFollowingRecipe ? undefined : paced();
    },
    ended: () => {
      outbox.send({ type: "running", isRunning: false });
      report(true);
    },
    failed: (error) => outbox.send({ type: "failed", message: error.message }),
  },
);
const outbox = new Outbox<ToPoints, FromPoints>(handle, ({ message }) => ({
  type: "failed",
  message,
}));

/** Those of the data that were asked for last, and what the page was sent. */
let known: { data: PointsData; points: Points } | undefined;
let sent: Points | undefined;

function pointsOf(data: PointsData): Points {
  if (known && isEqual(known.data, data)) return known.points;
  const { toy, added } = data;
  const { name, count, noise, seed } = toy;
  const drawn = runtime.scope(() => drawToy(runtime.random(seed), name, count, noise));
  const points = {
    x: Float32Array.of(...drawn.x, ...added.flatMap(({ x, y }) => [x, y])),
    y: Int32Array.of(...drawn.y, ...added.map(({ label }) => label)),
  };
  known = { data, points };
  return points;
}

/** Waits where the steps would come too fast. */
function paced(): Promise<void> | undefined {
  if (interval === 0) return undefined;
  const now = performance.now();
  next = Math.max(next + interval, now - 100); // a little that was missed is made up for
  return next > now ? new Promise((resume) => setTimeout(resume, next - now)) : undefined;
}

async function handle(message: ToPoints): Promise<void> {
  if (isCommand<PointsData>(message)) {
    await obey(message, session, speed, (answer) => outbox.send(answer));
  } else {
    const { stepsPerSecond } = message;
    interval = stepsPerSecond === Infinity ? 0 : 1000 / stepsPerSecond;
  }
  if (!session.isRunning) report(true);
}

function report(isAsked: boolean): void {
  if (!(session.model && session.data && (isAsked || outbox.isFree))) return;
  const points = pointsOf(session.data);
  if (points !== sent) outbox.send({ type: "points", ...points });
  sent = points;
  outbox.send(progressOf(session, recorder, speed, points.y.length, currentGeneration()));
  if (isAsked) looks.reset();
  looks.run(() => outbox.send(map(points)));
}

/** The grid's points, in the order of its cells. */
const grid = Float32Array.from({ length: 2 * GRID * GRID }, (_, i) => {
  const cell = i >> 1;
  const [column, row] = [cell % GRID, Math.floor(cell / GRID)];
  const along = ((i % 2 === 0 ? column : GRID - 1 - row) + 0.5) / GRID;
  return EXTENT * (2 * along - 1);
});

function map(points: Points): FromPoints {
  const model = session.model!;
  return runtime.scope(() => {
    const { out } = softmaxForward(model.predict(grid));
    const { accuracy } = model.evaluate(points);
    return {
      type: "map",
      probabilities: out.toTypedArray(),
      classes: model.output[0]!,
      accuracy,
    };
  });
}
