/**
 * The `ganglion` command: its commands and options, and what becomes of an error. A person's mistake is one line and exit
 * code 2, an operating error one line and exit code 1; only a bug shows a stack.
 */
import { Command, CommanderError, Option } from 'commander'
import { messageOf, UsageError } from '../base/errors.ts'
import { logLevels } from '../base/log.ts'
import { watchOutput } from '../base/output.ts'
import { isStop, watchStop } from '../base/stop.ts'
import { version } from '../base/version.ts'
import { defaultStateDir } from '../config/config.ts'
import { addAgentCommands } from './agent-commands.ts'
import { addApprovalCommands, each } from './approval-commands.ts'
import { isToldByChild } from './child.ts'
import { completionScript } from './completion.ts'
import type { Context, HalDoor } from './context.ts'
import { exitCodes } from './exit.ts'
import { HubError } from './hub-client.ts'
import { createTerminal } from './terminal.ts'

type Action = (context: Context) => Promise<number>

/** Half a second less than a person waits at Ctrl-C; `up` has stopped its children by then. */
const stopMsMax = 4_500

/** Runs one command line and returns its exit code. Never throws. Once a process: it watches signals and output. */
export async function runCli(argv: readonly string[], hal: () => Promise<HalDoor>): Promise<number> {
  const stop = watchStop(stopMsMax, () =>
    createTerminal(false).error(`did not stop within ${stopMsMax / 1000} s, ended by force`),
  )
  const output = watchOutput('ganglion', () => stop.begin('the output is gone'))
  let exitCode: number = exitCodes.done
  const program = createProgram(async (options, action) => {
    if (options.supervised) stop.watchInput()
    const { stateDir } = options
    exitCode = await action({
      terminal: createTerminal(options.json === true),
      signal: stop.signal,
      stateDir,
      hubDir: stateDir ?? defaultStateDir(),
      hal,
    })
  })
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    exitCode = isStop(error, stop.signal) ? exitCodes.interrupted : report(error)
  }
  return output.exitCode ?? exitCode
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage
  if (isToldByChild(error)) return error.code === 'mistake' ? exitCodes.usage : exitCodes.failed
  const terminal = createTerminal(false)
  const code = (error as { code?: unknown }).code
  if (error instanceof UsageError || typeof code === 'string') terminal.error(messageOf(error))
  else terminal.error(`a bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  return isUserMistake(error) ? exitCodes.usage : exitCodes.failed
}

/** A mistake that was seen here, or one that the hub saw: a file that is no recording, an unknown device, no token. */
function isUserMistake(error: unknown): boolean {
  const mistakes = [400, 401, 404, 413, 415]
  return error instanceof UsageError || (error instanceof HubError && mistakes.includes(error.status ?? 0))
}

interface SharedOptions {
  readonly json?: boolean
  readonly stateDir?: string
  readonly supervised?: boolean
}

type Run = (options: SharedOptions, action: Action) => Promise<void>

function createProgram(run: Run): Command {
  const program = new Command('ganglion')
    .description('An operating system for LLM agents at the edge.')
    .version(version)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(inOurWords(text)) })
  addServerCommands(program, run)
  addHubCommands(program, run)
  addSafetyCommands(program, run)
  addToolCommands(program, run)
  sayHow(program, 'ganglion')
  return program
}

function inOurWords(text: string): string {
  return text
    .replace(/^error: /, 'ganglion: ')
    .replace(
      /command-argument value '(.*)' is invalid for argument .* Allowed choices are (.*)\./,
      '$1: write $2',
    )
}

/** After a mistake: the help of the command that was meant. */
function sayHow(command: Command, path: string): void {
  command.showHelpAfterError(`("${path} --help" shows how)`)
  for (const inner of command.commands) sayHow(inner, `${path} ${inner.name()}`)
}

/** Adds the options that every command has. */
function shared(command: Command): Command {
  return command
    .option('--state-dir <dir>', 'where state is kept; also how a running hub is found')
    .option('--json', 'machine-readable output on standard output')
}

/** Checked here, before anything is fetched or started. */
const portOf = (option: string) => (text: string) => {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return text
  throw new UsageError(`${option} ${text}: not a port (0 to 65535)`)
}

function brokerOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.hostname && ['mqtt:', 'mqtts:'].includes(url.protocol)) return text
  throw new UsageError(`--broker ${text}: not a URL like mqtt://host:1883 or mqtts://host:8883`)
}

