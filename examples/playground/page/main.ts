// The page: three tabs, each started when it is first shown.

import { startDigits } from "./digits/digits.ts";
import { startPoints } from "./points/points.ts";
import { startRace } from "./race/race.ts";
import { Address, type Place } from "./ui/address.ts";
import { byId } from "./ui/dom.ts";
import { showFrames } from "./ui/frames.ts";
import { startTabs } from "./ui/tabs.ts";
import { startTheme } from "./ui/theme.ts";

const starts: Record<string, (place: Place) => void> = {
  digits: startDigits,
  points: startPoints,
  race: startRace,
};

function show(name: string): void {
  bringUp(name);
  starts[name]?.(address.place(name));
  delete starts[name];
}

startTheme(byId<HTMLSelectElement>("theme"));
const address = new Address(Object.keys(starts), show);
const bringUp = startTabs(byId("tabs"), (name) => {
  address.show(name);
  show(name);
});
show(address.tab);
showFrames(byId("frames"));
