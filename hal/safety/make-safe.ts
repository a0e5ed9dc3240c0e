/**
 * Drives every output of a device to its safe value and ends: `make-safe.js SAFETY_DIR [SECONDS_MAX]`. The guard runs it after a crash,
 * a service manager may run it whenever the device has ended (systemd: ExecStopPost=). Without a plan in the directory the
 * device stopped cleanly, and nothing is to be done. Exit code 0: everything is safe; 1: not everything, told on standard
 * error and in the audit. After SECONDS_MAX it is killed, whatever it is doing.
 */
import { Worker } from 'node:worker_threads'
import { openMachine } from '../attached/machine.ts'
import { Providers } from '../attached/providers.ts'
import { parts } from '../drivers/index.ts'
import { ProviderRegistry } from '../drivers/provider-registry.ts'
import { threadHost } from '../thread-host.ts'
import { Audit } from './audit.ts'
import { drivenActuators, safeValues } from './driven.ts'
import { Outputs } from './outputs.ts'
import type { SafetyPlan } from './plan.ts'
import { readPlan } from './plan-file.ts'
import { planSinks } from './sinks.ts'

/** A bus in trouble gives up by then; whoever waits for this program has waited long enough. */
const secondsMax = 20

const host = threadHost((_level, message, fields) =>
  process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
)

endBy(Number(process.argv[3] ?? secondsMax))
process.exit(await main(process.argv[2]))

/** In a thread of its own, so that a part that stands still in a loop or in a call cannot put it off. */
function endBy(seconds: number): void {
  const giveUp = `setTimeout(() => {
    try { require('node:fs').writeSync(2, 'make-safe: gave up after ${seconds} s\\n') } catch {}
    process.kill(process.pid, 'SIGKILL')
  }, ${seconds * 1_000})`
  new Worker(giveUp, { eval: true }).unref()
}

async function main(safetyDir: string | undefined): Promise<number> {
  if (safetyDir === undefined) {
    process.stderr.write('usage: make-safe SAFETY_DIR [SECONDS_MAX]\n')
    return 2
  }
  try {
    const plan = await readPlan(safetyDir)
    return plan === undefined ? 0 : await makeSafe(plan)
  } catch (error) {
    process.stderr.write(`make-safe: ${error instanceof Error ? error.message : error}\n`)
    return 1
  }
}

async function makeSafe(plan: SafetyPlan): Promise<number> {
  const registry = new ProviderRegistry()
  const machine = await openMachine(plan.io, [...plan.providers, ...plan.actuators], host, registry)
  const providers = new Providers(host, machine.io, registry, plan.providers)
  await providers.openAll()
  const actuators = drivenActuators(
    plan,
    parts.map(({ driver }) => driver),
  )
  const board = plan.io.kind === 'module' ? undefined : plan.io.board
  const sinks = planSinks(actuators, { io: machine.io, host, board })
  // Opening writes the safe values.
  const { outputs, failures } = await Outputs.open(
    sinks,
    safeValues(actuators),
    host,
    new AbortController().signal,
  )
  await outputs[Symbol.asyncDispose]()
  await providers[Symbol.asyncDispose]()
  const message = failures.map((failure) => failure.message).join('; ') || 'every output was driven safe'
  await using audit = new Audit(plan.safetyDir, { clock: host.clock, onTrouble: () => {} })
  audit.record({ what: 'made-safe', who: 'guard', message })
  if (failures.length > 0) process.stderr.write(`make-safe: ${message}\n`)
  return failures.length === 0 ? 0 : 1
}