const logLevel = () =>
  new Option('--log-level <level>', 'what is logged to standard error').choices([...logLevels])

function addServerCommands(program: Command, run: Run): void {
  const listening = (command: Command) =>
    shared(command)
      .option(
        '--mqtt-port <port>',
        'port of the built-in broker; 0 takes any free one',
        portOf('--mqtt-port'),
      )
      .option('--http-port <port>', 'port of dashboard and API; 0 takes any free one', portOf('--http-port'))
      .option('--broker <url>', 'use this MQTT broker instead of the built-in one', brokerOf)
      .option('--config <file>', 'configuration, YAML with the sections device and gateway')
      .addOption(logLevel())
  const ofDevice = (command: Command) =>
    command
      .option('--home <file>', 'simulate the home in this file')
      .option('--id <id>', 'id of the device on the wire')
      .option('--microphone <device>', 'listen to this ALSA device, for example "default"')
      .option('--models-dir <dir>', 'where models are kept')
      .option('--no-voice', 'no speech models, no engine')
  ofDevice(listening(program.command('up')))
    .description('run a gateway and a device on this machine')
    .option('--no-home', 'this machine’s own board and what is attached to it; nothing is simulated')
    .option('--no-demo', 'do not play the recording')
    .option('--devices <number>', 'so many devices, each with its share of the home; at most 16', '1')
    .option('--agents', 'begin comfort agents also in a home or with a configuration of your own')
    .option('--no-agents', 'begin no agents, whatever the home')
    .action((options) =>
      run(options, async (context) => (await import('./commands/up.ts')).up(options, context)),
    )
  listening(program.command('gateway'))
    .description('run a gateway')
    .option(
      '--id <id>',
      'names it; one of its own on its broker (default: "gateway"; with --broker, after its host)',
    )
    .action((options) =>
      run(options, async (context) => (await import('./commands/gateway.ts')).gateway(options, context)),
    )
  ofDevice(shared(program.command('device')))
    .description('run a device')
    .option('--gateway <url>', 'the gateway to belong to')
    .option('--broker <url>', 'the MQTT broker, where it is not the gateway’s', brokerOf)
    .option('--config <file>', 'configuration, YAML with the sections device and gateway')
    .addOption(logLevel())
    .addOption(new Option('--share <part>', 'of the simulated home, as 2/3:DIRECTORY').hideHelp())
    .addOption(new Option('--accept-from <devices...>', 'their agents may move here').hideHelp())
    .addOption(new Option('--first-home', 'simulate the home that is shipped').hideHelp())
    .addOption(new Option('--supervised', 'end when standard input ends').hideHelp())
    .action((options) =>
      run(options, async (context) => (await import('./commands/device.ts')).device(options, context)),
    )
}

