// The widget's elements and their style.

export const MARKUP = `
<div class="panel" data-part="panel" role="region" aria-label="Voice" hidden>
  <p class="state" data-part="state" role="status"></p>
  <div class="said" data-part="said"></div>
  <p class="problem" data-part="problem" role="alert"></p>
  <form data-part="form"><input data-part="text" aria-label="Type instead of speaking" placeholder="Type instead of speaking" maxlength="4000" autocomplete="off"></form>
</div>
<button class="talk" data-part="talk" type="button">
  <svg viewBox="0 0 24 24" aria-hidden="true"><path class="mic" d="M9 6a3 3 0 0 1 6 0v5a3 3 0 0 1-6 0zM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3" /><path class="cross" d="m7 7 10 10M17 7 7 17" /></svg>
</button>`;

export const STYLE = `
:host {
  all: initial; position: fixed; inset-block-end: 1rem; inset-inline-end: 1rem; z-index: 2147483000;
  display: flex; flex-direction: column; align-items: flex-end; gap: .75rem;
  font: 16px/1.45 system-ui, sans-serif; text-align: start; color-scheme: light dark;
  --ink: #17181c; --paper: #fff; --dim: #5f6470; --accent: #3d4bd1; --bad: #a3222b;
}
@media (prefers-color-scheme: dark) { :host { --ink: #ecebe7; --paper: #1b1d23; --dim: #a2a6b1; --accent: #a9b4ff; --bad: #ff9a9f; } }
[hidden] { display: none !important; }
p { margin: 0 0 .5rem; }
p:empty { display: none; }
.panel { box-sizing: border-box; width: min(20rem, calc(100vw - 2rem)); padding: .9rem 1rem; border-radius: 1rem; background: var(--paper); color: var(--ink); box-shadow: 0 4px 24px #0004; }
.said { position: relative; max-height: 40vh; margin-bottom: .6rem; overflow-y: auto; overflow-wrap: anywhere; }
.state, .you, small, del { color: var(--dim); }
small { font-size: inherit; }
mark { background: none; color: var(--accent); }
.problem { color: var(--bad); }
input { box-sizing: border-box; width: 100%; min-height: 44px; padding: 0 .75rem; font: inherit; color: inherit; background: none; border: 1px solid var(--dim); border-radius: .6rem; }
.talk { width: 60px; height: 60px; padding: 0; border: 0; border-radius: 50%; background: var(--accent); color: var(--paper); cursor: pointer; box-shadow: 0 2px 12px #0005; }
.talk.live { background: var(--bad); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
svg { width: 28px; height: 28px; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; }
.talk .cross, .talk.live .mic { display: none; }
.talk.live .cross { display: inline; }`;
