// Two-dimensional sets of points that networks are tried on, roughly on [−1, 1]².

import type { Random } from "lamella";
import { GRID, type PointsData } from "./messages.ts";

export interface Points {
  /** N × 2. */
  x: Float32Array;
  /** The class of each. */
  y: Int32Array;
}

/** The t-th of n points of a class, before noise; t from 0 to 1, u and v uniform on [0, 1). */
type Shape = (label: number, t: number, u: number, v: number) => [x: number, y: number];

/**
 * Cosine and sine of a number of turns. Engines differ in the last bits of Math.cos and Math.sin,
 * and the same address is to give the same points in all of them.
 */
function onCircle(turns: number): [cos: number, sin: number] {
  const quarter = Math.floor(4 * turns + 0.5);
  const angle = 2 * Math.PI * (turns - quarter / 4); // from −π/4 to π/4
  const square = angle * angle;
  let [cos, sin] = [1, 1];
  // Taylor's series by Horner's rule, to well below a float32's precision.
  for (let n = 14; n >= 2; n -= 2) {
    cos = 1 - (square * cos) / (n * (n - 1));
    sin = 1 - (square * sin) / (n * (n + 1));
  }
  sin *= angle;
  const places: [number, number][] = [
    [cos, sin],
    [-sin, cos],
    [-cos, -sin],
    [sin, -cos],
  ];
  return places[((quarter % 4) + 4) % 4]!;
}

/** A place by its distance from the middle, and the turns from the right. */
function polar(radius: number, turns: number): [x: number, y: number] {
  const [cos, sin] = onCircle(turns);
  return [radius * cos, radius * sin];
}

export const toys = {
  circles: {
    title: "Circles",
    classes: 2,
    at: (label, _t, u, v) => {
      const radius = label === 0 ? 0.45 * Math.sqrt(v) : 0.75 + 0.25 * v;
      return polar(radius, u);
    },
  },
  xor: {
    title: "Exclusive or",
    classes: 2,
    at: (label, t, u, v) => {
      const [x, y] = [0.08 + 0.92 * u, 0.08 + 0.92 * v];
      const side = t < 0.5 ? 1 : -1;
      return [side * x, label === 0 ? side * y : -side * y];
    },
  },
  spirals: {
    title: "Two spirals",
    classes: 2,
    at: (label, t) => spiral(t, label / 2),
  },
  threeSpirals: {
    title: "Three spirals",
    classes: 3,
    at: (label, t) => spiral(t, label / 3),
  },
  moons: {
    title: "Moons",
    classes: 2,
    at: (label, t) => {
      const [x, y] = polar(0.65, t / 2);
      return label === 0 ? [x - 0.3, y - 0.2] : [0.3 - x, 0.2 - y];
    },
  },
  clusters: {
    title: "Clusters",
    classes: 3,
    at: (label) => polar(0.65, label / 3 + 0.25),
  },
} satisfies Record<string, { title: string; classes: number; at: Shape }>;

export type ToyName = keyof typeof toys;

/**
 * What a network for points takes and gives; outside of training all of the plane goes through it
 * at once.
 */
export const pointsTask = {
  input: 2,
  classes: ({ toy }: PointsData): number => toys[toy.name].classes,
  atOnce: GRID * GRID,
};

function spiral(t: number, start: number): [number, number] {
  const [y, x] = polar(0.05 + 0.95 * t, 1.25 * t + start);
  return [x, y];
}

/** Points of the classes in turn. */
export function drawToy(random: Random, name: ToyName, count: number, noise: number): Points {
  const { classes, at }: { classes: number; at: Shape } = toys[name];
  const uniform = random.rand(count, 2).data;
  const normal = random.randn(count, 2).data;
  const x = new Float32Array(2 * count);
  const y = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const label = i % classes;
    const place = at(label, i / count, uniform[2 * i]!, uniform[2 * i + 1]!);
    y[i] = label;
    for (const axis of [0, 1] as const) {
      x[2 * i + axis] = place[axis] + noise * normal[2 * i + axis]!;
    }
  }
  return { x, y };
}
