/** `ganglion models list|show|pull|remove`: which models there are, what they need and do, fetching and deleting them. */
import { dirname, join } from 'node:path'
import { realClock } from '../../base/clock.ts'
import { UsageError } from '../../base/errors.ts'
import { loadDeviceConfig } from '../../config/config.ts'
import { models, voiceModels } from '../../inference/models/index.ts'
import { removeAdded } from '../../inference/store/add-model.ts'
import { addedFolder, defaultModelsDir } from '../../inference/store/models-dir.ts'
import { ModelStore } from '../../inference/store/store.ts'
import type { TensorSpec } from '../../wire/engine-protocol.ts'
import type { Context } from '../context.ts'
import { liveModels, servedBy } from '../live-models.ts'
import { createCliLog } from '../log.ts'
import { type ListedModel, listModels } from '../model-list.ts'
import { count, megabytes, milliseconds, type Terminal } from '../terminal.ts'
import { unknownModel } from '../unknown-model.ts'

export interface ModelsOptions {
  readonly modelsDir?: string
  /** A configuration whose folders of models are looked into too. */
  readonly config?: string
}

export async function openStore(dir: string | undefined, signal: AbortSignal): Promise<ModelStore> {
  return ModelStore.open(
    { clock: realClock, log: createCliLog('warn') },
    { dir: dir ?? defaultModelsDir(), manifests: models },
    signal,
  )
}

/** Where models are, and folders of added ones besides. */
export function modelPlaces({ modelsDir, config }: ModelsOptions): {
  dir: string
  folders: readonly string[]
} {
  if (config === undefined) return { dir: modelsDir ?? defaultModelsDir(), folders: [] }
  const loaded = loadDeviceConfig({}, config)
  return { dir: modelsDir ?? loaded.models.dir, folders: loaded.inference.folders }
}

async function listed(options: ModelsOptions, context: Context) {
  const { dir, folders } = modelPlaces(options)
  await using store = await openStore(dir, context.signal)
  const live = await liveModels(context)
  return { dir, live, list: await listModels(store, folders, live, context.signal) }
}

export async function modelsList(options: ModelsOptions, context: Context): Promise<number> {
  const { terminal } = context
  const { dir, live, list } = await listed(options, context)
  if (terminal.json) {
    terminal.out(
      JSON.stringify({ dir, ...(live && { device: live.device, engine: live.engine }), models: list }),
    )
    return 0
  }
  for (const line of tableLines(list, terminal)) terminal.out(line)
  terminal.note(
    terminal.style(
      'dim',
      `in ${dir}; a folder of your own with a model.yaml goes to ${join(dir, addedFolder)}`,
    ),
  )
  if (live?.engine) terminal.note(terminal.style('dim', engineLine(live.device, live.engine)))
  return 0
}

const stateColours = {
  absent: 'yellow',
  present: 'green',
  loading: 'cyan',
  loaded: 'green',
  failed: 'red',
} as const

const columns = ['state', 'model', 'version', 'disk', 'memory', 'times', 'licence', 'what'] as const
const toTheRight: readonly string[] = ['disk', 'memory']

/** A head, a line each, no wider than the terminal, and below a model why it is not served. */
function tableLines(list: readonly ListedModel[], { style, columns: widthMax }: Terminal): string[] {
  const rows = list.map(cellsOf)
  const widths = columns.map((column, at) =>
    Math.max(column.length, ...rows.map((cells) => (cells[at] as string).length)),
  )
  const line = (cells: readonly string[]) => {
    const padded = cells.map((cell, at) => {
      const width = widths[at] as number
      return toTheRight.includes(columns[at] as string) ? cell.padStart(width) : cell.padEnd(width)
    })
    const text = padded.join('  ').trimEnd()
    return widthMax === undefined || text.length <= widthMax ? text : `${text.slice(0, widthMax - 1)}…`
  }
  return [
    style('dim', line(columns)),
    ...list.flatMap(({ state, reason }, at) => {
      const text = line(rows[at] as string[])
      const coloured = style(stateColours[state], state) + text.slice(state.length)
      return reason === undefined ? [coloured] : [coloured, `  ${style('yellow', reason)}`]
    }),
  ]
}

function cellsOf({
  name,
  state,
  version,
  bytes,
  memoryMb,
  memoryIs,
  licence,
  description,
  from,
  live,
}: ListedModel) {
  const memory =
    memoryMb === undefined ? '' : `${memoryIs === 'measured' ? '' : '~'}${memoryMb < 1 ? '<1' : memoryMb} MB`
  const what = description || (from === 'ganglion' ? '' : `added in ${from}`)
  return [state, name, version, megabytes(bytes), memory, (live && liveText(live)) ?? '', licence, what]
}

function liveText({
  loads,
  queued,
  running,
  p50Ms,
  p95Ms,
  pinned,
}: NonNullable<ListedModel['live']>): string {
  return [
    pinned ? 'pinned' : '',
    loads && loads > 1 ? `loaded ${loads} times` : '',
    queued || running ? `${running ?? 0} running, ${queued ?? 0} waiting` : '',
    p50Ms === undefined ? '' : `p50 ${milliseconds(p50Ms)}, p95 ${milliseconds(p95Ms ?? p50Ms)}`,
  ]
    .filter(Boolean)
    .join(', ')
}

type Engine = NonNullable<NonNullable<Awaited<ReturnType<typeof liveModels>>>['engine']>

