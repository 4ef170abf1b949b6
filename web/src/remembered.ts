// What this device remembers of the person's choices, and nothing else: in the browser's own storage, until it is forgotten.

const PREFIX = "parley.";
const NAMES = ["theme", "language", "device", "speaker", "voice", "push", "duck"] as const;
/** Characters of one choice; what is longer is none of ours. */
const LONGEST = 500;

export type Choice = (typeof NAMES)[number];

/** A device by its id, which browsers change now and then, and by its name. */
export interface Device {
  readonly id: string;
  readonly label: string;
}

type Store = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export class Remembered {
  private readonly store: () => Store;

  /** `store` may throw, as a browser's does that was told to keep nothing: then nothing is remembered. */
  constructor(store: () => Store) {
    this.store = store;
  }

  get(name: Choice): string {
    const value = this.quietly((store) => store.getItem(PREFIX + name)) ?? "";
    return value.length > LONGEST ? "" : value;
  }

  set(name: Choice, value: string): void {
    this.quietly((store) => (value && value.length <= LONGEST ? store.setItem(PREFIX + name, value) : store.removeItem(PREFIX + name)));
  }

  /** Null where none was chosen. */
  device(name: "device" | "speaker"): Device | null {
    const kept = this.get(name);
    try {
      const { id, label } = JSON.parse(kept) as Partial<Device>;
      return typeof id === "string" && typeof label === "string" && id ? { id, label } : null;
    } catch {
      return kept ? { id: kept, label: "" } : null;
    }
  }

  setDevice(name: "device" | "speaker", device: Device | null): void {
    this.set(name, device ? JSON.stringify({ id: device.id, label: device.label }) : "");
  }

  forget(): void {
    for (const name of NAMES) this.set(name, "");
  }

  private quietly<T>(deed: (store: Store) => T): T | null {
    try {
      return deed(this.store());
    } catch {
      return null;
    }
  }
}

/** The remembered one among those there are: by its id, else by its name; null where it is not there. */
export function recall<T extends { readonly deviceId: string; readonly label: string }>(there: readonly T[], remembered: Device): T | null {
  return there.find(({ deviceId }) => deviceId === remembered.id) ?? there.find(({ label }) => label !== "" && label === remembered.label) ?? null;
}
