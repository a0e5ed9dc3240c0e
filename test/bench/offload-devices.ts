/** Devices that have inference done at gateways, as the benchmarks need them: links of their own, no home around them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { OffloadClient } from '../../runtime/inference/offload/offload-client.ts'
import { Outbox } from '../../runtime/link/outbox.ts'
import { Link } from '../../runtime/link/session.ts'

export interface OffloadDevice extends AsyncDisposable {
  readonly client: OffloadClient
}

const offerMsMax = 20_000

export async function openDevice(
  brokerPort: number,
  deviceId: string,
  gatewayUrls: readonly string[] = [],
): Promise<OffloadDevice> {
  await using stack = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'ganglion-bench-offload-'))
  stack.defer(() => rmSync(directory, { recursive: true, force: true }))
  const deps = { clock: realClock, log: silentLog }
  const outbox = stack.use(await Outbox.open(deps, { directory }))
  const brokerUrl = `mqtt://127.0.0.1:${brokerPort}`
  const link = stack.use(await Link.open({ ...deps, outbox }, { brokerUrl, deviceId, base: 'ganglion' }))
  const client = stack.use(await OffloadClient.open({ ...deps, link }, { deviceId, gatewayUrls }))
  const opened = stack.move()
  return { client, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** Resolves when the device knows of so many workers, and one of them offers the model. */
export async function untilOffered(
  { client }: OffloadDevice,
  model: string,
  workers: number,
  signal: AbortSignal,
): Promise<void> {
  const untilMs = performance.now() + offerMsMax
  for (;;) {
    const offer = client.offer(model, 'site')
    if (offer.usable && client.stats().workers.length === workers) return
    if (performance.now() > untilMs)
      throw new Error(
        `${model} is not offered by ${workers} workers: ${offer.usable ? 'by fewer' : offer.whyNot}`,
      )
    await sleep(20, undefined, { signal })
  }
}
