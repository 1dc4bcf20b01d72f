/** The Tune tab's own module: the kernel sends it when the tab is first opened. */

import { div, h } from "../dom";
import { atEnd } from "../later";
import type { FillTune } from "../tune_tab";
import { card } from "./card";
import { comparison } from "./comparison";
import { draftEditor } from "./draft";
import { keepFocus } from "./focus";
import { grid } from "./grid";
import { listenToLabelKeys } from "./keys";
import { stretchOn } from "./stretch";
import styles from "./styles/tune.css";
import { Tuning } from "./tuning";
import { versionTable } from "./versions";

const fillTune: FillTune = (view, body, below) => {
  const { root, signal } = view;
  const tuning = new Tuning(view);
  let shown = false;
  const label = card(tuning);
  const bench = h(
    "section",
    { class: "ov-tune", "aria-label": "Tune the prompt" },
    div("ov-tune-top", versionTable(tuning), ...comparison(tuning)),
    div("ov-tune-work", grid(tuning), label.el),
  );
  const style = h("style", { text: styles });
  root.before(style);
  atEnd(signal, () => style.remove());
  body.append(draftEditor(tuning));
  below.append(bench);
  const stretch = stretchOn(tuning, () => shown);
  keepFocus(view, () => shown);
  listenToLabelKeys(tuning, () => shown, label.write);
  return (now) => {
    if (now !== shown) tuning.show(now);
    shown = now;
    bench.hidden = !now;
    stretch.render();
  };
};

export default fillTune;
