// Tables made alike to those that people bring: the columns, types, gaps and counts of the UCI's
// car and glass, Palmer Station's penguins and the Titanic's passengers. The rows are drawn, not
// copied.

/** Numbers in [0, 1), the same ones for the same seed: mulberry32. */
export function draws(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Around a mean; a sum of twelve draws is normal enough. */
const normal = (draw: () => number, mean: number, std: number) =>
  mean + std * (Array.from({ length: 12 }, draw).reduce((a, b) => a + b) - 6);

const csv = (rows: readonly (readonly (string | number)[])[]) =>
  rows.map((row) => `${row.join(",")}\n`).join("");

/**
 * All 1728 cars of six texts, without a header, and how good each is: by a rule, with rare classes.
 */
export function car(): string {
  const [price, doors] = [
    ["vhigh", "high", "med", "low"],
    ["2", "3", "4", "5more"],
  ];
  const [persons, boot, safety] = [
    ["2", "4", "more"],
    ["small", "med", "big"],
    ["low", "med", "high"],
  ];
  // Every combination, the last of the lists changing fastest.
  const lists = [price, price, doors, persons, boot, safety];
  const count = lists.reduce((product, { length }) => product * length, 1);
  const rows = Array.from({ length: count }, (_, n) => {
    let rest = n;
    const at = lists.map(() => 0);
    for (let k = lists.length - 1; k >= 0; k--) {
      const { length } = lists[k]!;
      at[k] = rest % length;
      rest = Math.floor(rest / length);
    }
    const [buying, maint, door, person, lug, safe] = at as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const [cost, comfort] = [
      buying + maint,
      lug + (door > 1 && person > 1 ? 1 : 0) + 2 * (safe - 1),
    ];
    let kind = "vgood";
    if (person === 0 || safe === 0 || cost < 2 || comfort < 1) kind = "unacc";
    else if (cost < 4 || comfort < 2) kind = "acc";
    else if (comfort < 4) kind = "good";
    return [...lists.map((list, k) => list[at[k]!]!), kind];
  });
  return csv(rows);
}

/** 214 rows in the order of their kind, with names of rows as R writes them. */
export function glass(): string {
  const draw = draws(1);
  const rows: (string | number)[][] = [
    ['""', "RI", "Na", "Mg", "Al", "Si", "K", "Ca", "Ba", "Fe", "Type"],
  ];
  for (const [type, count] of [
    [1, 70],
    [2, 76],
    [3, 17],
    [5, 13],
    [6, 9],
    [7, 29],
  ] as const) {
    for (let i = 0; i < count; i++) {
      const near = (mean: number, shift: number, std: number) =>
        Math.abs(normal(draw, mean + shift * type, std)).toFixed(2);
      rows.push([
        `"${rows.length}"`,
        normal(draw, 1.518, 0.003).toFixed(5),
        ...[near(13, 0.2, 0.8), near(3.6, -0.4, 0.8), near(1.2, 0.1, 0.4), near(72.6, 0, 0.7)],
        ...[near(0.5, 0, 0.3), near(8.9, 0, 1.2), near(0, 0.1, 0.3), near(0.05, 0, 0.09)],
        type,
      ]);
    }
  }
  return csv(rows);
}

/** 344 penguins, the species first, with NA for what nobody measured. */
export function penguins(): string {
  const draw = draws(2);
  const rows: (string | number)[][] = [
    [
      "species",
      "island",
      "bill_length_mm",
      "bill_depth_mm",
      "flipper_length_mm",
      "body_mass_g",
      "sex",
    ],
  ];
  const kinds = [
    ["Adelie", ["Torgersen", "Biscoe", "Dream"], 152, 38.8, 18.3, 190, 3700],
    ["Chinstrap", ["Dream"], 68, 48.8, 18.4, 196, 3730],
    ["Gentoo", ["Biscoe"], 124, 47.5, 15, 217, 5080],
  ] as const;
  for (const [species, islands, count, length, depth, flipper, mass] of kinds) {
    for (let i = 0; i < count; i++) {
      const island = islands[Math.floor(draw() * islands.length)] as string;
      const gaps = i % 75 === 3 ? ["NA", "NA", "NA", "NA"] : undefined;
      const measured = [
        normal(draw, length, 2.6).toFixed(1),
        normal(draw, depth, 1.1).toFixed(1),
        normal(draw, flipper, 6.5).toFixed(0),
        (25 * Math.floor(normal(draw, mass, 400) / 25)).toFixed(0),
      ];
      const sex = gaps || i % 40 === 7 ? "NA" : draw() < 0.5 ? "male" : "female";
      rows.push([species, island, ...(gaps ?? measured), sex]);
    }
  }
  return csv(rows);
}

/** 891 passengers: an id, names, numbers, texts, gaps, the label second. */
export function titanic(): string {
  const draw = draws(3);
  const rows: (string | number)[][] = [
    "PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Ticket,Fare,Cabin,Embarked".split(","),
  ];
  for (let i = 1; i <= 891; i++) {
    const [pclass, sex] = [1 + Math.floor(3 * draw() ** 0.7), draw() < 0.65 ? "male" : "female"];
    const age = Math.max(1, Math.floor(normal(draw, 30, 13)));
    const odds = (sex === "female" ? 0.75 : 0.12) + (2 - pclass) * 0.17 + (age < 10 ? 0.3 : 0);
    const letter = "ABCDEFG"[Math.floor(7 * draw())] as string;
    rows.push([
      ...[i, draw() < odds ? 1 : 0, pclass, `"Passenger, No. ${i}"`, sex],
      ...[draw() < 0.2 ? "" : age, Math.floor(3 * draw() ** 3), Math.floor(3 * draw() ** 4)],
      `${100_000 + Math.floor(9e5 * draw())}X`,
      (100 / pclass ** 2 + 10 * draw()).toFixed(4),
      draw() < 0.77 ? "" : `${letter}${Math.floor(120 * draw())}`,
      i === 62 || i === 830 ? "" : (["S", "C", "Q"][Math.floor(3 * draw() ** 2)] as string),
    ]);
  }
  return csv(rows);
}