function addHubCommands(program: Command, run: Run): void {
  const ofHub = (command: Command) =>
    shared(command).option('--url <url>', 'the hub’s HTTP address; default: the one in the state directory')
  const ofUtterance = (command: Command) =>
    ofHub(command)
      .option('--area <area>', 'where the speaker is')
      .option('--device <id>', 'which device is spoken to, where there are several')
  ofUtterance(program.command('say').argument('<text...>', 'what to do, or a question'))
    .description('say a command; exit code 0 done, 1 failed, 3 refused or a question back')
    .action((text: string[], options) =>
      run(options, async (context) =>
        (await import('./commands/say.ts')).say(text.join(' '), options, context),
      ),
    )
  ofUtterance(program.command('hear').argument('<file>', 'a WAV recording'))
    .description('have a recording of a command heard')
    .action((file: string, options) =>
      run(options, async (context) => (await import('./commands/say.ts')).hear(file, options, context)),
    )
  ofHub(program.command('infer').argument('<model>', 'a model that the device serves, or its gateway'))
    .description('have a model answer once, wherever the device has it run')
    .option('--image <file>', 'a picture, of any format that ffmpeg reads')
    .option('--audio <file>', 'a recording, of any format that ffmpeg reads')
    .option('--input <name=value>', 'a tensor: NAME=FILE.npy, NAME=FILE.json or NAME=JSON; repeatable', each)
    .option('--privacy <label>', 'how far the inputs may travel: device, site or cloud', 'device')
    .option('--device <id>', 'which device, where there are several')
    .action((model: string, options) =>
      run(options, async (context) => (await import('./commands/infer.ts')).infer(model, options, context)),
    )
  ofHub(program.command('why').argument('[id]', 'id of a decision; default: the latest ones'))
    .description('where a device had its models run, and why there')
    .option('--device <id>', 'which device, where there are several')
    .action((id: string | undefined, options) =>
      run(options, async (context) => (await import('./commands/why.ts')).why(id, options, context)),
    )
  ofHub(program.command('decisions'))
    .description('what a device decided together with others, and who holds which lease')
    .option('--device <id>', 'which device, where there are several')
    .action((options) =>
      run(options, async (context) => (await import('./commands/decisions.ts')).decisions(options, context)),
    )
  ofHub(program.command('board').argument('[pattern]', 'a key, or a pattern such as heat.*; default: all'))
    .description('facts that the devices of the home share, as one of them has them')
    .option('--watch', 'then each change, until Ctrl-C')
    .option('--device <id>', 'which device, where there are several')
    .action((pattern: string | undefined, options) =>
      run(options, async (context) => (await import('./commands/board.ts')).board(pattern, options, context)),
    )
  ofHub(program.command('top'))
    .description('the agents of a device, live: what each uses and waits for')
    .option('--device <id>', 'which device, where there are several')
    .option('--once', 'once, then end')
    .action((options) =>
      run(options, async (context) => (await import('./commands/top.ts')).top(options, context)),
    )
  addApprovalCommands({ program, run, shared, ofHub })
  ofHub(program.command('entities'))
    .description('list what there is, with its state')
    .option('--area <area>', 'only this area')
    .option('--device <id>', 'only this device')
    .action((options) =>
      run(options, async (context) => (await import('./commands/entities.ts')).entities(options, context)),
    )
  ofHub(program.command('watch'))
    .description('follow what happens')
    .action((options) =>
      run(options, async (context) => (await import('./commands/entities.ts')).watch(options, context)),
    )
}

function addSafetyCommands(program: Command, run: Run): void {
  const commands = () => import('./commands/safety.ts')
  const safety = program
    .command('safety')
    .description('what may move on the device of this machine, and why not')
  const withToken = (command: Command) =>
    shared(command).option('--token-file <file>', 'the safety token is in this file; default: asked for')
  shared(safety.command('status'))
    .description('armed or not, faults, leases, outputs')
    .action((options) => run(options, async (context) => (await commands()).safetyStatus(context)))
  withToken(safety.command('arm'))
    .description('let outputs be commanded')
    .action((options) => run(options, async (context) => (await commands()).safetyArm(options, context)))
  shared(safety.command('disarm'))
    .description('drive every output safe and keep it there')
    .action((options) => run(options, async (context) => (await commands()).safetyDisarm(context)))
  withToken(safety.command('clear').argument('<fault>', 'id of a latched fault, as in the status'))
    .description('clear a latched fault whose cause is gone')
    .action((fault: string, options) =>
      run(options, async (context) => (await commands()).safetyClear(fault, options, context)),
    )
  shared(safety.command('token'))
    .description('make the safety token, which is shown this once')
    .action((options) => run(options, async (context) => (await commands()).safetyToken(context)))
  shared(safety.command('audit'))
    .description('what was refused, and what went wrong')
    .option('--lines <number>', 'the newest lines; default 50')
    .action((options) => run(options, async (context) => (await commands()).safetyAudit(options, context)))
}

