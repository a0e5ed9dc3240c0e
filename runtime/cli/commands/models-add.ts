/**
 * `ganglion models add`: a person's own model, checked by loading it in a process that ends afterwards, then put where a device
 * finds it within seconds.
 */
import { join, resolve } from 'node:path'
import { realClock } from '../../base/clock.ts'
import { UsageError } from '../../base/errors.ts'
import { silentLog } from '../../base/log.ts'
import { programPath } from '../../base/program.ts'
import { models } from '../../inference/models/index.ts'
import { addModel } from '../../inference/store/add-model.ts'
import { addedFolder, factsFolder } from '../../inference/store/models-dir.ts'
import { parseSource } from '../../inference/store/source.ts'
import { StoreError } from '../../inference/store/store-error.ts'
import { checkModel } from '../../inference/supervisor/model-check.ts'
import type { Context } from '../context.ts'
import { servedBy } from '../live-models.ts'
import { megabytes } from '../terminal.ts'
import { type ModelsOptions, modelPlaces, specText, whereServed } from './models.ts'

export interface ModelsAddOptions extends ModelsOptions {
  readonly name?: string
  readonly description?: string
  readonly licence?: string
  readonly pin?: boolean
  readonly batch?: string
  readonly sha256?: string
  readonly replace?: boolean
}

/** How long the first of a batch waits for others: little beside what a model takes, much beside a queue. */
const batchDelayMs = 2

export async function modelsAdd(from: string, options: ModelsAddOptions, context: Context): Promise<number> {
  const { terminal, signal } = context
  const { name, description, licence, pin, sha256, replace } = options
  const { dir } = modelPlaces(options)
  const check = (model: Parameters<typeof checkModel>[1], checkSignal: AbortSignal) =>
    checkModel({ clock: realClock, log: silentLog }, model, checkSignal, { entry: programPath('engine') })
  const batch = batchOf(options.batch)
  const isElsewhere = parseSource(from) !== undefined || /^\w{2,}:/.test(from)
  try {
    const { model, folder } = await addModel(
      {
        clock: realClock,
        check,
        taken: (taken) => models.some((known) => known.name === taken),
        onStep: (step) =>
          step.step === 'check'
            ? terminal.progress('  loading it in an engine of its own', 'check')
            : terminal.progress(
                `  ${isElsewhere ? 'fetching' : 'copying'} ${megabytes(step.bytes)}`,
                `fetch ${Math.floor(step.bytes / 25e6)}`,
              ),
      },
      {
        ...{ into: join(dir, addedFolder), factsDir: join(dir, factsFolder) },
        from: isElsewhere ? from : resolve(from),
        ...{ name, description, licence, pin, sha256, replace, batch },
      },
      signal,
    )
    terminal.progressEnd()
    const { manifest, inputs, outputs, memoryMb, bytes } = model
    // Of one that is replaced the old is served until the device has looked again.
    const device = replace ? undefined : await servedBy([manifest.name], context)
    if (terminal.json)
      terminal.out(
        JSON.stringify({
          name: manifest.name,
          folder,
          bytes,
          memoryMb,
          sha256: model.sha256,
          inputs,
          outputs,
          ...(device === undefined ? {} : { device }),
        }),
      )
    else {
      terminal.out(
        `${terminal.style('green', '✓')} ${manifest.name}  ${megabytes(bytes)}, ${memoryMb} MB of memory when it is loaded`,
      )
      for (const spec of inputs) terminal.out(`  input   ${specText(spec)}`)
      for (const spec of outputs) terminal.out(`  output  ${specText(spec)}`)
      terminal.note(
        terminal.style(
          'dim',
          `in ${folder}; ${replace ? 'a device of this machine takes it up within seconds' : whereServed(device)}`,
        ),
      )
    }
    return 0
  } catch (error) {
    terminal.progressEnd()
    throw asMistake(error)
  }
}

/** Throws UsageError. */
function batchOf(text: string | undefined) {
  if (text === undefined) return undefined
  const max = Number(text)
  if (Number.isInteger(max) && max >= 1 && max <= 256) return { max, delayMs: batchDelayMs }
  throw new UsageError(`--batch ${text}: not a number of rows (1 to 256)`)
}

/** What is wrong with the file or its name is for whoever gave it to mend. */
function asMistake(error: unknown): unknown {
  const mistakes = ['malformed', 'not-found', 'digest']
  if (!(error instanceof StoreError) || !mistakes.includes(error.code)) return error
  return new UsageError(error.message, { cause: error })
}