function engineLine(
  device: string,
  { budgetMb, usedMb = 0, rssMb, workers, threads, replaced }: Engine,
): string {
  const rss = rssMb === undefined ? '' : `, its process ${Math.round(rssMb)} MB`
  const again = replaced > 0 ? `, replaced ${count(replaced, 'time')}` : ''
  return `${device}: models take ${Math.round(usedMb)} of ${budgetMb} MB${rss}; ${count(workers, 'engine')} of ${count(threads, 'thread')}${again}`
}

const namesOf = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name)

export async function modelsShow(name: string, options: ModelsOptions, context: Context): Promise<number> {
  const { terminal } = context
  const { list } = await listed(options, context)
  const model = list.find((one) => one.name === name)
  if (!model) throw unknownModel(name, namesOf(list))
  if (terminal.json) {
    terminal.out(JSON.stringify(model))
    return 0
  }
  const { state, reason, version, description, licence, from, bytes, memoryMb, memoryIs, files, live } = model
  const memory = memoryMb === undefined ? 'not known yet' : `${memoryMb} MB, ${memoryIs}`
  const rows: readonly (readonly [string, string])[] = [
    ['state', reason === undefined ? state : `${state}: ${reason}`],
    ['version', version],
    ['what', description],
    ['licence', licence],
    ['from', from === 'ganglion' ? 'the list that Ganglion ships' : from],
    ['disk', megabytes(bytes)],
    ['memory', memory],
    ...files.map(
      ({ role, path, sha256 }) => ['file', `${role} ${path}${sha256 ? `  sha256 ${sha256}` : ''}`] as const,
    ),
    ...(model.inputs ?? []).map((spec) => ['input', specText(spec)] as const),
    ...(model.outputs ?? []).map((spec) => ['output', specText(spec)] as const),
    ['now', live ? liveText(live) || 'not used yet' : 'no device runs here'],
  ]
  terminal.out(terminal.style('bold', name))
  for (const [label, text] of rows) if (text) terminal.out(`  ${label.padEnd(8)} ${text}`)
  return 0
}

/** `image UINT8 [any, any, 3]` */
export function specText({ name, datatype, shape }: TensorSpec): string {
  const lengths = shape.map((length) => (typeof length === 'number' && length >= 0 ? length : 'any'))
  return `${name} ${datatype} [${lengths.join(', ')}]`
}

export async function modelsRemove(name: string, options: ModelsOptions, context: Context): Promise<number> {
  const { terminal, signal } = context
  const { dir, folders } = modelPlaces(options)
  await using store = await openStore(dir, signal)
  const list = await listModels(store, folders, undefined, signal)
  const model = list.find((one) => one.name === name)
  if (!model) throw unknownModel(name, namesOf(list))
  if (model.from === 'ganglion') await store.remove(name)
  else if (dirname(model.from) === join(dir, addedFolder))
    await removeAdded(
      dirname(model.from),
      model.from.slice(dirname(model.from).length + 1),
      realClock.newId(),
    )
  else throw new UsageError(`${name} is in ${model.from}, a folder of your own: delete it there`)
  if (terminal.json) terminal.out(JSON.stringify({ removed: name, bytes: model.bytes }))
  else
    terminal.out(
      model.present ? `${name} is removed: ${megabytes(model.bytes)} free` : `${name} was not here`,
    )
  return 0
}

export async function modelsPull(
  names: readonly string[],
  options: ModelsOptions,
  context: Context,
): Promise<number> {
  for (const name of names)
    if (!models.some((model) => model.name === name)) throw unknownModel(name, namesOf(models))
  const { terminal, signal } = context
  await using store = await openStore(modelPlaces(options).dir, signal)
  const pulled = names.length > 0 ? names : voiceModels
  await pull(store, pulled, terminal, signal)
  const device = await servedBy(pulled, context)
  if (terminal.json)
    terminal.out(JSON.stringify({ dir: store.dir, pulled, ...(device === undefined ? {} : { device }) }))
  else terminal.out(`${terminal.style('green', '✓')} ${pulled.join(', ')}: ${whereServed(device)}`)
  return 0
}

/** What a person may do now. */
export function whereServed(device: string | undefined): string {
  return device === undefined ? 'here; a device of this machine serves it' : `served by ${device}`
}

/** Fetches with a progress line each, and prints size and digest of every file that landed. Throws StoreError. */
export async function pull(
  store: ModelStore,
  names: readonly string[],
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  for (const name of names) {
    if (await store.local(name)) continue
    await store.ensure(name, {
      signal,
      onProgress: ({ model, file, receivedBytes, totalBytes, phase }) => {
        if (phase === 'waiting')
          return terminal.progress(`  ${model}: another process is fetching it, waiting`, `${model} waiting`)
        const percent = totalBytes ? Math.min(100, Math.floor((100 * receivedBytes) / totalBytes)) : undefined
        const size = `${megabytes(receivedBytes)}${totalBytes ? ` of ${megabytes(totalBytes)}` : ''}`
        const doing = phase === 'unpack' ? 'unpacking and checking' : 'fetching'
        terminal.progress(
          `  ${model}: ${doing} ${file} ${size}${percent === undefined ? '' : ` ${percent} %`}`,
          phase === 'unpack' ? `${model} ${file}` : `${model} ${Math.floor((percent ?? 0) / 25)}`,
        )
      },
    })
    terminal.progressEnd()
    const status = (await store.list()).find((entry) => entry.manifest.name === name)
    for (const file of status?.manifest.files ?? []) {
      terminal.note(`  ${name}: ${file.role} ${megabytes(file.bytes)} sha256 ${file.sha256.slice(0, 16)}…`)
    }
  }
}
