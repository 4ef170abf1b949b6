import { Session } from "@parley/client";
import { useEffect, useState, useSyncExternalStore } from "react";

export function useParley(settings) {
  const [{ session, subscribe, read }] = useState(() => {
    const session = new Session(settings);
    return { session, subscribe: (changed) => session.on("change", changed), read: () => session.model };
  });
  const model = useSyncExternalStore(subscribe, read, read);
  useEffect(() => () => void session.leave(), [session]);
  return { session, model };
}
