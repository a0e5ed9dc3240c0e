/**
 * Runs spoken-command tests through the assistant against the simulated board: each sentence in a fresh home, in virtual
 * time, judged by what the home's telemetry shows afterwards. A sentence passes only if the whole home equals what it was
 * plus the expected changes.
 */
import type { Hal, OpenBoard } from '../../hal/contract/board.ts'
import type { Json, Telemetry } from '../../hal/contract/component.ts'
import { VirtualClock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { silentLog } from '../base/log.ts'
import { Actuation } from '../things/actuation.ts'
import { attachBoard } from '../things/hal-source.ts'
import { EntityRegistry } from '../things/registry.ts'
import { understand } from '../understanding/understand.ts'
import type { Reading, SayResult } from '../wire/messages.ts'
import { Assistant } from './assistant.ts'
import type { HomeTest } from './home-tests.ts'
import type { SayOptions } from './spoken.ts'

export interface EvaluationFailure {
  readonly file: string
  readonly sentence: string
  readonly expected: Record<string, unknown>
  readonly got: Record<string, unknown>
  readonly reading: Reading | undefined
}

export interface Evaluation {
  readonly total: number
  readonly passed: number
  readonly categories: Readonly<Record<string, { readonly total: number; readonly passed: number }>>
  readonly failures: readonly EvaluationFailure[]
  readonly latencyMs: { readonly p50: number; readonly p95: number }
}

/** Follow from other values while something moves; or, a list's items, are no attribute of the state in Home Assistant. */
const notCompared: ReadonlySet<string> = new Set(['is_closed', 'is_opening', 'is_closing', 'todo_items'])

type Snapshot = ReadonlyMap<string, Telemetry>

/** A home of one sentence, in virtual time. */
export interface HomeParts {
  readonly clock: VirtualClock
  readonly registry: EntityRegistry
  readonly actuation: Actuation
}
/** How a sentence is carried out. */
export type SayIn = (
  home: HomeParts,
  text: string,
  options: SayOptions,
  signal: AbortSignal,
) => Promise<SayResult>

const sayDirectly: SayIn = ({ clock, ...parts }, text, options, signal) => {
  const assistant = new Assistant({ clock, ...parts, understand, onEvent: () => {} })
  return clock.run(() => assistant.say(text, options, signal))
}

export async function evaluate(
  tests: readonly HomeTest[],
  hal: Hal,
  signal: AbortSignal,
  onProgress: (done: number) => void = () => {},
  say = sayDirectly,
): Promise<Evaluation> {
  const categories = new Map<string, { total: number; passed: number }>()
  const failures: EvaluationFailure[] = []
  const latencies: number[] = []
  for (const [index, test] of tests.entries()) {
    signal.throwIfAborted()
    const run = await tryOne(test, hal, say, signal)
    if (!('error' in run)) latencies.push(run.latencyMs)
    const category = categories.get(test.category) ?? { total: 0, passed: 0 }
    categories.set(test.category, category)
    category.total += 1
    const failure = 'error' in run ? homeFailure(test, run.error) : judge(test, run)
    if (failure) failures.push(failure)
    else category.passed += 1
    onProgress(index + 1)
  }
  latencies.sort((a, b) => a - b)
  const quantile = (q: number) =>
    Math.round((latencies[Math.ceil(q * latencies.length) - 1] ?? 0) * 100) / 100
  return {
    total: tests.length,
    passed: tests.length - failures.length,
    categories: Object.fromEntries(categories),
    failures,
    latencyMs: { p50: quantile(0.5), p95: quantile(0.95) },
  }
}

interface Run {
  readonly before: Snapshot
  readonly after: Snapshot
  readonly result: SayResult
  /** Entity id → name of its area: several devices of one home may share an id but for a number. */
  readonly areaNames: ReadonlyMap<string, string | undefined>
  /** Real time from the sentence to the verified state; simulated travel times are skipped. */
  readonly latencyMs: number
}

/** A home that cannot be opened fails its own sentences and not the whole evaluation. */
async function tryOne(
  test: HomeTest,
  hal: Hal,
  say: SayIn,
  signal: AbortSignal,
): Promise<Run | { readonly error: string }> {
  try {
    return await runOne(test, hal, say, signal)
  } catch (error) {
    if ((error as { code?: unknown }).code === 'malformed') return { error: messageOf(error) }
    throw error
  }
}

function homeFailure(test: HomeTest, error: string): EvaluationFailure {
  const expected = Object.fromEntries(test.expect ?? [])
  return { file: test.file, sentence: test.sentence, expected, got: { error }, reading: undefined }
}

async function runOne(test: HomeTest, hal: Hal, say: SayIn, signal: AbortSignal): Promise<Run> {
  const clock = new VirtualClock(test.nowMs === undefined ? {} : { startMs: test.nowMs })
  const host = { clock, log: silentLog, random: () => clock.random() }
  const options = { home: { name: test.file, yaml: test.home }, hostSensors: false }
  await using board = await clock.run(() => hal.openBoard(options, host, signal))
  const { registry, actuation, detach } = assemble(board, clock)
  using _detach = { [Symbol.dispose]: detach }
  const before = snapshot(registry)
  const startMs = performance.now()
  const where = test.area === undefined ? {} : { area: test.area }
  const speaker = { principal: 'user', ...where }
  const result = await say({ clock, registry, actuation }, test.sentence, speaker, signal)
  const latencyMs = performance.now() - startMs
  return { before, after: snapshot(registry), result, latencyMs, areaNames: areaNamesOf(registry) }
}

function assemble(board: OpenBoard, clock: VirtualClock) {
  const registry = new EntityRegistry(board.layout.areas)
  const actuation = new Actuation({ clock, registry })
  return { registry, actuation, detach: attachBoard(board, registry, actuation) }
}

function snapshot(registry: EntityRegistry): Snapshot {
  return new Map(registry.view().entities.map((entity) => [entity.info.id, entity.telemetry]))
}

function areaNamesOf(registry: EntityRegistry): Map<string, string | undefined> {
  const names = new Map(registry.areas.map((area) => [area.id, area.name]))
  return new Map(registry.view().entities.map(({ info }) => [info.id, names.get(info.area ?? '')]))
}

function judge(test: HomeTest, run: Run): EvaluationFailure | undefined {
  const passed = test.expect ? equalsExpected(test, run) : onlyTargetCommanded(test, run)
  if (passed) return undefined
  const expected = test.expect
    ? Object.fromEntries(test.expect)
    : { onlyEntityCommanded: test.target?.entity, area: test.target?.areaName }
  const got = { outcome: run.result.outcome, reply: run.result.reply, changes: differences(run) }
  return { file: test.file, sentence: test.sentence, expected, got, reading: run.result.reading }
}

function equalsExpected(test: HomeTest, { before, after }: Run): boolean {
  for (const [id, was] of before) {
    const now = after.get(id)
    const change = test.expect?.get(id)
    const ignore = test.ignore.get(id)
    if (!now) return false
    if (!ignore?.has('state') && now.state !== (change?.state ?? was.state)) return false
    const wanted = { ...was.attributes, ...change?.attributes }
    for (const name of new Set([...Object.keys(wanted), ...Object.keys(now.attributes)])) {
      if (notCompared.has(name) || ignore?.has(name)) continue
      if (!same(wanted[name], now.attributes[name])) return false
    }
  }
  return [...(test.expect?.keys() ?? [])].every((id) => after.has(id))
}

/** Files that name an entity and no changes are judged by who was commanded. */
function onlyTargetCommanded({ target }: HomeTest, { result, areaNames }: Run): boolean {
  const isTarget = (entity: string) =>
    target !== undefined &&
    entity.replace(/_\d+$/, '') === target.entity.replace(/_\d+$/, '') &&
    (target.areaName === undefined ? entity === target.entity : areaNames.get(entity) === target.areaName)
  return (
    result.outcome === 'done' &&
    result.commands.length > 0 &&
    result.commands.every(({ entity }) => isTarget(entity))
  )
}

function differences({ before, after }: Run): Record<string, unknown> {
  const changed: Record<string, unknown> = {}
  for (const [id, was] of before) {
    const now = after.get(id)
    if (now && (now.state !== was.state || !same(now.attributes as Json, was.attributes as Json))) {
      changed[id] = { state: now.state, attributes: now.attributes }
    }
  }
  return changed
}

/** An attribute that is null says as little as one that is absent. */
function same(a: Json | undefined, b: Json | undefined): boolean {
  if (a == null || b == null) return a == null && b == null
  if (typeof a === 'object') return JSON.stringify(a) === JSON.stringify(b)
  return a === b || Number(a) === Number(b)
}
