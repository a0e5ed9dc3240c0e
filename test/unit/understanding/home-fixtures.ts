/** Homes and sentences of the fixtures, as understanding takes them. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import type { Command } from '../../../hal/contract/actuator.ts'
import type { Json } from '../../../hal/contract/component.ts'
import { parseHome } from '../../../hal/sim/home.ts'
import type { Entity, HomeView } from '../../../runtime/things/entity.ts'

const root = join(import.meta.dirname, '../../fixtures/home')

export interface Setup {
  readonly state?: string | number
  readonly attributes?: Readonly<Record<string, Json>>
}

export interface IntentTest {
  readonly file: string
  readonly sentence: string
  readonly setup: Readonly<Record<string, Setup>>
  readonly expect: Readonly<Record<string, Setup>>
}

export interface HomeTest {
  readonly home: string
  readonly file: string
  readonly area: string
  readonly entity: string
  readonly sentence: string
  /** Every sentence of the same group asks for the same. */
  readonly group: readonly string[]
}

export const homeNames = readdirSync(join(root, 'homes')).sort()

/** A home with the state its file gives. */
export function loadHome(path: string): HomeView {
  const home = parseHome(readFileSync(path, 'utf8'), path)
  const entities: Entity[] = home.entities.map(({ info, state, attributes }) => ({
    info,
    telemetry: { state, attributes, tsMs: 0 },
  }))
  return { areas: home.layout.areas, entities }
}

export const intentsHome = (): HomeView => loadHome(join(root, 'intents/_fixtures.yaml'))
export const namedHome = (name: string): HomeView => loadHome(join(root, 'homes', name, '_fixtures.yaml'))

/** The same home with some telemetry changed. */
export function withSetup(home: HomeView, setup: Readonly<Record<string, Setup>>): HomeView {
  return {
    areas: home.areas,
    entities: home.entities.map((entity) => {
      const change = setup[entity.info.id]
      if (change === undefined) return entity
      const attributes = { ...entity.telemetry.attributes, ...change.attributes }
      const state = String(change.state ?? entity.telemetry.state)
      return { info: entity.info, telemetry: { state, attributes, tsMs: 0 } }
    }),
  }
}

export function intentTests(): IntentTest[] {
  const files = readdirSync(join(root, 'intents')).filter((file) => !file.startsWith('_'))
  return files.sort().flatMap((file) => {
    const { tests } = parse(readFileSync(join(root, 'intents', file), 'utf8'))
    return (tests as Record<string, unknown>[]).flatMap((test) =>
      (test['sentences'] as string[]).map((sentence) => ({
        file,
        sentence,
        setup: (test['setup'] ?? {}) as Record<string, Setup>,
        expect: test['expect_changes'] as Record<string, Setup>,
      })),
    )
  })
}

export function homeTests(name: string): HomeTest[] {
  const folder = join(root, 'homes', name)
  const files = readdirSync(folder).filter((file) => !file.startsWith('_'))
  return files.sort().flatMap((file) => {
    const { tests } = parse(readFileSync(join(folder, file), 'utf8'))
    return (tests as Record<string, unknown>[]).flatMap((test) =>
      (test['sentences'] as string[]).map((sentence) => ({
        home: name,
        file,
        area: String(test['area']),
        entity: String(test['entity_id']),
        sentence,
        group: test['sentences'] as string[],
      })),
    )
  })
}

/** Entities that an id of the files may be: ids that repeat in other areas were numbered by the loader. */
export function entitiesOf(home: HomeView, id: string, areaName: string): string[] {
  const area = home.areas.find((candidate) => candidate.name.toLowerCase() === areaName.toLowerCase())
  return home.entities
    .filter(({ info }) => info.id.replace(/_\d+$/, '') === id.replace(/_\d+$/, '') && info.area === area?.id)
    .map(({ info }) => info.id)
}

/** Whether a command brings an entity to a state that a test expects. */
export function reaches(command: Command, wanted: Setup): boolean {
  const states = [
    command['state'],
    stateOf[String(command['action'])],
    command['hvac_mode'],
    position(command),
  ]
  if (wanted.state !== undefined && typeof wanted.state === 'string' && !states.includes(wanted.state))
    return false
  return Object.entries(wanted.attributes ?? {}).every(([name, value]) => {
    const field = name === 'current_position' ? 'position' : name
    const given =
      command[field] ??
      (field === 'position' ? { open: 100, closed: 0 }[String(command['state'])] : undefined)
    return JSON.stringify(given) === JSON.stringify(value)
  })
}

const stateOf: Readonly<Record<string, string>> = {
  start: 'cleaning',
  return_to_base: 'returning',
  add_item: 'added',
}

function position(command: Command): string | undefined {
  const value = command['position']
  return typeof value === 'number' ? (value === 0 ? 'closed' : 'open') : undefined
}