function addModelCommands(program: Command, run: Run): void {
  const commands = () => import('./commands/models.ts')
  const models = program
    .command('models')
    .description('the models on this machine: list, add, fetch, remove, measure')
  const ofModels = (command: Command) =>
    shared(command)
      .option('--models-dir <dir>', 'where models are kept')
      .option('--config <file>', 'configuration whose folders of models are looked into too')
  ofModels(models.command('list'))
    .description('list the models, those that were added too')
    .action((options) => run(options, async (context) => (await commands()).modelsList(options, context)))
  ofModels(models.command('show').argument('<name>', 'a model'))
    .description('all about one model')
    .action((name: string, options) =>
      run(options, async (context) => (await commands()).modelsShow(name, options, context)),
    )
  ofModels(models.command('pull').argument('[names...]', 'models; default: those for voice'))
    .description('fetch models')
    .action((names: string[], options) =>
      run(options, async (context) => (await commands()).modelsPull(names, options, context)),
    )
  ofModels(
    models.command('add').argument('<from>', 'an ONNX file, a folder with model.yaml, https:… or npm:…'),
  )
    .description('add a model of your own: it is loaded once to look at it, then served')
    .option('--name <name>', 'its name; default: that of the file')
    .option('--description <text>', 'what it is')
    .option('--licence <id>', 'its licence, as SPDX names it')
    .option('--pin', 'keep it loaded whatever else wants its memory')
    .option('--batch <rows>', 'requests that may run as one, stacked along the first axis')
    .option('--sha256 <digest>', 'what the file must be')
    .option('--replace', 'take the place of one that was added under that name')
    .action((from: string, options) =>
      run(options, async (context) =>
        (await import('./commands/models-add.ts')).modelsAdd(from, options, context),
      ),
    )
  ofModels(models.command('remove').argument('<name>', 'a model'))
    .description('delete a model’s files')
    .action((name: string, options) =>
      run(options, async (context) => (await commands()).modelsRemove(name, options, context)),
    )
  ofModels(models.command('tune').argument('[name]', 'the model to measure with; default: one that is here'))
    .description('measure threads and engines on this machine, and keep what is best')
    .option('--for <aim>', 'latency or throughput', 'latency')
    .option('--seconds <number>', 'per measurement', '2')
    .option('--dry-run', 'measure, keep nothing')
    .action((name: string | undefined, options) =>
      run(options, async (context) =>
        (await import('./commands/models-tune.ts')).modelsTune(name, options, context),
      ),
    )
}

function addAuditCommands(program: Command, run: Run): void {
  const commands = () => import('./commands/audit.ts')
  const audit = program
    .command('audit')
    .description('what agents asked for and did on the device of this machine')
  const ofAudit = (command: Command) =>
    shared(command)
      .option('--device <id>', 'which device of this machine, where there are several')
      .option('--config <file>', 'configuration that says where state is kept')
  ofAudit(audit.command('verify'))
    .description('whether the record is as the device wrote it; exit code 1 where it is not')
    .action((options) => run(options, async (context) => (await commands()).auditVerify(options, context)))
  ofAudit(audit.command('show'))
    .description('the newest lines')
    .option('--lines <number>', 'how many; default 50')
    .action((options) => run(options, async (context) => (await commands()).auditShow(options, context)))
}

function addToolCommands(program: Command, run: Run): void {
  shared(program.command('doctor'))
    .description('what this machine is, what is wrong and what to do; exit code 1 when something is')
    .option('--config <file>', 'configuration whose attached parts are looked for')
    .option('--no-probe', 'do not ask I2C buses who is there')
    .option('--models-dir <dir>', 'where models are kept')
    .action((options) =>
      run(options, async (context) => (await import('./commands/doctor.ts')).doctor(options, context)),
    )
  shared(program.command('drivers').argument('[id]', 'a driver, for all about it'))
    .description('the parts that can be attached, and how')
    .action((id: string | undefined, options) =>
      run(options, async (context) => (await import('./commands/drivers.ts')).drivers(id, context)),
    )
  addAgentCommands({ program, run, shared })
  addModelCommands(program, run)
  shared(program.command('history').argument('[id]', 'a machine of perception.feeling; default: lists them'))
    .description('what a device has recorded of a machine, as CSV, to train a model with')
    .option('--config <file>', 'configuration that says where state is kept')
    .action((id: string | undefined, options) =>
      run(options, async (context) => (await import('./commands/history.ts')).history(id, options, context)),
    )
  addAuditCommands(program, run)
  const evaluation = program.command('eval').description('measure how well something is done')
  shared(evaluation.command('home').argument('<dir>', 'a folder of spoken-command tests, or of such folders'))
    .description('run spoken-command tests in simulated homes')
    .action((dir: string, options) =>
      run(options, async (context) => (await import('./commands/eval-home.ts')).evalHome(dir, context)),
    )
  shared(program.command('bench'))
    .description('measure speed and memory against bare baselines')
    .option('--quick', 'fewer runs')
    .option('--only <name>', 'only measurements whose name contains this')
    .action((options) =>
      run(options, async (context) => (await import('./commands/bench.ts')).bench(options, context)),
    )
  program
    .command('completion')
    .argument('<shell>', 'bash, zsh or fish')
    .description('print a completion script to be sourced')
    .action((shell: string) =>
      run({}, async ({ terminal }) => {
        const { shippedAgents } = await import('../agents/index.ts')
        const agents = shippedAgents.map(({ definition }) => definition.name)
        const given = { 'agent check': agents, 'agent run': agents }
        terminal.out(completionScript(program, shell, given))
        return exitCodes.done
      }),
    )
}
