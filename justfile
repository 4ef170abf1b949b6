# The same verbs on a laptop and in CI. `uv run just` works where just is not installed.

set shell := ["bash", "-euo", "pipefail", "-c"]
# Tests start hundreds of processes: where nothing compiled is kept, each of them compiles all of Parley again.
unexport PYTHONDONTWRITEBYTECODE

# Show the verbs.
default:
    @just --list --unsorted

# The tools of whoever works on Parley, which those who only run it need not install.
_tools:
    if command -v uv >/dev/null; then uv sync --quiet --inexact --group dev; fi

# Everything that has to hold: style, types, layers, generated files, every test.
ci: lint typecheck (test "50") histories test-integration

# Style, import layers, generated files that are out of date.
lint: _tools
    ruff check .
    ruff format --check .
    lint-imports
    python scripts/gen_proto.py --check
    python scripts/lock.py --check
    python scripts/lock_engines.py --check
    python scripts/docs.py --check

# Mend what can be mended by a program.
fix: _tools
    ruff check --fix .
    ruff format .
    python scripts/docs.py

# Types, strictly.
typecheck: _tools
    mypy
    if [ -d web/node_modules ]; then npm --prefix web run --silent check; fi

# Unit and session tests: pure or in virtual time.
test lives="1000": _tools
    PARLEY_TEST_HISTORIES={{ lives }} pytest -q -n auto tests/unit tests/session tests/fuzz

# Those of the unit, session and contract tests that what differs from BASE can reach by imports and by files they read.
quick base="main": _tools
    #!/usr/bin/env bash
    set -euo pipefail
    reached=$(python scripts/reach.py --since {{ base }})
    if [ -z "$reached" ]; then echo "No test is reached by this change."; exit 0; fi
    PARLEY_TEST_HISTORIES=50 pytest -q -n auto $reached

# How much of what decides and of what routes its own tests run; fails below the floor.
coverage: _tools
    PARLEY_TEST_HISTORIES=50 pytest -q -n auto --cov=parley.session --cov=parley.routing --cov-branch --cov-report= tests/unit/session tests/session tests/unit/routing
    coverage report --include '*/parley/session/*' --skip-covered --show-missing --fail-under 97
    coverage report --include '*/parley/routing/*' --skip-covered --show-missing --fail-under 93

# A few benchmarks into build/bench/now and one page of them, beside build/bench/earlier where that is.
baseline *names="turn barge-in pause-resume first-audio": _tools
    #!/usr/bin/env bash
    set -euo pipefail
    mkdir -p build/bench/now
    for name in {{ names }}; do parley bench "$name" --trials 20 --json "build/bench/now/$name.json"; done
    earlier=(); if [ -d build/bench/earlier ]; then earlier=(--set earlier=build/bench/earlier); fi
    parley bench report --json build/bench/report.json "${earlier[@]}"

# Spoilt inputs for every interface and file that is read: COUNT for each, the same ones for the same SEED.
fuzz count="20000" seed="1": _tools
    PARLEY_TEST_FUZZ={{ count }} PARLEY_TEST_FUZZ_SEED={{ seed }} pytest -q -n auto tests/fuzz

# Known weaknesses of what is locked, and suspicious places of our own; reported, fails nothing.
audit *flags: _tools
    python scripts/audit.py {{ flags }}

# A built wheel, installed into an empty environment: it holds a conversation in the browser.
try-wheel wheel: _tools
    PARLEY_TEST_WHEEL="$(realpath {{ wheel }})" pytest -q -rs tests/e2e/test_wheel.py

# Ten thousand random lives of a session in virtual time; prints which cells of its tables they reached.
histories count="10000" seed="1": _tools
    python scripts/histories.py {{ count }} --seed {{ seed }}

# Contracts, real processes on loopback, a real browser; what fails is tried once more, alone.
test-integration: _tools
    #!/usr/bin/env bash
    set -euo pipefail
    tried() {  # tried SECONDS ARGUMENTS... -- FOLDERS...: a run that hangs is interrupted, and has failed
      local limit=$1 flags=() code=0; shift
      while [ "$1" != -- ]; do flags+=("$1"); shift; done; shift
      timeout --signal INT --kill-after 60 "$limit" pytest -q -rsfE -m "not soak and not firefox" "${flags[@]}" "$@" || code=$?
      if [ "$code" = 1 ]; then
        echo "--- once more, one after the other: what failed ---"
        timeout --signal INT --kill-after 60 900 pytest -q -m "not soak and not firefox" --lf --lfnf none "$@"
      else
        return "$code"
      fi
    }
    # They wait for somebody's speech most of the time, three at once; browsers and other people's clients hear in
    # real time, two at once; what attacks do to a listener is measured: they have the machine for themselves.
    tried 2100 -n 3 --dist loadfile --no-loadscope-reorder --ignore tests/integration/attacks -- tests/contracts tests/integration
    tried 2400 -n 2 --dist loadfile --no-loadscope-reorder -- tests/clients tests/e2e
    tried 1500 -- tests/integration/attacks
    if [ -d web/node_modules ]; then npm --prefix web run --silent test; fi

