/**
 * The manifest that a person puts beside a model: `model.yaml`. Only `file` must be there; what is not said is found out by
 * looking at the graph. A file is named by a path that stays in the model's own folder, links included.
 */
import { createHash } from 'node:crypto'
import { createReadStream, statSync } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'
import * as v from 'valibot'
import { readYaml } from '../../base/config-file.ts'
import { messageOf } from '../../base/errors.ts'
import { check } from '../../wire/messages.ts'
import { isPlainPath, modelManifest, planFault } from './manifest.ts'
import { StoreError, systemCodeOf } from './store-error.ts'

export const manifestFile = 'model.yaml'
const manifestBytesMax = 256 * 1024
/** Files beside a graph that may be its weights. */
const besideMax = 256
const pathBytesMax = 4096
const { entries } = modelManifest

const path = v.pipe(
  v.string(),
  v.maxLength(512),
  v.check((text) => isPlainPath(text), 'climbs out of the folder, or is no plain relative path'),
)
const { sha256, bytes, role } = entries.files.pipe[0].item.entries
const optionalDescription = v.optional(v.pipe(v.string(), v.maxLength(500)), '')
const tensor = v.object({ ...entries.inputs.pipe[0].item.entries, description: optionalDescription })
const tensors = v.optional(v.pipe(v.array(tensor), v.minLength(1), v.maxLength(64)))

const addedManifest = v.pipe(
  v.strictObject({
    name: v.optional(entries.name),
    version: v.optional(v.union([entries.version, v.pipe(v.number(), v.transform(String))]), '1'),
    description: optionalDescription,
    licence: v.optional(entries.licence, 'not stated'),
    attribution: optionalDescription,
    /** The graph, where there is one file. */
    file: v.optional(path),
    files: v.optional(
      v.pipe(
        v.array(
          v.strictObject({
            role,
            path,
            sha256: v.optional(sha256),
            bytes: v.optional(bytes),
            source: v.optional(v.string()),
          }),
        ),
        v.minLength(1),
        v.maxLength(64),
      ),
    ),
    sha256: v.optional(sha256),
    pipeline: v.optional(entries.pipeline),
    steps: entries.steps,
    options: entries.options,
    task: entries.task,
    idempotent: v.optional(v.boolean(), true),
    cacheS: entries.cacheS,
    batch: entries.batch,
    cascade: entries.cascade,
    split: entries.split,
    pin: entries.pin,
    memoryMb: v.optional(entries.memoryMb),
    inputs: tensors,
    outputs: tensors,
    /** Where it came from, for people. */
    source: v.optional(v.pipe(v.string(), v.maxLength(2048))),
  }),
  v.check(({ file, files }) => (file === undefined) !== (files === undefined), 'needs either file or files'),
)
type Parsed = v.InferOutput<typeof addedManifest>
export type AddedTensor = v.InferOutput<typeof tensor>

export interface AddedFile {
  readonly role: string
  readonly path: string
  readonly sha256?: string | undefined
  readonly bytes?: number | undefined
}

export interface AddedManifest extends Omit<Parsed, 'file' | 'files' | 'sha256' | 'name' | 'pipeline'> {
  readonly name: string
  readonly pipeline: NonNullable<Parsed['pipeline']>
  readonly files: readonly AddedFile[]
}

/** The manifest of a model's folder. Throws StoreError `malformed` that names file and field, `not-found` where there is none. */
export function readAddedManifest(folder: string): AddedManifest {
  const file = join(folder, manifestFile)
  let value: unknown
  try {
    // Reading a pipe or a device might never end, and everything else here would wait.
    if (!statSync(file).isFile()) throw new StoreError('malformed', `${file} is no file`)
    value = readYaml(file, file, manifestBytesMax)
  } catch (error) {
    if (error instanceof StoreError) throw error
    const isMissing = systemCodeOf(error) === 'ENOENT'
    throw new StoreError(
      isMissing ? 'not-found' : 'malformed',
      isMissing ? `there is no ${file}` : messageOf(error),
    )
  }
  const parsed = check(addedManifest, value)
  if (!parsed.ok) throw new StoreError('malformed', `${file}: ${parsed.reason}`)
  return normal(parsed.value, folder, file)
}

