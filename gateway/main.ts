/**
 * The gateway's command: reads options, opens the gateway, says that it is ready, and closes it on SIGINT or SIGTERM.
 * Exit codes: 0 stopped as asked, 130 stopped before it was ready, 1 could not run, 2 the user's mistake (one line on standard error).
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { realClock } from '../runtime/base/clock.ts'
import { readConfigSection } from '../runtime/base/config-file.ts'
import { CodedError, messageOf, UsageError } from '../runtime/base/errors.ts'
import { createLog, type LogLevel, logLevels } from '../runtime/base/log.ts'
import { watchOutput } from '../runtime/base/output.ts'
import { isStop, untilStopped, watchStop } from '../runtime/base/stop.ts'
import { version } from '../runtime/base/version.ts'
import { type GatewayConfig, type GatewaySection, loadConfig } from './config.ts'
import { Gateway } from './gateway.ts'

const usage = `usage: node gateway/main.ts [options]
  --config FILE.yaml   its gateway: section
  --id ID              names this gateway, which must be unique on its broker
  --mqtt-port PORT     port of the built-in broker (0: any free one)
  --http-port PORT     port of the API and the dashboard (0: any free one)
  --broker URL         use this MQTT broker instead of the built-in one
  --state-dir FOLDER   where recordings on their way are kept
  --log-level LEVEL    ${logLevels.join(', ')}
  --json               machine-readable output
  --supervised         end when standard input ends, because the parent that holds it is gone
  --hash-password      read a password from standard input, print what to put in mqtt.users
`
const program = 'ganglion gateway'
/** Shorter than anybody's patience: a service supervisor's is 10 s, that of a person at Ctrl-C half of it. */
const stopMs = 4_500
/** The exit code that a shell gives for Ctrl-C. */
const interrupted = 130

type Options = ReturnType<typeof readOptions>

function readOptions(argv: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        config: { type: 'string' },
        id: { type: 'string' },
        'mqtt-port': { type: 'string' },
        'http-port': { type: 'string' },
        broker: { type: 'string' },
        'state-dir': { type: 'string' },
        'log-level': { type: 'string', default: 'info' },
        json: { type: 'boolean', default: false },
        supervised: { type: 'boolean', default: false },
        'hash-password': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    return values
  } catch (error) {
    throw new UsageError(`${messageOf(error).split('. ')[0]}; --help lists the options`, { cause: error })
  }
}

function portOf(text: string, option: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (!(port <= 65_535)) throw new UsageError(`${option} ${text}: not a port (0 to 65535)`)
  return port
}

function readConfig(options: Options): GatewayConfig {
  const section: GatewaySection =
    options.config === undefined ? {} : readConfigSection(options.config, 'gateway')
  const mqttPort = options['mqtt-port']
  const httpPort = options['http-port']
  const overlaid = {
    ...section,
    ...(options.id !== undefined && { id: options.id }),
    ...(options.broker !== undefined && { brokerUrl: options.broker }),
    ...(options['state-dir'] !== undefined && { stateDir: options['state-dir'] }),
    ...(mqttPort !== undefined && { mqtt: { ...section.mqtt, port: portOf(mqttPort, '--mqtt-port') } }),
    ...(httpPort !== undefined && { http: { ...section.http, port: portOf(httpPort, '--http-port') } }),
  }
  return loadConfig(
    overlaid,
    options.config === undefined ? 'gateway' : `${options.config}: gateway`,
    process.env,
  )
}

/** Returns the exit code. */
async function run(options: Options): Promise<number> {
  const stop = watchStop(stopMs, () =>
    process.stderr.write(`${program}: did not stop within ${stopMs / 1000} s, ended by force\n`),
  )
  const output = watchOutput(program, () => stop.begin('the output is gone'))
  if (options.supervised) stop.watchInput()
  if (!logLevels.includes(options['log-level'] as LogLevel))
    throw new UsageError(`--log-level ${options['log-level']}: not one of ${logLevels.join(', ')}`)
  const config = readConfig(options)
  const log = createLog(
    {
      level: options['log-level'] as LogLevel,
      json: options.json,
      write: (line) => process.stderr.write(`${line}\n`),
      nowMs: () => realClock.nowMs(),
    },
    'gateway',
  )
  const deps = {
    clock: realClock,
    log,
    version,
    dashboard: fileURLToPath(new URL('dashboard/dist', import.meta.url)),
  }
  await using gateway = await Gateway.open(deps, config, stop.signal).catch((error: unknown) => {
    if (isStop(error, stop.signal)) return undefined
    throw error
  })
  if (!gateway) return interrupted
  const ready = { ready: true, mqtt: gateway.mqttUrl, http: gateway.httpUrl }
  process.stdout.write(
    options.json ? `${JSON.stringify(ready)}\n` : `gateway ready: ${ready.http} (MQTT: ${ready.mqtt})\n`,
  )
  await untilStopped(stop.signal)
  log.info('stopping', { why: messageOf(stop.signal.reason) })
  return output.exitCode ?? 0
}

async function printHash(): Promise<void> {
  const { hashPassword } = await import('../runtime/base/password.ts')
  const { text } = await import('node:stream/consumers')
  const password = (await text(process.stdin)).replace(/\r?\n$/, '')
  if (password === '') throw new UsageError('--hash-password: no password on standard input')
  process.stdout.write(`${await hashPassword(password)}\n`)
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2))
  if (options.help) process.stdout.write(usage)
  else if (options['hash-password']) await printHash()
  else process.exitCode = await run(options)
}

main().catch((error: unknown) => {
  if (!(error instanceof CodedError)) throw error
  process.stderr.write(`${program}: ${error.message}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
})