# Pocket TTS through its real library, in an environment of its own (torch is large).
test-pocket: _tools
    python scripts/test_pocket.py

# WhisperX through its real library, in the environment that `parley engines install whisperx` makes (7 GB).
test-whisperx *flags: _tools
    python scripts/test_engine.py whisperx {{ flags }}

# CSM through its real library, in the environment that `parley engines install csm` makes (5 GB).
test-csm *flags: _tools
    python scripts/test_engine.py csm {{ flags }}

# Parler-TTS through its real library, in the environment that `parley engines install parler` makes (6 GB).
test-parler *flags: _tools
    python scripts/test_engine.py parler {{ flags }}

# The page's main path in Firefox, over WebRTC and WebSocket, with a virtual microphone; says which parts are missing.
test-firefox *flags: _tools
    pytest -q -rs -m firefox {{ flags }} tests/e2e/test_firefox.py

# Images, Compose, rules and chart by other people's linters and schemas, into docs/reference/deploy-checked.md.
check-deploy: _tools
    python scripts/check_deploy.py

# The long ones, asked for by name.
soak: _tools
    pytest -q -rs -m soak --timeout 3600 tests

# Pin every version: requirements.lock and the constraints in pyproject.toml.
lock *flags: _tools
    python scripts/lock.py {{ flags }}

# Pin the packages of the environments of engines, all of them or those of one NAME.
lock-engines *names: _tools
    python scripts/lock_engines.py {{ names }}

# Pin the packages of other people's clients that tests use, all of them or those of one NAME.
lock-clients *names: _tools
    python scripts/lock_clients.py {{ names }}

# gRPC stubs from proto/.
gen-proto: _tools
    python scripts/gen_proto.py

# Reference pages and sample files from the code.
docs: _tools
    python scripts/docs.py

# The documentation as a site, into build/site; a link that leads nowhere fails. uv fetches mkdocs-material for it.
docs-site folder="build/site":
    python3 scripts/docs_site.py {{ folder }}

# The web page, into src/parley/server/static.
web:
    npm --prefix web ci --no-audit --no-fund
    npm --prefix web run build

# How heavy the built page is, and Lighthouse's figures of it at the address of a running `parley up`.
page-figures url="http://127.0.0.1:8080": _tools
    python scripts/page_figures.py {{ url }}

# A Redis for many processes and hosts, in the foreground.
redis port="6379":
    redis-server --port {{ port }} --save '' --appendonly no --bind 127.0.0.1

# Redis, LiveKit, two workers, an orchestrator, the page by vite, Caddy with HTTPS: `just dev [VOICE] [--no-reload]`.
dev *flags: _tools
    python scripts/dev.py {{ flags }}

# The same with Piper's voice.
dev-agent-piper voice="en_US-joe-medium" *flags: _tools
    python scripts/dev.py {{ voice }} {{ flags }}

# The page alone, by vite, in front of a `parley up` on port 8080.
dev-web:
    npm --prefix web run dev

# What `just dev` wrote down, newest first.
logs-list:
    ls -1t logs

# The last lines of one NAME (orchestrator, worker-1, ...) or of all, and what comes.
logs-tail name="*":
    tail -n 40 -F logs/latest/{{ name }}.log

# Forget all of it.
logs-clean:
    rm -rf logs

# An orchestrator in front of workers that run elsewhere.
run-orch *flags:
    parley serve {{ flags }}

# A worker with the test tone.
run-tts-tone *flags:
    parley worker --set worker.models.default_model=tone {{ flags }}

# A worker with the embedded voice.
run-tts-espeak *flags:
    parley worker --set worker.models.default_model=espeak {{ flags }}

# The same by other people's names: run-tts-mock, run-tts-piper, run-tts-sesame [DEFAULT] [PRELOAD,...].
run-tts-mock default="tone" preload="":
    parley worker --default-model {{ default }} --preload-models '{{ preload }}'

run-tts-piper default="en_US-joe-medium" preload="":
    parley worker --default-model {{ default }} --preload-models '{{ preload }}'

run-tts-sesame default="csm-1b" preload="":
    parley worker --default-model {{ default }} --preload-models '{{ preload }}'

# A worker with the voice pack of this name, of whatever family.
run-tts-pack model *flags:
    parley worker --set worker.models.default_model={{ model }} {{ flags }}

# Talk from the terminal.
cli *flags:
    parley chat {{ flags }}

# The processes of a running Parley, and what each does.
roles: _tools
    python scripts/roles.py

# Where a process spends its time, live: orchestrator, worker, ears, voice, or a number of `just roles`.
spy-top role="orchestrator": _tools
    py-spy top --pid "$(python scripts/roles.py {{ role }})"

# The same as a picture.
spy-record role="orchestrator" out="profile.svg" seconds="20": _tools
    py-spy record --pid "$(python scripts/roles.py {{ role }})" --duration {{ seconds }} --output {{ out }}

# What every thread of it does at this moment.
spy-dump role="orchestrator": _tools
    py-spy dump --pid "$(python scripts/roles.py {{ role }})"
