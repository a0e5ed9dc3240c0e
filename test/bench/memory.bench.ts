/**
 * What the bundled programs hold while nothing happens, as the kernel counts it (PSS), beside bare Node of the same flags.
 * A device's two processes share one Node binary with each other and nobody else, as they do on a board; so do a gateway
 * and the command that started it, and the two baselines.
 */
import { realClock, sleep } from '../../runtime/base/clock.ts'
import { leanFlags } from '../../runtime/inference/supervisor/engine-child.ts'
import { BareNode } from './bare-node.ts'
import type { BareRun } from './bare-speech.ts'
import type { Benchmark, BenchmarkContext, Measurement } from './benchmark.ts'
import { bundled, ensureBundle } from './bundle.ts'
import { BundledHome } from './bundled-home.ts'
import { NodeCopy } from './node-copy.ts'
import { childRunning } from './processes.ts'
import { type Memory, type SettleOptions, settledMemory } from './settled-memory.ts'
import { openBareSpeech } from './speech.bench.ts'
import { recordingWav, speechModels } from './speech-files.ts'

const voiceMsMax = 60_000
const bareNode = 'bare Node that idles with the same flags, its binary shared with one process as well'

export const memory: Benchmark = {
  name: 'memory',
  async run(context) {
    context.progress('building the bundle where it is stale')
    ensureBundle()
    await speechModels(context.signal)
    const settle = context.quick ? { settleMs: 3_000, readings: 3 } : { settleMs: 20_000, readings: 10 }
    using bareCopy = new NodeCopy()
    return [...(await homeMemory(context, settle, bareCopy)), await emptyEngine(context, settle, bareCopy)]
  },
}

/** A gateway and a device with its speech models loaded, in a simulated home. */
async function homeMemory(
  { signal, progress }: BenchmarkContext,
  settle: SettleOptions,
  bareCopy: NodeCopy,
): Promise<Measurement[]> {
  progress('a device and its gateway settle')
  using gatewayCopy = new NodeCopy()
  using deviceCopy = new NodeCopy()
  await using home = await BundledHome.open(
    { gatewayNode: gatewayCopy.path, deviceNode: deviceCopy.path },
    [],
    signal,
  )
  const { http, flags } = home
  await untilVoice(http, home.device, signal)
  const pids = {
    device: home.devicePid,
    gateway: home.gatewayPid,
    engine: childRunning(bundled('engine'), home.devicePid),
  }
  await using bare = await BareNode.open(bareCopy.path, flags)
  await using bareModels = await openBareSpeech(bareCopy.path)
  const idle = await settledMemory({ ...pids, bare: bare.pid, bareModels: bareModels.pid }, settle, signal)
  await hearOnce(http, signal)
  await bareModels.ask<BareRun>({})
  const used = await settledMemory({ ...pids, bareModels: bareModels.pid }, settle, signal)
  return [
    {
      ...measured('memory.device-idle', idle.device, idle.bare, bareNode),
      budget: { of: 'value', max: 90 },
      limit: 'V8 and Node themselves, then the compiled code and objects of what is imported',
      note: `the runtime process in the first home, connected, ${alone(idle.device, idle.bare)}; after one spoken command ${used.device.pssMb} MB`,
    },
    {
      ...measured('memory.gateway-idle', idle.gateway, idle.bare, bareNode),
      budget: { of: 'value', max: 110 },
      limit: 'V8 and Node themselves, then the compiled code of Fastify, aedes and the MQTT client',
      note: `one device connected, no dashboard open, ${alone(idle.gateway, idle.bare)}; after one spoken command ${used.gateway.pssMb} MB`,
    },
    {
      ...measured(
        'memory.engine-after-models',
        idle.engine,
        idle.bareModels,
        'bare onnxruntime-node in Node as it comes, with the same sessions and a first run of the detector',
      ),
      limit: 'the weights (30 MB of files) as ONNX Runtime keeps them, and its arenas',
      note: `${alone(idle.engine, idle.bareModels)}; after one spoken command ${used.engine.pssMb} MB, bare ${used.bareModels.pssMb} MB`,
    },
  ]
}

/** The engine as it is before a model is wanted. */
async function emptyEngine(
  { signal, progress }: BenchmarkContext,
  settle: SettleOptions,
  bareCopy: NodeCopy,
): Promise<Measurement> {
  progress('an engine without models settles')
  using engineCopy = new NodeCopy()
  await using engine = await BareNode.open(engineCopy.path, leanFlags, bundled('engine'))
  await using _sharer = await BareNode.open(engineCopy.path, leanFlags)
  await using bare = await BareNode.open(bareCopy.path, leanFlags)
  await using _bareSharer = await BareNode.open(bareCopy.path, leanFlags)
  const mb = await settledMemory({ engine: engine.pid, bare: bare.pid }, settle, signal)
  return {
    ...measured('memory.engine-before-models', mb.engine, mb.bare, bareNode),
    limit: 'the ONNX Runtime library, loaded before the first model is wanted',
    note: alone(mb.engine, mb.bare),
  }
}

function measured(name: string, of: Memory, bare: Memory, against: string) {
  return { name, value: of.pssMb, unit: 'MB', baseline: bare.pssMb, against }
}

/** The upper bound, should nothing at all be shared. */
function alone(of: Memory, bare: Memory): string {
  return `if it shared nothing (RSS) ${of.rssMb} MB, baseline ${bare.rssMb} MB`
}

/** Waits until the device says that nothing is wrong with its voice any more. */
async function untilVoice(http: string, device: string, signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(voiceMsMax)])
  for (;;) {
    const response = await fetch(`${http}/api/devices/${device}/status`, { signal: limit })
    if (response.ok) {
      const { problems } = (await response.json()) as { problems: string[] }
      if (!problems.some((problem) => problem.startsWith('voice'))) return
    }
    await sleep(realClock, 200, limit)
  }
}

async function hearOnce(http: string, signal: AbortSignal): Promise<void> {
  const body = new Uint8Array(await recordingWav())
  const response = await fetch(`${http}/api/hear`, {
    method: 'POST',
    headers: { 'content-type': 'audio/wav' },
    body,
    signal,
  })
  if (!response.ok)
    throw new Error(`the hub did not hear the recording: ${response.status} ${await response.text()}`)
}
