// The page: three tabs, each started when it is first shown.

import { startDigits } from "./digits/digits.ts";
import { startPoints } from "./points/points.ts";
import { startRace } from "./race/race.ts";
import { byId } from "./ui/dom.ts";
import { showFrames } from "./ui/frames.ts";
import { startTabs } from "./ui/tabs.ts";
import { startTheme } from "./ui/theme.ts";

const starts: Record<string, () => void> = {
  digits: startDigits,
  points: startPoints,
  race: startRace,
};

startTheme(byId<HTMLSelectElement>("theme"));
startTabs(byId("tabs"), (name) => {
  starts[name]?.();
  delete starts[name];
});
showFrames(byId("frames"));
