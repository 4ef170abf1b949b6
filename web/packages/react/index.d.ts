import type { Model, Session, Settings } from "@parley/client";

export interface Parley {
  /** The same one for as long as the component lives: `connect()` from a gesture, `typed()`, `interrupt()`, `leave()`. */
  readonly session: Session;
  /** What is to be shown; the component renders again when it changes. */
  readonly model: Model;
}

/** A conversation that ends with the component. `settings` count when it is first rendered; `session.settings` may change later. */
export declare function useParley(settings?: Partial<Settings>): Parley;
