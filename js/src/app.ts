/** How the parts stand together. */

import { banner } from "./banner";
import { detail } from "./detail";
import { div, h } from "./dom";
import { header } from "./header";
import { listenToKeys } from "./keyboard";
import { atEnd, watched } from "./later";
import { Notices } from "./notices";
import { promptEditor } from "./prompt_editor";
import { results } from "./results";
import type { Session } from "./session";
import { settingsForm } from "./settings_form";
import { strip } from "./strip";
import styles from "./styles/all.css";
import { tabs } from "./tabs";
import { followTheme } from "./theme";
import { timeline } from "./timeline";
import { tuneTab } from "./tune_tab";
import { video } from "./video";
import type { View } from "./view";

/** Shows a session in `el`; returns the clean-up. */
export function mount(session: Session, el: HTMLElement): () => void {
  const ending = new AbortController();
  const { signal } = ending;
  const live = div({ class: "ov-spoken", "aria-live": "polite" });
  const root = h("section", {
    class: "ov",
    "aria-label": `Video stream: ${session.model.get("source")}`,
    tabindex: -1,
    "data-lm-suppress-shortcuts": true,
  });
  const view: View = {
    session,
    signal,
    root,
    notices: new Notices(),
    track: { domain: null, moved: () => undefined },
    announce: (text) => {
      live.textContent = text;
    },
  };
  const below = div("ov-below", results(view), detail(view));
  root.append(
    header(view),
    banner(view),
    div(
      "ov-main",
      div("ov-stage", video(view), timeline(view)),
      div(
        "ov-side",
        tabs("Steer the stream", [
          { name: "Prompt", body: promptEditor(view) },
          { name: "Settings", body: settingsForm(view) },
          tuneTab(view, below),
        ]),
      ),
    ),
    strip(view),
    below,
    live,
  );
  const style = h("style", { text: styles }); // beside it: a host may put each widget in a shadow root
  el.append(style, root);
  hideSnapshot(session, signal);
  followTheme(root, signal);
  followVisibility(view);
  listenToKeys(view);
  return () => {
    ending.abort();
    style.remove();
    root.remove();
  };
}

/**
 * What the kernel leaves behind as HTML for a notebook without one is not shown beside a live
 * view. JupyterLab and Notebook do that by the snapshot's own style; other hosts have other boxes.
 */
function hideSnapshot(session: Session, signal: AbortSignal): void {
  const hide = () => {
    for (const el of document.querySelectorAll<HTMLElement>(".ov-snapshot")) {
      if (el.dataset.key === session.model.get("key")) el.hidden = true;
    }
  };
  session.on(["welcome", "status"], hide, signal); // the snapshot may come after the view
}

/** Pictures are wanted while the widget is in the window and the window is looked at. */
function followVisibility({ session, signal, root }: View): void {
  let inside = false;
  const tell = () => session.setVisible(root, inside && document.visibilityState === "visible");
  const observer = new IntersectionObserver((entries) => {
    inside = entries.at(-1)?.isIntersecting ?? false;
    tell();
  });
  watched(root, observer, signal);
  document.addEventListener("visibilitychange", tell, { signal });
  atEnd(signal, () => session.setVisible(root, null));
}
