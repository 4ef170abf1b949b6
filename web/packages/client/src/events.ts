// Who wants to know of what, by name.

type Listeners<All> = { [Name in keyof All]?: Set<(value: All[Name]) => void> };

export class Events<All> {
  private readonly listeners: Listeners<All> = {};

  /** From now on, call `listener` whenever this happens. Returns what ends it. */
  on<Name extends keyof All>(name: Name, listener: (value: All[Name]) => void): () => void {
    const listening = (this.listeners[name] ??= new Set());
    listening.add(listener);
    return () => listening.delete(listener);
  }

  /** A listener that fails is told of as any fault of the page is; it holds up nobody else. */
  protected emit<Name extends keyof All>(name: Name, value: All[Name]): void {
    for (const listener of this.listeners[name] ?? []) {
      try {
        listener(value);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
