/**
 * Reads spoken-command tests: a folder with `_fixtures.yaml` (a home) and test files (`category`, `tests`), or a folder of
 * such folders. The format is that of home-assistant-datasets (https://github.com/allenporter/home-assistant-datasets).
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import * as v from 'valibot'
import { parse } from 'yaml'
import type { Json } from '../../hal/contract/component.ts'
import { messageOf, UsageError } from '../base/errors.ts'

/** A text, a number, a flag, or how it is said and how it is kept: `{in, out}`. */
const state = v.nullish(v.union([v.string(), v.number(), v.boolean(), v.looseObject({ out: v.any() })]))
const change = v.object({ state, attributes: v.nullish(v.record(v.string(), v.any())) })
const changes = v.nullish(v.record(v.string(), v.nullish(change)))
const testFile = v.object({
  category: v.string(),
  tests: v.array(
    v.object({
      sentences: v.array(v.string()),
      setup: changes,
      expect_changes: changes,
      ignore_changes: v.nullish(v.record(v.string(), v.any())),
      context_device: v.nullish(v.string()),
      context_now: v.nullish(v.union([v.string(), v.date()])),
      entity_id: v.nullish(v.string()),
      area: v.nullish(v.string()),
    }),
  ),
})

export interface Change {
  readonly state?: string
  readonly attributes: Readonly<Record<string, Json>>
}

/** One sentence to be said in a fresh home. */
export interface HomeTest {
  /** Test file, relative to the folder that was asked for. */
  readonly file: string
  readonly category: string
  readonly sentence: string
  /** The home, as YAML text, with the test's setup in it. */
  readonly home: string
  /** Entity id → what must be different afterwards. Absent where the file only names the entity. */
  readonly expect: ReadonlyMap<string, Change> | undefined
  /** The one entity that may be commanded, in files that give no changes. */
  readonly target: { readonly entity: string; readonly areaName: string | undefined } | undefined
  /** Entity id → attributes, or `state`, that are not compared. */
  readonly ignore: ReadonlyMap<string, ReadonlySet<string>>
  /** Area where the speaker is. */
  readonly area: string | undefined
  readonly nowMs: number | undefined
}

interface RawHome {
  entities?: { id?: string; state?: unknown; attributes?: Record<string, unknown> | null }[]
  devices?: { id?: string; area?: string }[]
}

/** Throws UsageError that names the file and what is wrong in it. */
export function readHomeTests(dir: string): HomeTest[] {
  const tests = homeFolders(dir).flatMap((folder) => readFolder(dir, folder))
  if (tests.length === 0)
    throw new UsageError(`${dir}: no tests; a folder holds _fixtures.yaml and test files, or such folders`)
  return tests
}

function homeFolders(dir: string): string[] {
  const entries = read(dir, () => readdirSync(dir, { withFileTypes: true }))
  if (entries.some((entry) => entry.name === '_fixtures.yaml')) return [dir]
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
    .flatMap((name) => homeFolders(join(dir, name)))
}

function readFolder(root: string, folder: string): HomeTest[] {
  const homeFile = join(folder, '_fixtures.yaml')
  const home = read(homeFile, () => (parse(readFileSync(homeFile, 'utf8')) ?? {}) as RawHome)
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml') && name !== '_fixtures.yaml')
    .sort()
    .flatMap((name) => readTestFile(relative(root, join(folder, name)), join(folder, name), home))
}

function readTestFile(name: string, path: string, home: RawHome): HomeTest[] {
  const file = read(path, () => v.parse(testFile, parse(readFileSync(path, 'utf8'))))
  return file.tests.flatMap((test) => {
    const shared = {
      file: name,
      category: file.category,
      home: JSON.stringify(withSetup(home, test.setup ?? {})),
      expect: test.expect_changes || !test.entity_id ? changesOf(test.expect_changes ?? {}) : undefined,
      target: test.entity_id ? { entity: test.entity_id, areaName: test.area ?? undefined } : undefined,
      ignore: ignored(test.ignore_changes ?? {}),
      area: home.devices?.find((device) => device.id === test.context_device)?.area,
      nowMs: test.context_now ? new Date(test.context_now).getTime() : undefined,
    }
    return test.sentences.map((sentence) => ({ ...shared, sentence }))
  })
}

/** The setup goes into the home itself, since it may change what a device can do. */
function withSetup(home: RawHome, setup: NonNullable<v.InferOutput<typeof changes>>): RawHome {
  const entities = (home.entities ?? []).map((entity) => {
    const set = entity.id === undefined ? undefined : setup[entity.id]
    if (!set) return entity
    const { state: wanted, attributes } = set
    return {
      ...entity,
      ...(wanted == null ? {} : { state: wanted }),
      attributes: { ...entity.attributes, ...attributes },
    }
  })
  return { ...home, entities }
}

function changesOf(raw: NonNullable<v.InferOutput<typeof changes>>): Map<string, Change> {
  return new Map(
    Object.entries(raw).map(([id, given]) => {
      const wanted = stateText(given?.state)
      const attributes = (given?.attributes ?? {}) as Record<string, Json>
      return [id, { ...(wanted === undefined ? {} : { state: wanted }), attributes }]
    }),
  )
}

/** As telemetry says it: texts, with flags as `on` and `off`. */
function stateText(given: v.InferOutput<typeof state>): string | undefined {
  if (given == null) return undefined
  if (typeof given === 'object') return String(given.out)
  if (typeof given === 'boolean') return given ? 'on' : 'off'
  return String(given)
}

/** `light.x: [color_mode]` and `light.x: {attributes: [xy_color]}` both occur. */
function ignored(raw: Record<string, unknown>): Map<string, Set<string>> {
  const names = (value: unknown): string[] => {
    if (Array.isArray(value)) return value.flatMap(names)
    if (typeof value === 'object' && value !== null) {
      return Object.entries(value).flatMap(([key, inner]) =>
        key === 'attributes' ? names(inner) : [key, ...names(inner)],
      )
    }
    return typeof value === 'string' ? [value] : []
  }
  return new Map(Object.entries(raw).map(([id, value]) => [id, new Set(names(value))]))
}

function read<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new UsageError(`${path}: ${messageOf(error)}`, { cause: error })
  }
}
