// Tabs as the ARIA Authoring Practices have them: arrows move, one is in the tab order.
// https://www.w3.org/WAI/ARIA/apg/patterns/tabs/

/**
 * @param chosen is told of a tab that is chosen by hand
 * @returns brings a tab to the front
 */
export function startTabs(
  list: HTMLElement,
  chosen: (name: string) => void,
): (name: string) => void {
  const tabs = [...list.querySelectorAll<HTMLElement>("[role=tab]")];
  const choose = (tab: HTMLElement) => {
    tab.focus();
    chosen(tab.dataset.name!);
  };
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(event.target as HTMLElement);
    const last = tabs.length - 1;
    const keys: Record<string, number> = {
      ArrowRight: at === last ? 0 : at + 1,
      ArrowLeft: at === 0 ? last : at - 1,
      Home: 0,
      End: last,
    };
    const to = keys[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(tabs[to]!);
  });
  for (const tab of tabs) tab.addEventListener("click", () => choose(tab));
  return (name) => {
    for (const tab of tabs) {
      const isSelected = tab.dataset.name === name;
      tab.setAttribute("aria-selected", `${isSelected}`);
      tab.tabIndex = isSelected ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")!)!.hidden = !isSelected;
    }
  };
}