function normal(
  { file, files, sha256: digest, ...rest }: Parsed,
  folder: string,
  from: string,
): AddedManifest {
  const name = v.safeParse(entries.name, rest.name ?? basename(folder).toLowerCase())
  if (!name.success)
    throw new StoreError(
      'malformed',
      `${from}: the folder's name is no name of a model, so it needs a name: name: my-model`,
    )
  const list: readonly AddedFile[] = files ?? [{ role: 'model', path: file as string, sha256: digest }]
  if (new Set(list.map(({ role: one }) => one)).size !== list.length)
    throw new StoreError('malformed', `${from}: two files have the same role`)
  const fault = planFault({ ...rest, name: name.output })
  if (fault) throw new StoreError('malformed', `${from}: ${fault}`)
  return {
    ...rest,
    name: name.output,
    pipeline: rest.pipeline ?? (rest.steps ? 'steps' : 'tensor'),
    files: list,
  }
}

/** A file as it is on disk now. */
export interface PlacedFile {
  readonly role: string
  /** Absolute, without links. */
  readonly path: string
  readonly bytes: number
  readonly changedMs: number
}

/** Where the manifest's files are. Throws StoreError `malformed` for one that is outside of the folder, `not-found`. */
export async function placeFiles(folder: string, { files }: AddedManifest): Promise<PlacedFile[]> {
  // The folder itself may be no link either, those above it may.
  const home = join(await realpath(dirname(folder)), basename(folder))
  const placed: PlacedFile[] = []
  for (const file of files) {
    const named = join(folder, file.path)
    try {
      const path = await realpath(named)
      if (!path.startsWith(home + sep))
        throw new StoreError(
          'malformed',
          `${named} is a link that leads out of its folder: put the file itself there`,
        )
      const stats = await stat(path)
      if (!stats.isFile()) throw new StoreError('malformed', `${named} is no file`)
      placed.push({ role: file.role, path, bytes: stats.size, changedMs: stats.mtimeMs })
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT') throw error
      throw new StoreError('not-found', `${named} is not there: put it beside ${manifestFile}`, {
        cause: error,
      })
    }
  }
  return placed
}

/**
 * SHA-256 of each file, by role, and of the files beside it that a graph names, by `beside/` and their path: its weights may lie
 * there. Throws StoreError `digest` where the manifest says another.
 */
export async function digestFiles(
  { files }: AddedManifest,
  placed: readonly PlacedFile[],
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const digests: Record<string, string> = {}
  for (const { role: one, path, bytes: size } of placed) {
    const stated = files.find((file) => file.role === one)
    const actual = await digestOf(path, signal)
    const wrongSize = stated?.bytes !== undefined && stated.bytes !== size
    const wrongDigest = stated?.sha256 !== undefined && stated.sha256 !== actual
    if (wrongSize || wrongDigest)
      throw new StoreError(
        'digest',
        `${path} is not the file of its manifest: ` +
          (wrongDigest
            ? `expected sha256 ${stated?.sha256}, got ${actual}`
            : `expected ${stated?.bytes} bytes, got ${size}`),
      )
    digests[one] = actual
    if (path.endsWith('.onnx'))
      for (const [name, file] of await namedBeside(path, signal))
        digests[`beside/${name}`] = await digestOf(file, signal)
  }
  return digests
}

/** Files in the graph's folder whose names occur in it. Throws StoreError `malformed` for a link that leads out. */
async function namedBeside(graph: string, signal: AbortSignal): Promise<[string, string][]> {
  const home = dirname(graph)
  const names = (await readdir(home, { recursive: true })).sort().slice(0, besideMax)
  const wanted = new Set(names.filter((name) => name !== manifestFile && join(home, name) !== graph))
  const found: [string, string][] = []
  let tail = Buffer.alloc(0)
  for await (const chunk of createReadStream(graph, { signal })) {
    const bytes = Buffer.concat([tail, chunk as Buffer])
    for (const name of wanted) {
      if (!bytes.includes(name)) continue
      wanted.delete(name)
      const path = await realpath(join(home, name))
      if (!path.startsWith(home + sep))
        throw new StoreError('malformed', `${join(home, name)} is a link that leads out of its folder`)
      if ((await stat(path)).isFile()) found.push([name, path])
    }
    tail = bytes.subarray(-pathBytesMax)
  }
  return found.sort(([a], [b]) => (a < b ? -1 : 1))
}

async function digestOf(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { signal })) hash.update(chunk)
  return hash.digest('hex')
}
