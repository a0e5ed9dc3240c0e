/** `ganglion models list|pull`: which models there are, and fetching them with progress. */
import { realClock } from '../../base/clock.ts'
import { UsageError } from '../../base/errors.ts'
import { models, voiceModels } from '../../inference/models/index.ts'
import { defaultModelsDir } from '../../inference/store/models-dir.ts'
import { ModelStore } from '../../inference/store/store.ts'
import type { Context } from '../context.ts'
import { createCliLog } from '../log.ts'
import { megabytes, type Terminal } from '../terminal.ts'

export async function openStore(dir: string | undefined, signal: AbortSignal): Promise<ModelStore> {
  return ModelStore.open(
    { clock: realClock, log: createCliLog('warn') },
    { dir: dir ?? defaultModelsDir(), manifests: models },
    signal,
  )
}

export async function modelsList(options: { modelsDir?: string }, context: Context): Promise<number> {
  const { terminal } = context
  await using store = await openStore(options.modelsDir, context.signal)
  const list = await store.list()
  if (terminal.json) {
    terminal.out(
      JSON.stringify({
        dir: store.dir,
        models: list.map(({ manifest, ...rest }) => ({ ...manifest, ...rest })),
      }),
    )
    return 0
  }
  for (const { manifest, present, bytes } of list) {
    const here = present ? terminal.style('green', 'present') : terminal.style('yellow', 'absent ')
    terminal.out(
      `${here}  ${manifest.name.padEnd(20)} ${manifest.version.padEnd(8)} ${megabytes(bytes).padStart(9)}  ${manifest.licence.padEnd(12)} ${manifest.description}`,
    )
  }
  terminal.note(terminal.style('dim', `in ${store.dir}`))
  return 0
}

export async function modelsPull(
  names: readonly string[],
  options: { modelsDir?: string },
  context: Context,
): Promise<number> {
  for (const name of names)
    if (!models.some((model) => model.name === name))
      throw new UsageError(`no model ${name}: there are ${models.map((model) => model.name).join(', ')}`)
  await using store = await openStore(options.modelsDir, context.signal)
  await pull(store, names.length > 0 ? names : voiceModels, context.terminal, context.signal)
  if (context.terminal.json)
    context.terminal.out(JSON.stringify({ dir: store.dir, pulled: names.length > 0 ? names : voiceModels }))
  return 0
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
