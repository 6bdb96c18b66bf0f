// Two-dimensional sets of points that networks are tried on, roughly on [−1, 1]².

import type { Random } from "lamella";

export interface Points {
  /** N × 2. */
  x: Float32Array;
  /** The class of each. */
  y: Int32Array;
}

/** The t-th of n points of a class, before noise; t from 0 to 1, u and v uniform on [0, 1). */
type Shape = (label: number, t: number, u: number, v: number) => [x: number, y: number];

const turn = 2 * Math.PI;

export const toys = {
  circles: {
    title: "Circles",
    classes: 2,
    at: (label, _t, u, v) => {
      const radius = label === 0 ? 0.45 * Math.sqrt(v) : 0.75 + 0.25 * v;
      return [radius * Math.cos(turn * u), radius * Math.sin(turn * u)];
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
      const [x, y] = [0.65 * Math.cos((turn / 2) * t), 0.65 * Math.sin((turn / 2) * t)];
      return label === 0 ? [x - 0.3, y - 0.2] : [0.3 - x, 0.2 - y];
    },
  },
  clusters: {
    title: "Clusters",
    classes: 3,
    at: (label) => {
      const angle = turn * (label / 3 + 0.25);
      return [0.65 * Math.cos(angle), 0.65 * Math.sin(angle)];
    },
  },
} satisfies Record<string, { title: string; classes: number; at: Shape }>;

export type ToyName = keyof typeof toys;

function spiral(t: number, start: number): [number, number] {
  const radius = 0.05 + 0.95 * t;
  const angle = turn * (1.25 * t + start);
  return [radius * Math.sin(angle), radius * Math.cos(angle)];
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
