/** The anywidget module: a session for each stream of this page, and a view for each cell. */

import type { RenderProps } from "@anywidget/types";
import { mount } from "./app";
import type { Traits } from "./model";
import { Session } from "./session";

// Some hosts import a module once for all models, others once for each, and hand every view a
// model object of its own: only what a model holds tells which views belong together.
const sessions = new Map<string, { session: Session; views: number }>();

function render({ model, el }: RenderProps<Traits>): () => void {
  const key = model.get("key");
  const shared = sessions.get(key) ?? { session: new Session(model), views: 0 };
  sessions.set(key, shared);
  shared.views += 1;
  const unmount = mount(shared.session, el);
  return () => {
    unmount();
    shared.views -= 1;
    if (shared.views === 0) {
      shared.session.close();
      sessions.delete(key);
    }
  };
}

export default { render };
